/**
 * Whatever the methods are given, they answer or refuse with a typed error: never a defect, never a change on error.
 */
import { describe, expect, it } from 'vitest'
import type { PendingOp } from '../../src/services/index.js'
import { put, scope } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import type { Subject } from '../support/subjectType.js'
import { propertySubjects, withSubject } from '../support/subjects.js'
import { Refused } from '../support/verdicts.js'

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = level % 2 ? [value] : { x: value }
  return value
}

const nasty: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.constantFrom<unknown>(
    '',
    '\0',
    '\ud800',
    'x'.repeat(300),
    'x'.repeat(300_000),
    "'; DROP TABLE change_log; --",
    '__proto__',
    Number.NaN,
    -0,
    -1,
    0.5,
    2 ** 53,
    2 ** 53 - 1,
    Number.POSITIVE_INFINITY,
    1n,
    Symbol('s'),
    () => 1,
    null,
    undefined,
    JSON.parse('{"__proto__": {"polluted": true}}'),
    nested(199),
    nested(201),
    nested(5_000),
    new Date(0),
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('hostile')
        },
        ownKeys: () => {
          throw new Error('hostile')
        },
      },
    ),
  ),
)

/** A valid op with some of its parts replaced by anything. */
const mutatedOp = fc
  .record({
    parts: fc.subarray(['tableName', 'operation', 'pk', 'payload', 'stamp']),
    stampParts: fc.subarray(['deviceId', 'opId', 'hlc', 'clock']),
    values: fc.array(nasty, { minLength: 9, maxLength: 9 }),
  })
  .map(({ parts, stampParts, values }) => {
    const left = [...values]
    const op: Record<string, unknown> = { ...put() }
    op.stamp = { ...put().stamp, ...Object.fromEntries(stampParts.map((part) => [part, left.pop()])) }
    return { ...op, ...Object.fromEntries(parts.map((part) => [part, left.pop()])) } as unknown as PendingOp
  })

const requestOf = (fields: ReadonlyArray<string>) =>
  fc.oneof(
    nasty,
    fc
      .tuple(fc.boolean(), fc.array(nasty, { minLength: fields.length, maxLength: fields.length }))
      .map(([scoped, values]) => ({
        ...(scoped ? scope() : {}),
        ...Object.fromEntries(fields.map((field, index) => [field, values[index]])),
      })),
  )

/** Succeeds, or fails in a typed way; tells which. */
const settles = async (promise: Promise<unknown>): Promise<boolean> => {
  try {
    await promise
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(Refused)
    expect([400, 401, 403]).toContain((error as Refused).status)
    return false
  }
}

const unchangedOnError = async (subject: Subject, call: () => Promise<unknown>) => {
  const before = await subject.view('w1')
  if (!(await settles(call()))) expect(await subject.view('w1')).toEqual(before)
}

describe.each(propertySubjects())('junk on %s', (name) => {
  it(
    'ops of anything: each gets its outcome, and the good neighbour goes through',
    () =>
      withSubject(name, (subject) =>
        fc.assert(
          fc.asyncProperty(
            fc.array(fc.oneof(nasty as fc.Arbitrary<PendingOp>, mutatedOp), { maxLength: 5 }),
            async (ops) => {
              const before = (await subject.view('w1')).version
              const good = put({ pk: `good-${before}` })
              const { verdicts, serverVersion } = await subject.push({ ...scope(), ops: [...ops, good] })
              expect(verdicts).toHaveLength(ops.length + 1)
              expect(verdicts.at(-1)).toMatchObject({ opId: good.stamp.opId })
              const accepted = verdicts.filter(({ kind }) => kind === 'applied' || kind === 'superseded')
              expect(serverVersion).toBe(before + accepted.length)
            },
          ),
          cases(250),
        ),
      ),
    patience(120_000),
  )

  it(
    'requests of anything: an answer or a typed error, and no change on error',
    () =>
      withSubject(name, (subject) =>
        fc.assert(
          fc.asyncProperty(
            requestOf(['ops', 'caller']),
            requestOf(['cursor', 'limit', 'tables', 'caller']),
            requestOf(['deviceId', 'version']),
            requestOf(['retentionSeconds']),
            requestOf(['pageSize', 'pageToken', 'tables', 'caller']),
            async (push, pull, cursor, retention, snapshot) => {
              await unchangedOnError(subject, () => subject.push(push as never))
              await unchangedOnError(subject, () => subject.pull(pull as never))
              await unchangedOnError(subject, () => subject.snapshot(snapshot as never))
              await unchangedOnError(subject, () => subject.updateCursor(cursor as never))
              await unchangedOnError(subject, () => subject.gcChangeLog(retention as never))
              await unchangedOnError(subject, () => subject.gcTombstones(retention as never))
            },
          ),
          cases(120),
        ),
      ),
    patience(120_000),
  )

  it('refuses a batch of 100,000 ops without looking at them', () =>
    withSubject(name, async (subject) => {
      const op = put()
      const ops = Array.from({ length: 100_000 }, () => op)
      await expect(subject.push({ ...scope(), ops })).rejects.toMatchObject({ status: 400 })
      expect((await subject.view('w1')).version).toBe(0)
    }))

  it('pollutes no prototype', () =>
    withSubject(name, async (subject) => {
      const payload = JSON.parse('{"id": "m1", "__proto__": {"polluted": true}}')
      await subject.push({ ...scope(), ops: [put({ payload })] })
      const { changes } = await subject.pull({ ...scope(), cursor: 0 })
      expect(Object.hasOwn(changes[0]!.payload as object, '__proto__')).toBe(true)
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    }))
})
