/**
 * Two devices of one user sync through a real host: the packed package, built by Nuxt, as a process, over HTTP.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { until } from '../support/realTime.js'
import { type Device, signIn } from '../support/httpDevice.js'
import { del, hlc, put, opId } from '../support/ops.js'
import { killServers, type Server, startServer } from '../support/server.js'

describe('the built host', () => {
  let folder: string
  let server: Server
  let laptop: Device
  let phone: Device

  const boot = async () => {
    server = await startServer({ OR3_SQLITE_DB_PATH: join(folder, 'made/by/host.db') })
    laptop = await signIn(server.url, 'ada')
    phone = await signIn(server.url, 'ada')
  }

  beforeAll(async () => {
    await builtHost()
    folder = mkdtempSync(join(tmpdir(), 'or3-e2e-sync-'))
    await boot()
  })

  afterAll(() => {
    killServers()
    rmSync(folder, { recursive: true, force: true })
  })

  const thread = put({
    id: 'op-thread',
    table: 'threads',
    pk: 't1',
    device: 'laptop',
    payload: { id: 't1', n: 1 },
  })
  const message = put({
    id: 'op-message',
    pk: 'm1',
    device: 'laptop',
    clock: 2,
    payload: { id: 'm1', index: 3, order_key: 'a0', data: { text: 'naïve ☃ 🐘', nothing: null } },
  })

  const replay = {
    opId: opId('op-message'),
    success: true,
    serverVersion: 2,
    replayed: true,
    applied: true,
    wasExisting: true,
  }
  const complete = { oldestRetainedVersion: 0, requiresSnapshot: false }

  it('signs two devices in as one user with one workspace', async () => {
    expect(laptop.session).toMatchObject({ authenticated: true, role: 'owner' })
    expect(phone.session).toEqual(laptop.session)
    expect((await signIn(server.url, 'grace')).session.workspace.id).not.toBe(laptop.session.workspace.id)
  })

  it('hands what one device pushes to the other, untouched and in order', async () => {
    expect((await laptop.push(thread, message)).body).toEqual({
      results: [
        { opId: opId('op-thread'), success: true, serverVersion: 1, applied: true, wasExisting: false },
        { opId: opId('op-message'), success: true, serverVersion: 2, applied: true, wasExisting: false },
      ],
      serverVersion: 2,
    })
    const change = (op: typeof thread, serverVersion: number) => ({
      serverVersion,
      tableName: op.tableName,
      pk: op.pk,
      op: 'put',
      payload: op.payload,
      stamp: op.stamp,
    })
    expect(await phone.pull()).toEqual({
      status: 200,
      body: { changes: [change(thread, 1), change(message, 2)], nextCursor: 2, hasMore: false, ...complete },
    })
    expect((await phone.pull(0, 1)).body).toEqual({
      changes: [change(thread, 1)],
      nextCursor: 1,
      hasMore: true,
      ...complete,
    })
    expect((await phone.pull(1, 1)).body).toEqual({
      changes: [change(message, 2)],
      nextCursor: 2,
      hasMore: false,
      ...complete,
    })
  })

  it('takes an op that comes again for the same one, and for a conflict when its content differs', async () => {
    const other = { ...message, payload: { id: 'm1', data: 'something else' } }
    expect((await laptop.push(message)).body).toEqual({ results: [replay], serverVersion: 2 })
    expect((await laptop.push(other)).body).toMatchObject({
      results: [{ opId: opId('op-message'), success: false, errorCode: 'CONFLICT' }],
    })
    // One result per op id: the first stands.
    expect((await laptop.push(message, other)).body).toEqual({ results: [replay], serverVersion: 2 })
  })

  it('tells the loser of a race what won', async () => {
    const stale = put({ id: 'op-stale', pk: 'm1', device: 'phone', clock: 1, hlc: hlc(9) })
    expect((await phone.push(stale)).body).toEqual({
      results: [
        {
          opId: opId('op-stale'),
          success: true,
          serverVersion: 3,
          applied: false,
          wasExisting: true,
          payload: message.payload,
          winner: {
            kind: 'put',
            payload: message.payload,
            revision: { clock: 2, hlc: message.stamp.hlc, opId: message.stamp.opId },
          },
        },
      ],
      serverVersion: 3,
    })
  })

  it('reports an invalid op without failing its neighbour', async () => {
    const { status, body } = await phone.push(
      put({ id: 'op-unknown', table: 'nonsense' }),
      put({ id: 'op-kv', table: 'kv', pk: 'k1', device: 'phone' }),
    )
    expect(status).toBe(200)
    expect(body.results).toMatchObject([
      { opId: opId('op-unknown'), success: false, errorCode: 'VALIDATION_ERROR' },
      { opId: opId('op-kv'), success: true, serverVersion: 4 },
    ])
  })

  it('deletes', async () => {
    await phone.push(del({ id: 'op-delete', pk: 'm1', device: 'phone', clock: 3 }))
    const { changes } = (await laptop.pull(4)).body
    expect(changes).toMatchObject([{ serverVersion: 5, tableName: 'messages', pk: 'm1', op: 'delete' }])
  })

  it('takes cursors and collects garbage', async () => {
    const scope = { workspaceId: laptop.session.workspace.id }
    const cursor = { scope, deviceId: 'laptop', version: 5 }
    expect((await laptop.call('POST', '/api/sync/update-cursor', cursor)).status).toBe(200)
    for (const path of ['gc-tombstones', 'gc-change-log']) {
      const gc = { scope, retentionSeconds: 2_592_000 }
      expect((await laptop.call('POST', `/api/sync/${path}`, gc)).status).toBe(200)
    }
  })

  it('checkpoints in a thread of its own', async () => {
    const text = 'x'.repeat(10_000)
    const grace = await signIn(server.url, 'grace')
    for (let n = 0; n < 600; n += 100) {
      const ops = Array.from({ length: 100 }, (_, index) =>
        put({ id: `log-${n + index}`, pk: `log-${n + index}`, payload: { text } }),
      )
      expect((await grace.push(...ops)).status).toBe(200)
    }
    // A commit does so only at 4,000 pages. How far the log is copied does not tell: it may have begun anew.
    await until(() => statSync(join(folder, 'made/by/host.db')).size > 4_000_000)
  })

  it('ends cleanly on SIGTERM, and finds everything again when it starts anew', async () => {
    const before = await laptop.pull()
    expect(before.body.changes).toHaveLength(5)
    expect(readdirSync(join(folder, 'made/by'))).toContain('host.db-wal')
    const userBefore = laptop.session

    expect(await server.stop('SIGTERM')).toMatchObject({ code: 0, stderr: '' })
    expect(readdirSync(join(folder, 'made/by'))).toEqual(['host.db', 'host.db-seen'])

    await boot()
    expect(laptop.session).toEqual(userBefore)
    expect(await laptop.pull()).toEqual(before)
    expect((await phone.push(message)).body.results).toMatchObject([
      { opId: opId('op-message'), success: true, serverVersion: 2, replayed: true, applied: false },
    ])
    expect((await phone.push(put({ id: 'op-next', pk: 'm2' }))).body.serverVersion).toBe(6)
  })

  it('needs nothing beside its output folder', async () => {
    const { output } = await builtHost()
    for (let parent = dirname(output); parent !== dirname(parent); parent = dirname(parent)) {
      expect(existsSync(join(parent, 'node_modules'))).toBe(false)
    }
    expect(existsSync(join(dirname(dirname(output)), 'building'))).toBe(false)
  })
})
