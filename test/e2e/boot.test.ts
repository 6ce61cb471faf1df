/**
 * How the built host starts, and how it refuses to: one line that a person can act on, and an exit code.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { request } from '../support/httpDevice.js'
import type { Env } from '../support/run.js'
import { killServers, runServer, startServer } from '../support/server.js'

let folder: string

beforeAll(async () => {
  await builtHost()
  folder = mkdtempSync(join(tmpdir(), 'or3-e2e-boot-'))
})

afterEach(killServers)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** A path in the test's folder, with a file made by SQL if there is any. */
const file = (name: string, sql?: string): string => {
  const path = join(folder, name)
  if (sql !== undefined) new Sqlite(path).exec(sql).close()
  return path
}

describe('a host that cannot start', () => {
  /** Each gives the environment, and what the one line must tell. */
  const failures: ReadonlyArray<readonly [string, () => Env, (env: Env) => ReadonlyArray<string>]> = [
    ['no path', () => ({}), () => ['OR3_SQLITE_DB_PATH', 'is not set']],
    ['an empty path', () => ({ OR3_SQLITE_DB_PATH: '' }), () => ['OR3_SQLITE_DB_PATH', 'is not set']],
    [
      'several wrong settings',
      () => ({
        OR3_SQLITE_DB_PATH: file('unused.db'),
        OR3_SQLITE_PRAGMA_JOURNAL_MODE: 'WALL',
        OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'never',
        OR3_SQLITE_STRICT: 'maybe',
      }),
      () => [
        'OR3_SQLITE_PRAGMA_JOURNAL_MODE',
        'WALL',
        'TRUNCATE',
        'OR3_SQLITE_PRAGMA_SYNCHRONOUS',
        'EXTRA',
        'OR3_SQLITE_STRICT',
        'maybe',
      ],
    ],
    [
      'a database in memory',
      () => ({ OR3_SQLITE_DB_PATH: ':memory:' }),
      () => ['OR3_SQLITE_ALLOW_IN_MEMORY'],
    ],
    [
      'a database in memory that is both allowed and forbidden',
      () => ({
        OR3_SQLITE_DB_PATH: ':memory:',
        OR3_SQLITE_ALLOW_IN_MEMORY: 'true',
        OR3_SQLITE_STRICT: 'true',
      }),
      () => ['OR3_SQLITE_STRICT'],
    ],
    [
      'a path below a file',
      () => {
        writeFileSync(file('file.txt'), 'text')
        return { OR3_SQLITE_DB_PATH: file('file.txt/below/host.db') }
      },
      (env) => [env.OR3_SQLITE_DB_PATH!, 'OR3_SQLITE_DB_PATH'],
    ],
    [
      'a path that is a folder',
      () => {
        mkdirSync(file('folder'))
        return { OR3_SQLITE_DB_PATH: file('folder') }
      },
      (env) => [env.OR3_SQLITE_DB_PATH!, 'OR3_SQLITE_DB_PATH'],
    ],
    [
      'a file that is no database',
      () => {
        writeFileSync(file('letter.txt'), 'Dear reader, this is not a database. '.repeat(100))
        return { OR3_SQLITE_DB_PATH: file('letter.txt') }
      },
      (env) => [env.OR3_SQLITE_DB_PATH!, 'not an SQLite database'],
    ],
    [
      'a table of another program',
      () => ({ OR3_SQLITE_DB_PATH: file('table.db', 'CREATE TABLE users (name TEXT)') }),
      (env) => [env.OR3_SQLITE_DB_PATH!, 'is no database of this package: check OR3_SQLITE_DB_PATH'],
    ],
    [
      'a view of another program',
      () => ({ OR3_SQLITE_DB_PATH: file('view.db', 'CREATE VIEW users AS SELECT 1 AS name') }),
      (env) => [env.OR3_SQLITE_DB_PATH!, 'is no database of this package: check OR3_SQLITE_DB_PATH'],
    ],
  ]

  it.each(failures)('says why in one line: %s', async (_name, environment, expected) => {
    const env = environment()
    const { code, stdout, stderr } = await runServer(env)
    expect(code).toBe(1)
    expect(stdout).not.toContain('Listening')
    expect(stderr).toMatch(/^\[or3-provider-sqlite\] [^\n]+\n$/)
    for (const part of expected(env)) expect(stderr).toContain(part)
  })

  it('leaves a database of a newer schema as it is', async () => {
    const env = { OR3_SQLITE_DB_PATH: file('newer.db') }
    const first = await startServer(env)
    expect(await first.stop()).toMatchObject({ code: 0 })
    const database = new Sqlite(env.OR3_SQLITE_DB_PATH)
    database.exec(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (999, 'future')`).close()

    const { code, stderr } = await runServer(env)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^\[or3-provider-sqlite\] [^\n]+\n$/)
    expect(stderr).toContain(env.OR3_SQLITE_DB_PATH)
    expect(stderr).toMatch(/999_future.*newer/)
    expect(existsSync(`${env.OR3_SQLITE_DB_PATH}-wal`)).toBe(false)
  })

  it('leaves a file of another program as it was', async () => {
    const path = file('rollback.db', 'CREATE TABLE s_posts (mine TEXT)')
    expect((await runServer({ OR3_SQLITE_DB_PATH: path })).code).toBe(1)
    const database = new Sqlite(path)
    const tables = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all()
    database.close()
    expect(tables).toEqual(['s_posts'])
  })

  it('shows the stack when DEBUG asks for it', async () => {
    const { code, stderr } = await runServer({ OR3_SQLITE_DB_PATH: folder, DEBUG: '1' })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^\[or3-provider-sqlite\] [^\n]+\n/)
    expect(stderr).toMatch(/\n\s+at openProvider /)
  })
})

describe('a host that needs no database', () => {
  it.each([
    ['local-only', { NUXT_AUTH_ENABLED: 'false' }, 404],
    ['of another sync provider', { NUXT_PUBLIC_SYNC_PROVIDER: 'other' }, 500],
  ])('opens none: %s', async (name, env, syncStatus) => {
    const path = join(folder, `${name}.db`)
    for (const setting of [{ OR3_SQLITE_DB_PATH: path }, {}]) {
      const server = await startServer({ ...env, ...setting })
      expect(await request(`${server.url}/api/auth/session`, 'GET')).toMatchObject({
        status: 200,
        body: { session: null },
      })
      const { cookie } = await request(`${server.url}/api/dev/sign-in`, 'POST', { name: 'ada' })
      const pull = { scope: { workspaceId: 'w' }, cursor: 0, limit: 1 }
      const { status } = await request(`${server.url}/api/sync/pull`, 'POST', pull, cookie)
      expect(status).toBe(syncStatus)
      expect(await server.stop()).toMatchObject({ code: 0 })
    }
    expect(existsSync(path)).toBe(false)
  })
})

describe('a host while it is built', () => {
  it('prerenders with the provider, and opens no database', async () => {
    const { databaseAtBuild, output } = await builtHost()
    expect(existsSync(join(output, 'public/about/index.html'))).toBe(true)
    expect(existsSync(databaseAtBuild)).toBe(false)
  })
})
