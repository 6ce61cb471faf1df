/**
 * Issue 15, "Prove it" and "Done when": the built host on Turso, two of them on one database with a device on each; and how it says
 * that it cannot.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { request } from '../support/httpDevice.js'
import type { Env } from '../support/run.js'
import { killServers, runServer, startServer } from '../support/server.js'
import { SyncingDevice } from '../support/syncingDevice.js'
import { startTurso, type Turso } from '../support/tursoServer.js'

let turso: Turso

beforeAll(async () => {
  await builtHost('later')
  turso = await startTurso()
})
afterEach(() => {
  killServers()
  turso.proxy.token = undefined
})
afterAll(() => turso.stop())

const env = (more: Env = {}): Env => ({
  OR3_SQLITE_DRIVER: 'turso',
  OR3_SQLITE_TURSO_URL: turso.url,
  OR3_SQLITE_TURSO_TIMEOUT: '5 seconds',
  ...more,
})

const start = (more?: Env) => startServer(env(more), 'later')

describe('two built hosts on one database', () => {
  it('show each device what the other wrote, and a fresh one all of it', async () => {
    turso.proxy.token = 'secret-token'
    const token = { OR3_SQLITE_TURSO_AUTH_TOKEN: 'secret-token' }
    const [one, other] = await Promise.all([start(token), start(token)])
    const laptop = await SyncingDevice.signIn(one.url, 'ada', 'laptop')
    const phone = await SyncingDevice.signIn(other.url, 'ada', 'phone')
    expect(phone.scope).toEqual(laptop.scope)

    laptop.put('threads', 't1', { title: 'From the laptop' })
    laptop.put('messages', 'm1')
    await laptop.push()
    await phone.pull()
    expect(phone.rows.get('threads/t1')?.payload).toMatchObject({ title: 'From the laptop' })

    // Both change the same record before either hears of the other.
    phone.put('threads', 't1', { title: 'From the phone' })
    laptop.put('threads', 't1', { title: 'From the laptop again' })
    phone.remove('messages', 'm1')
    await Promise.all([phone.push(), laptop.push()])
    await Promise.all([phone.pull(), laptop.pull()])
    expect([...laptop.rows].sort()).toEqual([...phone.rows].sort())

    const tablet = await SyncingDevice.signIn(other.url, 'ada', 'tablet')
    await tablet.bootstrap(2)
    expect([...tablet.rows.keys()].sort()).toEqual([...laptop.rows.keys()].sort())
    expect(tablet.rows.get('messages/m1')?.deleted).toBe(true)

    for (const server of [one, other]) {
      const { code, stderr, stdout } = await server.stop()
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).not.toContain('secret-token')
    }
  })

  it('keep no file beside them', async () => {
    const { output } = await builtHost('later')
    expect(existsSync(join(output, '.data'))).toBe(false)
  })
})

describe('a host whose database does not answer', () => {
  it('answers 503 until it does', async () => {
    const fresh = await startTurso()
    await fresh.kill()
    const server = await start({ OR3_SQLITE_TURSO_URL: fresh.url })
    const signIn = () => request(`${server.url}/api/dev/sign-in`, 'POST', { name: 'ada' })
    const session = async () => {
      const { cookie } = await signIn()
      return request(`${server.url}/api/auth/session`, 'GET', undefined, cookie)
    }
    const health = () => request(`${server.url}/api/health`, 'GET')
    expect((await session()).status).toBe(503)
    expect(await health()).toMatchObject({ status: 503, body: { status: 'unavailable' } })
    await fresh.restart()
    expect(await health()).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await session()).toMatchObject({ status: 200, body: { session: { authenticated: true } } })
    await server.stop()
    await fresh.stop()
  })
})

describe('a host that cannot start ends with one line', () => {
  const lineOf = async (given: Env, generation: 'february' | 'later' = 'later') => {
    const { code, stderr } = await runServer(given, generation)
    expect(code).toBe(1)
    expect(stderr.trimEnd()).not.toContain('\n')
    expect(stderr).not.toContain('wrong-token')
    return stderr.trimEnd()
  }

  it('about a token that is refused', async () => {
    turso.proxy.token = 'right-token'
    expect(await lineOf(env({ OR3_SQLITE_TURSO_AUTH_TOKEN: 'wrong-token' }))).toContain(
      `(${turso.url}): check OR3_SQLITE_TURSO_AUTH_TOKEN`,
    )
    expect(await lineOf(env())).toContain('refused the token')
  })

  it('about an address that is missing', async () => {
    expect(await lineOf({ OR3_SQLITE_DRIVER: 'turso' })).toContain('OR3_SQLITE_TURSO_URL is not set')
  })

  it('about a path beside the address', async () => {
    expect(await lineOf(env({ OR3_SQLITE_DB_PATH: '/data/or3.db' }))).toContain(
      'OR3_SQLITE_DB_PATH is set, but',
    )
  })

  it('about a client that is not installed, and says how to install it', async () => {
    const { output } = await builtHost('february')
    expect(existsSync(join(output, 'server/node_modules/@libsql'))).toBe(false)
    expect(await lineOf(env(), 'february')).toContain('run `npm install @libsql/client`')
  })
})

describe('the client’s own engine', () => {
  it('serves a built host from a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-turso-'))
    const server = await start({ OR3_SQLITE_TURSO_URL: `file:${join(folder, 'notes.db')}` })
    const laptop = await SyncingDevice.signIn(server.url, 'ada', 'laptop')
    laptop.put('kv', 'k1')
    await laptop.push()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })
})
