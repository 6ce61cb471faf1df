/**
 * Stands it when somebody else has trimmed the log of an adopted file without raising its floor.
 *
 * The earlier package did so when it was started on a file that we had adopted. It finds a closed door since `004_offsets`, so
 * only the front of each log is looked at, which costs a few steps per workspace; `or3-sqlite check` looks at all of it.
 */
import { Either } from 'effect'
import { type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { type Connection, transaction } from './connection.js'
import { leap } from './leap.js'
import { positionOf } from './position.js'

const lowestAboveFloor = (table: SyncedTable) => `
  SELECT min(server_version) AS version FROM s_${table} AS r
  WHERE r.workspace_id = c.workspace_id AND r.server_version > c.trimmed_version`

const emptiedLogSql = {
  isAdopted: `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kysely_migration'`,

  /** Workspaces with a row above the floor whose entry is missing at the front of the log. */
  emptied: `
    SELECT workspace_id AS id FROM server_version_counter AS c
    WHERE (SELECT min(version) FROM (${syncedTables.map(lowestAboveFloor).join(' UNION ALL ')})) < coalesce(
      (SELECT min(server_version) FROM change_log AS l
       WHERE l.workspace_id = c.workspace_id AND l.server_version > c.trimmed_version), c.value + 1)`,

  /** Up to the last row without an entry, the rows stand for the log. */
  raiseFloor: `
    UPDATE server_version_counter SET trimmed_version = (
      SELECT max(r.server_version) FROM (${syncedTables
        .map((table) => `SELECT server_version FROM s_${table} WHERE workspace_id = :workspaceId`)
        .join(' UNION ALL ')}) AS r
      WHERE NOT EXISTS (SELECT 1 FROM change_log AS l
        WHERE l.workspace_id = :workspaceId AND l.server_version = r.server_version))
    WHERE workspace_id = :workspaceId`,
}

/**
 * Raises the floors of such workspaces, and lets them leap, since devices may have passed what was not served. Gives how many
 * there were; `now` in epoch seconds.
 */
export const mendEmptiedLogs = (connection: Connection, now: number): number => {
  const emptied = () =>
    connection.first(emptiedLogSql.isAdopted) === undefined
      ? []
      : connection.all<{ id: string }>(emptiedLogSql.emptied)
  if (emptied().length === 0) return 0
  return Either.getOrThrow(
    transaction('BEGIN IMMEDIATE', (connection) => {
      // Another process may have come first.
      const workspaces = emptied()
      for (const { id: workspaceId } of workspaces) {
        connection.run(emptiedLogSql.raiseFloor, { workspaceId })
        leap(connection, workspaceId, now, positionOf(connection, workspaceId).version)
      }
      return Either.right(workspaces.length)
    })(connection),
  )
}
