/**
 * Random ops and histories. Pools are small on purpose, so that keys, clocks, ids and clients meet again and again.
 */
import type { PendingOp } from '../../src/services/index.js'
import { opId } from './ops.js'
import { filePayload } from './filePayloads.js'
import { fc } from './property.js'
import { whole } from './records.js'
import type { SubjectName } from './subjectType.js'

export const tables = ['messages', 'posts', 'threads', 'file_meta', 'notifications'] as const

/** Equal and different readings; code-unit order differs from any locale's. */
const hlcs = ['000000001:000:node0001', '000000001:000:Node0001', '000000002:000:a', 'B', 'a']

const payloads = fc
  .oneof(
    { weight: 3, arbitrary: fc.record({ text: fc.constantFrom('x', 'y', 'ü😀', '') }) },
    { weight: 1, arbitrary: fc.constant({}) },
    { weight: 3, arbitrary: filePayload },
    {
      weight: 1,
      arbitrary: fc.dictionary(fc.string(), fc.jsonValue() as fc.Arbitrary<unknown>, { maxKeys: 3 }),
    },
  )
  .map((payload) => {
    const reserved = new Set(['_id', 'id', 'hash', 'workspace_id', 'user_id'])
    return Object.fromEntries(Object.entries(payload).filter(([key]) => !reserved.has(key)))
  })

/** Ops with the ids of `op-0`, `op-1`, … in a shuffled revision order. */
export const opPool = (size: number): fc.Arbitrary<ReadonlyArray<PendingOp>> =>
  fc
    .array(
      fc.record({
        table: fc.constantFrom(...tables),
        // The last two stand in one order as bytes and in another as strings.
        pk: fc.constantFrom('a', 'b', 'c\'"😀', 'c\'"\uffff'),
        operation: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
        clock: fc.constantFrom(0, 1, 1, 2, 2, 3, Number.MAX_SAFE_INTEGER),
        hlc: fc.constantFrom(...hlcs),
        device: fc.constantFrom('d1', 'd2'),
        payload: payloads,
        isWhole: fc.boolean(),
      }),
      { minLength: size, maxLength: size },
    )
    .map((parts) =>
      parts.map(({ table, pk, operation, clock, hlc, device, payload, isWhole }, index) => ({
        tableName: table,
        operation,
        pk,
        ...(operation === 'put' ? { payload: isWhole ? whole(table, pk, payload) : payload } : {}),
        stamp: { opId: opId(`op-${index}`), hlc, clock, deviceId: device },
      })),
    )

/** The same op with one field changed: the same id, other content. */
export const altered = (op: PendingOp): PendingOp => ({ ...op, stamp: { ...op.stamp, deviceId: 'altered' } })

/** The same op as other JSON text: keys in reverse order. */
export const reordered = (op: PendingOp): PendingOp =>
  op.payload === undefined
    ? op
    : { ...op, payload: Object.fromEntries(Object.entries(op.payload as object).reverse()) }

const withoutNul = (value: unknown): unknown => {
  if (typeof value === 'string') return value.replaceAll('\0', '').replaceAll('\\u0000', '')
  if (Array.isArray(value)) return value.map(withoutNul)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutNul(inner)]))
}

/** What a subject reads as it was written: of a file, Turso's client reads text up to a NUL alone. */
export const readableBy = <A>(name: SubjectName, values: fc.Arbitrary<A>): fc.Arbitrary<A> =>
  name === 'turso file' ? values.map((value) => withoutNul(value) as A) : values
