/**
 * Ops for tests, short to write.
 */
import type { Operation, PendingOp, SyncScope } from '../../src/services/index.js'

export const scope = (workspaceId = 'w1'): { readonly scope: SyncScope } => ({ scope: { workspaceId } })

export interface OpParts {
  /** A short id stands for a UUID, see `opId`. */
  readonly id?: string
  /** An op id as it is, however odd. */
  readonly odd?: string
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

const shortId = /^[\x20-\x7e]{1,15}$/

/**
 * The UUID that stands for a short id, as hosts want them: ids compare as their UUIDs do. Anything that is no short id stays as it
 * is, and so does `odd` of `put` and `del`.
 */
export const opId = (short: string): string => {
  if (!shortId.test(short)) return short
  const hex = Buffer.from(short, 'latin1').toString('hex').padEnd(30, '0')
  const groups = [
    [0, 8],
    [8, 12],
    [12, 15],
    [15, 18],
    [18, 30],
  ].map(([from, to]) => hex.slice(from, to))
  return `${groups[0]}-${groups[1]}-8${groups[2]}-8${groups[3]}-${groups[4]}`
}

let count = 0

const op = (
  operation: Operation,
  { id, odd, table, pk, clock, hlc: at, device, payload }: OpParts,
): PendingOp => ({
  tableName: table ?? 'messages',
  operation,
  pk: pk ?? 'm1',
  ...(payload === undefined ? {} : { payload }),
  stamp: {
    deviceId: device ?? 'device-a',
    opId: odd ?? opId(id ?? `op-${++count}`),
    hlc: at ?? hlc(1),
    clock: clock ?? 1,
  },
})

export const put = (parts: OpParts = {}): PendingOp =>
  op('put', { payload: { [parts.table === 'file_meta' ? 'hash' : 'id']: parts.pk ?? 'm1' }, ...parts })

export const del = (parts: OpParts = {}): PendingOp => op('delete', parts)
