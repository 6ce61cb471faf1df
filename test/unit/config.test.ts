/**
 * Issue 2, point 2: every setting, its default, what it accepts, and how a wrong one is told.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from '@effect/vitest'
import Sqlite from 'better-sqlite3'
import { Duration, Effect, Layer, Logger, Option } from 'effect'
import { afterAll, vi } from 'vitest'
import * as Database from '../../src/layers/synchronous/databaseLayer.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import * as Migrator from '../../src/layers/synchronous/SchemaMigrator.js'
import { openProvider, ProviderStartupError } from '../../src/nuxt/adapters.js'
import { journalModes, ProviderConfig, synchronousLevels } from '../../src/services/index.js'
import { type Env, readSettings, withEnv } from '../support/settings.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `config-${++files}.db`)

const read = readSettings

const file = { OR3_SQLITE_DB_PATH: '/data/or3.db' }

/** Opens and closes a provider; gives what was printed as well. */
const opening = async (env: Env) => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  const warnings = () =>
    said.mock.calls.map(([line]) => String(line)).filter((line) => !/\] (applied|created) /.test(line))
  try {
    const provider = openProvider({ env })
    await provider.workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
    await provider.close()
    return { error: undefined, warnings: warnings() }
  } catch (error) {
    if (!(error instanceof ProviderStartupError)) throw error
    return { error: error.message, warnings: warnings() }
  } finally {
    said.mockRestore()
  }
}

/** Every pragma that the settings decide, as the open database has them. */
const pragmasOf = (env: Env) =>
  Effect.runSync(
    Effect.gen(function* () {
      const { direct } = yield* Database.Database
      const pragma = (name: string) =>
        direct('test', ({ first }) => Object.values(first<Record<string, unknown>>(`PRAGMA ${name}`)!)[0])
      return {
        journalMode: yield* pragma('journal_mode'),
        synchronous: yield* pragma('synchronous'),
        foreignKeys: yield* pragma('foreign_keys'),
      }
    }).pipe(
      Effect.provide(
        Database.layer.pipe(
          Layer.provide(Migrator.layer),
          Layer.provide(Config.layer),
          Layer.provide(withEnv(env)),
          Layer.provide(Logger.remove(Logger.defaultLogger)),
        ),
      ),
    ),
  )

describe('defaults', () => {
  const settings = {
    driver: 'better-sqlite3',
    dbPath: '/data/or3.db',
    authToken: Option.none(),
    timeout: Duration.seconds(10),
    journalMode: 'WAL',
    synchronous: 'NORMAL',
    gcInterval: Option.some(Duration.hours(1)),
    gcRetention: Duration.days(30),
    purgeAfter: Option.none(),
    warnings: [],
  }

  it('are WAL, NORMAL and a collection every hour, without a warning', () => {
    expect(read(file)).toEqual({ settings, problems: [], logged: [] })
  })

  it('are the same for settings given in the program, which collects when it says so', () => {
    const layer = Config.layerOf({ dbPath: '/data/or3.db' })
    expect(Effect.runSync(Effect.provide(ProviderConfig, layer))).toEqual({
      ...settings,
      gcInterval: Option.none(),
    })
  })

  it('stand for variables that are set but empty or blank', () => {
    const blank = {
      OR3_SQLITE_DRIVER: ' ',
      OR3_SQLITE_PRAGMA_JOURNAL_MODE: '',
      OR3_SQLITE_PRAGMA_SYNCHRONOUS: '  ',
      OR3_SQLITE_ALLOW_IN_MEMORY: '',
      OR3_SQLITE_STRICT: '',
      OR3_SQLITE_GC_INTERVAL: ' ',
      OR3_SQLITE_GC_RETENTION: '',
      OR3_SQLITE_PURGE_AFTER: ' ',
    }
    expect(read({ ...file, ...blank })).toEqual(read(file))
  })

  it('include no path: a missing or empty one is an error that says what to give', () => {
    for (const env of [{}, { OR3_SQLITE_DB_PATH: '' }, { OR3_SQLITE_DB_PATH: ' ' }]) {
      const { problems } = read(env)
      expect(problems).toHaveLength(1)
      expect(problems[0]).toMatch(/^OR3_SQLITE_DB_PATH is not set: .*path of the database file/)
    }
  })
})

describe('OR3_SQLITE_DB_PATH', () => {
  it('is taken literally, with commas, dots, spaces and quotes in it', async () => {
    const odd = join(folder, `it's, an.odd "path"`, 'or3 chat.db')
    expect(read({ OR3_SQLITE_DB_PATH: odd }).settings?.dbPath).toBe(odd)
    expect(await opening({ OR3_SQLITE_DB_PATH: odd })).toEqual({ error: undefined, warnings: [] })
    expect(existsSync(odd)).toBe(true)
  })

  it.each(['"/data/or3.db"', "'/data/or3.db'", '~/or3.db', '~', 'file:/data/or3.db', 'FILE:///data/or3.db'])(
    '%s would be a file somewhere else: an error that says what is wrong',
    (value) => {
      const { settings, problems } = read({ OR3_SQLITE_DB_PATH: value })
      expect(settings).toBeUndefined()
      expect(problems).toEqual([
        expect.stringMatching(/^OR3_SQLITE_DB_PATH \(.*\) (begins with (a quote|~)|is a URL)/),
      ])
      expect(problems[0]).toContain(value)
    },
  )

  it.each(['~or3.db', './~/or3.db', 'file.db', 'a"b.db'])('may be %s', (value) => {
    expect(read({ OR3_SQLITE_DB_PATH: value }).settings?.dbPath).toBe(value)
  })

  it('is told when nothing was there, as a whole, and only then', async () => {
    const path = newFile()
    const start = () => {
      const said = vi.spyOn(console, 'error').mockImplementation(() => {})
      return openProvider({ env: { OR3_SQLITE_DB_PATH: relative(process.cwd(), path) } })
        .close()
        .then(() => said.mock.calls.map(([line]) => String(line)))
        .finally(() => said.mockRestore())
    }
    expect((await start())[0]).toBe(`[or3-provider-sqlite] created a new database at ${path}`)
    expect(await start()).toEqual([])
    // The file is gone, and what tells of it is not.
    rmSync(path)
    expect(await start()).toHaveLength(2)
    rmSync(path)
    writeFileSync(`${path}-seen`, '9 9 0\n')
    expect(await start()).toEqual([
      `[or3-provider-sqlite] the database file is gone but ${path}-seen tells of one: restore a backup if it was not removed on purpose`,
      `[or3-provider-sqlite] created a new database at ${path}`,
      expect.stringContaining('] applied '),
    ])
  })

  it('has its missing parent folders made', async () => {
    const deep = join(folder, 'a', 'b', 'c', 'or3.db')
    expect((await opening({ OR3_SQLITE_DB_PATH: deep })).error).toBeUndefined()
    expect(existsSync(deep)).toBe(true)
  })

  it.each([
    ['a folder', () => folder],
    [
      'below a file',
      () => {
        const plain = newFile()
        writeFileSync(plain, 'x')
        return join(plain, 'or3.db')
      },
    ],
    [
      'no database',
      () => {
        const plain = newFile()
        writeFileSync(plain, 'This is a text, and no database at all. '.repeat(50))
        return plain
      },
    ],
  ])('that is %s is an error of one line that names path and variable', async (_what, make) => {
    const path = make()
    const { error } = await opening({ OR3_SQLITE_DB_PATH: path })
    expect(error).toContain(path)
    expect(error).toContain('OR3_SQLITE_DB_PATH')
    expect(error).not.toContain('\n')
  })

  it('is left as it was when the file is no database', async () => {
    const plain = newFile()
    writeFileSync(plain, 'This is a text, and no database at all. '.repeat(50))
    const before = readFileSync(plain)
    expect((await opening({ OR3_SQLITE_DB_PATH: plain })).error).toContain('not an SQLite database')
    expect(readFileSync(plain).equals(before)).toBe(true)
    expect(existsSync(`${plain}-wal`)).toBe(false)
  })
})

describe('an in-memory database', () => {
  const memory = { OR3_SQLITE_DB_PATH: ':memory:' }

  it.each([{ NODE_ENV: 'test' }, { VITEST: 'true' }, { VITEST: '1' }])(
    'is the default in tests: %o',
    async (tests) => {
      expect(read(tests)).toMatchObject({
        settings: { dbPath: ':memory:', warnings: [] },
        problems: [],
        logged: [],
      })
      expect(await opening(tests)).toEqual({ error: undefined, warnings: [] })
    },
  )

  it('is not for other environments, and an empty VITEST is none', () => {
    for (const env of [{ NODE_ENV: 'production' }, { NODE_ENV: 'TEST' }, { VITEST: '' }]) {
      expect(read(env).problems).toHaveLength(1)
    }
  })

  it('is refused outside tests', async () => {
    expect(read(memory).problems).toEqual([
      expect.stringMatching(/^OR3_SQLITE_DB_PATH is ":memory:".*OR3_SQLITE_ALLOW_IN_MEMORY=true/),
    ])
    expect((await opening(memory)).error).toContain('OR3_SQLITE_ALLOW_IN_MEMORY')
  })

  it('is allowed by OR3_SQLITE_ALLOW_IN_MEMORY, with a warning that data is lost', async () => {
    const env = { ...memory, OR3_SQLITE_ALLOW_IN_MEMORY: 'true' }
    const { settings, logged } = read(env)
    expect(settings?.dbPath).toBe(':memory:')
    expect(logged).toEqual([{ level: 'Warning', message: expect.stringMatching(/all data is lost/) }])
    const { error, warnings } = await opening(env)
    expect(error).toBeUndefined()
    expect(warnings).toEqual([expect.stringMatching(/^\[or3-provider-sqlite\] .*all data is lost/)])
  })

  it('is what OR3_SQLITE_ALLOW_IN_MEMORY means without a path, with the same warning', async () => {
    const env = { OR3_SQLITE_ALLOW_IN_MEMORY: 'true' }
    expect(read(env)).toEqual(read({ ...memory, ...env }))
    expect((await opening(env)).warnings).toEqual([expect.stringMatching(/all data is lost/)])
    expect(read({ OR3_SQLITE_ALLOW_IN_MEMORY: 'false' }).problems).toEqual(read({}).problems)
    expect(read({ ...env, OR3_SQLITE_STRICT: '1' }).problems).toEqual([
      expect.stringMatching(/^OR3_SQLITE_STRICT forbids/),
    ])
  })

  it('fails the start under OR3_SQLITE_STRICT, allowed or not, in tests or not', async () => {
    for (const env of [
      { ...memory, OR3_SQLITE_STRICT: '1' },
      { ...memory, OR3_SQLITE_STRICT: '1', OR3_SQLITE_ALLOW_IN_MEMORY: '1' },
      { NODE_ENV: 'test', OR3_SQLITE_STRICT: '1' },
    ]) {
      expect(read(env).problems).toEqual([expect.stringMatching(/^OR3_SQLITE_STRICT forbids/)])
      expect((await opening(env)).error).toContain('OR3_SQLITE_STRICT')
    }
  })

  it('is not what OR3_SQLITE_STRICT and OR3_SQLITE_ALLOW_IN_MEMORY forbid or make of a file', () => {
    const env = { ...file, OR3_SQLITE_STRICT: 'on', OR3_SQLITE_ALLOW_IN_MEMORY: 'on' }
    expect(read(env)).toEqual(read(file))
  })

  it('has its own journal mode, whatever is asked for', () => {
    expect(pragmasOf({ VITEST: '1', OR3_SQLITE_PRAGMA_JOURNAL_MODE: 'WAL' })).toEqual({
      journalMode: 'memory',
      synchronous: 1,
      foreignKeys: 1,
    })
  })
})

describe('flags', () => {
  const asFlag = (value: string) => {
    const env = { OR3_SQLITE_DB_PATH: ':memory:', OR3_SQLITE_ALLOW_IN_MEMORY: value }
    const { settings, problems } = read(env)
    return settings !== undefined ? true : problems[0]!.includes('accepts') ? problems[0]! : false
  }

  it.each(['1', 'true', 'yes', 'on', 'TRUE', 'Yes', 'oN', ' true '])('%j means true', (value) => {
    expect(asFlag(value)).toBe(true)
  })

  it.each(['0', 'false', 'no', 'off', 'FALSE', 'No', 'oFF', ''])('%j means false', (value) => {
    expect(asFlag(value)).toBe(false)
  })

  it.each(['2', 'ja', 'truee', 'y', 'null', 'constructor', '__proto__', 'enabled'])(
    '%j is an error, not false',
    (value) => {
      expect(asFlag(value)).toBe(
        `OR3_SQLITE_ALLOW_IN_MEMORY is "${value}", but accepts only 1/true/yes/on or 0/false/no/off`,
      )
      expect(read({ ...file, OR3_SQLITE_STRICT: value }).problems).toEqual([
        `OR3_SQLITE_STRICT is "${value}", but accepts only 1/true/yes/on or 0/false/no/off`,
      ])
    },
  )
})

describe('OR3_SQLITE_PRAGMA_JOURNAL_MODE', () => {
  it.each(journalModes)('accepts %s in any case', (mode) => {
    const alternating = [...mode].map((c, i) => (i % 2 === 0 ? c.toLowerCase() : c)).join('')
    for (const value of [mode, mode.toLowerCase(), alternating, ` ${mode} `]) {
      expect(read({ ...file, OR3_SQLITE_PRAGMA_JOURNAL_MODE: value }).settings?.journalMode).toBe(mode)
    }
  })

  it('lists the modes when it is none of them', () => {
    expect(read({ ...file, OR3_SQLITE_PRAGMA_JOURNAL_MODE: 'wall' }).problems).toEqual([
      'OR3_SQLITE_PRAGMA_JOURNAL_MODE is "wall", but accepts only DELETE, TRUNCATE, PERSIST, MEMORY, WAL',
    ])
  })

  it.each(['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'WAL'])('sets %s on the file', (mode) => {
    const env = { OR3_SQLITE_DB_PATH: newFile(), OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode }
    expect(pragmasOf(env).journalMode).toBe(mode.toLowerCase())
  })

  it('can be changed on a file that has another', () => {
    const path = newFile()
    const open = (mode: string) =>
      pragmasOf({ OR3_SQLITE_DB_PATH: path, OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode }).journalMode
    expect([open('WAL'), open('DELETE'), open('WAL'), open('truncate')]).toEqual([
      'wal',
      'delete',
      'wal',
      'truncate',
    ])
  })

  it('is not OFF, which the driver refuses: nothing could be rolled back', async () => {
    const path = newFile()
    const { error } = await opening({ OR3_SQLITE_DB_PATH: path, OR3_SQLITE_PRAGMA_JOURNAL_MODE: 'OFF' })
    expect(error).toBe(
      'OR3_SQLITE_PRAGMA_JOURNAL_MODE is "OFF", but accepts only DELETE, TRUNCATE, PERSIST, MEMORY, WAL',
    )
    expect(existsSync(path)).toBe(false)
  })
})

describe('OR3_SQLITE_PRAGMA_SYNCHRONOUS', () => {
  it.each(synchronousLevels.map((level, number) => [level, number] as const))(
    'accepts %s in any case, and it is set',
    (level, number) => {
      for (const value of [level, level.toLowerCase()]) {
        expect(read({ ...file, OR3_SQLITE_PRAGMA_SYNCHRONOUS: value }).settings?.synchronous).toBe(level)
        expect(
          pragmasOf({ OR3_SQLITE_DB_PATH: newFile(), OR3_SQLITE_PRAGMA_SYNCHRONOUS: value }),
        ).toMatchObject({ synchronous: number })
      }
    },
  )

  it('lists the levels when it is none of them', () => {
    for (const value of ['1', 'sometimes']) {
      expect(read({ ...file, OR3_SQLITE_PRAGMA_SYNCHRONOUS: value }).problems).toEqual([
        `OR3_SQLITE_PRAGMA_SYNCHRONOUS is "${value}", but accepts only OFF, NORMAL, FULL, EXTRA`,
      ])
    }
  })
})

describe('foreign keys', () => {
  it('are on', () => {
    expect(pragmasOf({ OR3_SQLITE_DB_PATH: newFile() }).foreignKeys).toBe(1)
  })
})

describe('several wrong values', () => {
  const wrong = {
    OR3_SQLITE_DRIVER: 'postgres',
    OR3_SQLITE_PRAGMA_JOURNAL_MODE: 'wall',
    OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'never',
    OR3_SQLITE_ALLOW_IN_MEMORY: 'perhaps',
    OR3_SQLITE_STRICT: 'very',
    OR3_SQLITE_GC_INTERVAL: 'often',
    OR3_SQLITE_GC_RETENTION: 'long',
    OR3_SQLITE_PURGE_AFTER: 'soon',
  }
  const names = (problems: ReadonlyArray<string>) => problems.map((problem) => problem.split(' ')[0]).sort()

  it('are reported together, in one error of one line', async () => {
    const everyName = ['OR3_SQLITE_DB_PATH', ...Object.keys(wrong)].sort()
    expect(names(read(wrong).problems)).toEqual(everyName)
    const { error } = await opening(wrong)
    for (const name of everyName) expect(error).toContain(name)
    expect(error).not.toContain('\n')
  })

  it('are reported together with an in-memory database that is not allowed', () => {
    const { OR3_SQLITE_PRAGMA_JOURNAL_MODE, OR3_SQLITE_PRAGMA_SYNCHRONOUS } = wrong
    const env = {
      OR3_SQLITE_DB_PATH: ':memory:',
      OR3_SQLITE_PRAGMA_JOURNAL_MODE,
      OR3_SQLITE_PRAGMA_SYNCHRONOUS,
    }
    expect(names(read(env).problems)).toEqual([
      'OR3_SQLITE_DB_PATH',
      'OR3_SQLITE_PRAGMA_JOURNAL_MODE',
      'OR3_SQLITE_PRAGMA_SYNCHRONOUS',
    ])
  })

  it('leave no file behind', async () => {
    const path = join(folder, 'never', 'made.db')
    const { error } = await opening({ ...wrong, OR3_SQLITE_DB_PATH: path })
    expect(error).toContain('OR3_SQLITE_STRICT')
    expect(existsSync(join(folder, 'never'))).toBe(false)
  })
})

describe('OR3_SQLITE_GC_INTERVAL and OR3_SQLITE_GC_RETENTION', () => {
  it.each([
    ['90 minutes', Duration.minutes(90)],
    ['1 hour', Duration.hours(1)],
    ['  24 days ', Duration.days(24)],
    ['500 millis', Duration.millis(500)],
  ])('accept %j', (value, expected) => {
    const { settings } = read({ ...file, OR3_SQLITE_GC_INTERVAL: value, OR3_SQLITE_GC_RETENTION: value })
    expect(settings?.gcInterval.pipe(Option.map(Duration.toMillis))).toEqual(
      Option.some(Duration.toMillis(expected)),
    )
    expect(Duration.toMillis(settings!.gcRetention)).toBe(Duration.toMillis(expected))
  })

  it.each(['0 seconds', '-1 hour', 'often', '1', '1 fortnight', 'Infinity', 'infinity days', 'NaN hours'])(
    'say what they accept when given %j',
    (value) => {
      for (const name of ['OR3_SQLITE_GC_INTERVAL', 'OR3_SQLITE_GC_RETENTION']) {
        const bound = name === 'OR3_SQLITE_GC_INTERVAL' ? ', up to 24 days, or off' : ''
        expect(read({ ...file, [name]: value }).problems).toEqual([
          `${name} is "${value}", but accepts only a duration such as "90 minutes", "1 hour" or "30 days"${bound}`,
        ])
      }
    },
  )
})

it('OR3_SQLITE_GC_INTERVAL is switched off by off', () => {
  for (const value of ['off', 'OFF', ' Off ']) {
    expect(read({ ...file, OR3_SQLITE_GC_INTERVAL: value }).settings?.gcInterval).toEqual(Option.none())
  }
  expect(read({ ...file, OR3_SQLITE_GC_RETENTION: 'off' }).problems).toHaveLength(1)
})

it('OR3_SQLITE_GC_INTERVAL refuses what no timer of Node can wait for', () => {
  expect(read({ ...file, OR3_SQLITE_GC_INTERVAL: '25 days' }).problems).toHaveLength(1)
  expect(read({ ...file, OR3_SQLITE_GC_RETENTION: '400 days' }).problems).toEqual([])
})

it('OR3_SQLITE_PURGE_AFTER takes a day or more, or off', () => {
  const given = (value: string) => read({ ...file, OR3_SQLITE_PURGE_AFTER: value })
  expect(given('OFF').settings?.purgeAfter).toEqual(Option.none())
  for (const value of ['24 hours', '400 days']) {
    expect(Option.isSome(given(value).settings!.purgeAfter)).toBe(true)
  }
  for (const value of ['23 hours', '0 days', 'soon']) {
    expect(given(value).problems).toEqual([
      `OR3_SQLITE_PURGE_AFTER is "${value}", but accepts only a duration such as "90 minutes", "1 hour" or "30 days", of a day at least, or off`,
    ])
  }
})

describe('the environment', () => {
  it('is the given one only: the process has VITEST set, which does not count', async () => {
    expect(process.env.VITEST).toBeDefined()
    expect((await opening({})).error).toMatch(/OR3_SQLITE_DB_PATH is not set/)
  })

  it('keeps files apart from each other', async () => {
    const [one, two] = [newFile(), newFile()]
    await opening({ OR3_SQLITE_DB_PATH: one })
    await opening({ OR3_SQLITE_DB_PATH: two })
    const count = (path: string) => {
      const database = new Sqlite(path, { readonly: true })
      try {
        return database.prepare('SELECT count(*) AS n FROM users').pluck().get()
      } finally {
        database.close()
      }
    }
    expect([count(one), count(two)]).toEqual([1, 1])
  })
})
