/**
 * The statements of a push as one batch.
 *
 * What stood before is read first. Then the ops that are new are logged, in their order, as the next versions; all that follows
 * is told from the log above the old high watermark, which the counter holds until the last statement raises it. So payloads
 * travel once, and where nothing was logged nothing else changes.
 *
 * Lists are JSON, and come first in a join (`CROSS JOIN`): the planner would rather read a table once for each of their elements.
 * Tables name their index: with statistics from when a table was small, it would rather read all of it.
 * An op in a list is `[opId, table, pk, operation, clock, hlc, deviceId, owner]`, to be logged with its payload behind.
 */
import { leapSize } from '../../services/epochs.js'
import type { ReferringTable } from '../../services/fileRules.js'
import { type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { statement } from '../sql/batch.js'
import { logEntryColumns } from '../sql/logEntry.js'
import { perTable } from '../sql/perTable.js'
import { isClosed } from '../sql/purgeSql.js'
import { position } from './position.js'

/** The high watermark as it is stored; of a workspace that has none, that of those. */
const before = `coalesce((
  SELECT value FROM server_version_counter WHERE workspace_id IN (:workspaceId, '') ORDER BY workspace_id DESC LIMIT 1), 0)`

/** The highest version in the log, if there is any. */
const lastLogged = `(
  SELECT server_version FROM change_log INDEXED BY change_log_by_version WHERE workspace_id = :workspaceId
  ORDER BY server_version DESC LIMIT 1)`

/** The clock that an op of a list is stored under, see `rebasedClock`; decided ones have theirs already. */
const storedClock = (op: string) => `
  CASE WHEN :isDecided OR p.clock_base = 0 THEN ${op} ->> 4
    WHEN ${op} ->> 4 >= p.clock_base THEN (${op} ->> 4) - p.clock_offset
    ELSE p.clock_base + (${op} ->> 4) % ${leapSize} - p.clock_offset END`

const isKnown = (opId: string) => `(
  EXISTS (SELECT 1 FROM change_log AS l INDEXED BY change_log_by_op WHERE l.workspace_id = :workspaceId AND l.op_id = ${opId})
  OR EXISTS (SELECT 1 FROM trimmed_ops AS t INDEXED BY sqlite_autoindex_trimmed_ops_1 WHERE t.workspace_id = :workspaceId AND t.op_id = ${opId}))`

/** The parameter that holds the ops of a table. */
export const keysOf = perTable((table) => `${table.replace('_', '')}Keys`)

/**
 * There is an op that statements cannot decide: one that was forgotten while its record stands by it, one that has to be told of a
 * damaged payload, or one of somebody else's notification.
 */
const isUndecidable = (table: SyncedTable) => `
  EXISTS (SELECT 1 FROM json_each(:${keysOf[table]}) AS o CROSS JOIN position AS p
    CROSS JOIN s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1 ON r.workspace_id = :workspaceId AND r.pk = o.value ->> 2
    WHERE (r.clock, r.hlc, r.op_id) > (${storedClock('o.value')}, o.value ->> 5, o.value ->> 0) AND NOT json_valid(r.data_json)
      OR (r.op_id = o.value ->> 0 ${table === 'notifications' ? 'OR r.user_id <> :userId' : ''}) AND NOT ${isKnown('o.value ->> 0')})`

/** A record does not stand by the version that the decision was made with: `[table, pk, version]`, 0 where there was no row. */
const hasChanged = (table: SyncedTable) => `
  EXISTS (SELECT 1 FROM json_each(:seen) AS o WHERE o.value ->> 0 = '${table}' AND o.value ->> 2 <> coalesce((
    SELECT r.server_version FROM s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1
    WHERE r.workspace_id = :workspaceId AND r.pk = o.value ->> 1), 0))`

/** An op has another name by now. */
const isRenamed = `
  EXISTS (SELECT 1 FROM json_each(:oddIds) AS o
    CROSS JOIN renamed_ops AS n INDEXED BY sqlite_autoindex_renamed_ops_1 ON n.workspace_id = :workspaceId AND n.op_id = o.value ->> 0)`

const rowsSince = (table: SyncedTable) =>
  `FROM s_${table} AS r INDEXED BY s_${table}_by_version WHERE r.workspace_id = :workspaceId AND r.server_version > ${before}`

const perReferring = <A>(make: (table: ReferringTable) => A): Record<ReferringTable, A> => ({
  messages: make('messages'),
  posts: make('posts'),
})

export const pushSql = {
  logged: statement(`
    SELECT l.op_id, l.server_version FROM json_each(:opIds) AS o
    CROSS JOIN change_log AS l INDEXED BY change_log_by_op ON l.workspace_id = :workspaceId AND l.op_id = o.value ->> 0`),
  trimmed: statement(`
    SELECT t.op_id, t.server_version, hex(t.content_hash) AS content_hash FROM json_each(:opIds) AS o
    CROSS JOIN trimmed_ops AS t INDEXED BY sqlite_autoindex_trimmed_ops_1 ON t.workspace_id = :workspaceId AND t.op_id = o.value ->> 0`),
  /** What migration 005 called ops, and what is known under that name; rows of several records may have had the same id. */
  renamed: statement(`
    SELECT n.op_id, n.new_op_id, n.table_name, n.pk, l.server_version AS logged, t.server_version AS trimmed,
      hex(t.content_hash) AS content_hash
    FROM json_each(:oddIds) AS o
    CROSS JOIN renamed_ops AS n INDEXED BY sqlite_autoindex_renamed_ops_1 ON n.workspace_id = :workspaceId AND n.op_id = o.value ->> 0
    LEFT JOIN change_log AS l INDEXED BY change_log_by_op ON l.workspace_id = :workspaceId AND l.op_id = n.new_op_id
    LEFT JOIN trimmed_ops AS t INDEXED BY sqlite_autoindex_trimmed_ops_1 ON t.workspace_id = :workspaceId AND t.op_id = n.new_op_id`),

  /** What the records of the ops stand by; the payload where an op may have to be told of it, or may be that very one. */
  standing: perTable((table) =>
    statement(`WITH ${position}
      SELECT r.pk, r.server_version, r.clock, r.hlc, r.op_id, r.device_id, r.deleted,
        iif((r.clock, r.hlc) >= (${storedClock('o.value')}, o.value ->> 5), r.data_json, NULL) AS data_json,
        iif(r.deleted, coalesce((SELECT t.deleted_at FROM tombstones AS t INDEXED BY sqlite_autoindex_tombstones_1
          WHERE t.workspace_id = r.workspace_id AND t.table_name = '${table}' AND t.pk = r.pk), r.updated_at), NULL) AS deleted_at,
        ${table === 'notifications' ? 'r.user_id' : 'NULL AS user_id'}
      FROM json_each(:keys) AS o CROSS JOIN position AS p
      CROSS JOIN s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1 ON r.workspace_id = :workspaceId AND r.pk = o.value ->> 2`),
  ),

  /** What ops are compared with whose ids are logged, or were until somebody collected. */
  contents: statement(`
    SELECT l.op_id, ${logEntryColumns} FROM json_each(:opIds) AS o
    CROSS JOIN change_log AS l INDEXED BY change_log_by_op ON l.workspace_id = :workspaceId AND l.op_id = o.value ->> 0`),

  /**
   * Logs what is new of a list. Undecided, it does so unless there is an op that statements cannot decide; decided, if the
   * records stand as they stood. Lists that follow come to the same, and go on with the versions.
   */
  log: statement(`WITH ${position}
    INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id,
      created_at)
    SELECT :workspaceId, max(p.value, coalesce(${lastLogged}, 0)) + row_number() OVER (ORDER BY o.key),
      o.value ->> 1, o.value ->> 2, o.value ->> 3, o.value ->> 8, ${storedClock('o.value')}, o.value ->> 5, o.value ->> 6,
      o.value ->> 0, :now
    FROM json_each(:ops) AS o CROSS JOIN position AS p
    WHERE NOT ${isClosed} AND NOT ${isKnown('o.value ->> 0')} AND CASE WHEN :isDecided
      THEN p.version_offset = :versionOffset AND p.clock_offset = :clockOffset AND NOT (${syncedTables.map(hasChanged).join(' OR ')})
      ELSE NOT (${[isRenamed, ...syncedTables.map(isUndecidable)].join(' OR ')}) END`),

  /** The greatest revision of each record takes it, if it is greater than what stands. */
  materialize: perTable((table) => {
    const owned = table === 'notifications'
    return statement(`
      INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted, created_at,
        updated_at${owned ? ', user_id' : ''})
      SELECT l.workspace_id, l.pk, l.payload_json, l.clock, l.hlc, l.op_id, l.device_id, l.server_version, l.op = 'delete',
        :now, :now${owned ? ', l.owner' : ''}
      FROM (
        SELECT l.*, row_number() OVER (PARTITION BY l.pk ORDER BY l.clock DESC, l.hlc DESC, l.op_id DESC) AS place
          ${owned ? ', o.value ->> 7 AS owner' : ''}
        FROM ${owned ? 'json_each(:keys) AS o CROSS JOIN' : ''} change_log AS l INDEXED BY ${owned ? 'change_log_by_op' : 'change_log_by_table'}
        WHERE l.workspace_id = :workspaceId AND ${owned ? 'l.op_id = o.value ->> 0' : `l.table_name = '${table}'`}
          AND l.server_version > ${before}
      ) AS l WHERE l.place = 1
      ON CONFLICT (workspace_id, pk) DO UPDATE SET data_json = excluded.data_json, clock = excluded.clock,
        hlc = excluded.hlc, op_id = excluded.op_id, device_id = excluded.device_id,
        server_version = excluded.server_version, deleted = excluded.deleted, updated_at = excluded.updated_at
        ${owned ? ', user_id = coalesce(iif(excluded.deleted AND NOT :isDecided, user_id, NULL), excluded.user_id)' : ''}
      WHERE (excluded.clock, excluded.hlc, excluded.op_id) > (clock, hlc, op_id)`)
  }),

  bury: perTable((table) =>
    statement(`
      INSERT INTO tombstones (workspace_id, table_name, pk, clock, hlc, op_id, server_version, deleted_at)
      SELECT r.workspace_id, '${table}', r.pk, r.clock, r.hlc, r.op_id, r.server_version, :now
      ${rowsSince(table)} AND r.deleted = 1
      ON CONFLICT (workspace_id, table_name, pk) DO UPDATE SET clock = excluded.clock, hlc = excluded.hlc,
        op_id = excluded.op_id, server_version = excluded.server_version, deleted_at = excluded.deleted_at`),
  ),
  revive: perTable((table) =>
    statement(`
      DELETE FROM tombstones INDEXED BY sqlite_autoindex_tombstones_1 WHERE workspace_id = :workspaceId AND table_name = '${table}'
        AND pk IN (SELECT r.pk ${rowsSince(table)} AND r.deleted = 0)`),
  ),

  forgetReferences: perReferring((table) =>
    statement(`
      DELETE FROM file_references INDEXED BY file_references_by_source
      WHERE workspace_id = :workspaceId AND source_table = '${table}' AND source_id IN (SELECT r.pk ${rowsSince(table)})`),
  ),
  /** Of those that won: `[opId, pk, hash]`. */
  addReferences: perReferring((table) =>
    statement(`
      INSERT INTO file_references (workspace_id, hash, source_table, source_id)
      SELECT :workspaceId, f.value ->> 2, '${table}', r.pk FROM json_each(:references) AS f
      CROSS JOIN s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1 ON r.workspace_id = :workspaceId AND r.pk = f.value ->> 1 AND r.op_id = f.value ->> 0
      WHERE r.server_version > ${before}`),
  ),

  /** Of files that won, `[opId, pk, hash, size]`; before their records change. */
  addUsage: statement(`
    INSERT INTO file_usage (workspace_id, used_bytes)
    SELECT :workspaceId, sum(coalesce(f.value ->> 3, 0) - coalesce(k.size_bytes, 0)) AS added
    FROM json_each(:files) AS f
    CROSS JOIN s_file_meta AS r INDEXED BY sqlite_autoindex_s_file_meta_1 ON r.workspace_id = :workspaceId AND r.pk = f.value ->> 1 AND r.op_id = f.value ->> 0
    LEFT JOIN file_records AS k INDEXED BY sqlite_autoindex_file_records_1 ON k.workspace_id = :workspaceId AND k.pk = r.pk
    WHERE r.server_version > ${before} HAVING added <> 0
    ON CONFLICT (workspace_id) DO UPDATE SET used_bytes = used_bytes + excluded.used_bytes`),
  recordFiles: statement(`
    INSERT INTO file_records (workspace_id, pk, hash, deleted, size_bytes)
    SELECT :workspaceId, r.pk, f.value ->> 2, r.deleted, f.value ->> 3 FROM json_each(:files) AS f
    CROSS JOIN s_file_meta AS r INDEXED BY sqlite_autoindex_s_file_meta_1 ON r.workspace_id = :workspaceId AND r.pk = f.value ->> 1 AND r.op_id = f.value ->> 0
    WHERE r.server_version > ${before}
    ON CONFLICT (workspace_id, pk) DO UPDATE SET deleted = excluded.deleted, size_bytes = excluded.size_bytes`),

  /** Gives a row if anything was logged. */
  raiseWatermark: statement(`WITH ${position}
    INSERT INTO server_version_counter (workspace_id, value, trimmed_version, version_offset, clock_offset, clock_base)
    SELECT :workspaceId, ${lastLogged}, p.trimmed_version, p.version_offset, p.clock_offset, p.clock_base
    FROM position AS p WHERE ${lastLogged} > p.value
    ON CONFLICT (workspace_id) DO UPDATE SET value = excluded.value RETURNING value`),
}
