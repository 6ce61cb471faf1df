/**
 * Gives every adopted row a version that pulls reach, then derives the tombstones.
 *
 * What is certain of a version: that of a row whose entry is in the log. Of another row nothing is. `updated_at` counts in
 * seconds of a clock that may have gone back; rowids follow a record's creation; a trimmed entry can have stood between two that
 * are left, and so can the number of an op that was refused; a device need not have reported how far it got. So a device at any
 * cursor may lack such a row, and the row must come above them all. Below the first entry that is left of the log, where the rows
 * stand for what was trimmed, it gets any version that is free, those changed last the highest; and `004_offsets` then lifts
 * all versions of such a workspace above every cursor. Rows for which no version is left there, for instance because
 * nothing was ever trimmed, get an entry of their own at the end of the log, which is above every cursor as it is.
 */
import { Effect } from 'effect'
import {
  aside,
  count,
  integer,
  isId,
  payloadOwner,
  run,
  type SyncedTable,
  syncedTables,
  syntheticOpId,
  text,
  tied,
} from './common.js'

const union = (branch: (table: SyncedTable) => string) => syncedTables.map(branch).join(' UNION ALL ')

/** The high watermark is at least every version handed out; the floor lies below the log. */
const counters = (has: (table: string) => boolean) => `
  INSERT INTO server_version_counter (workspace_id, value, trimmed_version)
  SELECT w.workspace_id, max(w.value, coalesce(l.last, 0)), coalesce(l.first - 1, w.value)
  FROM (
    SELECT workspace_id, max(value) AS value FROM (
      SELECT workspace_id, 0 AS value FROM change_log
      UNION ALL ${union((table) => `SELECT workspace_id, 0 FROM s_${table}`)}
      ${
        has('server_version_counter')
          ? `UNION ALL SELECT ${text('workspace_id')}, ${integer('value')} FROM ${aside('server_version_counter')}`
          : ''
      }
      ${
        has('tombstones')
          ? `UNION ALL SELECT ${text('workspace_id')}, ${integer('server_version')} FROM ${aside('tombstones')}`
          : ''
      }
    ) WHERE ${isId('workspace_id')} GROUP BY workspace_id
  ) AS w LEFT JOIN (
    SELECT workspace_id, min(server_version) AS first, max(server_version) AS last FROM change_log GROUP BY workspace_id
  ) AS l ON l.workspace_id = w.workspace_id`

const place = `
  CREATE TEMP TABLE placed AS
  SELECT u.table_name, u.id,
    iif(u.place <= c.trimmed_version, c.trimmed_version + 1 - u.place, c.value + u.total + 1 - u.place) AS server_version,
    u.place > c.trimmed_version AS needs_entry
  FROM (
    SELECT *, row_number() OVER (PARTITION BY workspace_id ORDER BY updated_at DESC, table_name DESC, id DESC) AS place,
      count(*) OVER (PARTITION BY workspace_id) AS total
    FROM (${union(
      (table) => `
        SELECT '${table}' AS table_name, rowid AS id, workspace_id, updated_at FROM s_${table} WHERE server_version < 0`,
    )})
  ) AS u JOIN server_version_counter AS c ON c.workspace_id = u.workspace_id`

const perTable = (table: SyncedTable) => ({
  name: `
    UPDATE s_${table} SET op_id = iif(op_id = '${tied}', '${tied}', '') || ${syntheticOpId(table)}
    WHERE server_version < 0 AND (op_id IN ('', '${tied}') OR EXISTS (
      SELECT 1 FROM change_log AS l WHERE l.workspace_id = s_${table}.workspace_id AND l.op_id = s_${table}.op_id))`,

  setVersions: `
    UPDATE s_${table} SET server_version = p.server_version
    FROM temp.placed AS p WHERE p.table_name = '${table}' AND p.id = s_${table}.rowid`,

  addEntries: `
    INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id,
      created_at)
    SELECT s.workspace_id, s.server_version, '${table}', s.pk, iif(s.deleted, 'delete', 'put'), s.data_json, s.clock, s.hlc,
      s.device_id, s.op_id, s.updated_at
    FROM temp.placed AS p JOIN s_${table} AS s ON s.rowid = p.id
    WHERE p.table_name = '${table}' AND p.needs_entry ORDER BY p.server_version`,
})

const raiseCounters = `
  UPDATE server_version_counter SET value = l.last
  FROM (SELECT workspace_id, max(server_version) AS last FROM change_log GROUP BY workspace_id) AS l
  WHERE l.workspace_id = server_version_counter.workspace_id AND l.last > value`

/** Gives the number of rows that needed an entry of their own. */
export const placeRows = (has: (table: string) => boolean) =>
  Effect.gen(function* () {
    yield* run(counters(has))
    yield* run(place)
    let added = 0
    for (const table of syncedTables) {
      const { name, setVersions, addEntries } = perTable(table)
      yield* run(name)
      yield* run(setVersions)
      added += yield* run(addEntries)
    }
    yield* run(raiseCounters)
    const unplaced = yield* count(
      `(${union((table) => `SELECT 1 FROM s_${table} WHERE server_version < 1`)})`,
    )
    if (unplaced > 0) return yield* Effect.dieMessage(`${unplaced} rows were left without a version`)
    yield* run('DROP TABLE temp.placed')
    return added
  })

/** A deleted notification's owner, where neither row nor log has told: the last put of it that is left. */
const nameOwners = `
  UPDATE s_notifications SET user_id = p.user_id
  FROM (
    SELECT workspace_id, pk, ${payloadOwner('payload_json')} AS user_id, max(server_version) FROM change_log
    WHERE table_name = 'notifications' AND op = 'put' AND json_type(payload_json, '$.user_id') = 'text'
    GROUP BY workspace_id, pk
  ) AS p
  WHERE p.workspace_id = s_notifications.workspace_id AND p.pk = s_notifications.pk
    AND s_notifications.deleted = 1 AND s_notifications.user_id IS NULL`

/** Exactly the deleted rows have one, with the row's revision. */
const deriveTombstones = (table: SyncedTable, hasLegacy: boolean) => `
  INSERT INTO tombstones (workspace_id, table_name, pk, clock, hlc, op_id, server_version, deleted_at)
  SELECT s.workspace_id, '${table}', s.pk, s.clock, s.hlc, s.op_id, s.server_version,
    ${hasLegacy ? `iif(max(t.rowid) IS NULL, s.updated_at, max(${integer('t.deleted_at')}))` : 's.updated_at'}
  FROM s_${table} AS s
  ${
    hasLegacy
      ? `LEFT JOIN ${aside('tombstones')} AS t
    ON t.workspace_id = s.workspace_id AND t.table_name = '${table}' AND t.pk = s.pk AND t.clock = s.clock`
      : ''
  }
  WHERE s.deleted = 1 GROUP BY s.workspace_id, s.pk`

/** Gives the number of tombstones. */
export const deriveDeletions = (has: (table: string) => boolean) =>
  Effect.gen(function* () {
    yield* run(nameOwners)
    let derived = 0
    for (const table of syncedTables) derived += yield* run(deriveTombstones(table, has('tombstones')))
    return derived
  })
