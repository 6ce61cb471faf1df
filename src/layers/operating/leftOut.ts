/**
 * Records that are left out of snapshots, since no client could install them. Nothing of the file is broken by them: a push takes
 * such payloads, and adopted databases may hold some.
 */
import type Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import { isInstallable } from '../../services/requiredFields.js'
import { isTokenKey } from '../../services/snapshotToken.js'
import type { StorageError } from '../../services/StorageError.js'
import { isSyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { attempt } from './observer.js'

/** How many there are, and where the first few are. */
export interface LeftOut {
  readonly count: number
  readonly examples: ReadonlyArray<string>
}

const shown = 3

/** What is no JSON at all, an invariant tells. */
const fits = (table: unknown, pk: unknown, json: unknown): number => {
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
      SELECT workspace_id AS workspaceId, '${table}' AS "table", pk FROM s_${table}
      WHERE NOT fits_a_snapshot('${table}', pk, iif(deleted, NULL, data_json))`,
  )
  .join(' UNION ALL ')

/** Reads every live payload once, and holds none. */
export const findLeftOut = (database: Sqlite.Database): Effect.Effect<LeftOut, StorageError> =>
  attempt('check', () => {
    database.function('fits_a_snapshot', { deterministic: true }, fits)
    const examples: Array<string> = []
    let count = 0
    for (const row of database.prepare<[], object>(leftOutSql).iterate()) {
      if (++count <= shown) examples.push(JSON.stringify(row))
    }
    return { count, examples }
  }).pipe(
    // The rules have told of the damage.
    Effect.catchIf(
      (error) => error.reason === 'corrupt',
      () => Effect.succeed({ count: 0, examples: [] }),
    ),
  )
