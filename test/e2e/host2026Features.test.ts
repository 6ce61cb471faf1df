/**
 * What today's host has besides sync, over HTTP against the packed package: invites, administration, background jobs, webhooks and
 * rate limits, with processes that are killed and processes that share a file.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import type { HostJob } from '../../src/nuxt/hostJobs.js'
import type { HostDelivery, HostWebhook } from '../../src/nuxt/hostWebhooks.js'
import { builtHost } from '../support/builtHost.js'
import { historyOf, passTwoHours } from '../support/hostDatabase.js'
import { type Device, type Method, request, signIn } from '../support/httpDevice.js'
import type { Env } from '../support/run.js'
import { hostProgram, killServers, runServer, type Server, startServer } from '../support/server.js'
import { SyncingDevice } from '../support/syncingDevice.js'

let folder: string
let files = 0

beforeAll(async () => {
  await builtHost('later')
  folder = mkdtempSync(join(tmpdir(), 'or3-e2e-features-'))
})

afterEach(killServers)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const newFile = () => join(folder, `features-${++files}.db`)
const start = (database: string, env: Env = {}) =>
  startServer({ OR3_SQLITE_DB_PATH: database, ...env }, 'later')

/** Waiting is for processes that share two cores with others. */
const patient = { timeout: 20_000, interval: 20 }

/** What a request must be answered. */
const ok = async <A>(device: Device, method: Method, path: string, body?: unknown): Promise<A> => {
  const answer = await device.call<A>(method, path, body)
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBe(200)
  return answer.body
}

const statusOf = async (device: Device, method: Method, path: string, body?: unknown) =>
  (await device.call(method, path, body)).status

/** Signs in as somebody who may be unknown. */
const cookieOf = async ({ url }: Server, name: string) =>
  (await request(`${url}/api/dev/sign-in`, 'POST', { name })).cookie

/** The first administrator, whom nobody on the pages can make. */
const makeAdmin = async (database: string, { session }: Device) => {
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  try {
    await provider.adminStores.createAdminUserStore().grantAdmin({ userId: session.user.id })
  } finally {
    await provider.close()
  }
}

describe('the start of the host', () => {
  it('finds everything registered, and would miss each of it', async () => {
    const jobs = { NUXT_BACKGROUND_JOBS_ENABLED: 'true', NUXT_BACKGROUND_JOBS_STORAGE_PROVIDER: 'sqlite' }
    const server = await start(newFile(), jobs)
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })

    const other = { NUXT_SYNC_PROVIDER: 'other', NUXT_BACKGROUND_JOBS_STORAGE_PROVIDER: 'other' }
    const { code, stderr } = await runServer({ ...jobs, ...other }, 'later')
    expect(code).toBe(1)
    for (const what of [
      'workspace store',
      'sync gateway',
      'rate limit provider',
      'webhook store',
      'admin store',
      'admin adapter',
      'background job provider',
    ]) {
      expect(stderr).toContain(`no ${what} named other is registered`)
    }
  })
})

describe('invites', () => {
  interface Invited {
    readonly inviteId: string
    readonly token: string
  }

  const invite = (owner: Device, name: string, role = 'editor') =>
    ok<Invited>(owner, 'POST', '/api/invites', { email: ` ${name.toUpperCase()}@Example.org `, role })

  const statuses = async (owner: Device) => {
    const { invites } = await ok<{ invites: ReadonlyArray<{ id: string; email: string; status: string }> }>(
      owner,
      'GET',
      '/api/invites',
    )
    return Object.fromEntries(invites.map(({ id, status }) => [id, status]))
  }

  it('are the only way in, once each, and out leads the administration', async () => {
    const database = newFile()
    const open = await start(database)
    await signIn(open.url, 'ada')
    await open.stop()

    const server = await start(database, { NUXT_AUTH_REGISTRATION_MODE: 'invite_only' })
    const laptop = await SyncingDevice.signIn(server.url, 'ada', 'laptop')
    const ada = laptop.http
    const { workspaceId } = laptop.scope
    for (let number = 0; number < 5; number++) laptop.put('messages', `m${number}`)
    await laptop.push()

    const bob = await cookieOf(server, 'bob')
    const session = () =>
      request<{ session?: unknown }>(`${server.url}/api/auth/session`, 'GET', undefined, bob)
    const accept = (token: string, cookie = bob) =>
      request(`${server.url}/api/auth/accept-invite`, 'POST', { workspaceId, token }, cookie)
    expect((await session()).status).toBe(403)

    const good = await invite(ada, 'bob')
    const revoked = await invite(ada, 'bob')
    const forEve = await invite(ada, 'eve')
    await ok(ada, 'POST', `/api/invites/${revoked.inviteId}/revoke`)
    const validate = (token: string) =>
      ok(ada, 'POST', '/api/invites/validate', { workspaceId, email: 'bob@example.org', token })
    expect(await validate(good.token)).toEqual({ ok: true, role: 'editor' })
    expect(await validate(revoked.token)).toEqual({ ok: false, reason: 'revoked' })
    expect(await validate(forEve.token)).toEqual({ ok: false, reason: 'email_mismatch' })

    const refusal = (reason: string) => ({
      status: 403,
      body: { statusMessage: `Invite refused: ${reason}` },
    })
    expect(await accept(good.token, '')).toMatchObject({ status: 401 })
    expect(await accept(revoked.token)).toMatchObject(refusal('revoked'))
    expect(await accept(forEve.token)).toMatchObject(refusal('email_mismatch'))
    expect(await accept('made up')).toMatchObject(refusal('not_found'))
    // Nothing of these was left behind.
    expect((await session()).status).toBe(403)
    expect(await accept(good.token)).toMatchObject({
      status: 200,
      body: { ok: true, role: 'editor', createdUser: true },
    })
    expect(await accept(good.token)).toMatchObject(refusal('already_used'))
    expect(await statuses(ada)).toEqual({
      [good.inviteId]: 'accepted',
      [revoked.inviteId]: 'revoked',
      [forEve.inviteId]: 'pending',
    })

    // The new member's device begins with what is there, and takes part.
    const phone = await SyncingDevice.signIn(server.url, 'bob', 'phone')
    expect(phone.http.session).toMatchObject({ workspace: { id: workspaceId }, role: 'editor' })
    await phone.bootstrap(2)
    laptop.put('messages', 'm0', { text: 'changed' })
    await laptop.push()
    phone.put('threads', 't1', { title: 'Of Bob' })
    await phone.synchronise()
    await laptop.synchronise()
    expect(Object.keys(phone.live())).toHaveLength(6)
    expect(phone.live()).toEqual(laptop.live())
    // An editor invites nobody.
    expect(await statusOf(phone.http, 'GET', '/api/invites')).toBe(403)
    const { role, email } = { role: 'viewer', email: 'mallory@example.org' }
    expect(await statusOf(phone.http, 'POST', '/api/invites', { role, email })).toBe(403)

    await makeAdmin(database, ada)
    const members = `/api/admin/workspaces/${workspaceId}/members`
    const bobId = phone.http.session.user.id
    const { members: listed } = await ok<{ members: ReadonlyArray<unknown> }>(ada, 'GET', members)
    expect(new Set(listed)).toEqual(
      new Set([
        { userId: ada.session.user.id, email: 'ada@example.org', role: 'owner' },
        { userId: bobId, email: 'bob@example.org', role: 'editor' },
      ]),
    )
    await ok(ada, 'DELETE', `${members}/${bobId}`)
    expect((await phone.http.pull()).status).toBe(403)
    phone.put('threads', 't2')
    await expect(phone.push()).rejects.toThrow('403')
    expect(await statusOf(phone.http, 'POST', '/api/workspaces/active', { workspaceId })).toBe(404)
    // Who is known stays so, with a workspace of their own, and the invite is worth nothing now.
    expect(await accept(good.token)).toMatchObject(refusal('already_used'))
    const { workspaces } = await ok<{ workspaces: ReadonlyArray<{ id: string; role: string }> }>(
      phone.http,
      'GET',
      '/api/workspaces',
    )
    expect(workspaces).toMatchObject([{ role: 'owner' }])
    expect(workspaces[0]?.id).not.toBe(workspaceId)
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it('let somebody in who has a workspace, who can go back to it', async () => {
    const server = await start(newFile())
    const ada = await signIn(server.url, 'ada')
    const eve = await signIn(server.url, 'eve')
    const { token } = await invite(ada, 'eve', 'viewer')
    const { id: workspaceId } = ada.session.workspace
    const accepted = await ok(eve, 'POST', '/api/auth/accept-invite', { workspaceId, token })
    expect(accepted).toMatchObject({ role: 'viewer', createdUser: false })
    const inside = await signIn(server.url, 'eve')
    expect(inside.session).toMatchObject({ workspace: { id: workspaceId }, role: 'viewer' })
    expect((await eve.pull()).status).toBe(403)
    const own = eve.session.workspace.id
    await ok(inside, 'POST', '/api/workspaces/active', { workspaceId: own })
    expect((await eve.pull()).status).toBe(200)
  })
})

describe('the administration', () => {
  interface Page {
    readonly total: number
    readonly items: ReadonlyArray<{ readonly id: string; readonly ownerEmail?: string }>
  }

  interface Members {
    readonly members: ReadonlyArray<{ readonly userId: string; readonly role: string }>
  }

  interface Admins {
    readonly admins: ReadonlyArray<{ readonly userId: string; readonly createdByUserId?: string }>
  }

  it('is for the administrators of the deployment alone', async () => {
    const database = newFile()
    const server = await start(database)
    const ada = await signIn(server.url, 'ada')
    const bob = await signIn(server.url, 'bob')
    const [adaId, bobId] = [ada.session.user.id, bob.session.user.id]
    const members = `/api/admin/workspaces/${ada.session.workspace.id}/members`
    const calls: ReadonlyArray<readonly [Method, string, unknown?]> = [
      ['GET', '/api/admin/workspaces'],
      ['GET', members],
      ['POST', members, { emailOrProviderId: bobId, role: 'owner' }],
      ['PATCH', `${members}/${adaId}`, { role: 'viewer' }],
      ['DELETE', `${members}/${adaId}`],
      ['GET', '/api/admin/admins'],
      ['POST', '/api/admin/admins', { userId: bobId }],
      ['DELETE', `/api/admin/admins/${adaId}`],
      ['GET', '/api/admin/provider'],
      ['POST', '/api/admin/provider/actions', { actionId: 'sync.gc-change-log' }],
    ]
    await makeAdmin(database, ada)
    for (const call of calls) expect(await statusOf(bob, ...call), call.join(' ')).toBe(403)

    // What is granted and taken counts at once.
    await ok(ada, 'POST', '/api/admin/admins', { userId: bobId })
    const { admins } = await ok<Admins>(bob, 'GET', '/api/admin/admins')
    expect(
      Object.fromEntries(admins.map(({ userId, createdByUserId }) => [userId, createdByUserId])),
    ).toEqual({
      [adaId]: undefined,
      [bobId]: adaId,
    })
    await ok(bob, 'DELETE', `/api/admin/admins/${adaId}`)
    expect(await statusOf(ada, 'GET', '/api/admin/workspaces')).toBe(403)
  })

  it('finds workspaces, a page at a time, and sets who is in them', async () => {
    const database = newFile()
    const server = await start(database)
    const ada = await signIn(server.url, 'ada')
    const others = []
    for (const name of ['bob', 'eve', 'kim', 'lee']) others.push(await signIn(server.url, name))
    await makeAdmin(database, ada)
    const list = (query: string) => ok<Page>(ada, 'GET', `/api/admin/workspaces?${query}`)
    const all = [ada, ...others].map(({ session }) => session.workspace.id)
    const found: Array<string> = []
    for (const page of [1, 2, 3]) {
      const { items, total } = await list(`page=${page}&perPage=2`)
      expect(total).toBe(5)
      found.push(...items.map(({ id }) => id))
    }
    expect(new Set(found)).toEqual(new Set(all))
    expect(found).toHaveLength(5)
    const [bob, eve] = others as [Device, Device]
    const { id: workspaceId, name } = bob.session.workspace
    expect(await list(`search=${workspaceId}`)).toMatchObject({
      total: 1,
      items: [{ id: workspaceId, name, ownerEmail: 'bob@example.org', memberCount: 1 }],
    })
    const part = encodeURIComponent(name.slice(1).toUpperCase())
    expect(await list(`search=${part}&perPage=1`)).toMatchObject({ total: 5, items: [{}] })
    expect(await list('search=%25')).toEqual({ total: 0, items: [] })

    const members = `/api/admin/workspaces/${workspaceId}/members`
    const [bobId, eveId] = [bob.session.user.id, eve.session.user.id]
    const roles = async () => {
      const { members: listed } = await ok<Members>(ada, 'GET', members)
      return Object.fromEntries(listed.map(({ userId, role }) => [userId, role]))
    }
    const viewer = { emailOrProviderId: 'eve@example.org', role: 'viewer' }
    expect(await ok(ada, 'POST', members, viewer)).toEqual({ userId: eveId })
    expect(await statusOf(ada, 'PATCH', `${members}/${bobId}`, { role: 'viewer' })).toBe(409)
    await ok(ada, 'PATCH', `${members}/${eveId}`, { role: 'owner' })
    await ok(ada, 'PATCH', `${members}/${bobId}`, { role: 'editor' })
    expect(await roles()).toEqual({ [bobId]: 'editor', [eveId]: 'owner' })
    expect((await signIn(server.url, 'bob')).session).toMatchObject({ role: 'editor' })
    const nobody = { emailOrProviderId: 'nobody@example.org', role: 'viewer' }
    expect(await statusOf(ada, 'POST', members, nobody)).toBe(404)

    // Somebody whose identity alone is known is there before the first sign-in.
    const coming = { emailOrProviderId: 'zoe', provider: 'dev', role: 'viewer' }
    const { userId } = await ok<{ userId: string }>(ada, 'POST', members, coming)
    const zoe = await signIn(server.url, 'zoe')
    expect(zoe.session.user.id).toBe(userId)
    await ok(zoe, 'POST', '/api/workspaces/active', { workspaceId })
    expect((await signIn(server.url, 'zoe')).session).toMatchObject({ role: 'viewer' })
  })

  it('sees how the provider stands, and has it collect in the workspace of its session', async () => {
    const database = newFile()
    const server = await start(database, {
      OR3_SQLITE_GC_RETENTION: '1 hour',
      OR3_SQLITE_GC_INTERVAL: 'off',
    })
    const devices = []
    for (const name of ['ada', 'eve']) {
      const device = await SyncingDevice.signIn(server.url, name, `of ${name}`)
      for (let edit = 0; edit < 4; edit++) device.put('kv', 'k1', { edit })
      await device.synchronise()
      devices.push(device)
    }
    const ada = devices[0]!.http
    await makeAdmin(database, ada)
    expect(await ok(ada, 'GET', '/api/admin/provider')).toMatchObject({
      details: {
        engine: hostProgram() === 'node' ? 'better-sqlite3' : 'bun',
        place: database,
        workspaces: 2,
        users: 2,
        logEntries: 8,
        maintenance: { enabled: false, state: 'idle' },
      },
      warnings: [],
      actions: [{ id: 'sync.gc-change-log' }, { id: 'sync.gc-tombstones' }],
    })

    const run = (actionId: string) => ada.call('POST', '/api/admin/provider/actions', { actionId })
    passTwoHours(database)
    expect(await run('sync.gc-change-log')).toMatchObject({ status: 200, body: { entries: 3 } })
    // The last one is where the cursor stands.
    expect(historyOf(database).log).toBe(5)
    expect((await devices[1]!.http.pull()).body.changes).toHaveLength(4)
    expect((await run('sync.gc-tombstones')).status).toBe(200)
    expect((await run('sync.explode')).status).toBe(400)
  })
})

describe('background jobs', () => {
  const jobs: Env = {
    NUXT_BACKGROUND_JOBS_ENABLED: 'true',
    NUXT_BACKGROUND_JOBS_STORAGE_PROVIDER: 'sqlite',
  }
  const worker = (name: string, more: Env = {}): Env => ({
    ...jobs,
    NUXT_BACKGROUND_JOBS_WORKER: name,
    ...more,
  })

  const begin = async (device: Device, chunks: number, more: object = {}) => {
    const body = { threadId: 't1', messageId: 'm1', chunks, ...more }
    return (await ok<{ id: string }>(device, 'POST', '/api/jobs', body)).id
  }
  const jobOf = (device: Device, id: string) => ok<HostJob>(device, 'GET', `/api/jobs/${id}`)

  /** Who wrote which chunk, as the content tells. */
  const chunksOf = ({ content }: HostJob) => {
    const lines = content.split('\n').slice(0, -1)
    const chunks = lines.map((line) => line.split('@') as [string, string])
    return { numbers: chunks.map(([number]) => Number(number)), by: new Set(chunks.map(([, name]) => name)) }
  }
  const upTo = (end: number) => Array.from({ length: end }, (_, number) => number)

  it('are limited as the host says, and end when their user wants it', async () => {
    const server = await start(newFile(), { ...jobs, NUXT_BACKGROUND_JOBS_MAX_CONCURRENT_JOBS_PER_USER: '2' })
    const ada = await signIn(server.url, 'ada')
    const eve = await signIn(server.url, 'eve')
    const first = await begin(ada, 5, { idempotencyKey: 'k1' })
    await begin(ada, 5)
    const third = { threadId: 't1', messageId: 'm1', chunks: 5 }
    expect(await statusOf(ada, 'POST', '/api/jobs', third)).toBe(429)
    expect(await begin(ada, 5, { idempotencyKey: 'k1' })).toBe(first)
    expect(await begin(eve, 5, { idempotencyKey: 'k1' })).not.toBe(first)
    expect(await statusOf(eve, 'GET', `/api/jobs/${first}`)).toBe(404)
    expect(await ok(eve, 'POST', `/api/jobs/${first}/abort`)).toEqual({ aborted: false })
    expect(await ok(ada, 'POST', `/api/jobs/${first}/abort`)).toEqual({ aborted: true })
    expect(await jobOf(ada, first)).toMatchObject({ status: 'aborted', attempts: 0 })
    await begin(ada, 5)
  })

  it('stop being streamed when they are aborted, and the worker goes on to the next', async () => {
    const server = await start(newFile(), worker('A'))
    const ada = await signIn(server.url, 'ada')
    const endless = await begin(ada, 1_000)
    const next = await begin(ada, 3)
    await expect.poll(async () => (await jobOf(ada, endless)).chunksReceived, patient).toBeGreaterThan(2)
    await ok(ada, 'POST', `/api/jobs/${endless}/abort`)
    await expect.poll(async () => (await jobOf(ada, next)).status, patient).toBe('complete')
    const aborted = await jobOf(ada, endless)
    expect(aborted).toMatchObject({ status: 'aborted', attempts: 1 })
    expect(chunksOf(aborted).numbers).toEqual(upTo(aborted.chunksReceived))
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it('survive the death of their server: another one goes on where it was', async () => {
    const database = newFile()
    const chunks = 100
    // A is slow enough to be killed in the middle.
    const slow = { NUXT_BACKGROUND_JOBS_LEASE_MS: '2000', NUXT_BACKGROUND_JOBS_CHUNK_MS: '100' }
    const a = await start(database, worker('A', slow))
    const ada = await signIn(a.url, 'ada')
    const id = await begin(ada, chunks)
    await expect.poll(async () => (await jobOf(ada, id)).chunksReceived, patient).toBeGreaterThan(4)
    const left = await jobOf(ada, id)
    await a.stop('SIGKILL')

    const b = await start(database, worker('B', { NUXT_BACKGROUND_JOBS_CHUNK_MS: '1' }))
    const again = await signIn(b.url, 'ada')
    await expect.poll(async () => (await jobOf(again, id)).status, patient).toBe('complete')
    const done = await jobOf(again, id)
    const { numbers, by } = chunksOf(done)
    expect(numbers).toEqual(upTo(chunks))
    expect([...by]).toEqual(['A', 'B'])
    expect(done.content.startsWith(left.content)).toBe(true)
    expect(done).toMatchObject({ attempts: 2, chunksReceived: chunks })
    // B has waited for the lease to end.
    expect(left).toMatchObject({ leaseOwner: 'A', attempts: 1 })
    expect(done.completedAt).toBeGreaterThanOrEqual(left.leaseExpiresAt!)
    expect(await b.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it('are each done by one of two servers on a file', async () => {
    const database = newFile()
    const many = {
      NUXT_BACKGROUND_JOBS_MAX_CONCURRENT_JOBS_PER_USER: '50',
      NUXT_BACKGROUND_JOBS_CHUNK_MS: '5',
    }
    const servers = await Promise.all(['A', 'B'].map((name) => start(database, worker(name, many))))
    const devices = await Promise.all(servers.map(({ url }) => signIn(url, 'ada')))
    const ids = await Promise.all(upTo(20).map((index) => begin(devices[index % 2]!, 10)))
    const all = () => Promise.all(ids.map((id) => jobOf(devices[0]!, id)))
    await expect
      .poll(async () => (await all()).filter(({ status }) => status === 'complete').length, patient)
      .toBe(ids.length)
    const workers = new Set<string>()
    for (const job of await all()) {
      const { numbers, by } = chunksOf(job)
      expect(numbers).toEqual(upTo(10))
      expect([...by]).toHaveLength(1)
      expect(job.attempts).toBe(1)
      for (const name of by) workers.add(name)
    }
    expect(workers).toEqual(new Set(['A', 'B']))
    for (const server of servers) expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('webhooks', () => {
  const created = 'db.messages.create:action:after'

  interface Received {
    readonly path: string
    readonly eventId: string
    readonly recordId: unknown
  }

  let receiver: HttpServer
  let received: Array<Received>
  /** How many requests are refused before the first one is taken. */
  let refusals: number
  let base: string

  beforeAll(async () => {
    receiver = createServer((incoming, answer) => {
      let body = ''
      incoming.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      incoming.on('end', () => {
        const { payload } = JSON.parse(body) as { payload: { id: unknown } }
        const eventId = String(incoming.headers['x-or3-event-id'])
        received.push({ path: incoming.url!, eventId, recordId: payload.id })
        answer.statusCode = refusals-- > 0 ? 500 : 200
        answer.end('seen')
      })
    }).listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  })

  afterAll(() => receiver.close())

  const register = (device: Device, path: string) =>
    ok<HostWebhook>(device, 'POST', '/api/webhooks', { url: `${base}${path}`, events: [created] })
  const deliveriesOf = async (device: Device, { id }: HostWebhook) =>
    (await ok<{ deliveries: Array<HostDelivery> }>(device, 'GET', `/api/webhooks/${id}/deliveries`))
      .deliveries

  const forget = () => {
    received = []
    refusals = 0
  }
  const at = (path: string) => received.filter((one) => one.path === path).map(({ recordId }) => recordId)

  const pusher = async ({ url }: Server, name: string) => {
    const device = await SyncingDevice.signIn(url, name, `of ${name} at ${url}`)
    return async (...pks: ReadonlyArray<string>) => {
      for (const pk of pks) device.put('messages', pk)
      await device.push()
    }
  }

  it('are delivered once though the worker died that had claimed them', async () => {
    forget()
    const database = newFile()
    const a = await start(database, { NUXT_WEBHOOKS_WORKER: 'A', NUXT_WEBHOOKS_PAUSE_MS: '600000' })
    const ada = await signIn(a.url, 'ada')
    const webhook = await register(ada, '/ada')
    await (
      await pusher(a, 'ada')
    )('m1')
    await expect
      .poll(() => deliveriesOf(ada, webhook), patient)
      .toMatchObject([{ status: 'in_flight', claimed_by: 'A' }])
    await a.stop('SIGKILL')
    expect(received).toEqual([])

    const b = await start(database, { NUXT_WEBHOOKS_WORKER: 'B', NUXT_WEBHOOKS_STALE_MS: '500' })
    const again = await signIn(b.url, 'ada')
    await expect
      .poll(() => deliveriesOf(again, webhook), patient)
      .toMatchObject([
        { status: 'success', claimed_by: null, http_status: 200, response_body: 'seen', attempt: 1 },
      ])
    // What came later is there, and by then nothing came twice, nor to anybody else.
    const eve = await signIn(b.url, 'eve')
    await register(eve, '/eve')
    await (
      await pusher(b, 'eve')
    )('of-eve')
    await (
      await pusher(b, 'ada')
    )('m2')
    await expect.poll(() => received, patient).toHaveLength(3)
    await expect
      .poll(async () => (await deliveriesOf(again, webhook)).map(({ status }) => status), patient)
      .toEqual(['success', 'success'])
    expect(at('/ada')).toEqual(['m1', 'm2'])
    expect(at('/eve')).toEqual(['of-eve'])
    // Nobody sees the deliveries of others.
    expect(await statusOf(eve, 'GET', `/api/webhooks/${webhook.id}/deliveries`)).toBe(404)
    expect(await b.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it('are delivered by one of two servers on a file, and again when they were refused', async () => {
    forget()
    const database = newFile()
    const servers = await Promise.all(
      ['A', 'B'].map((name) => start(database, { NUXT_WEBHOOKS_WORKER: name, NUXT_WEBHOOKS_RETRY_MS: '50' })),
    )
    const ada = await signIn(servers[0]!.url, 'ada')
    const webhook = await register(ada, '/both')
    const pks = Array.from({ length: 30 }, (_, number) => `m${number}`)
    const pushers = await Promise.all(servers.map((server) => pusher(server, 'ada')))
    await Promise.all(pks.map((pk, index) => pushers[index % 2]!(pk)))
    const isDelivered = async () => {
      const deliveries = await deliveriesOf(ada, webhook)
      return deliveries.filter(({ status }) => status === 'success').length
    }
    await expect.poll(isDelivered, patient).toBe(pks.length)
    expect(at('/both').sort()).toEqual([...pks].sort())

    forget()
    refusals = 2
    await pushers[1]!('refused')
    await expect.poll(isDelivered, patient).toBe(pks.length + 1)
    expect(at('/both')).toEqual(['refused', 'refused', 'refused'])
    expect(new Set(received.map(({ eventId }) => eventId)).size).toBe(1)
    const [last] = await deliveriesOf(ada, webhook)
    expect(last).toMatchObject({ attempt: 3, status: 'success', http_status: 200 })
    for (const server of servers) expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('a rate limit', () => {
  /** Pulls as somebody, and gives what a client goes by. */
  const puller = async (server: Server, name: string) => {
    const { session } = await signIn(server.url, name)
    const cookie = await cookieOf(server, name)
    const body = JSON.stringify({ scope: { workspaceId: session.workspace.id }, cursor: 0, limit: 1 })
    return async () => {
      const headers = { 'content-type': 'application/json', cookie }
      const answer = await fetch(`${server.url}/api/sync/pull`, { method: 'POST', headers, body })
      await answer.text()
      return { status: answer.status, retryAfter: answer.headers.get('retry-after') }
    }
  }

  it('is off unless somebody sets it', async () => {
    const server = await start(newFile())
    const pull = await puller(server, 'ada')
    const statuses = await Promise.all(Array.from({ length: 200 }, async () => (await pull()).status))
    expect(new Set(statuses)).toEqual(new Set([200]))
  })

  it('lets each user pull so often, and says when they may again', async () => {
    const server = await start(newFile(), {
      NUXT_RATE_LIMIT_MAX_REQUESTS: '5',
      NUXT_RATE_LIMIT_WINDOW_MS: '4000',
    })
    const [ada, eve] = [await puller(server, 'ada'), await puller(server, 'eve')]
    const answers = await Promise.all(Array.from({ length: 8 }, ada))
    const [taken, refused] = [200, 429].map((code) => answers.filter(({ status }) => status === code))
    expect([taken?.length, refused?.length]).toEqual([5, 3])
    expect(taken?.every(({ retryAfter }) => retryAfter === null)).toBe(true)
    for (const { retryAfter } of refused!) expect(['1', '2', '3', '4']).toContain(retryAfter)
    expect((await eve()).status).toBe(200)
    await expect.poll(async () => (await ada()).status, patient).toBe(200)
  })

  it('is one over two servers on a file', async () => {
    const [database, limit] = [newFile(), 40]
    const env = { NUXT_RATE_LIMIT_MAX_REQUESTS: `${limit}`, NUXT_RATE_LIMIT_WINDOW_MS: '600000' }
    const servers = await Promise.all([start(database, env), start(database, env)])
    const pulls = [await puller(servers[0]!, 'ada'), await puller(servers[1]!, 'ada')]
    /** One after the other: the limit holds while the database takes writes at once. */
    const drain = async (pull: (typeof pulls)[number]) => {
      const statuses: Array<number> = []
      while (statuses.length < limit) statuses.push((await pull()).status)
      return statuses
    }
    const statuses = (await Promise.all(pulls.map(drain))).flat()
    const allowed = statuses.filter((status) => status === 200).length
    expect(allowed).toBeLessThanOrEqual(limit)
    // A process may keep an eighth that it does not use.
    expect(allowed).toBeGreaterThanOrEqual((limit * 7) / 8)
    for (const pull of pulls) {
      const { status, retryAfter } = await pull()
      expect(status).toBe(429)
      expect(Number(retryAfter)).toBeGreaterThan(0)
      expect(Number(retryAfter)).toBeLessThanOrEqual(600)
    }
    for (const server of servers) expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })
})
