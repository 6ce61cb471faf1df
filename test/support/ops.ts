/**
 * Ops for tests, short to write.
 */
import type { Operation, PendingOp, SyncScope } from '../../src/services/index.js'

export const scope = (workspaceId = 'w1'): { readonly scope: SyncScope } => ({ scope: { workspaceId } })

export interface OpParts {
  readonly id?: string
  readonly table?: string
  readonly pk?: string
  readonly clock?: number
  readonly hlc?: string
  readonly device?: string
  readonly payload?: unknown
}

/** A hybrid logical clock reading that compares as its number does. */
export const hlc = (millis: number, node = 'node0001') =>
  `${millis.toString(36).padStart(9, '0')}:000:${node}`

let count = 0

const op = (
  operation: Operation,
  { id, table, pk, clock, hlc: at, device, payload }: OpParts,
): PendingOp => ({
  tableName: table ?? 'messages',
  operation,
  pk: pk ?? 'm1',
  ...(payload === undefined ? {} : { payload }),
  stamp: {
    deviceId: device ?? 'device-a',
    opId: id ?? `op-${++count}`,
    hlc: at ?? hlc(1),
    clock: clock ?? 1,
  },
})

export const put = (parts: OpParts = {}): PendingOp =>
  op('put', { payload: { [parts.table === 'file_meta' ? 'hash' : 'id']: parts.pk ?? 'm1' }, ...parts })

export const del = (parts: OpParts = {}): PendingOp => op('delete', parts)
