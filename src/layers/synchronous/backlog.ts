/**
 * How much waits for the next collection.
 *
 * The log of a workspace goes from its front, and its entries are in the order of their times, but for clocks that went back.
 * So what could go ends at a version that a bisection finds, in one look-up where nothing could go. Where a clock went back
 * the figure may be off by the entries of that time.
 */
import { Duration, Effect } from 'effect'
import type { Connection } from './connection.js'
import type { Database } from './Database.js'
import { unbornWorkspace } from './position.js'
import { epochSeconds, letOthersGo } from '../time.js'

/** Workspaces looked at before others get a turn; a millisecond or two. */
const chunkSize = 200

/** @readByTests of the query plans. */
export const maintenanceSql = {
  workspaces: `
    SELECT workspace_id AS id, version_offset AS versionOffset, trimmed_version AS floor, value
    FROM server_version_counter WHERE workspace_id > ? ORDER BY workspace_id LIMIT ${chunkSize}`,

  /** Of the cursors that a collection would leave. */
  slowest: `
    SELECT min(last_seen_version) AS version
    FROM device_cursors INDEXED BY sqlite_autoindex_device_cursors_1 WHERE workspace_id = ? AND updated_at >= ?`,

  /** The first entry at or above a version: after a leap of an earlier release there are gaps. */
  entryFrom: `
    SELECT server_version AS version, created_at AS at FROM change_log INDEXED BY change_log_by_version
    WHERE workspace_id = ? AND server_version >= ? ORDER BY server_version LIMIT 1`,
}

interface Workspace {
  readonly id: string
  readonly versionOffset: number
  readonly floor: number
  readonly value: number
}

/** How many entries of a workspace a collection would remove that keeps what was made at or after `cutoff`. */
const waitingIn = (
  connection: Connection,
  { id, versionOffset, floor, value }: Workspace,
  cutoff: number,
) => {
  const slowest = connection.first<{ version: number | null }>(maintenanceSql.slowest, id, cutoff)?.version
  if (typeof slowest !== 'number') return 0
  const entryFrom = (version: number) =>
    connection.first<{ version: number; at: number }>(maintenanceSql.entryFrom, id, version)
  const mayGo = (version: number) => {
    const entry = entryFrom(version)
    return entry !== undefined && entry.at < cutoff
  }
  // Every version below `low` may go, none from `high` on.
  let low = floor + 1
  let high = Math.min(slowest - versionOffset, value + 1)
  if (high <= low || !mayGo(low)) return 0
  const first = low
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2)
    if (mayGo(middle)) low = middle + 1
    else high = middle
  }
  return low - first
}

/** Looks at one workspace after the other, and gives others their turn in between. */
export const backlogOf = (database: Database['Type'], retention: Duration.Duration) =>
  Effect.gen(function* () {
    const cutoff = (yield* epochSeconds) - Duration.toSeconds(retention)
    const step = (after: string) =>
      database.direct('maintenance state', (connection) => {
        const workspaces = connection.all<Workspace>(maintenanceSql.workspaces, after)
        const waiting = workspaces.reduce((sum, one) => sum + waitingIn(connection, one, cutoff), 0)
        return { waiting, last: workspaces.length < chunkSize ? undefined : workspaces.at(-1)!.id }
      })
    let total = 0
    for (let after: string | undefined = unbornWorkspace; after !== undefined;) {
      const { waiting, last }: { waiting: number; last: string | undefined } = yield* step(after)
      total += waiting
      after = last
      if (after !== undefined) yield* letOthersGo
    }
    return total
  })
