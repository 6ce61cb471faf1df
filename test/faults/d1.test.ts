/**
 * Issue 17, "Prove it": D1 fails in the middle of a batch, before it or after it, and nothing is half done.
 */
import { afterEach, describe, expect, it } from 'vitest'
import type { D1Binding } from '../../src/layers/batch/d1.js'
import { openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { syncedTables } from '../../src/services/index.js'
import { newD1 } from '../support/d1Server.js'
import { del, put } from '../support/ops.js'

const event = undefined as never
const ada = { provider: 'dev', providerUserId: 'ada', email: 'ada@example.org' } as never

let open: Array<Provider> = []
afterEach(async () => {
  await Promise.all(open.map((provider) => provider.close()))
  open = []
})

interface Faulty {
  readonly binding: D1Binding
  /** What happens to the next batches, one after the other; those behind them go well. */
  readonly next: (...faults: ReadonlyArray<Fault>) => void
  /** Statements of the last batch. */
  readonly size: () => number
  readonly batches: () => number
}

type Fault = (statements: Array<any>, send: (statements: Array<any>) => Promise<any>) => Promise<any>

const faulty = (d1: D1Binding): Faulty => {
  let faults: Array<Fault> = []
  let [size, batches] = [0, 0]
  const send = (statements: Array<any>) => d1.batch(statements)
  return {
    binding: {
      prepare: (sql) => d1.prepare(sql),
      batch: async (statements) => {
        size = statements.length
        batches += 1
        const fault = faults.shift()
        return fault === undefined ? send(statements) : fault(statements, send)
      },
    },
    next: (...given) => (faults = [...given]),
    size: () => size,
    batches: () => batches,
  }
}

/** A statement of the batch does not work. */
const breaking =
  (d1: D1Binding, place: number): Fault =>
  (statements, send) =>
    send(statements.map((statement, index) => (index === place ? d1.prepare(`SELECT json('x')`) : statement)))

const failing =
  (message: string, executed: boolean): Fault =>
  async (statements, send) => {
    if (executed) await send(statements)
    throw new Error(message)
  }

/** All that is stored, but for what SQLite keeps for itself. */
const contents = async (d1: D1Binding) => {
  const rows = async (sql: string) => (await d1.batch([d1.prepare(sql)]))[0]!.results as ReadonlyArray<any>
  const tables = await rows(
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY 1`,
  )
  const all = await d1.batch(tables.map(({ name }) => d1.prepare(`SELECT * FROM ${name}`)))
  return Object.fromEntries(all.map(({ results }, index) => [tables[index].name, results]))
}

const begin = async () => {
  const d1 = await newD1()
  const fault = faulty(d1)
  const provider = openProvider({ env: {}, d1: fault.binding })
  open.push(provider)
  const { userId } = await provider.workspaceStore.getOrCreateUser(ada)
  const { workspaceId } = await provider.workspaceStore.getOrCreateDefaultWorkspace(userId)
  return { d1, provider, userId, workspaceId, ...fault }
}

describe('a batch that fails at one of its statements', () => {
  /** Fails at each statement of the call's last batch in turn, then goes well. */
  const failsWhole = async (
    { d1, next, size }: Pick<Awaited<ReturnType<typeof begin>>, 'd1' | 'next' | 'size'>,
    call: () => Promise<unknown>,
  ) => {
    const before = await contents(d1)
    let count = 1
    for (let place = 0; place < count; place++) {
      next(breaking(d1, place))
      await expect(call()).rejects.toMatchObject({ statusCode: 500 })
      count = size()
      expect(await contents(d1), `at statement ${place}`).toEqual(before)
    }
    expect(count).toBeGreaterThan(1)
    await call()
    expect(await contents(d1)).not.toEqual(before)
    return count
  }

  it('has pushed nothing, whatever it holds', async () => {
    const started = await begin()
    const { provider, workspaceId } = started
    const scope = { workspaceId }
    await provider.syncGateway.push(event, { scope, ops: [put({ id: 'old' })] } as never)
    const file = { pk: 'sha256:00'.padEnd(71, '0') }
    const ops = [
      ...syncedTables.map((table, index) =>
        put({ id: `op-${index}`, table, ...(table === 'file_meta' ? file : { pk: `of-${table}` }) }),
      ),
      del({ id: 'gone', clock: 2 }),
    ]
    const count = await failsWhole(started, () => provider.syncGateway.push(event, { scope, ops } as never))
    expect(count).toBeGreaterThan(25)
  })

  it('has made no workspace', async () => {
    const started = await begin()
    const { provider, userId } = started
    await failsWhole(started, () =>
      provider.workspaceStore.createWorkspace({ userId, name: 'Another' } as never),
    )
  })

  it('has added nothing to a job', async () => {
    const started = await begin()
    const { provider, userId } = started
    const jobs = provider.backgroundJobProvider
    const id = await jobs.createJob({ userId, threadId: 't', messageId: 'm', model: 'x' } as never)
    await failsWhole(started, () => jobs.updateJob(id, { contentChunk: 'text', chunksReceived: 1 }))
  })
})

const lost = 'D1_ERROR: Network connection lost.'
const overloaded = 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.'

describe('a network that fails', () => {
  it('before a change was executed for certain: it is sent again', async () => {
    const { provider, workspaceId, next, batches } = await begin()
    next(failing(overloaded, false), failing(overloaded, false))
    const before = batches()
    const request = { scope: { workspaceId }, ops: [put()] } as never
    expect(await provider.syncGateway.push(event, request)).toMatchObject({ serverVersion: 1 })
    expect(batches() - before).toBe(3)
  })

  it.each([true, false])(
    'so that nobody knows whether a change was executed (%s): it is not, and the repetition is recognised',
    async (executed) => {
      const { provider, workspaceId, next, batches } = await begin()
      next(failing(lost, executed))
      const before = batches()
      const request = { scope: { workspaceId }, ops: [put()] } as never
      await expect(provider.syncGateway.push(event, request)).rejects.toMatchObject({ statusCode: 503 })
      expect(batches() - before).toBe(1)
      expect(await provider.syncGateway.push(event, request)).toMatchObject({
        serverVersion: 1,
        results: [{ success: true, serverVersion: 1, ...(executed ? { replayed: true } : {}) }],
      })
    },
  )

  it('while something is read: it is read again', async () => {
    const { provider, workspaceId, next } = await begin()
    next(failing(lost, true), failing(lost, false))
    expect(
      await provider.syncGateway.pull(event, { scope: { workspaceId }, cursor: 0, limit: 10 } as never),
    ).toMatchObject({ changes: [], hasMore: false })
  })
})

it('two engines that open an empty database at once make one schema, and count one rate limit exactly', async () => {
  const d1 = await newD1()
  const providers = [0, 1].map(() => openProvider({ env: {}, d1 }))
  open.push(...providers)
  const users = await Promise.all(providers.map(({ workspaceStore }) => workspaceStore.getOrCreateUser(ada)))
  expect(users[0]).toEqual(users[1])
  const limit = { windowMs: 60_000, maxRequests: 15 }
  const checks = await Promise.all(
    Array.from({ length: 40 }, (_, number) =>
      providers[number % 2]!.rateLimitProvider.checkAndRecord('key', limit),
    ),
  )
  expect(checks.filter(({ allowed }) => allowed)).toHaveLength(15)
})

it('a rate limit lets each engine count for itself while the database fails', async () => {
  const { provider, next } = await begin()
  const limit = { windowMs: 60_000, maxRequests: 3 }
  const check = async () => (await provider.rateLimitProvider.checkAndRecord('key', limit)).allowed
  const down = Array.from({ length: 40 }, () => failing(lost, false))
  next(...down)
  expect([await check(), await check(), await check(), await check()]).toEqual([true, true, true, false])
})
