/**
 * Issue 14, points 1, 6 and 7: the packed package in a host of mid-2026, as a process, over HTTP.
 *
 * What needs a snapshot or known users is in `host2026Sync.test.ts`.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { type Device, request, signIn } from '../support/httpDevice.js'
import { del, type OpParts, put } from '../support/ops.js'
import type { Env } from '../support/run.js'
import { killServers, runServer, startServer } from '../support/server.js'

let folder: string
let files = 0

beforeAll(async () => {
  await builtHost('later')
  folder = mkdtempSync(join(tmpdir(), 'or3-e2e-later-'))
})

afterEach(killServers)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const newFile = () => join(folder, `later-${++files}.db`)
const start = (env: Env = {}) => startServer({ OR3_SQLITE_DB_PATH: newFile(), ...env }, 'later')

/** Ops as today's clients make them: under a UUID. */
const uuidPut = (parts: OpParts = {}) => put({ id: randomUUID(), ...parts })
const uuidDel = (parts: OpParts = {}) => del({ id: randomUUID(), ...parts })

interface Told {
  readonly announcements: ReadonlyArray<{
    readonly kind: string
    readonly name: string
    readonly payload?: Readonly<Record<string, unknown>>
  }>
}

const told = async (device: Device, kind: string) =>
  (await device.call<Told>('GET', '/api/dev/announcements')).body.announcements.filter(
    (one) => one.kind === kind,
  )

describe('the host of mid-2026', () => {
  it('is built with nothing of ours to warn of, and opens no database meanwhile', async () => {
    const { databaseAtBuild, log } = await builtHost('later')
    expect(log).toContain('Nuxt Nitro server built')
    // But for the list of what was built, which has an endpoint of webhooks.
    expect(log.replaceAll(/^ *[├└]─ .*$/gm, '')).not.toMatch(/or3|sqlite|registry|webhooks/i)
    expect(existsSync(databaseAtBuild)).toBe(false)
  })

  it('finds everything registered that is configured, as soon as it looks', async () => {
    const server = await start()
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it('has its workspace store with sync off too, and no gateway', async () => {
    const path = newFile()
    const server = await start({ OR3_SQLITE_DB_PATH: path, NUXT_SYNC_ENABLED: 'false' })
    expect(existsSync(path)).toBe(true)
    const ada = await signIn(server.url, 'ada')
    expect(ada.session).toMatchObject({ authenticated: true, role: 'owner' })
    expect((await ada.pull()).status).toBe(404)
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it('does not start when it is told to use a provider that is not there, and opens no database then', async () => {
    const path = newFile()
    const env = { OR3_SQLITE_DB_PATH: path, NUXT_SYNC_PROVIDER: 'other' }
    const { code, stdout, stderr } = await runServer(env, 'later')
    expect(code).toBe(1)
    expect(stdout).not.toContain('Listening')
    expect(stderr).toContain('no workspace store named other is registered; no sync gateway named other')
    expect(existsSync(path)).toBe(false)
  })

  it('opens the database for background jobs alone', async () => {
    const path = newFile()
    const env = {
      OR3_SQLITE_DB_PATH: path,
      NUXT_SYNC_PROVIDER: 'other',
      NUXT_BACKGROUND_JOBS_ENABLED: 'true',
      NUXT_BACKGROUND_JOBS_STORAGE_PROVIDER: 'sqlite',
    }
    // This host then misses the other provider, and says so.
    expect((await runServer(env, 'later')).code).toBe(1)
    expect(existsSync(path)).toBe(true)
  })

  it('needs no database without auth', async () => {
    const server = await start({ OR3_SQLITE_DB_PATH: '', NUXT_AUTH_ENABLED: 'false' })
    const { status, body } = await request(`${server.url}/api/auth/session`, 'GET')
    expect({ status, body }).toEqual({ status: 200, body: { session: null } })
    expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  it.each(['invite_only', 'disabled'])('lets nobody in who is not known: %s', async (mode) => {
    const server = await start({ NUXT_AUTH_REGISTRATION_MODE: mode })
    const { cookie } = await request(`${server.url}/api/dev/sign-in`, 'POST', { name: 'eve' })
    const { status } = await request(`${server.url}/api/auth/session`, 'GET', undefined, cookie)
    expect(status).toBe(403)
  })
})

describe('a push', () => {
  it('passes the checks of the host, which judges each op by itself', async () => {
    const server = await start()
    const ada = await signIn(server.url, 'ada')
    const [good, other] = [uuidPut({ pk: 'm1' }), uuidDel({ table: 'kv', pk: 'k1' })]
    const { status, body } = await ada.push(
      good,
      { ...put(), stamp: { ...put().stamp, opId: 'no UUID' } },
      uuidPut({ table: 'nonsense' }),
      other,
    )
    expect(status).toBe(200)
    expect(body).toMatchObject({
      results: [
        { opId: good.stamp.opId, success: true, serverVersion: 1, applied: true },
        { opId: 'no UUID', success: false, errorCode: 'VALIDATION_ERROR' },
        { success: false, errorCode: 'VALIDATION_ERROR' },
        { opId: other.stamp.opId, success: true, serverVersion: 2, applied: true },
      ],
      serverVersion: 2,
    })
    // What the host lets pass is judged by the provider.
    const { body: judged } = await ada.push(
      { ...good, payload: { id: 'm1', content: 'other' } },
      uuidPut({ pk: 'm2', payload: { id: 'm3' } }),
      uuidPut({ pk: 'm4', payload: { id: 'm4', text: 'x'.repeat(300_000) } }),
    )
    expect(judged.results.map(({ errorCode }) => errorCode)).toEqual([
      'CONFLICT',
      'VALIDATION_ERROR',
      'OVERSIZED',
    ])
  })

  it('is told to the hooks, in order', async () => {
    const server = await start()
    const ada = await signIn(server.url, 'ada')
    const first = uuidPut({
      table: 'threads',
      pk: 't1',
      payload: { id: 't1', title: 'A thread', updated_at: 5 },
    })
    await ada.push(
      first,
      uuidPut({ pk: 'm1' }),
      uuidPut({ pk: 'm1', clock: 2 }),
      uuidPut({ table: 'kv', pk: 'k1' }),
    )
    await ada.push(first)
    await ada.push(
      uuidPut({ table: 'posts', pk: 'p1' }),
      uuidPut({ pk: 'm1', clock: 1 }),
      uuidPut({ table: 'notifications', pk: 'n1' }),
      uuidDel({ table: 'threads', pk: 't1', clock: 2 }),
    )
    await expect.poll(() => told(ada, 'hook')).toHaveLength(6)
    const hooks = await told(ada, 'hook')
    expect(hooks.map(({ name, payload }) => [name, payload?.id])).toEqual([
      ['db.threads.create:action:after', 't1'],
      ['db.messages.create:action:after', 'm1'],
      ['db.messages.update:action:after', 'm1'],
      ['db.documents.create:action:after', 'p1'],
      ['notify:action:push', 'n1'],
      ['db.threads.delete:action:soft:after', 't1'],
    ])
    const { user, workspace } = ada.session
    expect(hooks[0]?.payload).toEqual({
      id: 't1',
      title: 'A thread',
      workspace_id: workspace.id,
      user_id: user.id,
      updated_at: 5,
    })
    expect(hooks.at(-1)?.payload).toMatchObject({
      id: 't1',
      deleted: true,
      updated_at: expect.any(Number) as number,
    })
  })

  it.each(['fail', 'hang'])('is answered whatever the hooks do: %s', async (hooks) => {
    const server = await start({ NUXT_HOOKS: hooks })
    const ada = await signIn(server.url, 'ada')
    for (let version = 1; version <= 20; version++) {
      const { status, body } = await ada.push(uuidPut({ pk: `m${version}` }))
      expect({ status, version: body.serverVersion }).toEqual({ status: 200, version })
    }
    await expect.poll(() => told(ada, 'hook')).not.toHaveLength(0)
    const { code, stderr } = await server.stop()
    expect(code).toBe(0)
    const lines = stderr.split('\n').filter((line) => line !== '')
    expect(lines).toEqual(
      hooks === 'hang'
        ? [expect.stringMatching(/calls of the host's hooks that had not ended when the server did: \d+$/)]
        : [
            "[or3-provider-sqlite] the host's hook db.messages.create:action:after failed with Error",
            "[or3-provider-sqlite] 19 more faults of the host's hooks were not logged",
          ],
    )
  })
})
