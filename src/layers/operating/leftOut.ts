/**
 * Records that are left out of snapshots, since no client could install them. Nothing of the file is broken by them: a push takes
 * such payloads, and adopted databases may hold some.
 */
import type { Sqlite } from '../synchronous/sqlite.js'
import { Effect } from 'effect'
import { isInstallable, lackOf } from '../../services/requiredFields.js'
import { isTokenKey } from '../../services/snapshotToken.js'
import type { StorageError } from '../../services/StorageError.js'
import { isSyncedTable, type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { attempt } from './observer.js'

/** How many there are, where the first few are, and what each lacks. */
export interface LeftOut {
  readonly count: number
  readonly examples: ReadonlyArray<string>
}

/** Examples told of. */
export const shownLeftOut = 3

/** What is no JSON at all, an invariant tells. */
export const fits = (table: unknown, pk: unknown, json: unknown): number => {
  if (!isSyncedTable(table) || typeof pk !== 'string') return 0
  if (!isTokenKey(pk)) return 0
  if (typeof json !== 'string') return 1
  try {
    return Number(isInstallable(table, JSON.parse(json)))
  } catch {
    return 1
  }
}

const leftOutSql = syncedTables
  .map(
    (table) => `
      SELECT workspace_id AS workspaceId, '${table}' AS "table", pk, iif(deleted, NULL, data_json) AS json FROM s_${table}
      WHERE NOT fits_a_snapshot('${table}', pk, iif(deleted, NULL, data_json))`,
  )
  .join(' UNION ALL ')

export interface LeftOutRow {
  readonly workspaceId: string
  readonly table: SyncedTable
  readonly pk: string
  readonly json: string | null
}

/** A deleted record is left out by nothing but its key. */
export const exampleOf = ({ json, ...place }: LeftOutRow) => {
  const lacks =
    json === null || !isTokenKey(place.pk) ? 'a key that clients take' : lackOf(place.table, JSON.parse(json))
  return JSON.stringify({ ...place, lacks })
}

/** Reads every live payload once, and holds none. */
export const findLeftOut = (database: Sqlite): Effect.Effect<LeftOut, StorageError> =>
  attempt('check', () => {
    database.function('fits_a_snapshot', { deterministic: true }, fits)
    const examples: Array<string> = []
    let count = 0
    for (const row of database.prepare(leftOutSql).iterate() as Iterable<LeftOutRow>) {
      if (++count <= shownLeftOut) examples.push(exampleOf(row))
    }
    return { count, examples }
  }).pipe(
    // The rules have told of the damage.
    Effect.catchIf(
      (error) => error.reason === 'corrupt',
      () => Effect.succeed({ count: 0, examples: [] }),
    ),
  )
