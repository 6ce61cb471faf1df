/**
 * Issue 14, point 7 and "Done when": devices of both generations on servers of both generations, with collections in between, and
 * what only the host of mid-2026 asks: known users, snapshots, files.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { builtHost, type Generation } from '../support/builtHost.js'
import { historyOf, letIn, liveRows, passTwoHours } from '../support/hostDatabase.js'
import { type Device, request, type Session } from '../support/httpDevice.js'
import type { Env } from '../support/run.js'
import { killServers, type Server, startServer } from '../support/server.js'
import { SyncingDevice, tables } from '../support/syncingDevice.js'

let folder: string
let files = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'or3-e2e-generations-'))
  await builtHost('february')
  await builtHost('later')
})

afterEach(killServers)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const start = async (generation: Generation, env: Env = {}) => {
  const database = join(folder, `${generation}-${++files}.db`)
  return { database, server: await startServer({ OR3_SQLITE_DB_PATH: database, ...env }, generation) }
}

const signIn = (server: Server, device: string, user = 'ada') =>
  SyncingDevice.signIn(server.url, user, device)

const post = async (
  device: Device,
  path: string,
  body: unknown,
): Promise<{ readonly status: number; readonly [field: string]: unknown }> => {
  const { status, body: answer } = await device.call<Record<string, unknown>>('POST', path, body)
  return { status, ...answer }
}

/** An hour of history stays; what is older goes, as far as the devices have come. */
const collect = async ({ http, scope }: SyncingDevice) => {
  for (const what of ['tombstones', 'change-log']) {
    expect(await post(http, `/api/sync/gc-${what}`, { scope, retentionSeconds: 3_600 })).toMatchObject({
      status: 200,
    })
  }
}

describe.each(['february', 'later'] as const)('on a server of the %s generation', (generation) => {
  it('a fresh, an old and a February device are equal in the end, with collections in between', async () => {
    const { server, database } = await start(generation)
    const laptop = await signIn(server, 'laptop')

    // An old device knows the beginning, then it is away with an edit and a deletion of its own.
    for (let number = 0; number < 8; number++)
      for (const table of tables) laptop.put(table, `${table}-${number}`)
    await laptop.synchronise()
    const old = await signIn(server, 'old')
    await old.synchronise()
    expect(Object.keys(old.live())).toHaveLength(56)
    old.put('messages', 'messages-2', { text: 'written on the train' })
    old.put('posts', 'old-1', { text: 'written on the train' })
    old.remove('threads', 'threads-2')

    // Meanwhile records change, go and come back, and what all others have seen is collected.
    for (const table of tables) {
      laptop.put(table, `${table}-1`, { text: 'changed' })
      laptop.remove(table, `${table}-2`)
      laptop.put(table, `${table}-2`, { text: 'back again' })
      laptop.remove(table, `${table}-3`)
    }
    laptop.put('kv', 'late')
    await laptop.synchronise()
    passTwoHours(database, ['old'])
    const before = historyOf(database)
    await collect(laptop)
    const after = historyOf(database)
    expect(after.log).toBeLessThan(before.log / 10)
    expect(before.tombstones).toBe(7)
    expect(after.tombstones).toBe(0)

    let edits = 0
    /** The world goes on between the pages of the others. */
    const goOn = async () => {
      edits += 1
      const table = tables[edits % tables.length]!
      laptop.put(table, `${table}-4`, { text: `edit ${edits}` })
      laptop.put(table, `new-${edits}`)
      laptop.remove(table, `${table}-${(edits % 3) + 5}`)
      if (edits % 2 === 0) laptop.remove(table, `new-${edits - 7}`)
      await laptop.synchronise()
      if (edits % 3 !== 0) return
      passTwoHours(database)
      await collect(laptop)
    }

    // February's device reads all changes from the start.
    const february = await signIn(server, 'february')
    await february.pull({ limit: 7, between: goOn })
    await february.report()
    expect(edits).toBeGreaterThan(5)

    // Today's bootstraps by a snapshot.
    const fresh = await signIn(server, 'fresh')
    const readBefore = edits
    const pages = await fresh.bootstrap(7, goOn)
    expect(pages.length).toBeGreaterThan(5)
    expect(edits - readBefore).toBe(pages.length - 1)
    expect(pages.flatMap(({ items }) => items).some(({ kind }) => kind === 'tombstone')).toBe(true)
    await fresh.pull({ limit: 5 })
    await fresh.report()

    // The old one comes back; then everybody writes, and everybody hears of it.
    await old.synchronise()
    for (const device of [laptop, old, february, fresh]) {
      await device.pull()
      device.put('threads', 'shared', { text: `by ${device.id}` })
      device.remove('kv', 'late')
      device.put('projects', `of-${device.id}`)
      await device.synchronise()
    }
    passTwoHours(database)
    for (const device of [laptop, old, february, fresh]) await device.synchronise()
    await collect(laptop)
    const last = await signIn(server, 'last')
    await last.bootstrap(1_000)
    await last.pull()

    const live = liveRows(database, laptop.scope.workspaceId)
    expect(Object.keys(live).length).toBeGreaterThan(40)
    expect(live).not.toHaveProperty(['kv/late'])
    for (const device of [laptop, old, february, fresh, last]) expect(device.live(), device.id).toEqual(live)
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('the host of mid-2026', () => {
  interface Told {
    readonly announcements: ReadonlyArray<{ readonly kind: string; readonly name: string }>
  }

  const session = async (server: Server, name: string) => {
    const { cookie } = await request(`${server.url}/api/dev/sign-in`, 'POST', { name })
    const { status, body } = await request<{ session?: Session }>(
      `${server.url}/api/auth/session`,
      'GET',
      undefined,
      cookie,
    )
    return { status, userId: body.session?.user.id }
  }

  const announced = async (server: Server) =>
    (await request<Told>(`${server.url}/api/dev/announcements`, 'GET')).body.announcements

  it('sets a new user up once, and lets those in that it knows, whatever its mode', async () => {
    const { server, database } = await start('later')
    const ada = await session(server, 'ada')
    expect(ada).toEqual({ status: 200, userId: expect.any(String) as string })
    expect(await session(server, 'ada')).toEqual(ada)
    expect(await announced(server)).toEqual([
      { kind: 'new user', name: 'ada' },
      { kind: 'new workspace', name: 'ada' },
    ])
    await server.stop()

    for (const mode of ['invite_only', 'disabled', 'open']) {
      const { server } = await start('later', {
        OR3_SQLITE_DB_PATH: database,
        NUXT_AUTH_REGISTRATION_MODE: mode,
      })
      expect(await session(server, 'ada'), mode).toEqual(ada)
      expect((await session(server, 'eve')).status, mode).toBe(mode === 'open' ? 200 : 403)
      expect(await announced(server)).toEqual(
        mode === 'open'
          ? [
              { kind: 'new user', name: 'eve' },
              { kind: 'new workspace', name: 'eve' },
            ]
          : [],
      )
      await server.stop()
    }
  })

  it('pulls pages that pass its checks, at the bounds of what it lets in', async () => {
    const { server } = await start('later')
    const laptop = await signIn(server, 'laptop')
    const longest = 'é'.repeat(1_024)
    laptop.put('messages', longest)
    for (let number = 0; number < 250; number++) laptop.put('messages', `m${number}`)
    await laptop.push()
    const phone = await signIn(server, 'phone')
    await phone.pull({ limit: 1_000 })
    expect(phone.live()).toEqual(laptop.live())
    expect(phone.live()).toHaveProperty([`messages/${longest}`])
    const fresh = await signIn(server, 'fresh')
    await fresh.bootstrap(1)
    expect(fresh.live()).toEqual(laptop.live())
  })

  it('answers a token of another workspace with 403, and a broken one with 400', async () => {
    const { server } = await start('later')
    const ada = await signIn(server, 'laptop')
    for (let number = 0; number < 5; number++) ada.put('kv', `k${number}`)
    await ada.push()
    const asked = { scope: ada.scope, pageSize: 2 }
    const page = await post(ada.http, '/api/sync/snapshot', asked)
    expect(page).toMatchObject({ status: 200, nextPageToken: expect.any(String) as string })
    const pageToken = page.nextPageToken as string
    const eve = await signIn(server, 'phone', 'eve')
    const foreign = await post(eve.http, '/api/sync/snapshot', { scope: eve.scope, pageSize: 2, pageToken })
    expect(foreign.status).toBe(403)
    for (const broken of [`${pageToken}x`, pageToken.slice(1), 'x', '{}', 'é'.repeat(300)]) {
      expect(await post(ada.http, '/api/sync/snapshot', { ...asked, pageToken: broken })).toMatchObject({
        status: 400,
      })
    }
    const others = await post(ada.http, '/api/sync/snapshot', { ...asked, pageToken, tables: ['kv'] })
    expect(others.status).toBe(400)
  })

  it("lets nobody report the cursor of another user's device", async () => {
    const { server, database } = await start('later')
    const ada = await signIn(server, 'laptop')
    for (let number = 0; number < 5; number++) ada.put('kv', `k${number}`)
    await ada.synchronise()
    const { user } = (await signIn(server, 'phone', 'eve')).http.session
    letIn(database, user.id, ada.scope.workspaceId)
    const eve = await signIn(server, 'phone', 'eve')
    const report = async (deviceId: string, version: number) =>
      (await post(eve.http, '/api/sync/update-cursor', { scope: ada.scope, deviceId, version })).status
    expect(await report('laptop', 5)).toBe(403)
    expect(await report('phone', 5)).toBe(200)
    // A lower one is ignored, not refused: that would cost the client a reconnect.
    expect(await report('phone', 1)).toBe(200)
  })

  it('collects over all workspaces by itself', async () => {
    const { server } = await start('later')
    const ada = await signIn(server, 'laptop')
    const eve = await signIn(server, 'phone', 'eve')
    await ada.synchronise()
    await eve.synchronise()
    const swept = await post(ada.http, '/api/dev/sweep', {})
    expect(swept).toMatchObject({
      status: 200,
      state: { state: 'idle', lastRun: expect.any(String) as string },
    })
    expect(new Set(swept.workspaceIds as Array<string>)).toEqual(
      new Set([ada.scope.workspaceId, eve.scope.workspaceId]),
    )
  })

  it('asks which files are known and referred to, and keeps room for those that come', async () => {
    const { server } = await start('later')
    const ada = await signIn(server, 'laptop')
    const { scope } = ada
    const [stored, coming] = ['a'.repeat(64), 'b'.repeat(64)]
    ada.put('file_meta', stored, { size_bytes: 600, mime_type: 'image/png', name: 'a.png', storage_id: 's1' })
    ada.put('messages', 'm1', { file_hashes: JSON.stringify([stored]) })
    ada.put('posts', 'p1', { file_hashes: [stored, coming] })
    ada.put('messages', 'm2', { file_hashes: [stored] })
    ada.remove('messages', 'm2')
    await ada.push()
    const ask = (kind: string, more: object = {}) =>
      post(ada.http, '/api/storage/canonical', { scope, kind, ...more })
    expect(await ask('live_metadata')).toMatchObject({
      status: 200,
      items: [{ kind: 'metadata', hash: stored, sizeBytes: 600, storageId: 's1', name: 'a.png' }],
      hasMore: false,
    })
    const edges = (await ask('reference_edges', { hash: stored })).items as ReadonlyArray<{
      sourceId: string
    }>
    expect(edges.map(({ sourceId }) => sourceId).sort()).toEqual(['m1', 'p1'])
    expect((await ask('live_metadata', { cursor: 'x' })).status).toBe(400)

    const intent = {
      intentId: 'i1',
      workspaceId: scope.workspaceId,
      hash: coming,
      mimeType: 'image/png',
      sizeBytes: 400,
    }
    const expiresAt = Math.floor(Date.now() / 1_000) + 600
    const reserve = (more: object) =>
      post(ada.http, '/api/storage/intents/reserve', {
        ...intent,
        expiresAt,
        workspaceQuotaBytes: 1_000,
        ...more,
      })
    expect(await reserve({ sizeBytes: 401 })).toMatchObject({ status: 413 })
    expect(await reserve({})).toMatchObject({ status: 200 })
    expect(await reserve({ intentId: 'i2', hash: 'c'.repeat(64), sizeBytes: 1 })).toMatchObject({
      status: 413,
    })
    expect(await ask('active_reservations')).toMatchObject({
      items: [{ kind: 'reservation', reservationId: 'i1', hash: coming, sizeBytes: 400, expiresAt }],
    })
    const consume = () => post(ada.http, '/api/storage/intents/consume', { ...intent, storageId: 's2' })
    expect([(await consume()).status, (await consume()).status]).toEqual([200, 409])
    const { workspaceId } = scope
    expect(
      await post(ada.http, '/api/storage/intents/cancel', { workspaceId, intentId: 'i1' }),
    ).toMatchObject({
      status: 409,
    })
  })
})
