/**
 * A row of the change log as the op it came from.
 */
import type { CheckedOp } from '../../services/opRules.js'
import type { Operation, SyncedTable } from '../../services/SyncDomain.js'

export interface LogEntryRow {
  readonly server_version: number
  readonly table_name: SyncedTable
  readonly pk: string
  readonly op: Operation
  readonly payload_json: string | null
  readonly clock: number
  readonly hlc: string
  readonly device_id: string
}

/** The same, and the op id, as an array. */
export type LogEntryTuple = readonly [
  serverVersion: number,
  tableName: SyncedTable,
  pk: string,
  op: Operation,
  payloadJson: string | null,
  clock: number,
  hlc: string,
  deviceId: string,
  opId: string,
]

/** Columns of `LogEntryRow`. */
export const logEntryColumns = 'server_version, table_name, pk, op, payload_json, clock, hlc, device_id'

/** What is compared when the op id comes again; who owns a notification is no part of that. */
export const contentOf = (opId: string, row: LogEntryRow): CheckedOp => ({
  opId,
  tableName: row.table_name,
  operation: row.op,
  pk: row.pk,
  payloadJson: row.payload_json,
  clock: row.clock,
  hlc: row.hlc,
  deviceId: row.device_id,
  owner: null,
})
