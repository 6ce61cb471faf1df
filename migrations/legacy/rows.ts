/**
 * Adopts the materialised rows and the tombstones.
 *
 * Three things tell what a record is: its row, the log, and its tombstone. The greatest revision among them is the truth.
 * The rows come first, with provisional versions below 0; where the log has the same or a greater revision it takes over,
 * version included; then the tombstones. What still has a provisional version has no entry in the log.
 */
import { Effect } from 'effect'
import {
  aside,
  columnsOf,
  deviceId,
  flag,
  hlc,
  integer,
  isId,
  isReading,
  knownOpId,
  payload,
  payloadOwner,
  run,
  type SyncedTable,
  syncedTables,
  text,
} from './common.js'

const tombstones = aside('tombstones')

const copyRows = (table: SyncedTable, columns: ReadonlySet<string>) => {
  const owner = table === 'notifications'
  const data = payload('data_json', '1')
  // A deleted row's payload goes, but it says whose notification it was.
  return `
    INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted,
      created_at, updated_at${owner ? ', user_id' : ''})
    SELECT ${text('workspace_id')}, ${text('id')}, iif(${flag('deleted')}, NULL, ${data}), ${integer('clock')}, ${hlc('hlc')},
      ${columns.has('op_id') ? knownOpId('op_id') : `''`}, ${deviceId('device_id')}, -rowid, ${flag('deleted')},
      ${integer('created_at')}, ${integer('updated_at')}${owner ? `, ${payloadOwner(data)}` : ''}
    FROM ${aside(`s_${table}`)} WHERE ${isId('workspace_id')} AND id IS NOT NULL`
}

export const adoptRows = (has: (table: string) => boolean) =>
  Effect.forEach(
    syncedTables.filter((table) => has(`s_${table}`)),
    (table) => Effect.flatMap(columnsOf(aside(`s_${table}`)), (columns) => run(copyRows(table, columns))),
    { discard: true },
  )

const base36 = (millis: string) =>
  Array.from({ length: 9 }, (_, index) => 36 ** (8 - index))
    .map((power) => `substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + ${millis} / ${power} % 36, 1)`)
    .join(' || ')

/** Provisional versions of tombstones, apart from those of rows. */
const tombstoneOffset = 2 ** 50

/**
 * A tombstone without a reading is compared by its clock: a row of that clock was written by whoever won. Where it wins, it is given the last reading of its second, in the form
 * that clients write: nothing older can pass it, and nothing newer is kept out.
 */
const bury = (table: SyncedTable, columns: ReadonlySet<string>) => {
  const [deletedAt, known] = [integer('deleted_at'), columns.has('hlc') ? isReading('hlc') : '0']
  const inTime = `${base36(`(${deletedAt} * 1000 + 999)`)} || ':zzz:zzzzzzzz'`
  const reading = columns.has('hlc') ? `iif(${known}, ${hlc('hlc')}, ${inTime})` : inTime
  return `
    INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted,
      created_at, updated_at)
    SELECT ${text('t.workspace_id')}, ${text('t.pk')}, NULL, ${integer('clock')}, ${reading},
      ${columns.has('op_id') ? knownOpId('op_id') : `''`}, 'legacy', -(t.rowid + ${tombstoneOffset}), 1,
      ${deletedAt}, ${deletedAt}
    FROM ${tombstones} AS t
    WHERE t.table_name = '${table}' AND ${isId('t.workspace_id')} AND t.pk IS NOT NULL AND (${known} OR NOT EXISTS (
      SELECT 1 FROM s_${table} AS s WHERE s.workspace_id = ${text('t.workspace_id')} AND s.pk = ${text('t.pk')}
        AND s.clock >= ${integer('t.clock')}))
    ON CONFLICT (workspace_id, pk) DO UPDATE SET
      data_json = NULL, clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id, device_id = 'legacy',
      server_version = excluded.server_version, deleted = 1, updated_at = excluded.updated_at
    WHERE (excluded.clock, excluded.hlc, excluded.op_id) > (s_${table}.clock, s_${table}.hlc, s_${table}.op_id)`
}

export const adoptTombstones = Effect.flatMap(columnsOf(tombstones), (columns) =>
  Effect.forEach(syncedTables, (table) => run(bury(table, columns)), { discard: true }),
)
