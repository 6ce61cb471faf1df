/**
 * Whatever the calls of background jobs are given, they answer or refuse: never a defect, never a change of anything by a call that
 * is refused.
 */
import { describe, expect, it } from 'vitest'
import { casesOn, fc, patience } from '../support/property.js'
import { propertySubjects, withSubject } from '../support/subjects.js'
import { Refused } from '../support/verdicts.js'

const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new Error('hostile')
    },
    ownKeys: () => {
      throw new Error('hostile')
    },
  },
)

const nasty: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.constantFrom<unknown>(
    ...['', 'a\0b', '\ud800', '*', "'; DROP TABLE jobs; --", '__proto__', 'x'.repeat(300)],
    ...[-1, -0, 0.5, 2 ** 53, Number.MAX_SAFE_INTEGER, Number.NaN, Infinity, 1n, Symbol('s')],
    ...[null, undefined, () => 1, hostile, [hostile], { a: hostile }, JSON.parse('{"__proto__": 1}')],
  ),
)

/** What a call takes, some of which is replaced. */
const arguments_: Record<string, ReadonlyArray<unknown>> = {
  createJob: [{ userId: 'u', threadId: 't', messageId: 'm', model: 'm', execution: {} }],
  getJob: ['id', '*'],
  updateJob: ['id', { contentChunk: 'x', chunksReceived: 1 }],
  completeJob: ['id', 'x', undefined],
  failJob: ['id', 'x', undefined],
  abortJob: ['id', 'nobody'],
  checkJobAborted: ['id'],
  claimJob: ['id', 'w', 1, 2],
  claimNextJob: ['w', 0, 1],
  renewJobLease: ['id', 'w', 1, 2],
  updateJobExecution: ['id', {}, 'w'],
}

/** Either all of an argument, or a field of it. */
const junk = fc
  .record({
    method: fc.constantFrom(...Object.keys(arguments_)),
    place: fc.nat(3),
    field: fc.constantFrom(
      ...[undefined, undefined, 'userId', 'threadId', 'model', 'kind', 'tool_calls', 'workflow_state'],
      ...['execution', 'idempotencyKey', 'contentChunk', 'chunksReceived', 'leaseOwner'],
    ),
    value: nasty,
  })
  .map(({ method, place, field, value }) => {
    const given = [...arguments_[method]!]
    const at = place % given.length
    const argument = given[at]
    given[at] =
      field !== undefined && typeof argument === 'object' && argument !== null
        ? { ...argument, [field]: value }
        : value
    return { method, given }
  })

describe.each(propertySubjects())('background jobs on %s', (name) => {
  it(
    'answer or refuse whatever they are given',
    () =>
      withSubject(name, async ({ host: { backgroundJobProvider: jobs } }) => {
        // No time that a caller makes up lets it be claimed.
        const id = await jobs.createJob({ userId: 'ann', threadId: 't', messageId: 'm', model: 'm' })
        await jobs.updateJob(id, { contentChunk: 'kept', tool_calls: { a: 1 } })
        const before = await jobs.getJob(id, '*')
        const calls = jobs as unknown as Record<
          string,
          (...given: ReadonlyArray<unknown>) => Promise<unknown>
        >
        await fc.assert(
          fc.asyncProperty(junk, async ({ method, given }) => {
            try {
              await calls[method]!(...given)
            } catch (error) {
              if (!(error instanceof Refused)) throw error
              expect([400, 409, 429]).toContain(error.status)
            }
          }),
          casesOn(name, 500),
        )
        expect(await jobs.getJob(id, '*')).toEqual(before)
      }),
    patience(60_000),
  )
})
