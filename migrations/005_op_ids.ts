/**
 * 005_op_ids: UUIDs for the op ids of adopted databases; before that, well-formed text for their keys (see `keys.ts`).
 *
 * Hosts of mid-2026 refuse a page in which an op id is no UUID or comes twice, and with it all that the workspace has. So
 * whatever an adoption kept, of today or of an earlier release of ours, is given a UUID here, the same in the log, the row and
 * the tombstone. What it was called before stays known, so that a late retry of it is still recognised.
 *
 * A new id stands where the old one did in the order of ids: a revision with an equal clock and hlc beats, or loses to, the same
 * ones as before.
 */
import { Effect, FiberRef, HashMap } from 'effect'
import { rows, run, type SyncedTable, syncedTables } from './legacy/common.js'
import { isLegacy } from './legacy/setAside.js'
import { mendKeys } from './keys.js'
import { isNoUuid, newOpId } from './opIds.js'

const schema = [
  `CREATE TABLE renamed_ops (
    workspace_id TEXT NOT NULL,
    op_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    pk TEXT NOT NULL,
    new_op_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, op_id, table_name, pk)
  )`,
]

const revision = (table: SyncedTable) =>
  `SELECT workspace_id, '${table}' AS table_name, pk, clock, hlc, op_id FROM s_${table}`

const allRows = syncedTables.map(revision).join(' UNION ALL ')

/**
 * One for each op of a record. A release of ours raised the clocks of rows, but not of the log, by whole epochs. Rows may share
 * an id, even a UUID; one that has its entry in the log may keep that.
 */
const findOps = `
  CREATE TEMP TABLE renames AS
  SELECT workspace_id, table_name, pk, min(clock % ${2 ** 32}) AS clock, hlc, op_id, '' AS new_op_id FROM (
    SELECT workspace_id, table_name, pk, clock, hlc, op_id FROM change_log WHERE ${isNoUuid('op_id')}
    UNION ALL
    SELECT * FROM (${allRows}) WHERE ${isNoUuid('op_id')}
    UNION ALL
    SELECT r.* FROM (SELECT workspace_id, op_id FROM (${allRows}) GROUP BY 1, 2 HAVING count(*) > 1) AS d
    CROSS JOIN (${allRows}) AS r ON r.workspace_id = d.workspace_id AND r.op_id = d.op_id
    WHERE NOT EXISTS (SELECT 1 FROM change_log AS l WHERE l.workspace_id = r.workspace_id AND l.op_id = r.op_id
      AND l.table_name = r.table_name AND l.pk = r.pk)
  ) GROUP BY workspace_id, table_name, pk, op_id`

/** Ops named at a time. */
const chunkSize = 10_000

interface Op {
  readonly id: number
  readonly workspace_id: string
  readonly table_name: string
  readonly pk: string
  readonly clock: number
  readonly hlc: string
  readonly op_id: string
  readonly place: number
}

/** With its place among those of one record with the same clock and hlc. */
const orderOps = `
  CREATE TEMP TABLE places AS
  SELECT rowid AS id, row_number() OVER (PARTITION BY workspace_id, table_name, pk, clock, hlc ORDER BY op_id) - 1 AS place
  FROM temp.renames`

const nextOps = `
  SELECT r.rowid AS id, r.*, p.place FROM temp.renames AS r JOIN temp.places AS p ON p.id = r.rowid
  WHERE r.rowid > ? ORDER BY r.rowid LIMIT ${chunkSize}`

const nameOps = `
  UPDATE temp.renames SET new_op_id = e.value ->> 1 FROM json_each(?) AS e WHERE temp.renames.rowid = e.value ->> 0`

const rename = [
  // A UUID that two rows share is nobody's other name.
  `INSERT INTO renamed_ops (workspace_id, op_id, table_name, pk, new_op_id)
   SELECT workspace_id, op_id, table_name, pk, new_op_id FROM temp.renames WHERE ${isNoUuid('op_id')}`,
  `UPDATE change_log SET op_id = n.new_op_id FROM temp.renames AS n
   WHERE change_log.workspace_id = n.workspace_id AND change_log.op_id = n.op_id AND change_log.table_name = n.table_name
     AND change_log.pk = n.pk`,
  ...syncedTables.map(
    (table) => `
      UPDATE s_${table} SET op_id = n.new_op_id FROM temp.renames AS n
      WHERE n.table_name = '${table}' AND s_${table}.workspace_id = n.workspace_id AND s_${table}.pk = n.pk
        AND s_${table}.op_id = n.op_id`,
  ),
  `UPDATE tombstones SET op_id = n.new_op_id FROM temp.renames AS n
   WHERE tombstones.workspace_id = n.workspace_id AND tombstones.table_name = n.table_name AND tombstones.pk = n.pk
     AND tombstones.op_id = n.op_id`,
]

const renameOps = Effect.gen(function* () {
  yield* run('PRAGMA cache_size = -65536')
  yield* run(findOps)
  yield* run(orderOps)
  yield* run('CREATE UNIQUE INDEX temp.places_by_op ON places (id)')
  let renamed = 0
  for (let last = 0; ;) {
    const ops = yield* rows<Op>(nextOps, [last])
    const final = ops.at(-1)
    if (final === undefined) break
    const names = ops.map((op) => [
      op.id,
      newOpId([op.workspace_id, op.table_name, op.pk, op.clock, op.hlc, op.op_id], op.op_id, op.place),
    ])
    yield* run(nameOps, [JSON.stringify(names)])
    last = final.id
    renamed += ops.length
  }
  if (renamed > 0) {
    for (const statement of rename) yield* run(statement)
    yield* Effect.logInfo(`adopting the earlier database: ${renamed} op ids became UUIDs`)
  }
  for (const table of ['renames', 'places']) yield* run(`DROP TABLE temp.${table}`)
})

export default Effect.gen(function* () {
  for (const statement of schema) yield* run(statement)
  if (!(yield* isLegacy)) return
  // Op ids are made from keys.
  yield* mendKeys
  yield* renameOps
  // The migrator's annotations are of no use to an operator.
}).pipe(Effect.locally(FiberRef.currentLogAnnotations, HashMap.empty()))
