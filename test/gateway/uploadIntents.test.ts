/**
 * Room for uploads: what fits a quota, who may consume and cancel, and two that race for the last of it, over every layer and on
 * four processes.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ConsumeRequest, ReserveRequest } from '../../src/services/index.js'
import { del, put, scope } from '../support/ops.js'
import { refusal } from '../support/people.js'
import { buildForProcesses } from '../support/processes.js'
import { suite } from '../support/suite.js'

const start = 1_700_000_000
const at = (seconds: number) => vi.setSystemTime((start + seconds) * 1_000)

suite('upload intents', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const request = (intentId: string, rest: Partial<ReserveRequest> = {}): ReserveRequest => ({
    ...scope(),
    intentId,
    hash: intentId,
    mimeType: 'image/png',
    sizeBytes: 10,
    expiresAt: start + 100,
    workspaceQuotaBytes: 100,
    ...rest,
  })
  const reserve = (intentId: string, rest: Partial<ReserveRequest> = {}) =>
    subject().files.reserve(request(intentId, rest))
  const consume = (intentId: string, rest: Partial<ConsumeRequest> = {}) => {
    const { expiresAt: _expiry, workspaceQuotaBytes: _quota, ...file } = request(intentId)
    return subject().files.consume({ ...file, storageId: 'store/1', ...rest })
  }
  const cancel = (intentId: string, workspaceId = 'w1') =>
    subject().files.cancel({ ...scope(workspaceId), intentId })
  const file = (pk: string, sizeBytes: unknown, parts: Parameters<typeof put>[0] = {}) =>
    put({ table: 'file_meta', pk, payload: { hash: pk, size_bytes: sizeBytes }, ...parts })
  const push = (...ops: ReadonlyArray<ReturnType<typeof put>>) => subject().push({ ...scope(), ops })
  const statusOf = async (call: Promise<void>) => (await refusal(call)).status

  describe('a quota', () => {
    it('holds live files, active intents and the new one, to the last byte', async () => {
      await push(file('stored', 60))
      await reserve('a', { sizeBytes: 30 })
      expect(await statusOf(reserve('b', { sizeBytes: 11 }))).toBe(413)
      await reserve('b', { sizeBytes: 10 })
      expect(await statusOf(reserve('c', { sizeBytes: 1 }))).toBe(413)
      await reserve('c', { sizeBytes: 0 })
    })

    it('leaves nothing of an upload that does not fit', async () => {
      expect(await statusOf(reserve('a', { sizeBytes: 101 }))).toBe(413)
      expect((await subject().view('w1')).files.intents).toEqual([])
      expect(await statusOf(consume('a', { sizeBytes: 101 }))).toBe(409)
    })

    it('is not asked for when there is none', async () => {
      await reserve('a', { sizeBytes: Number.MAX_SAFE_INTEGER, workspaceQuotaBytes: undefined })
      await reserve('b', { sizeBytes: Number.MAX_SAFE_INTEGER, workspaceQuotaBytes: null as never })
      expect(await statusOf(reserve('c', { sizeBytes: 1 }))).toBe(413)
      await reserve('d', { sizeBytes: 0, workspaceQuotaBytes: 0 })
    })

    it('gets back what is cancelled, and what expires', async () => {
      await reserve('a', { sizeBytes: 60 })
      await reserve('b', { sizeBytes: 40, expiresAt: start + 10 })
      expect(await statusOf(reserve('c'))).toBe(413)
      await cancel('a')
      await reserve('c', { sizeBytes: 60 })
      at(9)
      expect(await statusOf(reserve('d'))).toBe(413)
      at(10)
      await reserve('d', { sizeBytes: 40 })
    })

    it('gets back what a deleted or replaced file took', async () => {
      await push(file('x', 60), file('y', 40))
      expect(await statusOf(reserve('a', { sizeBytes: 50 }))).toBe(413)
      await push(file('x', 50, { clock: 2 }), file('x', 10), del({ table: 'file_meta', pk: 'y', clock: 2 }))
      await reserve('a', { sizeBytes: 50 })
      await push(file('y', 40, { clock: 3 }))
      expect(await statusOf(reserve('b', { sizeBytes: 1 }))).toBe(413)
    })

    it('counts a file once, by its record as soon as that is there', async () => {
      await reserve('a', { hash: 'sha256:H', sizeBytes: 60 })
      await push(file('h', 60))
      await reserve('b', { sizeBytes: 40 })
      await consume('a', { hash: 'H', sizeBytes: 60 })
      expect(await statusOf(reserve('c', { sizeBytes: 1 }))).toBe(413)
    })

    it('is not touched by a file that is stored or reserved already, however its hash is spelled', async () => {
      await push(file('sha256:OLD', 100))
      await reserve('a', { hash: ' old', sizeBytes: 100 })
      expect(await statusOf(reserve('b', { sizeBytes: 1 }))).toBe(413)
      await push(del({ table: 'file_meta', pk: 'sha256:OLD', clock: 2 }))
      await cancel('a')
      await reserve('c', { hash: 'new', sizeBytes: 100 })
      await reserve('d', { hash: 'md5:NEW', sizeBytes: 100 })
      await consume('c', { hash: 'new', sizeBytes: 100 })
      // The other one still holds the room.
      expect(await statusOf(reserve('e', { sizeBytes: 1 }))).toBe(413)
      await cancel('d')
      await reserve('e', { sizeBytes: 100 })
    })

    it('counts the largest of several intents for one file', async () => {
      await reserve('a', { hash: 'h', sizeBytes: 10 })
      await reserve('b', { hash: 'h', sizeBytes: 90 })
      expect(await statusOf(reserve('c', { sizeBytes: 11 }))).toBe(413)
      expect(await statusOf(reserve('d', { hash: 'h', sizeBytes: 101 }))).toBe(413)
      await reserve('c', { sizeBytes: 10 })
    })

    it('is of one workspace', async () => {
      await reserve('a', { sizeBytes: 100 })
      await subject().push({ ...scope('w3'), ops: [file('x', 100)] })
      await reserve('a', { ...scope('w2'), sizeBytes: 100 })
      expect(await statusOf(reserve('b', { ...scope('w3'), sizeBytes: 1 }))).toBe(413)
    })
  })

  describe('reserving again', () => {
    it('is the same intent, with the later expiry, and takes no more room', async () => {
      await reserve('a', { sizeBytes: 100, hash: 'x' })
      await reserve('a', { sizeBytes: 100, hash: 'md5:X', expiresAt: start + 50 })
      at(99)
      await reserve('a', { sizeBytes: 100, hash: 'x', expiresAt: start + 200 })
      at(199)
      await consume('a', { sizeBytes: 100, hash: 'x' })
    })

    it('after its expiry asks for room anew', async () => {
      await reserve('a', { sizeBytes: 60 })
      at(100)
      await reserve('b', { sizeBytes: 60, expiresAt: start + 300 })
      expect(await statusOf(reserve('a', { sizeBytes: 60, expiresAt: start + 300 }))).toBe(413)
      await cancel('b')
      await reserve('a', { sizeBytes: 60, expiresAt: start + 300 })
    })

    it.each<readonly [string, Partial<ReserveRequest>]>([
      ['another file', { hash: 'other' }],
      ['another type', { mimeType: 'image/jpeg' }],
      ['another size', { sizeBytes: 11 }],
    ])('for %s is 409', async (_what, rest) => {
      await reserve('a')
      expect(await statusOf(reserve('a', rest))).toBe(409)
    })

    it('is 409 when the intent is settled, until a day after its expiry', async () => {
      await reserve('a')
      await reserve('b')
      await consume('a')
      await cancel('b')
      const late = start + 86_500
      expect(await statusOf(reserve('a'))).toBe(409)
      at(86_500)
      expect(await statusOf(reserve('a', { expiresAt: late + 9 }))).toBe(409)
      expect(await statusOf(reserve('b', { expiresAt: late + 9 }))).toBe(409)
      at(86_501)
      await reserve('c', { expiresAt: late + 9 })
      expect((await subject().view('w1')).files.intents.map(({ id }) => id)).toEqual(['c'])
      await reserve('a', { expiresAt: late + 9 })
    })
  })

  describe('consuming', () => {
    it('happens once', async () => {
      await reserve('a')
      await consume('a', { hash: ' sha256:A ' })
      expect(await statusOf(consume('a'))).toBe(409)
      expect(await statusOf(cancel('a'))).toBe(409)
    })

    it.each<readonly [string, Partial<ConsumeRequest>]>([
      ['another intent', { intentId: 'b' }],
      ['another workspace', scope('w2')],
      ['another file', { hash: 'b' }],
      ['another type', { mimeType: 'image/PNG' }],
      ['another size', { sizeBytes: 11 }],
    ])('of %s is 409 and leaves it as it was', async (_what, rest) => {
      await reserve('a')
      expect(await statusOf(consume('a', rest))).toBe(409)
      await consume('a')
    })

    it('is 409 from the second of its expiry on', async () => {
      await reserve('a')
      await reserve('b')
      at(99)
      await consume('a')
      at(100)
      expect(await statusOf(consume('b'))).toBe(409)
    })
  })

  describe('cancelling', () => {
    it('happens once, and only while the intent is active', async () => {
      await reserve('a')
      await reserve('b')
      await cancel('a')
      expect(await statusOf(cancel('a'))).toBe(409)
      expect(await statusOf(consume('a'))).toBe(409)
      expect(await statusOf(cancel('unknown'))).toBe(409)
      expect(await statusOf(cancel('b', 'w2'))).toBe(409)
      at(100)
      expect(await statusOf(cancel('b'))).toBe(409)
    })
  })

  describe('is refused with 400', () => {
    const texts = ['', 5, null, 'a\0', '\ud800', 'x'.repeat(2_000)]
    const bad: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
      ['intentId', texts],
      ['mimeType', texts],
      ['hash', ['', 5, null, 'sha256:', 'a\0', 'x'.repeat(1_025)]],
      ['sizeBytes', [-1, 1.5, '5', null, Number.NaN, 2 ** 53]],
      ['scope', [undefined, null, 'w1', { workspaceId: '' }, { workspaceId: 5 }]],
    ]
    const ofReserving: typeof bad = [
      ['expiresAt', [start, start - 1, 0, -1, '5', null, Number.NaN, Infinity]],
      ['workspaceQuotaBytes', [-1, 1.5, '5', Number.NaN, 2 ** 53]],
    ]

    it.each([...bad, ...ofReserving])('a reservation with a wrong %s', async (field, values) => {
      for (const value of values) {
        expect(await statusOf(reserve('a', { [field]: value }))).toBe(400)
      }
      expect((await subject().view('w1')).files.intents).toEqual([])
    })

    it.each([...bad, ['storageId', texts] as const])('an upload with a wrong %s', async (field, values) => {
      await reserve('a')
      for (const value of values) expect(await statusOf(consume('a', { [field]: value }))).toBe(400)
      await consume('a')
    })

    it('a cancellation without an id, and what is no request', async () => {
      expect(await statusOf(cancel(''))).toBe(400)
      for (const input of [undefined, null, 5, 'text', []]) {
        for (const call of ['reserve', 'consume', 'cancel'] as const) {
          expect(await statusOf(subject().files[call](input as never))).toBe(400)
        }
      }
    })
  })

  it('drops the fraction of an expiry', async () => {
    await reserve('a', { expiresAt: start + 1.9 })
    expect((await subject().view('w1')).files.intents).toMatchObject([{ expiresAt: start + 1 }])
    expect(await statusOf(reserve('b', { expiresAt: start + 0.9 }))).toBe(400)
  })

  it('are for callers of the workspace only', async () => {
    const caller = { userId: 'ann', workspaceId: 'w1' }
    await reserve('a', { caller })
    await reserve('b', { caller })
    for (const workspaceId of ['w2', null]) {
      const stranger = { userId: 'ann', workspaceId }
      expect(await statusOf(reserve('c', { caller: stranger }))).toBe(403)
      expect(await statusOf(consume('a', { caller: stranger }))).toBe(403)
      expect(await statusOf(subject().files.cancel({ ...scope(), caller: stranger, intentId: 'b' }))).toBe(
        403,
      )
    }
    await consume('a', { caller })
    await subject().files.cancel({ ...scope(), caller, intentId: 'b' })
  })

  it('that race for the last bytes: one wins, and an intent is consumed by one', async () => {
    await push(file('stored', 75))
    const rivals = Array.from({ length: 20 }, (_, n) => reserve(`rival${n}`, { sizeBytes: 20 }))
    const won = (await Promise.allSettled(rivals)).flatMap(({ status }, n) =>
      status === 'fulfilled' ? [`rival${n}`] : [],
    )
    expect(won).toHaveLength(1)
    const all = await Promise.allSettled(
      Array.from({ length: 20 }, () => consume(won[0]!, { sizeBytes: 20 })),
    )
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })
})

describe.each(['WAL', 'DELETE'])('four processes on one file (journal mode %s)', (journalMode) => {
  let built: ReturnType<typeof buildForProcesses>
  beforeAll(() => {
    built = buildForProcesses()
  }, 60_000)
  afterAll(() => built.remove())

  it('never reserve more than the quota together, and consume each intent once', async () => {
    const env = {
      OR3_SQLITE_DB_PATH: join(built.folder, `intents-${journalMode}.db`),
      OR3_SQLITE_PRAGMA_JOURNAL_MODE: journalMode,
    }
    // Everybody tries for the same rounds; in each there is room for one of them.
    const script = `
      import { openProvider } from './src/nuxt/adapters.js'
      const { syncGateway, close } = openProvider()
      const rounds = 40
      const expiresAt = Math.floor(Date.now() / 1_000) + 600
      const told = { reserved: [], consumed: [], other: [] }
      process.stdout.write('ready\\n')
      await new Promise((resume) => process.stdin.once('data', resume))
      for (let round = 0; round < rounds; round++) {
        const intent = (intentId) => ({ intentId, workspaceId: 'w' + round, hash: intentId, mimeType: 'a/b', sizeBytes: 60 })
        const attempt = async (call, into, name) => {
          try {
            await call
            into.push(name)
          } catch (error) {
            if (![409, 413].includes(error.statusCode)) told.other.push(String(error))
          }
        }
        const mine = process.env.NAME + round
        const reserving = { ...intent(mine), expiresAt, workspaceQuotaBytes: 100 }
        await attempt(syncGateway.reserveUploadIntent({}, reserving), told.reserved, mine)
        // One that all of them know.
        const shared = { ...intent('shared' + round), workspaceId: 'shared' }
        await attempt(syncGateway.reserveUploadIntent({}, { ...shared, expiresAt }), [], '')
        await attempt(syncGateway.consumeUploadIntent({}, { ...shared, storageId: 's' }), told.consumed, round)
      }
      await close()
      process.stdout.write(JSON.stringify(told) + '\\n')
      process.exit(0)`
    const children = ['a', 'b', 'c', 'd'].map((name) => built.start(script, { ...env, NAME: name }))
    await Promise.all(children.map((child) => child.printed('ready')))
    for (const child of children) child.send('go')
    const outcomes = await Promise.all(children.map((child) => child.outcome))
    expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      outcomes.map(() => ({ code: 0, stderr: '' })),
    )
    const told = outcomes.map(({ stdout }) => JSON.parse(stdout.trim().split('\n').at(-1)!))
    expect(told.flatMap(({ other }) => other)).toEqual([])
    const rounds = Array.from({ length: 40 }, (_, round) => round)
    const winners = told
      .flatMap(({ reserved }): ReadonlyArray<string> => reserved)
      .map((name) => Number(name.slice(1)))
    expect(winners.sort((a, b) => a - b)).toEqual(rounds)
    const consumed = told.flatMap(({ consumed: own }): ReadonlyArray<number> => own)
    expect(consumed.sort((a, b) => a - b)).toEqual(rounds)
  }, 60_000)
})
