/**
 * Issue 15, point 3: which engine is chosen, what each of them is told, and how a wrong choice is answered.
 */
import { describe, expect, it } from '@effect/vitest'
import { Duration, Option, Redacted } from 'effect'
import { vi } from 'vitest'
import { readSettings as read } from '../support/settings.js'

const file = { OR3_SQLITE_DB_PATH: '/data/or3.db' }
const url = 'libsql://notes-ann.turso.io'
const turso = { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: url }

describe('OR3_SQLITE_DRIVER', () => {
  it.each(['better-sqlite3', 'better', 'sqlite', 'SQLite', ' better-sqlite3 '])(
    '%j is SQLite in the process',
    (value) => {
      expect(read({ ...file, OR3_SQLITE_DRIVER: value })).toEqual(read(file))
    },
  )

  it.each(['turso', 'libsql', 'Turso'])('%j is Turso', (value) => {
    expect(read({ ...turso, OR3_SQLITE_DRIVER: value }).settings).toMatchObject({
      driver: 'turso',
      dbPath: url,
    })
  })

  it.each(['d1', 'cloudflare-d1', 'cloudflare', 'D1'])('%j is D1', (value) => {
    expect(read({ OR3_SQLITE_DRIVER: value }).settings).toMatchObject({
      driver: 'd1',
      dbPath: 'DB',
      gcInterval: Option.none(),
    })
  })

  it.each(['bun', 'bun:sqlite', 'Bun'])('%j is of another runtime', (value) => {
    expect(read({ ...file, OR3_SQLITE_DRIVER: value }).problems).toEqual([
      `OR3_SQLITE_DRIVER is "${value}", which only Bun has, but this process is Node ${process.version}: start it with Bun, or set it to better-sqlite3`,
    ])
  })

  it.each(['postgres', 'constructor', 'better sqlite3'])('%j is nothing known', (value) => {
    expect(read({ ...file, OR3_SQLITE_DRIVER: value }).problems).toEqual([
      `OR3_SQLITE_DRIVER is "${value}", but accepts only better-sqlite3 or bun or turso or d1, or their other names better, sqlite, bun:sqlite, libsql, cloudflare-d1, cloudflare`,
    ])
  })
})

describe('the settings of Turso', () => {
  it('are an address, and a token that nothing prints', () => {
    const { settings, logged } = read({ ...turso, OR3_SQLITE_TURSO_AUTH_TOKEN: 'secret-1' })
    expect(settings).toMatchObject({ dbPath: url, timeout: Duration.seconds(10) })
    expect(Option.map(settings!.authToken, Redacted.value)).toEqual(Option.some('secret-1'))
    expect(String(settings!.authToken) + JSON.stringify(settings)).not.toContain('secret-1')
    expect(logged).toEqual([])
  })

  it.each([
    url,
    'https://db.example',
    'http://127.0.0.1:8080',
    'wss://db.example',
    'file:/data/notes.db',
    'file:notes.db',
  ])('take %s', (given) => {
    expect(read({ ...turso, OR3_SQLITE_TURSO_URL: given }).settings?.dbPath).toBe(given)
  })

  const example = 'give it the address of the database, such as libsql://NAME-ORGANISATION.turso.io'

  it.each([
    ['', `is not set: ${example}`],
    ['notes-ann.turso.io', `is no URL that begins with libsql:, https:, http:, wss:, file:: ${example}`],
    ['postgres://db.example', `is no URL that begins with libsql:, https:, http:, wss:, file:: ${example}`],
    [`${url}?authToken=secret-1`, 'holds a secret: put the token into OR3_SQLITE_TURSO_AUTH_TOKEN'],
    ['https://ann:secret-1@db.example', 'holds a secret: put the token into OR3_SQLITE_TURSO_AUTH_TOKEN'],
    [`${url}?tls=0`, 'has a part behind ? or #: leave it out'],
    ['file::memory:', 'is a database in memory, which each server would have for itself'],
    ['libsql://', `names no host: ${example}`],
  ])('say what is wrong with the address %j', (given, problem) => {
    const { problems } = read({ ...turso, OR3_SQLITE_TURSO_URL: given })
    expect(problems).toEqual([`OR3_SQLITE_TURSO_URL ${problem}`])
    expect(problems.join()).not.toContain('secret-1')
  })

  it.each(['two\nlines', 'two\r\nlines', 'a blank', 'cut off …', 'a\0b'])(
    'refuse the token %j without repeating it',
    (token) => {
      const { problems } = read({ ...turso, OR3_SQLITE_TURSO_AUTH_TOKEN: token })
      expect(problems).toEqual([
        'OR3_SQLITE_TURSO_AUTH_TOKEN has blanks, line breaks or other characters that no token has: copy it again',
      ])
    },
  )

  it('bound how long a call may take', () => {
    const timeoutOf = (value: string) => read({ ...turso, OR3_SQLITE_TURSO_TIMEOUT: value })
    expect(timeoutOf('3 seconds').settings?.timeout).toEqual(Duration.seconds(3))
    expect(timeoutOf('5 minutes').settings?.timeout).toEqual(Duration.minutes(5))
    for (const value of ['0 seconds', '6 minutes', 'long']) {
      expect(timeoutOf(value).problems).toEqual([
        `OR3_SQLITE_TURSO_TIMEOUT is "${value}", but accepts only a duration such as "90 minutes", "1 hour" or "30 days", up to 5 minutes`,
      ])
    }
  })
})

describe('the settings of D1', () => {
  const d1 = { OR3_SQLITE_DRIVER: 'd1' }

  it('are the name of a binding', () => {
    expect(read({ ...d1, OR3_SQLITE_D1_BINDING: 'NOTES' }).settings?.dbPath).toBe('NOTES')
  })

  it.each(['or3-sync', '0d3a3a2e-7c1f-4a52-9f0c-1f7d2b6c5e11', 'a b'])('refuse %j', (value) => {
    expect(read({ ...d1, OR3_SQLITE_D1_BINDING: value }).problems).toEqual([
      `OR3_SQLITE_D1_BINDING is "${value}", but accepts only the name of a binding, such as DB: that of the database or its id is another thing`,
    ])
  })

  it('are what a Worker has by itself, and nothing else', () => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
    try {
      expect(read({}).settings?.driver).toBe('d1')
      expect(read(turso).problems[0]).toBe(
        'OR3_SQLITE_DRIVER is "turso", but a Worker has D1 alone: set it to d1, or unset it',
      )
    } finally {
      vi.unstubAllGlobals()
    }
  })
})

describe('a setting that the chosen engine does not know', () => {
  it.each([
    ['OR3_SQLITE_DB_PATH', '/data/or3.db'],
    ['OR3_SQLITE_TURSO_URL', url],
    ['OR3_SQLITE_GC_INTERVAL', '1 hour'],
  ])('stops D1: %s', (name, value) => {
    expect(read({ OR3_SQLITE_DRIVER: 'd1', [name]: value }).problems).toEqual([
      `${name} is set, but OR3_SQLITE_DRIVER is d1, which does not know it: unset one of them`,
    ])
  })

  it.each([
    ['OR3_SQLITE_DB_PATH', '/data/or3.db'],
    ['OR3_SQLITE_PRAGMA_JOURNAL_MODE', 'WAL'],
    ['OR3_SQLITE_PRAGMA_SYNCHRONOUS', 'NORMAL'],
    ['OR3_SQLITE_ALLOW_IN_MEMORY', 'true'],
  ])('stops Turso: %s', (name, value) => {
    expect(read({ ...turso, [name]: value }).problems).toEqual([
      `${name} is set, but OR3_SQLITE_DRIVER is turso, which does not know it: unset one of them`,
    ])
  })

  it.each([
    ['OR3_SQLITE_TURSO_URL', url],
    ['OR3_SQLITE_TURSO_AUTH_TOKEN', 'secret-1'],
    ['OR3_SQLITE_TURSO_TIMEOUT', '1 second'],
  ])('stops SQLite in the process: %s', (name, value) => {
    expect(read({ ...file, [name]: value }).problems).toEqual([
      `${name} is set, but OR3_SQLITE_DRIVER is better-sqlite3, which does not know it: unset one of them`,
    ])
  })

  it('is one that is set to something', () => {
    const blank = { OR3_SQLITE_DB_PATH: ' ', OR3_SQLITE_PRAGMA_JOURNAL_MODE: '' }
    expect(read({ ...turso, ...blank })).toEqual(read(turso))
  })

  it('leaves what every engine has', () => {
    const common = {
      OR3_SQLITE_STRICT: 'true',
      OR3_SQLITE_GC_INTERVAL: 'off',
      OR3_SQLITE_GC_RETENTION: '1 day',
    }
    expect(read({ ...turso, ...common }).settings).toMatchObject({
      gcInterval: Option.none(),
      gcRetention: Duration.days(1),
    })
  })
})
