/**
 * What must hold of every database of ours, as statements that find what breaks it.
 *
 * SQLite does the work, set by set: a log of a million entries is read a few times, and nothing of it is held here. What a leap
 * after a restored backup left before migration 004 is in order: entries below the floor kept their versions and clocks, while rows
 * rose. Since then a leap only adds to the offsets of its workspace.
 */
import type { Sqlite } from '../synchronous/sqlite.js'
import { Effect } from 'effect'
import { leapSize } from '../../services/epochs.js'
import type { StorageError } from '../../services/StorageError.js'
import { limits, type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { makeConnection } from '../synchronous/connection.js'
import { addFileFunctions, fileInvariants } from './fileInvariants.js'
import { attempt } from './observer.js'
import { unbornWorkspace } from '../synchronous/position.js'
import { requiredTables } from '../sql/schemaVersion.js'
import { unionAll } from '../sql/union.js'
import { objectsOf, type SchemaObjects } from './schemaState.js'

/** A rule that does not hold, with the first few that break it. */
export interface Fault {
  readonly rule: string
  readonly examples: ReadonlyArray<string>
  /** Whether there are more than these. */
  readonly more: boolean
}

/** Of what breaks a rule. */
export const shown = 3

const rows = `(${syncedTables
  .map(
    (table) => `SELECT workspace_id, '${table}' AS table_name, pk, data_json, clock, hlc, op_id, device_id,
      server_version, deleted FROM s_${table}`,
  )
  .join(' UNION ALL ')})`

/** A condition on the row of the record that `x` names; true for a table that is none. */
const ofItsRow = (condition: (table: SyncedTable) => string) =>
  `CASE x.table_name ${syncedTables.map((table) => `WHEN '${table}' THEN ${condition(table)}`).join(' ')} ELSE 1 END`

/** By the index of its key, which cannot be missing: Turso's engine would take another. */
const noRow = (where: string) =>
  ofItsRow(
    (table) =>
      `NOT EXISTS (SELECT 1 FROM s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1 WHERE r.workspace_id = x.workspace_id AND r.pk = x.pk AND ${where})`,
  )

const count = (column: string) =>
  `(typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER})`
const ascii = (column: string, maxLength: number = limits.idLength) =>
  `(typeof(${column}) = 'text' AND octet_length(${column}) BETWEEN 1 AND ${maxLength} AND ${column} NOT GLOB '*[^ -~]*')`
const stamp = `${ascii('op_id')} AND ${ascii('hlc', limits.hlcLength)} AND ${ascii('device_id')} AND ${count('clock')}`

const hex = (times: number) => '[0-9A-Fa-f]'.repeat(times)
/** As hosts check them, for GLOB. */
const uuid = `${hex(8)}-${hex(4)}-[1-8]${hex(3)}-[89ABab]${hex(3)}-${hex(12)}`

const withoutCounter = (table: string) =>
  `SELECT '${table}' AS "in", workspace_id FROM (SELECT DISTINCT workspace_id FROM ${table})
   WHERE workspace_id NOT IN (SELECT workspace_id FROM server_version_counter)`

/** What a workspace has rows in, besides its own and its counter. */
const ofWorkspaces = [
  ...['workspace_members', 'workspace_invites', 'workspace_settings', 'webhooks', 'upload_reservations'],
  ...['change_log', 'trimmed_ops', 'renamed_ops', 'tombstones', 'device_cursors'],
  ...['file_references', 'file_records', 'file_usage'],
  ...syncedTables.map((table) => `s_${table}`),
]

/** What a user has rows in, besides their own, by which column, and which of them. */
const ofUsers: ReadonlyArray<readonly [table: string, column: string, where?: string]> = [
  ...(['auth_accounts', 'workspace_members', 'deployment_admins', 'jobs', 'webhooks'] as const).map(
    (table) => [table, 'user_id'] as const,
  ),
  ['device_cursors', 'owner_user_id'],
  ['workspace_invites', 'accepted_user_id'],
  ['s_notifications', 'user_id', 'data_json IS NOT NULL'],
]

/** Whether the file was adopted from the earlier package, whose list of migrations stays in it. */
const isAdopted = `EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kysely_migration')`

export const soundRule = 'the file is sound'
export const foreignKeyRule = 'foreign keys lead to a row'

/** In the order in which they are looked at. */
export const invariants: ReadonlyArray<readonly [rule: string, sql: string]> = [
  [soundRule, `SELECT integrity_check AS problem FROM pragma_integrity_check WHERE problem <> 'ok'`],
  [
    foreignKeyRule,
    // Of our own tables: those of the earlier package's other features are theirs. Table by table, since one that refers to
    // what can be no parent fails the pragma as a whole.
    `SELECT f."table", f.rowid AS "row", f.parent FROM sqlite_schema AS s, pragma_foreign_key_check(s.name) AS f
     WHERE s.type = 'table' AND s.name IN (${requiredTables.map((table) => `'${table}'`).join(', ')})`,
  ],
  [
    'a counter holds a high watermark, a floor below it and whole epochs of versions and clocks',
    `SELECT workspace_id, value, trimmed_version, version_offset, clock_offset, clock_base FROM server_version_counter
     WHERE NOT (${count('value')} AND ${count('trimmed_version')} AND ${count('clock_base')}
       AND ${count('version_offset')} AND ${count('clock_offset')} AND ${count('value + version_offset')}
       AND trimmed_version <= value AND clock_offset <= clock_base AND clock_base % ${leapSize} = 0
       AND version_offset % ${leapSize} = 0 AND clock_offset % ${leapSize} = 0
       AND (leapt_at IS NULL OR ${count('leapt_at')}))`,
  ],
  [
    'what is synced belongs to a workspace with a counter',
    ['change_log', 'trimmed_ops', 'tombstones', ...syncedTables.map((table) => `s_${table}`)]
      .map(withoutCounter)
      .join(' UNION ALL '),
  ],
  [
    // The earlier package's logs have gaps, and counters ahead of them. Adoption keeps both, and nothing tells later which
    // versions were adopted; so of an adopted file only an entry above the watermark is wrong.
    'the log is without gap from above the floor up to the high watermark',
    `SELECT c.workspace_id, c.trimmed_version AS floor, c.value AS watermark,
       count(l.server_version) AS entries, max(l.server_version) AS last
     FROM server_version_counter AS c
     LEFT JOIN change_log AS l ON l.workspace_id = c.workspace_id AND l.server_version > c.trimmed_version
     WHERE c.workspace_id <> '${unbornWorkspace}'
     GROUP BY c.workspace_id HAVING last > c.value OR (entries <> c.value - c.trimmed_version AND NOT ${isAdopted})`,
  ],
  [
    'the log below the floor is gone, unless the workspace leapt',
    `SELECT l.workspace_id, l.server_version, c.trimmed_version AS floor
     FROM server_version_counter AS c JOIN change_log AS l
       ON l.workspace_id = c.workspace_id AND l.server_version <= c.trimmed_version
     WHERE c.leapt_at IS NULL`,
  ],
  [
    'a log entry is a valid op, and a put has a payload',
    `SELECT workspace_id, server_version, table_name, pk FROM change_log
     WHERE NOT (${stamp} AND server_version >= 1
       AND table_name IN (${syncedTables.map((table) => `'${table}'`).join(', ')})
       AND iif(payload_json IS NULL, op = 'delete', json_valid(payload_json)))`,
  ],
  [
    'no log entry is greater than the revision of its row',
    `SELECT x.workspace_id, x.server_version, x.table_name, x.pk FROM change_log AS x
     WHERE ${noRow('(r.clock, r.hlc, r.op_id) >= (x.clock, x.hlc, x.op_id)')}`,
  ],
  [
    'a row above the floor is what its log entry says',
    syncedTables
      .map(
        (table) => `
          SELECT r.workspace_id, '${table}' AS table_name, r.pk, r.server_version
          FROM s_${table} AS r JOIN server_version_counter AS c ON c.workspace_id = r.workspace_id
          LEFT JOIN change_log AS l ON l.workspace_id = r.workspace_id AND l.server_version = r.server_version
          WHERE r.server_version > c.trimmed_version AND NOT coalesce(
            (l.table_name, l.pk, l.clock, l.hlc, l.op_id, l.device_id, l.op)
              = ('${table}', r.pk, r.clock, r.hlc, r.op_id, r.device_id, iif(r.deleted, 'delete', 'put'))
            AND (l.payload_json IS r.data_json OR (r.deleted AND r.data_json IS NULL)), 0)`,
      )
      .join(' UNION ALL '),
  ],
  [
    'a row has a version of its own, up to the high watermark',
    `SELECT r.workspace_id, r.table_name, r.pk, r.server_version FROM ${rows} AS r
       JOIN server_version_counter AS c ON c.workspace_id = r.workspace_id
     WHERE NOT (${count('r.server_version')} AND r.server_version BETWEEN 1 AND c.value)
     UNION ALL
     SELECT workspace_id, table_name, pk, server_version FROM ${rows}
     GROUP BY workspace_id, server_version HAVING count(*) > 1`,
  ],
  [
    'a row has a valid revision, and a live one a payload',
    `SELECT workspace_id, table_name, pk FROM ${rows}
     WHERE NOT (${stamp} AND iif(data_json IS NULL, deleted, json_valid(data_json)))`,
  ],
  [
    'a tombstone has a deleted row of the same revision',
    `SELECT x.workspace_id, x.table_name, x.pk FROM tombstones AS x WHERE ${noRow(
      `r.deleted = 1 AND (r.clock, r.hlc, r.op_id, r.server_version) = (x.clock, x.hlc, x.op_id, x.server_version)`,
    )}`,
  ],
  [
    'a deleted row without a tombstone has no payload left',
    syncedTables
      .map(
        (table) => `
          SELECT workspace_id, '${table}' AS table_name, pk FROM s_${table} AS r
          WHERE deleted = 1 AND data_json IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tombstones AS t
            WHERE t.workspace_id = r.workspace_id AND t.table_name = '${table}' AND t.pk = r.pk)`,
      )
      .join(' UNION ALL '),
  ],
  [
    'a notification belongs to the user its payload names',
    `SELECT workspace_id, pk, user_id FROM s_notifications
     WHERE deleted = 0 AND user_id IS NOT
       CASE json_type(data_json, '$.user_id') WHEN 'text' THEN data_json ->> '$.user_id' END`,
  ],
  [
    'a trimmed op lies below the floor and is not in the log',
    `SELECT t.workspace_id, t.op_id, t.server_version FROM trimmed_ops AS t
       JOIN server_version_counter AS c ON c.workspace_id = t.workspace_id
     WHERE NOT (${count('t.server_version')} AND t.server_version <= c.trimmed_version AND length(t.content_hash) = 16)
       OR EXISTS (SELECT 1 FROM change_log AS l WHERE l.workspace_id = t.workspace_id AND l.op_id = t.op_id)`,
  ],
  [
    'an adopted op that was renamed has a UUID of its own, and had none',
    `SELECT workspace_id, op_id, new_op_id FROM renamed_ops
     WHERE op_id GLOB '${uuid}' OR new_op_id NOT GLOB '${uuid}'
     UNION ALL
     SELECT workspace_id, op_id, new_op_id FROM renamed_ops GROUP BY workspace_id, new_op_id HAVING count(*) > 1`,
  ],
  [
    // A device may claim whatever version it likes.
    'a device cursor is of a valid device, at a version, and of a user if anybody',
    `SELECT workspace_id, device_id, last_seen_version, owner_user_id FROM device_cursors
     WHERE NOT (${ascii('device_id')} AND ${count('last_seen_version')}
       AND (owner_user_id IS NULL OR (typeof(owner_user_id) = 'text' AND owner_user_id <> '')))`,
  ],
  [
    'a live workspace with members has an owner',
    `SELECT id AS workspace_id FROM workspaces AS w WHERE deleted = 0
       AND EXISTS (SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = w.id)
       AND NOT EXISTS (SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = w.id AND m.role = 'owner')`,
  ],
  [
    "a user's active workspace is a live membership",
    `SELECT id AS user_id, active_workspace_id FROM users AS u
     WHERE active_workspace_id IS NOT NULL AND NOT EXISTS (
       SELECT 1 FROM workspaces AS w JOIN workspace_members AS m ON m.workspace_id = w.id
       WHERE w.id = u.active_workspace_id AND w.deleted = 0 AND m.user_id = u.id)`,
  ],
  [
    // The purge of one that is not is to be gone on with.
    'a purged workspace is empty, and nothing but a mark',
    unionAll([
      `SELECT id AS workspace_id, 'workspaces' AS "in" FROM workspaces
       WHERE purged_at IS NOT NULL AND NOT (emptied_at IS NOT NULL AND deleted = 1 AND name = '' AND description IS NULL)`,
      ...ofWorkspaces.map(
        (table) => `SELECT DISTINCT workspace_id, '${table}' AS "in" FROM ${table}
          WHERE workspace_id IN (SELECT id FROM workspaces WHERE purged_at IS NOT NULL)`,
      ),
    ]),
  ],
  [
    // As of a purge. What a workspace's own records say of users is its content; notifications are theirs.
    'an erased user is a mark, whom nothing belongs to',
    unionAll([
      `SELECT id AS user_id, 'users' AS "in" FROM users
       WHERE erased_at IS NOT NULL AND NOT (emptied_at IS NOT NULL AND email IS NULL AND folded_email IS NULL AND display_name IS NULL
         AND active_workspace_id IS NULL)`,
      ...ofUsers.map(
        ([
          table,
          column,
          where = '1',
        ]) => `SELECT DISTINCT ${column} AS user_id, '${table}' AS "in" FROM ${table}
          WHERE ${where} AND ${column} IN (SELECT id FROM users WHERE erased_at IS NOT NULL)`,
      ),
    ]),
  ],
  ...fileInvariants,
]

const described = (row: object) =>
  Object.entries(row)
    .map(([name, value]) => `${name} ${value === null ? 'none' : JSON.stringify(value)}`)
    .join(', ')

export const schemaRule = 'the schema is what the migrations made'

/** What is missing or otherwise, of what the migrations make. */
export const schemaFaults = (expected: SchemaObjects, present: SchemaObjects): ReadonlyArray<string> =>
  [...expected].flatMap(([name, sql]) => {
    const found = present.get(name)
    return found === sql ? [] : [`${name} is ${found === undefined ? 'missing' : 'another'}`]
  })

const faultOf = (rule: string, found: ReadonlyArray<string>): ReadonlyArray<Fault> =>
  found.length === 0 ? [] : [{ rule, examples: found.slice(0, shown), more: found.length > shown }]

type Find<A> = Effect.Effect<A, StorageError>

/** The first few that break it, and one more if there are more; undefined where the engine does not tell. */
export type Rule = readonly [rule: string, find: Find<ReadonlyArray<object> | undefined>]

export interface Verdict {
  readonly faults: ReadonlyArray<Fault>
  /** How many rules were looked at. */
  readonly asked: number
  /** Those that the engine does not tell about. */
  readonly untold: ReadonlyArray<string>
}

export type OnRule = (done: number, of: number, rule: string) => Effect.Effect<void>

/** A damaged page ends the statement that meets it; the others may still say something. */
const orDamage = (find: Rule[1]): Rule[1] =>
  Effect.catchIf(
    find,
    (error) => error.reason === 'corrupt',
    () => Effect.succeed([{ problem: 'a damaged page was met' }]),
  )

/** Looks at one rule after the other; tells before each. */
export const judge = (
  findInSchema: Find<ReadonlyArray<string>>,
  rules: ReadonlyArray<Rule>,
  onRule: OnRule,
): Find<Verdict> =>
  Effect.gen(function* () {
    const of = rules.length + 1
    yield* onRule(0, of, schemaRule)
    const schema = yield* findInSchema
    const faults = [...faultOf(schemaRule, schema)]
    const untold: Array<string> = []
    // Without a table there is nothing to ask.
    if (schema.some((problem) => /^table .* is missing$/.test(problem))) return { faults, asked: of, untold }
    for (const [index, [rule, find]] of rules.entries()) {
      yield* onRule(index + 1, of, rule)
      const found = yield* orDamage(find)
      if (found === undefined) untold.push(rule)
      else faults.push(...faultOf(rule, found.map(described)))
    }
    return { faults, asked: of - untold.length, untold }
  })

/** As `judge`, on a connection that sees one snapshot. */
export const findFaults = (
  database: Sqlite,
  expected: SchemaObjects,
  onRule: OnRule = () => Effect.void,
): Find<Verdict> =>
  Effect.suspend(() => {
    database.pragma(`cache_size = ${-64 * 1024}`)
    addFileFunctions(database)
    return judge(
      attempt('check', () => schemaFaults(expected, objectsOf(makeConnection(database)))),
      invariants.map(([rule, sql]) => [
        rule,
        attempt('check', () => database.prepare(`${sql} LIMIT ${shown + 1}`).all() as Array<object>),
      ]),
      onRule,
    )
  })
