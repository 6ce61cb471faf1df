/**
 * The database of a host that runs, behind its back: for what takes hours with it, and for what it must end with.
 */
import Sqlite from 'better-sqlite3'
import { syncedTables } from '../../src/services/index.js'

const withDatabase = <A>(path: string, use: (database: Sqlite.Database) => A): A => {
  const database = new Sqlite(path)
  try {
    database.pragma('busy_timeout = 5000')
    return use(database)
  } finally {
    database.close()
  }
}

/** Makes history two hours older than it is. Of the devices only those named were not heard of since. */
export const passTwoHours = (path: string, awayDevices: ReadonlyArray<string> = []) =>
  withDatabase(path, (database) => {
    database.exec('UPDATE change_log SET created_at = created_at - 7200')
    database.exec('UPDATE tombstones SET deleted_at = deleted_at - 7200')
    const away = database.prepare(
      'UPDATE device_cursors SET updated_at = updated_at - 7200 WHERE device_id = ?',
    )
    for (const device of awayDevices) away.run(device)
  })

/** Makes a user an editor of a workspace, and that the one they are in. */
export const letIn = (path: string, userId: string, workspaceId: string) =>
  withDatabase(path, (database) => {
    database
      .prepare(
        `INSERT INTO workspace_members (workspace_id, user_id, role, created_at) VALUES (?, ?, 'editor', 1)`,
      )
      .run(workspaceId, userId)
    database.prepare('UPDATE users SET active_workspace_id = ? WHERE id = ?').run(workspaceId, userId)
  })

/** How much history the server still has. */
export const historyOf = (path: string) =>
  withDatabase(path, (database) => ({
    log: database.prepare('SELECT count(*) FROM change_log').pluck().get() as number,
    tombstones: database.prepare('SELECT count(*) FROM tombstones').pluck().get() as number,
  }))

/** The live records of a workspace. */
export const liveRows = (path: string, workspaceId: string): Record<string, unknown> =>
  withDatabase(path, (database) => {
    const rows = syncedTables.flatMap((table) =>
      database
        .prepare<[string], { pk: string; clock: number; data_json: string }>(
          `SELECT pk, clock + clock_offset AS clock, data_json
          FROM s_${table} JOIN server_version_counter USING (workspace_id)
          WHERE workspace_id = ? AND NOT deleted`,
        )
        .all(workspaceId)
        .map(({ pk, clock, data_json: json }): [string, unknown] => [
          `${table}/${pk}`,
          { clock, payload: JSON.parse(json) as unknown },
        ]),
    )
    return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)))
  })
