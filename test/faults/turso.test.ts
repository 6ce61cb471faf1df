/**
 * Issue 15, point 4 and its faults: whatever the network does to a session with Turso's engine, nothing acknowledged is lost,
 * nothing is doubled, no call hangs, and the next one works.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Effect, Layer, Logger, Stream } from 'effect'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { HostError, openProvider, type Provider, ProviderStartupError } from '../../src/nuxt/adapters.js'
import { layerWithConfig, ProviderConfigLayer, SyncGateway } from '../../src/index.js'
import { put, scope } from '../support/ops.js'
import { deep } from '../support/property.js'
import { putWhole } from '../support/records.js'
import type { Fault } from '../support/tursoProxy.js'
import { startTurso, type Turso } from '../support/tursoServer.js'

let turso: Turso
let workspaces = 0
/** What the provider logged. */
let lines: ReadonlyArray<string> = []

beforeAll(async () => {
  turso = await startTurso()
})
afterAll(() => turso.stop())
beforeEach(() => {
  const said: Array<string> = []
  lines = said
  vi.spyOn(console, 'error').mockImplementation((line) => void said.push(String(line)))
})
afterEach(() => {
  vi.restoreAllMocks()
  turso.proxy.heal()
  turso.proxy.token = undefined
})

/** Far more than any call takes that is answered, also on a loaded machine. */
const patience = 10_000
/** So that an answer that never comes is soon given up. */
const impatience = 400

const open = (env: Record<string, string> = {}) =>
  openProvider({
    env: {
      OR3_SQLITE_DRIVER: 'turso',
      OR3_SQLITE_TURSO_URL: turso.url,
      OR3_SQLITE_TURSO_TIMEOUT: `${patience} millis`,
      OR3_SQLITE_GC_INTERVAL: 'off',
      ...env,
    },
  })

/** Adapters read no session without an event. */
const nobody = undefined as never

const statusOf = async (call: Promise<unknown>): Promise<number> => {
  try {
    await call
    return 200
  } catch (error) {
    if (!(error instanceof HostError)) throw error
    return error.statusCode
  }
}

/** The longest that a call took, and how often one failed. */
interface Account {
  longest: number
  failed: number
}

/** Does what a client does: what ends with 503 is sent again, as it was. */
const persistently = async <A>(account: Account, call: () => Promise<A>): Promise<A> => {
  for (let attempt = 1; ; attempt++) {
    const began = performance.now()
    try {
      return await call()
    } catch (error) {
      account.failed++
      if (!(error instanceof HostError) || error.statusCode !== 503 || attempt === 20) throw error
    } finally {
      account.longest = Math.max(account.longest, performance.now() - began)
    }
    await sleep(10)
  }
}

/** What a new user does first, and what is there afterwards. */
const session = async ({ workspaceStore: store, syncGateway: gateway }: Provider) => {
  const account: Account = { longest: 0, failed: 0 }
  const again = <A>(call: () => Promise<A>) => persistently(account, call)
  const providerUserId = `user-${++workspaces}`
  const identity = { provider: 'p', providerUserId }
  const { userId } = await again(() => store.getOrCreateUser(identity))
  const { workspaceId } = await again(() => store.getOrCreateDefaultWorkspace(userId))
  const at = scope(workspaceId)
  const acknowledged: Array<number> = []
  for (let n = 0; n < 3; n++) {
    const ops = [
      putWhole('kv', `k${n}a`),
      putWhole('kv', `k${n}b`),
      putWhole('kv', 'shared', { clock: n + 1 }),
    ]
    const { results } = await again(() => gateway.push(nobody, { ...at, ops }))
    expect(results.map(({ success }) => success)).toEqual([true, true, true])
    acknowledged.push(...results.map(({ serverVersion }) => serverVersion!))
  }
  await again(() => gateway.updateCursor(nobody, { ...at, deviceId: 'device-a', version: 4 }))
  const { changes } = await again(() => gateway.pull(nobody, { ...at, cursor: 0, limit: 100 }))
  const snapshot = await again(() => gateway.snapshot(nobody, { ...at, pageSize: 100 }))
  return {
    acknowledged,
    versions: changes.map(({ serverVersion }) => serverVersion),
    keys: snapshot.items.map(({ pk }) => pk),
    lists: await again(() => store.listUserWorkspaces(userId)),
    sameUser: (await again(() => store.getOrCreateUser(identity))).userId === userId,
    account,
  }
}

const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9]

const judge = ({
  acknowledged,
  versions,
  keys,
  lists,
  sameUser,
  account,
}: Awaited<ReturnType<typeof session>>) => {
  expect(acknowledged).toEqual(nine)
  expect(versions).toEqual(nine)
  expect(keys).toEqual(['k0a', 'k0b', 'k1a', 'k1b', 'k2a', 'k2b', 'shared'])
  expect(lists).toHaveLength(1)
  expect(sameUser).toBe(true)
  // No call waits for a time-out but those whose answer never comes.
  expect(account.longest).toBeLessThan(patience / 2)
}

const answers: ReadonlyArray<Fault['answer']> = ['closed', 'reset', 'never', 'half', 500, 503]
const faults = answers.flatMap((answer) => [false, true].map((executed): Fault => ({ answer, executed })))

/** What differs for the provider; a deep run tries all. */
const usual: ReadonlyArray<Fault> = [
  { answer: 'closed', executed: false },
  { answer: 'closed', executed: true },
  { answer: 'reset', executed: true },
  { answer: 'never', executed: true },
  { answer: 'half', executed: true },
  { answer: 500, executed: true },
]
const tried = deep ? faults : usual
const forFault = ({ answer }: Fault) =>
  answer === 'never' ? { OR3_SQLITE_TURSO_TIMEOUT: `${impatience} millis` } : {}
const described = tried.map(
  (fault) => [`${fault.answer}, ${fault.executed ? 'after' : 'before'} it was done`, fault] as const,
)

describe('a fault at every request of a session', () => {
  it('has requests enough to fail at', async () => {
    const provider = open()
    const [result, trips] = await turso.proxy.during(() => session(provider))
    judge(result)
    expect(result.account.failed).toBe(0)
    expect(trips.length).toBeGreaterThan(8)
    await provider.close()
  })

  it.each(described)('%s', { timeout: 120_000 }, async (_what, fault) => {
    const provider = open(forFault(fault))
    await provider.ready
    for (let request = 1; ; request++) {
      turso.proxy.fail(request, fault)
      const [result, trips] = await turso.proxy.during(() => session(provider))
      turso.proxy.heal()
      judge(result)
      if (request >= trips.length) break
    }
    await provider.close()
  })

  it('repeats by itself what was never done, and reads', async () => {
    const provider = open()
    const [userId, at] = ['u', scope(`w${++workspaces}`)]
    await provider.ready
    turso.proxy.fail(1, { answer: 'closed', executed: true })
    expect(await statusOf(provider.syncGateway.pull(nobody, { ...at, cursor: 0, limit: 1 }))).toBe(200)
    turso.proxy.fail(1, { answer: 'closed', executed: true })
    expect(await statusOf(provider.syncGateway.push(nobody, { ...at, ops: [put()] }))).toBe(503)
    expect(await statusOf(provider.workspaceStore.listUserWorkspaces(userId))).toBe(200)
    await provider.close()
  })
})

describe('a call that was told it has failed', () => {
  it('is not sent after that, however many wait before it', async () => {
    const [provider, other] = [open({ OR3_SQLITE_TURSO_TIMEOUT: `${impatience} millis` }), open()]
    const { userId } = await other.workspaceStore.getOrCreateUser({
      provider: 'p',
      providerUserId: `u${++workspaces}`,
    })
    const { workspaceId } = await other.workspaceStore.createWorkspace({ userId, name: 'First' })
    await provider.ready
    turso.proxy.fail(({ statements }) => statements.some((sql) => sql.includes('change_log')), {
      answer: 'never',
      executed: false,
    })
    const stalled = Array.from({ length: 30 }, () =>
      statusOf(provider.syncGateway.pull(nobody, { ...scope(workspaceId), cursor: 0, limit: 1 })),
    )
    const renaming = provider.workspaceStore.updateWorkspace({ userId, workspaceId, name: 'Too late' })
    expect(await statusOf(renaming)).toBe(503)
    expect(new Set(await Promise.all(stalled))).toEqual(new Set([503]))
    turso.proxy.heal()
    await other.workspaceStore.updateWorkspace({ userId, workspaceId, name: 'Second' })
    await sleep(impatience)
    expect(await other.workspaceStore.listUserWorkspaces(userId)).toMatchObject([{ name: 'Second' }])
    // One line of an outage, and how many there were.
    expect(lines.filter((line) => line.includes('did not answer in time'))).toHaveLength(1)
    await Promise.all([provider.close(), other.close()])
    expect(lines).toContain(
      '[or3-provider-sqlite] in the last minute 30 more calls failed for the same or a like reason',
    )
  })
})

describe('a server that is killed', () => {
  it('is missed with 503, and found again when it is back', async () => {
    const provider = open()
    judge(await session(provider))
    await turso.kill()
    const began = performance.now()
    const at = scope(`w${++workspaces}`)
    expect(await statusOf(provider.syncGateway.push(nobody, { ...at, ops: [put()] }))).toBe(503)
    expect(await statusOf(provider.syncGateway.pull(nobody, { ...at, cursor: 0, limit: 1 }))).toBe(503)
    expect(performance.now() - began).toBeLessThan(patience)
    await turso.restart()
    judge(await session(provider))
    await provider.close()
  })

  it('loses nothing of what it had acknowledged', async () => {
    const provider = open()
    const at = scope(`w${++workspaces}`)
    const account: Account = { longest: 0, failed: 0 }
    const pushing = (async () => {
      for (let n = 0; n < 40; n++) {
        const ops = [put({ id: `kill-${n}`, pk: `m${n}` })]
        await persistently(account, () => provider.syncGateway.push(nobody, { ...at, ops }))
      }
    })()
    await sleep(100)
    await turso.restart()
    await pushing
    const { changes } = await provider.syncGateway.pull(nobody, { ...at, cursor: 0, limit: 100 })
    expect(changes.map(({ serverVersion }) => serverVersion)).toEqual(
      Array.from({ length: 40 }, (_, n) => n + 1),
    )
    expect(new Set(changes.map(({ stamp }) => stamp.opId)).size).toBe(40)
    await provider.close()
  })
})

describe('a start', () => {
  it('fails at any of its requests and succeeds later', { timeout: 60_000 }, async () => {
    for (const fault of tried) {
      for (let request = 1; ; request++) {
        const fresh = await startTurso()
        fresh.proxy.fail(request, fault)
        const provider = open({ OR3_SQLITE_TURSO_URL: fresh.url, ...forFault(fault) })
        const account: Account = { longest: 0, failed: 0 }
        const identity = { provider: 'p', providerUserId: 'u' }
        await persistently(account, () => provider.workspaceStore.getOrCreateUser(identity))
        const { count } = fresh.proxy
        await provider.ready
        await provider.close()
        await fresh.stop()
        if (request >= count) break
      }
    }
  })

  it('waits for a database that is not there yet, and says so once', async () => {
    const fresh = await startTurso()
    await fresh.kill()
    const provider = open({ OR3_SQLITE_TURSO_URL: fresh.url })
    const call = () => provider.workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
    expect(await statusOf(call())).toBe(503)
    expect(await statusOf(call())).toBe(503)
    await fresh.restart()
    await provider.ready
    expect(await statusOf(call())).toBe(200)
    expect(lines.filter((line) => line.includes('trying again'))).toEqual([
      `[or3-provider-sqlite] start: the database cannot be reached: other side closed (${fresh.url}): check OR3_SQLITE_TURSO_URL and the network; trying again`,
    ])
    expect(lines).toContain(`[or3-provider-sqlite] ${fresh.url} is open`)
    await provider.close()
    await fresh.stop()
  })

  it('is over when it is closed, whatever it waits for', async () => {
    turso.proxy.fail(() => true, { answer: 'never', executed: false })
    const provider = open({ OR3_SQLITE_TURSO_TIMEOUT: '30 seconds' })
    const call = statusOf(provider.workspaceStore.listUserWorkspaces('u'))
    await sleep(50)
    await provider.close()
    expect(await call).toBe(503)
    await expect(provider.ready).rejects.toThrow('closed before it was open')
  })

  it('ends for good when the token is refused, which nothing prints', async () => {
    turso.proxy.token = 'right-token'
    const refused = open({ OR3_SQLITE_TURSO_AUTH_TOKEN: 'wrong-token' })
    await expect(refused.ready).rejects.toThrow(ProviderStartupError)
    await expect(refused.ready).rejects.toThrow(`(${turso.url}): check OR3_SQLITE_TURSO_AUTH_TOKEN`)
    expect(await statusOf(refused.workspaceStore.listUserWorkspaces('u'))).toBe(503)
    await refused.close()
    expect(lines.join()).not.toMatch(/wrong-token|right-token/)

    const provider = open({ OR3_SQLITE_TURSO_AUTH_TOKEN: 'right-token' })
    await provider.ready
    await provider.close()
  })
})

describe('two servers on one database', () => {
  const both = async <A>(body: (one: Provider, other: Provider) => Promise<A>): Promise<A> => {
    const [one, other] = [open(), open()]
    try {
      return await body(one, other)
    } finally {
      await Promise.all([one.close(), other.close()])
    }
  }
  const times = <A>(count: number, one: (index: number) => Promise<A>) =>
    Promise.all(Array.from({ length: count }, (_, index) => one(index)))

  it('make one user of one identity, and one default workspace', () =>
    both(async (one, other) => {
      const identity = { provider: 'p', providerUserId: `raced-${++workspaces}` }
      const users = await times(8, (n) => (n % 2 ? one : other).workspaceStore.getOrCreateUser(identity))
      expect(new Set(users.map(({ userId }) => userId)).size).toBe(1)
      const { userId } = users[0]!
      const defaults = await times(8, (n) =>
        (n % 2 ? one : other).workspaceStore.getOrCreateDefaultWorkspace(userId),
      )
      expect(new Set(defaults.map(({ workspaceId }) => workspaceId)).size).toBe(1)
      expect(defaults.filter(({ created }) => created)).toHaveLength(1)
    }))

  it('give the last bytes of a quota once', () =>
    both(async (one, other) => {
      const workspaceId = `w${++workspaces}`
      const statuses = await times(6, (n) =>
        statusOf(
          (n % 2 ? one : other).syncGateway.reserveUploadIntent(nobody, {
            workspaceId,
            intentId: `intent-${n}`,
            hash: `hash-${n}`,
            mimeType: 'text/plain',
            sizeBytes: 60,
            expiresAt: 4_000_000_000,
            workspaceQuotaBytes: 100,
          } as never),
        ),
      )
      expect(statuses.sort()).toEqual([200, 413, 413, 413, 413, 413])
    }))

  it('take a push that reaches both once', () =>
    both(async (one, other) => {
      const at = scope(`w${++workspaces}`)
      const ops = [put({ pk: 'a' }), put({ pk: 'b' })]
      const answers = await times(6, (n) => (n % 2 ? one : other).syncGateway.push(nobody, { ...at, ops }))
      expect(
        answers.filter(({ results }) => results.every(({ replayed }) => replayed !== true)),
      ).toHaveLength(1)
      for (const { results } of answers)
        expect(results.map(({ serverVersion }) => serverVersion)).toEqual([1, 2])
    }))

  it('tell followers of either what the other took', () =>
    both(async (one) => {
      const workspaceId = `w${++workspaces}`
      const following = Effect.flatMap(SyncGateway, (gateway) =>
        gateway.changes(workspaceId, 0).pipe(Stream.take(3), Stream.runCollect),
      ).pipe(
        Effect.provide(
          layerWithConfig.pipe(
            Layer.provide(ProviderConfigLayer.layerOf({ driver: 'turso', dbPath: turso.url })),
            Layer.provide(Logger.remove(Logger.defaultLogger)),
          ),
        ),
        Effect.runPromise,
      )
      for (let n = 1; n <= 3; n++) {
        await sleep(100)
        await one.syncGateway.push(nobody, { ...scope(workspaceId), ops: [put({ pk: `m${n}` })] })
      }
      expect([...(await following)].map(({ serverVersion }) => serverVersion)).toEqual([1, 2, 3])
    }))
})

describe('closing', () => {
  it('waits for calls that are running', async () => {
    const provider = open()
    await provider.ready
    turso.proxy.latency = 200
    const events: Array<string> = []
    const at = scope(`w${++workspaces}`)
    const pushing = provider.syncGateway
      .push(nobody, { ...at, ops: [put()] })
      .then(() => events.push('pushed'))
    await provider.close()
    events.push('closed')
    await pushing
    expect(events).toEqual(['pushed', 'closed'])
    expect(await statusOf(provider.syncGateway.pull(nobody, { ...at, cursor: 0, limit: 1 }))).toBe(503)
  })
})
