/**
 * Issue 2, point 5: when the Nitro plugin registers, what it registers, and how a boot that cannot be ends.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@effect/vitest'
import { vi } from 'vitest'
import type { NitroApp } from 'nitropack'
import { providerId, unopenedProvider } from '../../src/nuxt/adapters.js'
import plugin from '../../src/nuxt/plugin.js'
import { host, resetHost } from '../support/host.js'
import { put, scope } from '../support/ops.js'
import { buildForProcesses } from '../support/processes.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `plugin-${++files}.db`)

/** Runs the plugin as Nitro does: synchronously, without looking at what it returns. */
const runPlugin = () => {
  const closeHooks: Array<() => unknown> = []
  const hook = (name: string, callback: () => unknown) => {
    expect(name).toBe('close')
    closeHooks.push(callback)
  }
  plugin({ hooks: { hook } } as unknown as NitroApp)
  return { close: () => Promise.all(closeHooks.map((callback) => callback())), closeHooks }
}

const selected = { auth: { enabled: true }, sync: { enabled: true, provider: 'sqlite' } }

let file: string

beforeEach(() => {
  file = newFile()
  vi.stubEnv('OR3_SQLITE_DB_PATH', file)
  vi.spyOn(console, 'log').mockImplementation(() => {})
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe('the plugin does nothing', () => {
  it.each([
    ['auth is off', { ...selected, auth: { enabled: false } }],
    ['auth is not configured', {}],
    ['auth has no flag', { ...selected, auth: {} }],
    ['another sync provider is selected', { ...selected, public: { sync: { provider: 'convex' } } }],
    [
      'another sync provider is selected in the private part',
      { ...selected, sync: { enabled: true, provider: 'convex' } },
    ],
    [
      'background jobs are configured for it, but off',
      {
        ...selected,
        sync: { enabled: true, provider: 'convex' },
        backgroundJobs: { enabled: false, storageProvider: 'sqlite' },
      },
    ],
  ])('when %s', (_when, config) => {
    resetHost(config)
    const { closeHooks } = runPlugin()
    expect(host.stores).toEqual([])
    expect(host.gateways).toEqual([])
    expect([host.webhooks, host.limits, host.jobs, host.adminStores, host.adminAdapters].flat()).toEqual([])
    expect(closeHooks).toEqual([])
    expect(existsSync(file)).toBe(false)
  })

  it('when auth is off, not even to complain about settings', () => {
    vi.stubEnv('OR3_SQLITE_DB_PATH', '')
    vi.stubEnv('VITEST', '')
    vi.stubEnv('NODE_ENV', 'production')
    resetHost({ auth: { enabled: false } })
    expect(() => runPlugin()).not.toThrow()
  })
})

describe('the plugin registers', () => {
  it.each([
    ['selected by the public part', { ...selected, public: { sync: { provider: 'sqlite' } } }],
    ['selected by the private part', selected],
    [
      'the public part decides',
      { ...selected, sync: { provider: 'convex' }, public: { sync: { provider: 'sqlite' } } },
    ],
    ['no provider is named', { auth: { enabled: true } }],
    [
      'both parts say the same, as in later hosts',
      { ...selected, public: { sync: { provider: 'sqlite' } }, backgroundJobs: { enabled: false } },
    ],
  ])('both parts, synchronously, with id sqlite and order 100: %s', async (_when, config) => {
    resetHost(config)
    const { close } = runPlugin()
    // No await above: the first request may come right after Nitro has called its plugins.
    const registration = { id: 'sqlite', order: 100, create: expect.any(Function) as () => never }
    expect(host.stores).toEqual([registration])
    expect(host.gateways).toEqual([registration])
    expect(host.webhooks).toEqual([registration])
    expect(host.limits).toMatchObject([['sqlite', { name: 'sqlite' }]])
    expect(host.jobs).toMatchObject([['sqlite', { name: 'sqlite' }]])
    expect(host.adminStores).toMatchObject([{ id: 'sqlite' }])
    expect(host.adminAdapters).toMatchObject([{ id: 'sqlite', kind: 'sync' }])
    expect(existsSync(file)).toBe(true)
    await close()
  })

  it.each([
    ['sync is off', { ...selected, sync: { enabled: false, provider: 'sqlite' } }],
    [
      'sync is off, says the public part too',
      { ...selected, sync: { enabled: false }, public: { sync: { provider: 'sqlite' } } },
    ],
    [
      'only background jobs are selected',
      {
        auth: { enabled: true },
        sync: { enabled: true, provider: 'convex' },
        backgroundJobs: { enabled: true, storageProvider: 'sqlite' },
      },
    ],
  ])('all but the gateway when %s', async (_when, config) => {
    resetHost(config)
    const { close } = runPlugin()
    expect(host.stores).toEqual([{ id: 'sqlite', order: 100, create: expect.any(Function) }])
    expect(host.gateways).toEqual([])
    expect([host.webhooks, host.limits, host.jobs, host.adminStores, host.adminAdapters].flat()).toHaveLength(
      5,
    )
    const store = host.stores[0]!.create()
    expect(await store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })).toEqual({
      userId: expect.any(String) as string,
    })
    await close()
  })

  it('jobs with the limits of the host, as they are at each call', async () => {
    resetHost(selected)
    const { close } = runPlugin()
    const [, jobs] = host.jobs[0]!
    const job = { userId: 'u', threadId: 't', messageId: 'm', model: 'x' }
    host.jobConfig = { maxConcurrentJobsPerUser: 1 }
    await jobs.createJob(job)
    await expect(jobs.createJob(job)).rejects.toMatchObject({ statusCode: 429 })
    host.jobConfig = { maxConcurrentJobsPerUser: 2 }
    await jobs.createJob(job)
    await close()
  })

  it("the host's hooks as listeners to what is pushed", async () => {
    resetHost(selected)
    const { close } = runPlugin()
    await host.gateways[0]!.create().push({}, { ...scope(), ops: [put({ table: 'threads', pk: 't1' })] })
    await close()
    expect(host.hooks).toEqual(['db.threads.create:action:after'])
  })

  it('a `create` that hands out one object, however often it is called', async () => {
    resetHost(selected)
    const { close } = runPlugin()
    const [store, gateway] = [host.stores[0]!, host.gateways[0]!]
    expect(store.create()).toBe(store.create())
    expect(gateway.create()).toBe(gateway.create())
    expect(gateway.create().id).toBe('sqlite')
    await close()
  })

  it('what works: a session is resolved, an op is pushed and pulled', async () => {
    resetHost(selected)
    const { close } = runPlugin()
    const store = host.stores[0]!.create()
    const gateway = host.gateways[0]!.create()
    const { userId } = await store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
    const { workspaceId } = await store.getOrCreateDefaultWorkspace(userId)
    expect(await store.getWorkspaceRole({ userId, workspaceId })).toBe('owner')
    const op = put()
    const { results } = await gateway.push({}, { ...scope(workspaceId), ops: [op] })
    expect(results).toEqual([
      { opId: op.stamp.opId, success: true, serverVersion: 1, applied: true, wasExisting: false },
    ])
    const { changes } = await gateway.pull({}, { ...scope(workspaceId), cursor: 0 })
    expect(changes.map(({ stamp }) => stamp)).toEqual([op.stamp])
    await close()
  })
})

describe('the close hook', () => {
  it('closes the database: no -wal file is left, and later calls get 503', async () => {
    resetHost(selected)
    const { close } = runPlugin()
    const store = host.stores[0]!.create()
    await store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
    expect(existsSync(`${file}-wal`)).toBe(true)
    await close()
    for (const suffix of ['-wal', '-shm', '-journal']) expect(existsSync(file + suffix)).toBe(false)
    await expect(store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })).rejects.toMatchObject({
      statusCode: 503,
    })
  })
})

describe('a boot failure', () => {
  class Exited extends Error {}

  const boot = () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => {
      throw new Exited()
    })
    const error = vi.spyOn(console, 'error').mockImplementation(() => {})
    expect(() => runPlugin()).toThrow(Exited)
    expect(exit.mock.calls).toEqual([[1]])
    expect(host.stores).toEqual([])
    expect(host.gateways).toEqual([])
    return error.mock.calls.map(([line]) => line as unknown)
  }

  const failures: ReadonlyArray<readonly [string, () => void, RegExp]> = [
    [
      'a bad setting',
      () => vi.stubEnv('OR3_SQLITE_PRAGMA_SYNCHRONOUS', 'never'),
      /OR3_SQLITE_PRAGMA_SYNCHRONOUS.*OFF, NORMAL/,
    ],
    ['a path that is a folder', () => vi.stubEnv('OR3_SQLITE_DB_PATH', folder), /OR3_SQLITE_DB_PATH/],
    [
      'a file that is no database',
      () => writeFileSync(file, 'text '.repeat(1_000)),
      /plugin-\d+\.db.*not an SQLite database/,
    ],
  ]

  it.each(failures)('by %s is one line without a stack, and exit code 1', (_what, arrange, expected) => {
    vi.stubEnv('DEBUG', '')
    resetHost(selected)
    arrange()
    const lines = boot()
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^\[or3-provider-sqlite\] [^\n]+$/)
    expect(lines[0]).toMatch(expected)
  })

  it('has the stack as well when DEBUG asks for it', () => {
    vi.stubEnv('DEBUG', '1')
    vi.stubEnv('OR3_SQLITE_STRICT', 'very')
    resetHost(selected)
    const lines = boot()
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/^\[or3-provider-sqlite\] OR3_SQLITE_STRICT/)
    expect(lines[1]).toBeInstanceOf(Error)
    expect((lines[1] as Error).stack).toContain('openProvider')
  })
})

describe('while a host prerenders', () => {
  it('the provider that is registered refuses every call with 503 and is no promise', async () => {
    const unopened = unopenedProvider()
    const { syncGateway, workspaceStore } = unopened
    expect(syncGateway.id).toBe(providerId)
    expect(syncGateway.capabilities.snapshotBootstrap).toBe('snapshot-v1')
    expect((syncGateway as unknown as { then?: unknown }).then).toBeUndefined()
    expect(await Promise.resolve(workspaceStore)).toBe(workspaceStore)
    const calls = [
      workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'u' }),
      workspaceStore.getWorkspaceRole({ userId: 'u', workspaceId: 'w' }),
      syncGateway.pull({}, { ...scope(), cursor: 0 }),
      syncGateway.push({}, { ...scope(), ops: [] }),
      syncGateway.snapshot({}, { ...scope(), pageSize: 1 }),
      syncGateway.gcChangeLog({}, { ...scope(), retentionSeconds: 1 }),
      unopened.rateLimitProvider.checkAndRecord('k', { windowMs: 1, maxRequests: 1 }),
      unopened.backgroundJobProvider.getActiveJobCount(),
      unopened.webhookStore.listActiveCustomHookNames(),
      unopened.adminStores.createAdminUserStore().listAdmins(),
      unopened.adminStores.createWorkspaceAccessStore().listWorkspaces({ page: 1, perPage: 1 }),
      unopened.adminStores.createWorkspaceSettingsStore().get('w', 'k'),
      unopened.adminAdapter.getStatus(),
    ]
    expect(unopened.backgroundJobProvider.getAbortController('j')).toBeUndefined()
    expect(Object.values(unopened.adminStores.getCapabilities())).not.toContain(false)
    const refusal = { statusCode: 503, message: 'the database is not open while the host prerenders' }
    for (const call of calls) await expect(call).rejects.toMatchObject(refusal)
  })
})

describe('as a process of its own', () => {
  const built = buildForProcesses()
  const builtForPrerender = buildForProcesses({ prerender: true })
  afterAll(() => {
    built.remove()
    builtForPrerender.remove()
  })

  const HOST_CONFIG = JSON.stringify(selected)

  const script = `
    import plugin from './src/nuxt/plugin.js'
    import { host } from './host.js'
    const hooks = []
    plugin({ hooks: { hook: (name, callback) => hooks.push(callback) } })
    console.log('registered', host.stores[0]?.id, host.gateways[0]?.id)
    for (const callback of hooks) await callback()
    console.log('closed')`

  it('starts without anything that marks a test, and ends by itself once closed', async () => {
    const path = newFile()
    const { code, stdout, stderr } = await built.run(script, { HOST_CONFIG, OR3_SQLITE_DB_PATH: path })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe('registered sqlite sqlite\nclosed\n')
    expect(existsSync(path)).toBe(true)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  it('ends by itself in a program that forgot to close, though upkeep is on its schedule', async () => {
    const forgetful = `
      import { openProvider } from './src/nuxt/adapters.js'
      openProvider()
      console.log('opened')`
    const child = built.start(forgetful, { OR3_SQLITE_DB_PATH: newFile() })
    const { code, stdout, stderr } = await child.outcome
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('opened')
  })

  it('ends with exit code 1 and one line when the boot fails', async () => {
    expect(await built.run(script, { HOST_CONFIG })).toEqual({
      code: 1,
      signal: null,
      news: [],
      stdout: '',
      stderr:
        '[or3-provider-sqlite] OR3_SQLITE_DB_PATH is not set: give it the path of the database file, such as /data/or3-sync.db\n',
    })
  })

  it('registers while prerendering, but opens nothing and needs no settings', async () => {
    const path = newFile()
    for (const env of [{ HOST_CONFIG, OR3_SQLITE_DB_PATH: path }, { HOST_CONFIG }]) {
      expect(await builtForPrerender.run(script, env)).toEqual({
        code: 0,
        signal: null,
        stdout: 'registered sqlite sqlite\nclosed\n',
        stderr: '',
        news: [],
      })
    }
    expect(existsSync(path)).toBe(false)
  })

  it('is asked about prerendering by the name that Nitro replaces', () => {
    const source = readFileSync(new URL('../../src/nuxt/plugin.ts', import.meta.url), 'utf8')
    expect(source.match(/import\.meta\.prerender/g)).toHaveLength(1)
  })
})
