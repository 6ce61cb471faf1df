/**
 * Issue 17, point 1: the host of mid-2026 as a Worker on D1, built by Nitro's preset from the packed package, in Cloudflare's own
 * runtime, over HTTP.
 */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { builtinModules } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { D1Binding } from '../../src/layers/batch/d1.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { builtWorker } from '../support/builtHost.js'
import { type Device, type Method, request, signIn } from '../support/httpDevice.js'
import { startWorker, type WorkerServer } from '../support/workerServer.js'
import { SyncingDevice } from '../support/syncingDevice.js'

let running: Array<WorkerServer> = []

beforeAll(() => builtWorker())
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()))
  running = []
})

const start = async (options?: Parameters<typeof startWorker>[0]) => {
  const server = await startWorker(options)
  running.push(server)
  return { ...server, url: server.urls[0]! }
}

const ok = async <A>(device: Device, method: Method, path: string, body?: unknown): Promise<A> => {
  const answer = await device.call<A>(method, path, body)
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBe(200)
  return answer.body
}

const rowsOf = async (database: D1Binding, sql: string) => {
  const [answer] = await database.batch([database.prepare(sql)])
  return answer!.results as ReadonlyArray<Record<string, any>>
}

/** A host's own program beside it, on the same database. */
const withProvider = async <A>(
  database: D1Binding,
  use: (provider: ReturnType<typeof openProvider>) => Promise<A>,
) => {
  const provider = openProvider({ env: {}, d1: database })
  try {
    return await use(provider)
  } finally {
    await provider.close()
  }
}

describe('the bundle of a Worker', () => {
  it('has no driver of another engine, and of Node only what the runtime has', async () => {
    const { folder } = await builtWorker()
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.mjs'),
    )
    const sources = files.map((file) => readFileSync(join(folder, file)))
    const all = Buffer.concat(sources)
    const size = `${Math.round(all.length / 1_000)} kB, ${Math.round(gzipSync(all).length / 1_000)} kB compressed`
    console.info(`the Worker's bundle is ${size}`)
    const text = all.toString()
    const imported = [...text.matchAll(/\bfrom\s*["']([^."'][^"']*)["']|\bimport\s*["']([^."'][^"']*)["']/g)]
    const names = [...new Set(imported.map(([, name, bare]) => name ?? bare!))]
    expect(names).toContain('node:crypto')
    for (const name of names) {
      expect(name === 'cloudflare:workers' || builtinModules.includes(name.replace(/^node:/, '')), name).toBe(
        true,
      )
    }
    for (const name of ['node:fs', 'node:child_process', 'node:worker_threads', 'node:sqlite']) {
      expect(names).not.toContain(name)
    }
    // What each driver's code would bring along.
    for (const trace of ['better_sqlite3.node', 'HRANA_PROTO_ERROR']) {
      expect(text.includes(trace), trace).toBe(false)
    }
    expect(all.length).toBeLessThan(2_000_000)
  })
})

describe('a Worker on D1', () => {
  it('keeps devices equal, a fresh one too, with collections by the cron trigger in between', async () => {
    const { url, database, schedule, said } = await start({ env: { OR3_SQLITE_GC_RETENTION: '1 hour' } })
    const laptop = await SyncingDevice.signIn(url, 'ada', 'laptop')
    const phone = await SyncingDevice.signIn(url, 'ada', 'phone')
    for (let number = 0; number < 30; number++) laptop.put('messages', `m${number}`)
    laptop.put('threads', 't1', { title: 'From the laptop' })
    await laptop.synchronise()
    await phone.synchronise()
    phone.remove('messages', 'm3')
    phone.put('threads', 't1', { title: 'From the phone' })
    phone.put('notifications', 'n1')
    await phone.synchronise()
    await laptop.synchronise()
    expect(laptop.live()).toEqual(phone.live())

    await rowsOf(database, 'UPDATE change_log SET created_at = created_at - 7200')
    await rowsOf(database, 'UPDATE tombstones SET deleted_at = deleted_at - 7200')
    const [before] = await rowsOf(database, 'SELECT count(*) AS n FROM change_log')
    await schedule()
    const [after] = await rowsOf(database, 'SELECT count(*) AS n FROM change_log')
    expect(before!.n).toBe(34)
    expect(after!.n).toBeLessThan(5)

    laptop.put('messages', 'm1', { text: 'later' })
    await laptop.synchronise()
    const tablet = await SyncingDevice.signIn(url, 'ada', 'tablet')
    const pages = await tablet.bootstrap(7)
    expect(pages.length).toBeGreaterThan(3)
    await phone.synchronise()
    expect(tablet.live()).toEqual(laptop.live())
    expect(phone.live()).toEqual(laptop.live())
    expect(Object.keys(tablet.live())).toHaveLength(31)
    expect(said()).toContain('applied 001_init')
    expect(said()).toContain('upkeep of 1 workspaces')
  })

  it('opens an empty database in two isolates at once, whose first requests come together', async () => {
    const { urls, database, said } = await start({ isolates: 2 })
    const names = Array.from({ length: 8 }, (_, number) => `user${number}`)
    const devices = await Promise.all(
      names.map((name, number) => SyncingDevice.signIn(urls[number % 2]!, name, `of ${name}`)),
    )
    expect(new Set(devices.map(({ scope }) => scope.workspaceId)).size).toBe(8)
    expect(await rowsOf(database, 'SELECT count(*) AS n FROM users')).toEqual([{ n: 8 }])
    expect(said().match(/applied 001_init/g)).toHaveLength(1)

    const both = await Promise.all(urls.map((url, number) => SyncingDevice.signIn(url, 'ada', `d${number}`)))
    expect(both[0]!.scope).toEqual(both[1]!.scope)
    await Promise.all(
      both.map(async (device) => {
        for (let round = 0; round < 6; round++) {
          for (let number = 0; number < 5; number++) device.put('messages', `m${number}`, { round })
          await device.synchronise()
        }
      }),
    )
    for (const device of [...both, ...both]) await device.synchronise()
    expect(both[0]!.live()).toEqual(both[1]!.live())
    const versions = await rowsOf(
      database,
      `SELECT server_version AS v FROM change_log WHERE workspace_id = '${both[0]!.scope.workspaceId}' ORDER BY 1`,
    )
    expect(versions.map(({ v }) => v)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1))
  })

  it('is not stopped by callers that leave, not even by those that came first', async () => {
    const { url, said } = await start()
    const leaving = Array.from({ length: 10 }, async () => {
      const controller = new AbortController()
      const answer = request(`${url}/api/auth/session`, 'GET', undefined, 'or3_dev_user=eve')
      const gone = fetch(`${url}/api/auth/session`, {
        headers: { cookie: 'or3_dev_user=eve' },
        signal: controller.signal,
      }).catch(() => undefined)
      setTimeout(() => controller.abort(), 5)
      await gone
      return (await answer).status
    })
    const statuses = new Set(await Promise.all(leaving))
    expect(statuses, said()).toEqual(new Set([200]))
    const laptop = await SyncingDevice.signIn(url, 'ada', 'laptop')
    laptop.put('messages', 'm1')
    await laptop.synchronise()
  })

  it('takes and gives what is allowed at most', async () => {
    const { url } = await start()
    const laptop = await SyncingDevice.signIn(url, 'ada', 'laptop')
    const key = 'ä'.repeat(1_024)
    laptop.put('kv', key, { name: key })
    for (let number = 1; number < 100; number++) {
      laptop.put('messages', `m${number}`, { text: 'x'.repeat(20_000) })
    }
    await laptop.push()
    for (let number = 0; number < 28; number++) {
      laptop.put('posts', `p${number}`, { content: 'y'.repeat(255_000) })
      // A request has 2 MiB at most.
      if (number % 7 === 6) await laptop.push()
    }
    await laptop.push()
    const phone = await SyncingDevice.signIn(url, 'ada', 'phone')
    await phone.pull({ limit: 1_000 })
    const tablet = await SyncingDevice.signIn(url, 'ada', 'tablet')
    await tablet.bootstrap(500)
    expect(phone.live()).toEqual(laptop.live())
    expect(tablet.live()).toEqual(laptop.live())
  })

  it('has invites and the administration', async () => {
    const { url, database } = await start({ env: { NUXT_AUTH_REGISTRATION_MODE: 'invite_only' } })
    await withProvider(database, ({ workspaceStore }) =>
      workspaceStore.getOrCreateUser({
        provider: 'dev',
        providerUserId: 'ada',
        email: 'ada@example.org',
      } as never),
    )
    const ada = await signIn(url, 'ada')
    const { workspace, user } = ada.session
    const invite = await ok<{ token: string }>(ada, 'POST', '/api/invites', {
      email: 'bob@example.org',
      role: 'editor',
    })
    const { cookie } = await request(`${url}/api/dev/sign-in`, 'POST', { name: 'bob' })
    expect((await request(`${url}/api/auth/session`, 'GET', undefined, cookie)).status).toBe(403)
    const body = { workspaceId: workspace.id, token: invite.token }
    const accept = () => request(`${url}/api/auth/accept-invite`, 'POST', body, cookie)
    const accepted = await Promise.all([accept(), accept()])
    expect(accepted.map(({ status }) => status).sort()).toEqual([200, 403])
    const bob = await signIn(url, 'bob')
    expect(bob.session).toMatchObject({ workspace: { id: workspace.id }, role: 'editor' })

    await withProvider(database, ({ adminStores }) =>
      adminStores.createAdminUserStore().grantAdmin({ userId: user.id }),
    )
    const members = `/api/admin/workspaces/${workspace.id}/members`
    expect((await ok<{ members: Array<unknown> }>(ada, 'GET', members)).members).toHaveLength(2)
    await ok(ada, 'DELETE', `${members}/${bob.session.user.id}`)
    expect((await bob.pull()).status).toBe(403)
  })

  it('has background jobs, with their limits', async () => {
    const { url } = await start({
      env: {
        NUXT_BACKGROUND_JOBS_ENABLED: 'true',
        NUXT_BACKGROUND_JOBS_STORAGE_PROVIDER: 'sqlite',
        NUXT_BACKGROUND_JOBS_MAX_CONCURRENT_JOBS_PER_USER: '2',
      },
    })
    const ada = await signIn(url, 'ada')
    const job = { threadId: 't1', messageId: 'm1', chunks: 5 }
    const { id } = await ok<{ id: string }>(ada, 'POST', '/api/jobs', job)
    await ok(ada, 'POST', '/api/jobs', job)
    expect((await ada.call('POST', '/api/jobs', job)).status).toBe(429)
    expect(await ok(ada, 'POST', `/api/jobs/${id}/abort`)).toEqual({ aborted: true })
    expect(await ok(ada, 'GET', `/api/jobs/${id}`)).toMatchObject({ status: 'aborted' })
  })

  it('tells hooks after the answer, so that webhooks have their deliveries', async () => {
    const receiver = createServer((_, answer) => answer.end('seen')).listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    try {
      const { url } = await start()
      const laptop = await SyncingDevice.signIn(url, 'ada', 'laptop')
      const { port } = receiver.address() as AddressInfo
      const hook = { url: `http://127.0.0.1:${port}/hook`, events: ['db.messages.create:action:after'] }
      const { id } = await ok<{ id: string }>(laptop.http, 'POST', '/api/webhooks', hook)
      for (const pk of ['m1', 'm2', 'm3']) laptop.put('messages', pk)
      await laptop.push()
      const deliveries = () =>
        ok<{ deliveries: ReadonlyArray<unknown> }>(laptop.http, 'GET', `/api/webhooks/${id}/deliveries`)
      await expect.poll(async () => (await deliveries()).deliveries, { timeout: 10_000 }).toHaveLength(3)
    } finally {
      receiver.close()
    }
  })

  it('counts a rate limit over all isolates, exactly', async () => {
    const { urls } = await start({
      isolates: 2,
      env: { NUXT_RATE_LIMIT_MAX_REQUESTS: '20', NUXT_RATE_LIMIT_WINDOW_MS: '600000' },
    })
    const devices = [await signIn(urls[0]!, 'ada'), await signIn(urls[1]!, 'ada')]
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, number) => (await devices[number % 2]!.pull()).status),
    )
    expect(statuses.filter((status) => status === 200)).toHaveLength(20)
    expect(statuses.filter((status) => status === 429)).toHaveLength(20)
  })

  it('does not start with wrong settings, and answers 503 without its binding', async () => {
    await expect(start({ env: { OR3_SQLITE_DB_PATH: '/data/or3.db' } })).rejects.toThrow()
    const { url, said } = await start({ env: { OR3_SQLITE_D1_BINDING: 'OTHER' } })
    const { status } = await request(`${url}/api/auth/session`, 'GET', undefined, 'or3_dev_user=ada')
    expect(status).toBe(503)
    expect(said()).toContain('the Worker has no D1 database bound to OTHER')
    expect((await fetch(`${url}/api/health`)).status).toBe(503)
    expect((await fetch(`${(await start()).url}/api/health`)).status).toBe(200)
  })
})
