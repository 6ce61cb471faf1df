/**
 * Looks into the provider's database, past the provider, and turns its clocks: only a playground does that.
 *
 * The file is opened by the very SQLite library that serves it. Opened by anything else in this process, such as
 * `fs`, closing it would drop the locks that the serving connection holds on it.
 */
import Sqlite from 'better-sqlite3'
import { createError } from 'h3'
import type { LogEntry, Row, ServerView, Tombstone } from '../shared/view'

const tables = ['threads', 'messages', 'projects', 'posts', 'kv', 'file_meta', 'notifications']
const limit = 50

/** What leaps after a restored backup have added to what is stored. */
const offset = (column: string) =>
  `(SELECT ${column} FROM server_version_counter WHERE workspace_id = @workspaceId)`
const recorded = `pk, server_version + ${offset('version_offset')} AS version, clock + ${offset('clock_offset')} AS clock,
  hlc, op_id AS opId`

/** Notifications are their user's business, other members' eyes included. */
const payloadOf = (table: string, column: string) =>
  `CASE WHEN ${table} = 'notifications' THEN NULL ELSE ${column} END AS payload`

const rowsOf = (table: string) => `
  SELECT '${table}' AS "table", ${recorded}, device_id AS deviceId, deleted, ${payloadOf(`'${table}'`, 'data_json')}
  FROM s_${table} WHERE workspace_id = @workspaceId`

const allRows = tables.map(rowsOf).join(' UNION ALL ')

const sql = {
  counter: `
    SELECT value + version_offset AS version, trimmed_version + version_offset AS floor
    FROM server_version_counter WHERE workspace_id = @workspaceId`,
  counts: `
    SELECT
      (SELECT count(*) FROM change_log WHERE workspace_id = @workspaceId) AS log,
      (SELECT count(*) FROM (${allRows})) AS rows,
      (SELECT count(*) FROM tombstones WHERE workspace_id = @workspaceId) AS tombstones`,
  log: `
    SELECT table_name AS "table", ${recorded}, device_id AS deviceId, op, ${payloadOf('table_name', 'payload_json')}
    FROM change_log WHERE workspace_id = @workspaceId ORDER BY server_version DESC LIMIT ${limit}`,
  rows: `${allRows} ORDER BY version DESC LIMIT ${limit}`,
  tombstones: `
    SELECT table_name AS "table", ${recorded} FROM tombstones
    WHERE workspace_id = @workspaceId ORDER BY server_version DESC LIMIT ${limit}`,
  cursors: `
    SELECT device_id AS deviceId, last_seen_version AS version FROM device_cursors
    WHERE workspace_id = @workspaceId ORDER BY device_id`,
  older: [
    `UPDATE change_log SET created_at = created_at - @seconds WHERE workspace_id = @workspaceId`,
    `UPDATE tombstones SET deleted_at = deleted_at - @seconds WHERE workspace_id = @workspaceId`,
  ],
}

type Stored<A> = Omit<A, 'payload'> & { readonly payload: string | null }

const parsed = <A extends { readonly payload: string | null }>(row: A) => ({
  ...row,
  payload: row.payload === null ? null : (JSON.parse(row.payload) as unknown),
})

const read = (database: Sqlite.Database, workspaceId: string): ServerView => {
  const all = <A>(statement: string) => database.prepare(statement).all({ workspaceId }) as Array<A>
  const [counter = { version: 0, floor: 0 }] = all<{ version: number; floor: number }>(sql.counter)
  const [counts = { log: 0, rows: 0, tombstones: 0 }] = all<ServerView['counts']>(sql.counts)
  return {
    workspaceId,
    ...counter,
    counts,
    log: all<Stored<LogEntry>>(sql.log).map(parsed),
    rows: all<Stored<Row>>(sql.rows)
      .map(parsed)
      .map((row) => ({ ...row, deleted: Boolean(row.deleted) })),
    tombstones: all<Tombstone>(sql.tombstones),
    cursors: all(sql.cursors),
  }
}

/** Opened for each look, so that at the end of the server the provider's connection is the last one, which tidies up. */
const withDatabase = <A>(options: Sqlite.Options, use: (database: Sqlite.Database) => A): A => {
  const path = process.env.OR3_SQLITE_DB_PATH
  if (!path || path === ':memory:') {
    throw createError({ statusCode: 404, statusMessage: 'There is no database file to look into' })
  }
  const database = new Sqlite(path, { ...options, fileMustExist: true })
  try {
    return database.transaction(() => use(database))()
  } finally {
    database.close()
  }
}

/** One snapshot of a workspace. */
export const inspect = (workspaceId: string): ServerView =>
  withDatabase({ readonly: true }, (database) => read(database, workspaceId))

/** Makes history older by so many seconds. Its devices are left alone: they have just been heard of. */
export const makeOlder = (workspaceId: string, seconds: number): void =>
  withDatabase({}, (database) => {
    for (const statement of sql.older) database.prepare(statement).run({ workspaceId, seconds })
  })
