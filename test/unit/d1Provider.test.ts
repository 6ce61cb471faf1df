/**
 * Issue 17, point 1: a provider on a binding of D1, which opens its database in the calls.
 */
import { afterEach, describe, expect, it } from 'vitest'
import type { D1Binding } from '../../src/layers/batch/d1.js'
import { openProvider, type Provider, type ProviderOptions } from '../../src/nuxt/adapters.js'
import { newD1 } from '../support/d1Server.js'
import { put } from '../support/ops.js'

let open: Array<Provider> = []
afterEach(async () => {
  await Promise.all(open.map((provider) => provider.close()))
  open = []
})

const start = (d1: D1Binding, options: ProviderOptions = {}) => {
  const provider = openProvider({ env: {}, d1, ...options })
  open.push(provider)
  return provider
}

const sent = (d1: D1Binding) => {
  let batches = 0
  const counting: D1Binding = {
    prepare: (sql) => d1.prepare(sql),
    batch: async (statements) => {
      batches += 1
      return d1.batch(statements)
    },
  }
  return { counting, count: () => batches }
}

const run = async (d1: D1Binding, ...statements: ReadonlyArray<string>) =>
  (await d1.batch(statements.map((sql) => d1.prepare(sql)))).at(-1)!.results as ReadonlyArray<any>

const ada = { provider: 'dev', providerUserId: 'ada', email: 'ada@example.org' } as never

const refusalOf = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => undefined,
    (error: { statusCode?: number; message: string }) => error,
  )
  return error && { status: error.statusCode, message: error.message }
}

describe('a provider on D1', () => {
  it('asks nothing before the first call, then makes the schema and serves', async () => {
    const { counting, count } = sent(await newD1())
    const provider = start(counting)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(count()).toBe(0)
    const { userId } = await provider.workspaceStore.getOrCreateUser(ada)
    const { workspaceId } = await provider.workspaceStore.getOrCreateDefaultWorkspace(userId)
    const opened = count()
    const pushed = await provider.syncGateway.push(
      undefined as never,
      {
        scope: { workspaceId },
        ops: [put()],
      } as never,
    )
    expect(pushed.serverVersion).toBe(1)
    expect(count()).toBe(opened + 1)
  })

  it('is shared by its calls once it is open, however many came first', async () => {
    const d1 = await newD1()
    const provider = start(d1)
    const users = await Promise.all(
      Array.from({ length: 10 }, () => provider.workspaceStore.getOrCreateUser(ada)),
    )
    expect(new Set(users.map(({ userId }) => userId)).size).toBe(1)
  })

  it('takes a database that D1 keeps its own tables in for an empty one', async () => {
    const d1 = await newD1()
    await run(d1, 'CREATE TABLE passing (id)', 'DROP TABLE passing')
    const names = await run(d1, `SELECT name FROM sqlite_schema WHERE name LIKE '\\_cf\\_%' ESCAPE '\\'`)
    expect(names.length).toBeGreaterThan(0)
    const provider = start(d1)
    await provider.ready
    expect(await provider.workspaceStore.getOrCreateUser(ada)).toHaveProperty('userId')
  })

  it('leaves a database of another program as it is, and says so', async () => {
    const d1 = await newD1()
    await run(d1, 'CREATE TABLE theirs (id)')
    const provider = start(d1)
    expect(await refusalOf(provider.ready)).toBeDefined()
    expect((await refusalOf(provider.workspaceStore.getOrCreateUser(ada)))?.status).toBe(503)
    expect(await run(d1, `SELECT count(*) AS n FROM sqlite_schema WHERE name = 'users'`)).toEqual([{ n: 0 }])
  })

  it('tries again after a failure', async () => {
    const d1 = await newD1()
    let failing = true
    const provider = start({
      prepare: (sql) => d1.prepare(sql),
      batch: async (statements) => {
        if (failing) throw new Error('D1_ERROR: D1 DB is overloaded. Requests queued for too long.')
        return d1.batch(statements)
      },
    })
    expect((await refusalOf(provider.workspaceStore.getOrCreateUser(ada)))?.status).toBe(503)
    failing = false
    expect(await provider.workspaceStore.getOrCreateUser(ada)).toHaveProperty('userId')
  })

  it('collects when it is told to', async () => {
    const binding = await newD1()
    const provider = start(binding, { env: { OR3_SQLITE_GC_RETENTION: '1 hour' } })
    const { userId } = await provider.workspaceStore.getOrCreateUser(ada)
    const { workspaceId } = await provider.workspaceStore.getOrCreateDefaultWorkspace(userId)
    const scope = { workspaceId }
    await provider.syncGateway.push(undefined as never, { scope, ops: [put(), put({ pk: 'm2' })] } as never)
    await provider.syncGateway.updateCursor(
      undefined as never,
      { scope, deviceId: 'd1', version: 2 } as never,
    )
    await run(binding, 'UPDATE change_log SET created_at = created_at - 7200')
    await provider.upkeep()
    const left = await run(binding, 'SELECT count(*) AS n FROM change_log')
    expect(left[0].n).toBeLessThan(2)
  })

  it('is chosen by a binding, and takes one from the environment that has its settings', async () => {
    const d1 = await newD1()
    expect(() =>
      openProvider({ env: { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: 'libsql://x.turso.io' }, d1 }),
    ).toThrow('a binding of D1 is given, but OR3_SQLITE_DRIVER is turso')
    const provider = openProvider({
      env: { OR3_SQLITE_DRIVER: 'd1', OR3_SQLITE_D1_BINDING: 'NOTES', NOTES: d1 },
    })
    open.push(provider)
    await provider.ready
    const without = openProvider({ env: { OR3_SQLITE_DRIVER: 'd1' } })
    open.push(without)
    expect((await refusalOf(without.ready))?.message).toContain('the Worker has no D1 database bound to DB')
  })
})
