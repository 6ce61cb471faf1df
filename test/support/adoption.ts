/**
 * Adopts legacy databases in tests, and checks what must hold of any database of ours.
 */
import Sqlite from 'better-sqlite3'
import { syncedTables } from '../../src/services/index.js'
import { LegacyDatabase, type Shape } from './legacyDatabase.js'
import { subjectOnFile } from './layerSubjects.js'
import type { Subject } from './subjectType.js'

/** Runs a body on a read-only connection of its own. */
export const inspect = <A>(path: string, body: (database: Sqlite.Database) => A): A => {
  const database = new Sqlite(path, { readonly: true })
  try {
    return body(database)
  } finally {
    database.close()
  }
}

export const query = <Row = Record<string, unknown>>(path: string, sql: string): Array<Row> =>
  inspect(path, (database) => database.prepare(sql).all() as Array<Row>)

/** Rows of a query as they were before migration 005 gave them UUIDs, so that a test can say which op is meant. */
const formerly = <Row extends object>(path: string, rows: ReadonlyArray<Row>): Array<Row> => {
  const renamed = query<{ op_id: string; new_op_id: string }>(
    path,
    'SELECT op_id, new_op_id FROM renamed_ops',
  )
  const former = new Map(renamed.map(({ op_id, new_op_id }) => [new_op_id, op_id]))
  return rows.map((row) =>
    'op_id' in row ? { ...row, op_id: former.get(String(row.op_id)) ?? row.op_id } : row,
  )
}

/** The same of a query. */
export const formerQuery = <Row extends object>(path: string, sql: string): Array<Row> =>
  formerly(path, query<Row>(path, sql))

/** Makes a legacy database and leaves it closed. */
export const makeLegacy = (path: string, shape: Shape, fill: (legacy: LegacyDatabase) => void): string => {
  const legacy = new LegacyDatabase(path, shape)
  try {
    legacy.sqlite.transaction(() => fill(legacy))()
  } finally {
    legacy.close()
  }
  return path
}

/** Opens it as the package does, which adopts it, and runs a body. */
export const opened = async <A>(path: string, body: (subject: Subject) => A | Promise<A>): Promise<A> => {
  const subject = await subjectOnFile(path)
  try {
    return await body(subject)
  } finally {
    await subject.close()
  }
}

const printable = (column: string) =>
  `typeof(${column}) = 'text' AND octet_length(${column}) BETWEEN 1 AND 256 AND ${column} NOT GLOB '*[^ -~]*'`
const stamp = `${printable('op_id')} AND ${printable('hlc')} AND ${printable('device_id')}
  AND typeof(clock) = 'integer' AND clock BETWEEN 0 AND 9007199254740991`

/** Every row of the synced tables. */
export const allRows = syncedTables
  .map(
    (table) => `SELECT '${table}' AS table_name, workspace_id, pk, data_json, clock, hlc, op_id, device_id,
      server_version, deleted, created_at, updated_at FROM s_${table}`,
  )
  .join(' UNION ALL ')

/** Each finds rows that break a rule. `c` is the workspace's counter, `r` a row, `l` a log entry, `t` a tombstone. */
const rules: Readonly<Record<string, string>> = {
  'a log entry has a version of 1 up to the watermark': `
    SELECT l.* FROM change_log AS l LEFT JOIN server_version_counter AS c USING (workspace_id)
    WHERE c.value IS NULL OR l.server_version NOT BETWEEN 1 AND c.value`,
  'the floor lies just below the log, or is the watermark': `
    SELECT c.* FROM server_version_counter AS c WHERE c.trimmed_version <> coalesce(
      (SELECT min(server_version) - 1 FROM change_log AS l WHERE l.workspace_id = c.workspace_id), c.value)`,
  'stamps are valid': `
    SELECT workspace_id, pk, op_id, hlc, clock FROM r WHERE NOT (${stamp})
    UNION ALL SELECT workspace_id, pk, op_id, hlc, clock FROM change_log WHERE NOT (${stamp})`,
  'payloads are JSON, and a put has one': `
    SELECT pk, data_json FROM r WHERE NOT iif(data_json IS NULL, deleted, json_valid(data_json))
    UNION ALL SELECT pk, payload_json FROM change_log
      WHERE NOT iif(payload_json IS NULL, op = 'delete', json_valid(payload_json))`,
  'a row above the floor is its log entry': `
    SELECT r.* FROM r JOIN server_version_counter AS c USING (workspace_id)
    WHERE r.server_version > c.trimmed_version AND NOT EXISTS (
      SELECT 1 FROM change_log AS l
      WHERE (l.workspace_id, l.server_version, l.table_name, l.pk, l.clock, l.hlc, l.op_id, l.device_id, l.op)
        = (r.workspace_id, r.server_version, r.table_name, r.pk, r.clock, r.hlc, r.op_id, r.device_id,
           iif(r.deleted, 'delete', 'put')) AND l.payload_json IS r.data_json)`,
  'a row at or below the floor has a version of its own': `
    SELECT r.* FROM r LEFT JOIN server_version_counter AS c USING (workspace_id)
    WHERE c.value IS NULL OR r.server_version < 1 OR r.server_version > c.value
    UNION ALL SELECT * FROM r GROUP BY workspace_id, server_version HAVING count(*) > 1`,
  'no log entry beats its row': `
    SELECT l.* FROM change_log AS l LEFT JOIN r USING (workspace_id, table_name, pk)
    WHERE r.pk IS NULL OR (l.clock, l.hlc, l.op_id) > (r.clock, r.hlc, r.op_id)`,
  'a deleted row has a tombstone with its revision': `
    SELECT r.* FROM r WHERE r.deleted AND NOT EXISTS (
      SELECT 1 FROM tombstones AS t
      WHERE (t.workspace_id, t.table_name, t.pk, t.clock, t.hlc, t.op_id, t.server_version)
        = (r.workspace_id, r.table_name, r.pk, r.clock, r.hlc, r.op_id, r.server_version))`,
  'a tombstone has a deleted row': `
    SELECT t.* FROM tombstones AS t LEFT JOIN r USING (workspace_id, table_name, pk)
    WHERE r.deleted IS NOT 1`,
  'a live workspace with members has an owner': `
    SELECT w.id FROM workspaces AS w WHERE w.deleted = 0
      AND EXISTS (SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = w.id)
      AND NOT EXISTS (SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = w.id AND m.role = 'owner')`,
  'an active workspace is a live membership': `
    SELECT u.* FROM users AS u WHERE active_workspace_id IS NOT NULL AND NOT EXISTS (
      SELECT 1 FROM workspaces AS w JOIN workspace_members AS m ON m.workspace_id = w.id
      WHERE w.id = u.active_workspace_id AND w.deleted = 0 AND m.user_id = u.id)`,
  'nothing is left of the adoption': `
    SELECT name FROM sqlite_schema WHERE name LIKE 'legacy%' OR name LIKE '%set_aside%' OR tbl_name LIKE 'legacy%'`,
  'foreign keys hold': `SELECT * FROM pragma_foreign_key_check`,
  'the file is sound': `SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'`,
}

/** The rules that a database breaks, each with an offender; empty for a good one. */
export const brokenRules = (path: string): Record<string, unknown> =>
  inspect(path, (database) => {
    const found: Array<[string, unknown]> = []
    for (const [rule, sql] of Object.entries(rules)) {
      const offender = database.prepare(`WITH r AS (${allRows}) ${sql} LIMIT 1`).get()
      if (offender !== undefined) found.push([rule, offender])
    }
    return Object.fromEntries(found)
  })

/** A legacy database of many log entries in ten workspaces, three for each row, made inside SQLite. */
export const makeLargeLegacy = (path: string, shape: Shape, entries: number, payloadLength = 200): string =>
  makeLegacy(path, shape, ({ sqlite }) => {
    const winners = (table: string) => `
      insert into s_${table} (workspace_id, id, data_json, clock, hlc, device_id, deleted, created_at, updated_at)
      select workspace_id, pk, payload_json, max(clock), hlc, device_id, op = 'delete', created_at, created_at
      from change_log where table_name = '${table}' group by workspace_id, pk;`
    sqlite.exec(`
      insert into change_log
      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${entries})
      select printf('entry-%d', i), 'w' || (i % 10), i / 10 + 1, iif(i / 30 % 5, 'messages', 'threads'), 'pk' || (i / 30), iif(i % 20 = 0, 'delete', 'put'),
        iif(i % 20 = 0, null, json_object('text', printf('%.*c', ${payloadLength}, 'x'))), i / 10 % 3, printf('%09d', i),
        'd' || (i % 3), printf('%08x-%d', i * 2654435761 % 4294967296, i), 1700000000 + i / 100
      from n;
      ${winners('messages')} ${winners('threads')}
      insert into server_version_counter select workspace_id, max(server_version) from change_log group by workspace_id;`)
  })
