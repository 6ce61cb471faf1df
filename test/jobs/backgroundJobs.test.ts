/**
 * Background jobs as the host calls them, over every layer: limits, content, who may change a job, leases and clean-up.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BackgroundJobProvider } from '../../src/nuxt/adapters.js'
import { refusal } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'
import { isFar } from '../support/subjectType.js'

const start = 1_700_000_000_000
const at = (millis: number) => vi.setSystemTime(start + millis)
/** Of the defaults. */
const timeout = 300_000
const retention = 300_000

type Create = Parameters<BackgroundJobProvider['createJob']>[0]

const input = (rest: Partial<Create> = {}): Create => ({
  userId: 'ann',
  threadId: 't1',
  messageId: 'm1',
  model: 'acme/large',
  ...rest,
})

suiteOverBatches('background jobs', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const jobs = () => subject().host.backgroundJobProvider
  const create = (rest?: Partial<Create>) => jobs().createJob(input(rest))
  const get = (id: string) => jobs().getJob(id, '*')
  const claim = (id: string, owner: string, now = start, until = start + 1_000) =>
    jobs().claimJob(id, owner, now, until)
  const statusOf = async (call: Promise<unknown>) => (await refusal(call)).status
  /** A job that a worker has claimed. */
  const claimed = async (owner = 'w1') => {
    const id = await create({ execution: { step: 1 } })
    expect(await claim(id, owner)).not.toBeNull()
    return id
  }

  describe('a new job', () => {
    it('is streaming, and has what it was given and nothing else', async () => {
      const id = await create()
      expect(await get(id)).toStrictEqual({
        id,
        userId: 'ann',
        threadId: 't1',
        messageId: 'm1',
        model: 'acme/large',
        status: 'streaming',
        content: '',
        chunksReceived: 0,
        startedAt: start,
        lastActivityAt: start,
        attempts: 0,
      })
    })

    it('keeps its kind, and any JSON as it was', async () => {
      const json = { a: [1, -0.5, 'x\0\ud800\u{1f600}', null, true, { ['__proto__']: {}, '': [] }], b: 1e300 }
      const given = {
        kind: 'workflow',
        tool_calls: [json],
        workflow_state: 'text',
        execution: false,
      } as const
      expect(await get(await create(given))).toMatchObject(given)
    })

    it('has no document that is null', async () => {
      const id = await create({ tool_calls: null, workflow_state: null, execution: null })
      expect(Object.keys((await get(id))!)).not.toEqual(
        expect.arrayContaining([expect.stringMatching(/tool_calls|workflow_state|execution/)]),
      )
      expect(await claim(id, 'w1')).toBeNull()
    })

    it('is of its user alone, but * sees it', async () => {
      const id = await create()
      expect(await jobs().getJob(id, 'ann')).toMatchObject({ id })
      expect(await jobs().getJob(id, 'bob')).toBeNull()
      expect(await jobs().getJob('unknown', '*')).toBeNull()
    })

    it('has no abort controller', async () => {
      expect(await jobs().getAbortController(await create())).toBeUndefined()
      expect(jobs().name).toBe('sqlite')
    })
  })

  describe('limits', () => {
    const fill = async (userId: string, count = 5) => {
      const ids: Array<string> = []
      for (let n = 0; n < count; n++) ids.push(await create({ userId }))
      return ids
    }

    it('of a user are 5, of the server 20, and tell which', async () => {
      const [first] = await fill('ann')
      expect(await refusal(create())).toMatchObject({
        status: 429,
        message: 'this user has as many background jobs as it may have: 5',
      })
      for (const userId of ['bob', 'cid', 'dan']) await fill(userId)
      expect(await refusal(create({ userId: 'eve' }))).toMatchObject({
        status: 429,
        message: 'the server has as many background jobs as it may have: 20',
      })
      expect(await jobs().getActiveJobCount()).toBe(20)
      await jobs().completeJob(first!, 'done')
      await create({ userId: 'eve' })
      expect(await jobs().getActiveJobCount()).toBe(20)
    })

    it.each([
      ['completed', (id: string) => jobs().completeJob(id, '')],
      ['failed', (id: string) => jobs().failJob(id, '')],
      ['aborted', (id: string) => jobs().abortJob(id, 'ann')],
    ])('do not count a job that is %s', async (_how, end) => {
      const [first] = await fill('ann')
      await end(first!)
      await create()
      expect(await statusOf(create())).toBe(429)
    })

    it('do not count jobs that have been silent for too long, unless somebody has a lease', async () => {
      const id = await create({ execution: 1 })
      await fill('ann', 4)
      at(timeout)
      expect(await statusOf(create())).toBe(429)
      await jobs().claimJob(id, 'w1', start, start + timeout + 10)
      at(timeout + 1)
      await fill('ann', 4)
      expect(await statusOf(create())).toBe(429)
      at(timeout + 10)
      await create()
    })

    it('leave nothing of a job that is refused', async () => {
      await fill('ann')
      await refusal(create({ execution: 1, idempotencyKey: 'k' }))
      expect(await jobs().claimNextJob('w1', start, start + 1)).toBeNull()
      expect(await jobs().getActiveJobCount()).toBe(5)
    })

    it('hold for calls at the same time', async () => {
      const calls = Array.from({ length: 12 }, () => create())
      const made = (await Promise.allSettled(calls)).filter(({ status }) => status === 'fulfilled')
      expect(made).toHaveLength(5)
    })
  })

  describe('what is plausible', () => {
    it('is null for what is absent', async () => {
      const nothing = { kind: null, idempotencyKey: null, tool_calls: null, execution: null }
      const [id, other] = [await create(nothing as never), await create(nothing as never)]
      expect(other).not.toBe(id)
      const made = await get(id)
      expect(made).not.toHaveProperty('kind')
      await jobs().updateJob(id, { contentChunk: null, chunksReceived: 3, leaseOwner: null })
      expect(await get(id)).toEqual({ ...made, chunksReceived: 3 })
      await jobs().completeJob(id, 'x', null)
      await jobs().failJob(other, 'e', null)
      expect([(await get(id))?.status, (await get(other))?.status]).toEqual(['complete', 'error'])
    })

    it('is a time in what is kept as JSON, which becomes text as JSON has it', async () => {
      const time = new Date(start)
      const id = await create({ workflow_state: { at: time, never: new Date(NaN) }, execution: [time] })
      const text = time.toISOString()
      expect(await get(id)).toMatchObject({ workflow_state: { at: text, never: null }, execution: [text] })
      await jobs().updateJob(id, { workflow_state: time })
      expect(await get(id)).toMatchObject({ workflow_state: text })
    })

    it('is a long error, which is cut and says so', async () => {
      const most = 500_000
      const told = async (error: string) => {
        const id = await create()
        await jobs().failJob(id, error)
        return (await get(id))!.error!
      }
      expect((await told('e'.repeat(most))) === 'e'.repeat(most)).toBe(true)
      for (const error of [
        'e'.repeat(most + 1),
        `e${'\u{1f600}'.repeat(most)}`,
        '\u{1f600}'.repeat(most),
        '€'.repeat(most + 1),
      ]) {
        const cut = await told(error)
        expect(cut.length).toBeLessThanOrEqual(most)
        expect(cut.length).toBeGreaterThan(most - 100)
        expect(cut.isWellFormed() && !cut.includes('\ufffd')).toBe(true)
        expect(cut.slice(-40)).toContain('… [cut]')
        expect(error.startsWith(cut.slice(0, -40))).toBe(true)
      }
    })
  })

  describe('the same idempotency key', () => {
    it('is the same job, whatever the limits say and whatever became of it', async () => {
      const id = await create({ idempotencyKey: 'k' })
      for (let n = 0; n < 4; n++) await create()
      expect(await create({ idempotencyKey: 'k', model: 'other' })).toBe(id)
      await jobs().abortJob(id, 'ann')
      expect(await create({ idempotencyKey: 'k' })).toBe(id)
      expect(await get(id)).toMatchObject({ status: 'aborted', model: 'acme/large' })
      at(retention + 1)
      expect(await create({ idempotencyKey: 'k' })).toBe(id)
    })

    it('changes nothing of that job', async () => {
      const id = await create({ idempotencyKey: 'k', execution: { a: 1 }, tool_calls: 1 })
      const before = await get(id)
      await create({ idempotencyKey: 'k', execution: { b: 1 }, workflow_state: 2 })
      expect(await get(id)).toEqual(before)
    })

    it('of another user is another job', async () => {
      const id = await create({ idempotencyKey: 'k' })
      expect(await create({ idempotencyKey: 'k', userId: 'bob' })).not.toBe(id)
      expect(await create({ idempotencyKey: 'K' })).not.toBe(id)
    })

    it('makes one job of calls at the same time', async () => {
      const ids = await Promise.all(Array.from({ length: 8 }, () => create({ idempotencyKey: 'k' })))
      expect(new Set(ids).size).toBe(1)
      expect(await jobs().getActiveJobCount()).toBe(1)
    })
  })

  describe('an update', () => {
    it('appends chunks in their order, and tells when', async () => {
      const id = await create()
      const chunks = Array.from({ length: 30 }, (_, n) => `${n} é\u{1f600};`)
      for (const [n, contentChunk] of chunks.entries()) {
        at(n)
        await jobs().updateJob(id, { contentChunk, chunksReceived: n + 1 })
      }
      expect(await get(id)).toMatchObject({
        content: chunks.join(''),
        chunksReceived: 30,
        startedAt: start,
        lastActivityAt: start + 29,
      })
    })

    it('leaves what is not given, and clears what is null', async () => {
      const id = await create({ tool_calls: [1], workflow_state: { a: 1 }, execution: 1 })
      await jobs().updateJob(id, { contentChunk: 'a', chunksReceived: 3 })
      await jobs().updateJob(id, { tool_calls: [2], contentChunk: undefined, workflow_state: undefined })
      expect(await get(id)).toMatchObject({
        ...{ content: 'a', chunksReceived: 3, tool_calls: [2], workflow_state: { a: 1 }, execution: 1 },
      })
      await jobs().updateJob(id, { tool_calls: null, contentChunk: '' })
      expect(await get(id)).not.toHaveProperty('tool_calls')
      expect(await get(id)).toMatchObject({ content: 'a', workflow_state: { a: 1 } })
    })

    it('is taken with half a character or a NUL, which an answer must not be lost for', async () => {
      const id = await create()
      await jobs().updateJob(id, { contentChunk: '\ude00a\ud83d-' })
      await jobs().updateJob(id, { contentChunk: 'b\0c' })
      expect(await get(id)).toMatchObject({ content: '\ufffda\ufffd-b\ufffdc' })
      await jobs().completeJob(id, 'a\u{1f600}b\0c\ud83d')
      expect(await get(id)).toMatchObject({ status: 'complete', content: 'a\u{1f600}b\ufffdc\ufffd' })
      const failing = await create()
      await jobs().failJob(failing, 'no\0\ud800')
      expect(await get(failing)).toMatchObject({ status: 'error', error: 'no\ufffd\ufffd' })
    })

    describe('within a character', () => {
      /** The content after each chunk. */
      const after = async (id: string, ...chunks: ReadonlyArray<string>) => {
        const seen: Array<string> = []
        for (const contentChunk of chunks) {
          await jobs().updateJob(id, { contentChunk })
          seen.push((await get(id))!.content)
        }
        return seen
      }

      it('holds its first half back until the other comes', async () => {
        const id = await create()
        expect(await after(id, 'a\ud83d', '\ude00b')).toEqual(['a', 'a\u{1f600}b'])
        expect(await after(id, '\udbff', '\udfff', '\ud800', '\udc00\ud83d', '\ude00')).toEqual(
          ['', '\u{10ffff}', '\u{10ffff}', '\u{10ffff}\u{10000}', '\u{10ffff}\u{10000}\u{1f600}'].map(
            (text) => `a\u{1f600}b${text}`,
          ),
        )
      })

      it('waits over what is no chunk', async () => {
        const id = await create()
        await after(id, 'a\ud83d')
        await jobs().updateJob(id, { contentChunk: '', chunksReceived: 5 })
        await jobs().updateJob(id, { tool_calls: [1] })
        expect(await after(id, '\ude00')).toEqual(['a\u{1f600}'])
      })

      it('replaces halves that find no other', async () => {
        const id = await create()
        expect(await after(id, '\ude00a', '\ud83d', '\ud83d', 'b', '\ud83dc', '\ude00')).toEqual([
          '\ufffda',
          '\ufffda',
          '\ufffda\ufffd',
          '\ufffda\ufffd\ufffdb',
          '\ufffda\ufffd\ufffdb\ufffdc',
          '\ufffda\ufffd\ufffdb\ufffdc\ufffd',
        ])
      })

      it('replaces what is held when the job ends without its content', async () => {
        for (const end of [
          (id: string) => jobs().failJob(id, 'e'),
          (id: string) => jobs().abortJob(id, 'ann'),
          async () => {
            at(timeout + 1)
            await jobs().cleanupExpired()
          },
        ]) {
          const id = await create()
          await after(id, 'a\ud83d')
          await end(id)
          expect((await get(id))?.content).toBe('a\ufffd')
          at(0)
        }
        const id = await create()
        await after(id, 'a\ud83d')
        await jobs().completeJob(id, 'b')
        expect((await get(id))?.content).toBe('b')
      })

      it('is told alike to whoever claims the job', async () => {
        const id = await create({ execution: 1 })
        await after(id, 'a\ud83d')
        expect(await jobs().claimNextJob('w', start, start + 10)).toMatchObject({ content: 'a' })
        expect(await after(id, '\ude00')).toEqual(['a\u{1f600}'])
      })
    })

    it('leaves out members that are undefined, as JSON does', async () => {
      const id = await create({ tool_calls: [{ name: 'a', result: undefined }], workflow_state: [undefined] })
      expect(await get(id)).toMatchObject({ tool_calls: [{ name: 'a' }], workflow_state: [null] })
    })

    it('is a sign of life, even an empty one', async () => {
      const id = await create()
      at(timeout)
      await jobs().updateJob(id, {})
      at(2 * timeout)
      expect(await jobs().cleanupExpired()).toBe(0)
      expect(await get(id)).toMatchObject({ status: 'streaming', lastActivityAt: start + timeout })
    })

    it('of other jobs does not matter', async () => {
      const [one, two] = [await create(), await create({ userId: 'bob' })]
      await jobs().updateJob(one, { contentChunk: 'one', tool_calls: 1 })
      await jobs().updateJob(two, { contentChunk: 'two' })
      await jobs().completeJob(one, 'end')
      expect(await get(two)).toMatchObject({ content: 'two', status: 'streaming' })
      expect(await get(two)).not.toHaveProperty('tool_calls')
    })

    it('by many at once loses nothing', async () => {
      const id = await create()
      await Promise.all(
        Array.from({ length: 20 }, (_, n) => jobs().updateJob(id, { contentChunk: `<${n}>` })),
      )
      const { content } = (await get(id))!
      expect(content.match(/<\d+>/g)!.sort()).toEqual(Array.from({ length: 20 }, (_, n) => `<${n}>`).sort())
    })
  })

  describe('content', () => {
    it('of 5 MB in many chunks comes back as it was, and is replaced when the job is complete', async () => {
      const id = await create()
      let content = ''
      // Each is a request there.
      const chunks = isFar(subject().name) ? 200 : 2_000
      for (let n = 0; n < chunks; n++) {
        const contentChunk = `${n}`.padEnd(5e6 / chunks, 'x')
        content += contentChunk
        await jobs().updateJob(id, { contentChunk })
      }
      expect((await get(id))!.content === content).toBe(true)
      await jobs().completeJob(id, 'short')
      expect(await get(id)).toMatchObject({ content: 'short' })
    }, 60_000)

    it('of a chunk and of an end longer than any value is stored comes back as it was', async () => {
      const id = await create()
      // No boundary of a piece falls beside a pair for both of them; what is cut at is in the middle of one for one.
      const pairs = '\u{1f600}'.repeat(600_000)
      const chunks = [
        'begun \ud83d',
        `\ude00${pairs}`,
        `x${pairs}\ud83d`,
        '\ude00 and on',
        '€'.repeat(1_100_001),
        'end',
      ]
      for (const contentChunk of chunks) await jobs().updateJob(id, { contentChunk })
      expect((await get(id))!.content === chunks.join('')).toBe(true)
      for (const content of [chunks.join(''), '']) {
        const ended = await create()
        await jobs().updateJob(ended, { contentChunk: pairs })
        await jobs().completeJob(ended, content)
        expect((await get(ended))!.content === content).toBe(true)
      }
    }, 60_000)

    it('has at most 16 Mi characters, of which a chunk has 4', async () => {
      const id = await create()
      const chunk = 'x'.repeat(4 * 2 ** 20)
      expect(await statusOf(jobs().updateJob(id, { contentChunk: `${chunk}x` }))).toBe(400)
      for (let n = 0; n < 4; n++) await jobs().updateJob(id, { contentChunk: chunk })
      at(9)
      const over = { contentChunk: 'y', chunksReceived: 9, tool_calls: 9, workflow_state: null }
      expect(await statusOf(jobs().updateJob(id, over))).toBe(400)
      await jobs().updateJob(id, { contentChunk: '' })
      at(10)
      expect(await statusOf(jobs().completeJob(id, 'x'.repeat(16 * 2 ** 20 + 1)))).toBe(400)
      const job = (await get(id))!
      expect(job.content.length).toBe(16 * 2 ** 20)
      expect(job).toMatchObject({ status: 'streaming', chunksReceived: 0, lastActivityAt: start + 9 })
      expect(job).not.toHaveProperty('tool_calls')
      await jobs().completeJob(id, 'z'.repeat(16 * 2 ** 20))
      await jobs().updateJob(id, { contentChunk: 'y' })
      expect((await get(id))!.content).toMatch(/^z+$/)
    }, 60_000)
  })

  describe('a job ends', () => {
    it('complete, with its final content', async () => {
      const id = await claimed()
      await jobs().updateJob(id, { contentChunk: 'begun', tool_calls: [1] })
      at(50)
      await jobs().completeJob(id, 'all of it', 'w1')
      const job = (await get(id))!
      expect(job).toMatchObject({
        ...{ status: 'complete', content: 'all of it', completedAt: start + 50, lastActivityAt: start + 50 },
        ...{ tool_calls: [1], execution: { step: 1 }, attempts: 1 },
      })
      expect(Object.keys(job)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^lease|^error/)]))
    })

    it('with an error, and what it had', async () => {
      const id = await claimed()
      await jobs().updateJob(id, { contentChunk: 'begun' })
      at(50)
      await jobs().failJob(id, 'model is away', 'w1')
      const job = (await get(id))!
      expect(job).toMatchObject({
        ...{ status: 'error', error: 'model is away', content: 'begun' },
        ...{ completedAt: start + 50, lastActivityAt: start + 50 },
      })
      expect(job).not.toHaveProperty('leaseOwner')
      expect(job).not.toHaveProperty('leaseExpiresAt')
    })

    it('aborted by its user or by *, once', async () => {
      const id = await claimed()
      expect(await jobs().abortJob(id, 'bob')).toBe(false)
      expect(await jobs().checkJobAborted(id)).toBe(false)
      at(50)
      expect(await jobs().abortJob(id, 'ann')).toBe(true)
      expect(await jobs().checkJobAborted(id)).toBe(true)
      expect(await jobs().abortJob(id, 'ann')).toBe(false)
      const job = (await get(id))!
      expect(job).toMatchObject({ status: 'aborted', completedAt: start + 50, lastActivityAt: start + 50 })
      expect(job).not.toHaveProperty('leaseOwner')
      expect(await jobs().abortJob(await create(), '*')).toBe(true)
      expect(await jobs().abortJob('unknown', '*')).toBe(false)
      expect(await jobs().checkJobAborted('unknown')).toBe(false)
    })

    it.each([
      ['complete', (id: string) => jobs().completeJob(id, 'end')],
      ['failed', (id: string) => jobs().failJob(id, 'end')],
      ['aborted', async (id: string) => void (await jobs().abortJob(id, '*'))],
    ])('and changes no more once it is %s', async (_how, end) => {
      const id = await create({ execution: 1, tool_calls: 1 })
      await jobs().updateJob(id, { contentChunk: 'a' })
      await end(id)
      const before = await get(id)
      at(10)
      await jobs().updateJob(id, { contentChunk: 'b', chunksReceived: 5, tool_calls: 2, workflow_state: 1 })
      await jobs().updateJob(id, { tool_calls: null })
      await jobs().completeJob(id, 'other')
      await jobs().failJob(id, 'other')
      expect(await jobs().abortJob(id, '*')).toBe(false)
      expect(await claim(id, 'w1')).toBeNull()
      expect(await jobs().claimNextJob('w1', start, start + 1)).toBeNull()
      expect(await jobs().renewJobLease(id, 'w1', start, start + 9)).toBe(false)
      expect(await jobs().updateJobExecution(id, 2, 'w1')).toBe(false)
      expect(await get(id)).toEqual(before)
    })

    it('and is nothing where there is no such job', async () => {
      await jobs().updateJob('unknown', { contentChunk: 'b', tool_calls: 1 })
      await jobs().completeJob('unknown', 'b')
      await jobs().failJob('unknown', 'b')
      expect(await get('unknown')).toBeNull()
    })
  })

  describe('with a lease owner', () => {
    it('a job changes only for that one, expired or not', async () => {
      const id = await claimed('w1')
      await jobs().updateJob(id, { contentChunk: 'a', leaseOwner: 'w1' })
      at(5_000)
      await jobs().updateJob(id, { contentChunk: 'b', leaseOwner: 'w1' })
      const before = await get(id)
      const theirs = {
        contentChunk: 'c',
        chunksReceived: 7,
        tool_calls: 1,
        workflow_state: 1,
        leaseOwner: 'w2',
      }
      expect(await statusOf(jobs().updateJob(id, theirs))).toBe(409)
      expect(await statusOf(jobs().completeJob(id, 'c', 'w2'))).toBe(409)
      expect(await statusOf(jobs().failJob(id, 'c', 'w2'))).toBe(409)
      expect(await get(id)).toEqual(before)
      await jobs().failJob(id, 'c', 'w1')
    })

    it('a job that nobody holds, has ended or is unknown is lost', async () => {
      const free = await create({ execution: 1 })
      const ended = await claimed('w1')
      await jobs().completeJob(ended, 'x', 'w1')
      for (const id of [free, ended, 'unknown']) {
        expect(await statusOf(jobs().updateJob(id, { contentChunk: 'c', leaseOwner: 'w1' }))).toBe(409)
        expect(await statusOf(jobs().completeJob(id, 'c', 'w1'))).toBe(409)
        expect(await statusOf(jobs().failJob(id, 'c', 'w1'))).toBe(409)
      }
      expect(await get(ended)).toMatchObject({ content: 'x' })
    })

    it('a worker whose lease went to another one is told, and changes nothing', async () => {
      const id = await claimed('w1')
      await jobs().updateJob(id, { contentChunk: 'one', leaseOwner: 'w1' })
      expect(await claim(id, 'w2', start + 1_000, start + 2_000)).toMatchObject({
        ...{ content: 'one', leaseOwner: 'w2', leaseExpiresAt: start + 2_000, attempts: 2 },
      })
      expect(await statusOf(jobs().updateJob(id, { contentChunk: 'two', leaseOwner: 'w1' }))).toBe(409)
      expect(await statusOf(jobs().completeJob(id, 'two', 'w1'))).toBe(409)
      expect(await jobs().renewJobLease(id, 'w1', start, start + 9_000)).toBe(false)
      expect(await jobs().updateJobExecution(id, 'two', 'w1')).toBe(false)
      expect(await get(id)).toMatchObject({
        content: 'one',
        leaseExpiresAt: start + 2_000,
        execution: { step: 1 },
      })
    })
  })

  describe('claiming', () => {
    it('gives the whole job, counts attempts and begins a lease', async () => {
      const id = await create({ execution: { a: [1] }, tool_calls: [1], kind: 'chat' })
      await jobs().updateJob(id, { contentChunk: 'a' })
      await jobs().updateJob(id, { contentChunk: 'b' })
      const job = await jobs().claimJob(id, 'w1', start + 5.5, start + 10.9)
      expect(job).toEqual(await get(id))
      expect(job).toMatchObject({
        ...{ content: 'ab', execution: { a: [1] }, tool_calls: [1], kind: 'chat', attempts: 1 },
        ...{ leaseOwner: 'w1', leaseExpiresAt: start + 10, lastActivityAt: start + 5, startedAt: start },
      })
    })

    it('needs an execution, and that no lease is live, not even one of its own', async () => {
      const bare = await create()
      expect(await claim(bare, 'w1')).toBeNull()
      expect(await jobs().claimNextJob('w1', start, start + 1)).toBeNull()
      expect(await claim('unknown', 'w1')).toBeNull()
      const id = await claimed('w1')
      for (const owner of ['w1', 'w2']) {
        expect(await claim(id, owner, start + 999, start + 5_000)).toBeNull()
        expect(await jobs().claimNextJob(owner, start + 999, start + 5_000)).toBeNull()
      }
      expect(await get(id)).toMatchObject({ attempts: 1, leaseExpiresAt: start + 1_000 })
      expect(await claim(id, 'w1', start + 1_000, start + 1_001)).toMatchObject({ attempts: 2 })
      expect(await jobs().claimNextJob('w2', start + 1_001, start + 1_002)).toMatchObject({ attempts: 3 })
    })

    it('of the next takes the one that was begun first, and has what belongs to it', async () => {
      const made: Array<string> = []
      for (const [n, time] of [30, 10, 20].entries()) {
        at(time)
        made.push(await create({ execution: n, tool_calls: [n], userId: `u${n}` }))
        await jobs().updateJob(made[n]!, { contentChunk: `content ${n}` })
      }
      at(0)
      await create({ userId: 'no execution' })
      for (const n of [1, 2, 0]) {
        expect(await jobs().claimNextJob('w1', start, start + 1_000)).toMatchObject({
          ...{ id: made[n], execution: n, tool_calls: [n], content: `content ${n}`, attempts: 1 },
        })
      }
      expect(await jobs().claimNextJob('w1', start, start + 1_000)).toBeNull()
    })

    it('by many at once gives each job to one of them', async () => {
      for (let n = 0; n < 5; n++) await create({ execution: n })
      const taken = await Promise.all(
        Array.from({ length: 12 }, (_, n) => jobs().claimNextJob(`w${n}`, start, start + 1_000)),
      )
      const ids = taken.flatMap((job) => (job === null ? [] : [job.id]))
      expect(ids).toHaveLength(5)
      expect(new Set(ids).size).toBe(5)
    })
  })

  describe('a lease', () => {
    it('is renewed for its owner, also when it has expired and nobody came', async () => {
      const id = await claimed('w1')
      expect(await jobs().renewJobLease(id, 'w1', start + 500, start + 2_000)).toBe(true)
      expect(await get(id)).toMatchObject({ leaseExpiresAt: start + 2_000, lastActivityAt: start + 500 })
      expect(await claim(id, 'w2', start + 1_999)).toBeNull()
      expect(await jobs().renewJobLease(id, 'w1', start + 3_000, start + 4_000)).toBe(true)
      expect(await claim(id, 'w2', start + 3_999)).toBeNull()
      expect(await get(id)).toMatchObject({ attempts: 1 })
    })

    it('is not for others, nor for a job without one', async () => {
      const id = await claimed('w1')
      expect(await jobs().renewJobLease(id, 'w2', start, start + 2_000)).toBe(false)
      expect(await jobs().renewJobLease('unknown', 'w1', start, start + 2_000)).toBe(false)
      expect(await jobs().renewJobLease(await create({ execution: 1 }), 'w1', start, start + 2)).toBe(false)
      expect(await get(id)).toMatchObject({ leaseExpiresAt: start + 1_000 })
    })

    it('lets its owner set the execution, or clear it', async () => {
      const id = await claimed('w1')
      at(5)
      expect(await jobs().updateJobExecution(id, { step: 2 }, 'w2')).toBe(false)
      expect(await jobs().updateJobExecution('unknown', { step: 2 }, 'w1')).toBe(false)
      expect(await get(id)).toMatchObject({ execution: { step: 1 }, lastActivityAt: start })
      expect(await jobs().updateJobExecution(id, { step: 2 }, 'w1')).toBe(true)
      expect(await get(id)).toMatchObject({ execution: { step: 2 }, lastActivityAt: start + 5 })
      expect(await jobs().updateJobExecution(id, null, 'w1')).toBe(true)
      expect(await get(id)).not.toHaveProperty('execution')
      expect(await claim(id, 'w2', start + 5_000, start + 6_000)).toBeNull()
      expect(await jobs().updateJobExecution(id, 3, 'w1')).toBe(true)
      expect(await claim(id, 'w2', start + 5_000, start + 6_000)).toMatchObject({ execution: 3 })
    })
  })

  describe('cleaning up', () => {
    it('ends jobs that were silent for too long and are nobody’s, and removes those that ended too long ago', async () => {
      const silent = await create({ execution: 1 })
      const held = await create({ execution: 2 })
      await jobs().claimJob(held, 'w1', start, start + 2 * timeout)
      await jobs().updateJob(silent, { contentChunk: 'kept' })
      const done = await create()
      await jobs().completeJob(done, 'x')
      at(timeout)
      expect(await jobs().cleanupExpired()).toBe(0)
      at(timeout + 1)
      expect(await jobs().cleanupExpired()).toBe(2)
      expect(await get(done)).toBeNull()
      expect(await get(silent)).toMatchObject({
        status: 'error',
        error: expect.stringMatching(/^timed out/),
        content: 'kept',
        completedAt: start + timeout + 1,
      })
      expect(await get(held)).toMatchObject({ status: 'streaming', leaseOwner: 'w1' })
      at(2 * timeout)
      expect(await jobs().cleanupExpired()).toBe(1)
      expect(await get(held)).toMatchObject({ status: 'error' })
      expect(await get(held)).not.toHaveProperty('leaseOwner')
      at(2 * timeout + 1)
      expect(await jobs().cleanupExpired()).toBe(0)
      at(2 * timeout + 2)
      expect(await jobs().cleanupExpired()).toBe(1)
      expect(await get(silent)).toBeNull()
    })

    it('leaves the key of a removed job for another one', async () => {
      const id = await create({ idempotencyKey: 'k' })
      await jobs().completeJob(id, 'x')
      at(retention + 1)
      await jobs().cleanupExpired()
      expect(await create({ idempotencyKey: 'k' })).not.toBe(id)
    })

    it('at the same time counts each job once', async () => {
      for (let n = 0; n < 5; n++) await jobs().completeJob(await create(), 'x')
      at(retention + 1)
      const counts = await Promise.all(Array.from({ length: 4 }, () => jobs().cleanupExpired()))
      expect(counts.reduce((sum, count) => sum + count)).toBe(5)
    })
  })

  describe('is refused with 400', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    const throwing = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('hostile')
      },
    })
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('hostile')
        },
      },
    )
    const noIds = ['', 5, null, undefined, 'a\0', '\ud800', 'x'.repeat(257), {}]
    const noTexts = ['', 5, null, undefined, 'a\0', '\ud800', 'x'.repeat(1_025)]
    const noTimes = [-1, '5', null, undefined, Number.NaN, Infinity, 2 ** 53, 1n]
    const noJson: ReadonlyArray<unknown> = [
      ...[() => 1, cyclic, 1n, Symbol('s'), { a: Symbol('s') }, [() => 1], throwing, hostile, Number.NaN],
      ...[[Infinity], new Map(), new (class A {})(), { toJSON: () => 1 }, 'x'.repeat(4 * 2 ** 20)],
    ]

    it.each<readonly [string, ReadonlyArray<unknown>]>([
      ['userId', [...noIds, '*']],
      ['threadId', noTexts],
      ['messageId', noTexts],
      ['model', noTexts],
      ['kind', ['', 'other', 5]],
      ['idempotencyKey', ['', 5, 'a\0', '\ud800', 'x'.repeat(1_025)]],
      ['tool_calls', noJson],
      ['workflow_state', noJson],
      ['execution', noJson],
    ])('a job with a wrong %s', async (field, values) => {
      for (const value of values) expect(await statusOf(create({ [field]: value }))).toBe(400)
      expect(await jobs().getActiveJobCount()).toBe(0)
    })

    it.each<readonly [string, ReadonlyArray<unknown>]>([
      ['contentChunk', [5, {}]],
      ['chunksReceived', [-1, 0.5, '5', null, 2 ** 53]],
      ['tool_calls', noJson],
      ['workflow_state', noJson],
      ['leaseOwner', ['', 5, 'a\0']],
    ])('an update with a wrong %s', async (field, values) => {
      const id = await create()
      const before = await get(id)
      at(1)
      for (const value of values) {
        expect(await statusOf(jobs().updateJob(id, { contentChunk: 'x', [field]: value }))).toBe(400)
      }
      expect(await get(id)).toEqual(before)
    })

    it('whatever else is no id, no text, no time and no JSON', async () => {
      const id = await claimed('w1')
      const before = await get(id)
      const any = jobs() as unknown as Record<string, (...args: ReadonlyArray<unknown>) => Promise<unknown>>
      const refused = async (method: string, ...args: ReadonlyArray<unknown>) =>
        expect(await statusOf(any[method]!(...args)), method).toBe(400)
      for (const bad of noIds) {
        await refused('getJob', bad, '*')
        await refused('getJob', id, bad)
        await refused('updateJob', bad, {})
        await refused('completeJob', bad, 'x')
        await refused('failJob', bad, 'x')
        await refused('abortJob', bad, '*')
        await refused('abortJob', id, bad)
        await refused('checkJobAborted', bad)
        await refused('claimJob', bad, 'w', start, start)
        await refused('claimJob', id, bad, start, start)
        await refused('claimNextJob', bad, start, start)
        await refused('renewJobLease', bad, 'w1', start, start)
        await refused('renewJobLease', id, bad, start, start)
        await refused('updateJobExecution', bad, 1, 'w1')
        await refused('updateJobExecution', id, 1, bad)
        if (bad === undefined || bad === null) continue
        await refused('completeJob', id, 'x', bad)
        await refused('failJob', id, 'x', bad)
      }
      for (const bad of noTimes) {
        await refused('claimJob', id, 'w', bad, start)
        await refused('claimJob', id, 'w', start, bad)
        await refused('claimNextJob', 'w', bad, start)
        await refused('claimNextJob', 'w', start, bad)
        await refused('renewJobLease', id, 'w1', bad, start)
        await refused('renewJobLease', id, 'w1', start, bad)
      }
      for (const bad of [5, null, undefined, {}]) {
        await refused('completeJob', id, bad)
        await refused('failJob', id, bad)
      }
      for (const bad of [...noJson, undefined]) await refused('updateJobExecution', id, bad, 'w1')
      for (const bad of [undefined, null, hostile, throwing, 5]) {
        await refused('createJob', bad)
      }
      for (const bad of [undefined, null, hostile]) await refused('updateJob', id, bad)
      expect(await get(id)).toEqual(before)
    })
  })
})
