/**
 * Issue 15, point 3: which engine is chosen, what each of them is told, and how a wrong choice is answered.
 */
import { describe, expect, it } from '@effect/vitest'
import { Duration, Option, Redacted } from 'effect'
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

  it.each(['bun', 'bun:sqlite', 'd1', 'cloudflare-d1', 'cloudflare', 'D1'])(
    '%j is an engine that this release does not have',
    (value) => {
      expect(read({ ...file, OR3_SQLITE_DRIVER: value }).problems).toEqual([
        `OR3_SQLITE_DRIVER is "${value}", an engine that this release does not have: set it to better-sqlite3 or turso`,
      ])
    },
  )

  it.each(['postgres', 'constructor', 'better sqlite3'])('%j is nothing known', (value) => {
    expect(read({ ...file, OR3_SQLITE_DRIVER: value }).problems).toEqual([
      `OR3_SQLITE_DRIVER is "${value}", but accepts only better-sqlite3 or turso, or their other names better, sqlite, libsql`,
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

describe('a setting that the chosen engine does not know', () => {
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
