/**
 * Issue 2, point 3: the schema comes up by itself, once, whoever starts at the same time, or the file stays as it was.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@effect/vitest'
import * as SqlMigrator from '@effect/sql/Migrator'
import { SqliteClient } from '@effect/sql-sqlite-node'
import Sqlite from 'better-sqlite3'
import { Cause, Effect, Exit, Layer, Logger } from 'effect'
import { vi } from 'vitest'
import { migrations } from '../../migrations/index.js'
import * as Database from '../../src/layers/synchronous/databaseLayer.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import * as Migrator from '../../src/layers/synchronous/SchemaMigrator.js'
import { openProvider, ProviderStartupError } from '../../src/nuxt/adapters.js'
import { SchemaError, SchemaMigrator, syncedTables } from '../../src/services/index.js'
import { buildForProcesses } from '../support/processes.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `migrations-${++files}.db`)

/** As the migrations are named; those of the specification come first. */
const all = Object.keys(migrations).map((name) => ({ id: Number.parseInt(name, 10), name }))
const newest = all.at(-1)!
const logLine = (applied: typeof all) => `applied ${applied.map(({ name }) => name).join(', ')}`
const created = (path: string) => `created a new database at ${path}`

const specifiedTables = [
  ...['users', 'auth_accounts', 'workspaces', 'workspace_members'],
  ...['server_version_counter', 'change_log', 'device_cursors', 'tombstones'],
  ...['threads', 'messages', 'projects', 'posts', 'kv', 'file_meta', 'notifications'].map((t) => `s_${t}`),
]
/** Beyond the specification: what trimming needs, what adoption renamed, what is asked about files, and the migrator's own. */
const ownTables = [
  ...['trimmed_ops', 'renamed_ops'],
  ...['file_references', 'file_records', 'file_usage', 'upload_reservations'],
  'rate_limit_windows',
  ...['workspace_invites', 'workspace_settings', 'deployment_admins'],
  ...['jobs', 'job_chunks', 'job_documents'],
  ...['webhooks', 'webhook_events', 'webhook_hooks', 'hook_deliveries'],
  'effect_sql_migrations',
]
const everyTable = [
  ...new Set([...specifiedTables, ...ownTables, ...syncedTables.map((table) => `s_${table}`)]),
].sort()

const withDatabase = <A>(path: string, body: (database: Sqlite.Database) => A): A => {
  const database = new Sqlite(path)
  try {
    return body(database)
  } finally {
    database.close()
  }
}

const tablesOf = (path: string) =>
  withDatabase(path, (database) =>
    database
      .prepare<[], string>(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
      .pluck()
      .all(),
  )

/** The files of a database and their bytes. */
const bytesOf = (path: string) =>
  Object.fromEntries(
    ['', '-wal', '-shm', '-journal']
      .map((suffix) => path + suffix)
      .filter((file) => existsSync(file))
      .map((file) => [file, readFileSync(file).toString('base64')]),
  )

/** Opens a file as the services do; gives what the migrator says and what was logged. */
const migrate = (dbPath: string, journalMode: 'WAL' | 'DELETE' = 'WAL') => {
  const logged: Array<string> = []
  const logger = Logger.make(({ message }) => void logged.push(String(message)))
  const exit = Effect.runSyncExit(
    Effect.zipRight(Database.Database, SchemaMigrator).pipe(
      Effect.provide(Layer.provideMerge(Database.layer, Migrator.layer)),
      Effect.provide(Config.layerOf({ dbPath, journalMode })),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
    ),
  )
  return { exit, logged }
}

const succeeded = (dbPath: string) => {
  const { exit, logged } = migrate(dbPath)
  return { ...Exit.getOrElse(exit, (cause) => expect.fail(Cause.pretty(cause))), logged }
}

/** The typed error; anything else, a defect above all, fails the test. */
const schemaError = (dbPath: string, journalMode?: 'WAL' | 'DELETE') => {
  const { exit } = migrate(dbPath, journalMode)
  if (!Exit.isFailure(exit) || !Cause.isFailType(exit.cause))
    return expect.fail(`no typed error: ${String(exit)}`)
  expect(exit.cause.error).toBeInstanceOf(SchemaError)
  return exit.cause.error as SchemaError
}

/** The message of the failed start. */
const startupMessage = (path: string) => {
  try {
    void openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close()
  } catch (error) {
    if (error instanceof ProviderStartupError) return error.message
    throw error
  }
  return expect.fail('it started')
}

const silently = async <A>(body: () => A | Promise<A>): Promise<A> => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  try {
    return await body()
  } finally {
    log.mockRestore()
  }
}

describe('a new file', () => {
  it('gets every migration, the specified ones first, and logs them', () => {
    expect(all.slice(0, 2).map(({ name }) => name)).toEqual(['001_init', '002_sync_tables'])
    const path = newFile()
    expect(succeeded(path)).toEqual({
      appliedAtStart: all,
      version: newest,
      logged: [created(path), logLine(all)],
    })
  })

  it('has exactly the tables of the specification, those synced since, the log of trimmed ops, those about files and the migrator’s own', () => {
    const path = newFile()
    succeeded(path)
    expect(tablesOf(path)).toEqual(everyTable)
  })

  it('has snake_case names only', () => {
    const path = newFile()
    succeeded(path)
    const names = withDatabase(path, (database) =>
      database
        .prepare<[], string>(
          `SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c WHERE s.type = 'table'`,
        )
        .pluck()
        .all(),
    )
    expect(names.length).toBeGreaterThan(100)
    expect(names.filter((name) => !/^[a-z]+(_[a-z]+)*$/.test(name))).toEqual([])
  })

  it('is migrated by `openProvider`, which prints what it applied, once', async () => {
    const path = newFile()
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    try {
      await openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close()
      await openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close()
      expect(log.mock.calls).toEqual(
        [created(path), logLine(all)].map((line) => [`[or3-provider-sqlite] ${line}`]),
      )
    } finally {
      log.mockRestore()
    }
  })
})

describe('a second start', () => {
  it('applies nothing, logs nothing and changes nothing', () => {
    const path = newFile()
    succeeded(path)
    const before = bytesOf(path)
    expect(succeeded(path)).toEqual({ appliedAtStart: [], version: newest, logged: [] })
    expect(bytesOf(path)).toEqual(before)
  })

  it('applies what is missing to a database of an older release, and keeps what is there', () => {
    const path = newFile()
    const older = SqlMigrator.make({})({
      loader: SqlMigrator.fromRecord({ '001_init': migrations['001_init'] }),
      table: 'effect_sql_migrations',
    })
    Effect.runSync(Effect.provide(older, SqliteClient.layer({ filename: path })))
    withDatabase(path, (database) => database.exec(`INSERT INTO users (id, created_at) VALUES ('kept', 1)`))
    expect(tablesOf(path)).not.toContain('change_log')
    expect(succeeded(path)).toEqual({
      appliedAtStart: all.slice(1),
      version: newest,
      logged: [logLine(all.slice(1))],
    })
    expect(tablesOf(path)).toEqual(everyTable)
    expect(withDatabase(path, (database) => database.prepare('SELECT id FROM users').all())).toEqual([
      { id: 'kept' },
    ])
  })
})

describe('a database of a newer schema', () => {
  it.each(['WAL', 'DELETE'] as const)('in %s mode is left alone, byte for byte', async (mode) => {
    const path = newFile()
    succeeded(path)
    withDatabase(path, (database) => {
      database.exec(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (999, 'from_the_future')`)
      database.pragma(`journal_mode = ${mode}`)
    })
    const before = bytesOf(path)
    // The settings ask for the other mode, too: not even that is changed.
    const error = schemaError(path, mode === 'WAL' ? 'DELETE' : 'WAL')
    expect(error.reason).toBe('newer')
    expect(error.message).toContain('999_from_the_future')
    expect(error.message).toContain(newest.name)
    const message = await silently(() => startupMessage(path))
    expect(message).toContain(path)
    expect(message).toMatch(/999_from_the_future, newer than .*install the release that wrote it/)
    expect(message).not.toContain('\n')
    expect(bytesOf(path)).toEqual(before)
  })
})

describe('a file of another program', () => {
  it.each([
    ['with a table users', `CREATE TABLE users (theirs TEXT); INSERT INTO users VALUES ('important')`],
    ['with a table s_kv', `CREATE TABLE s_kv (theirs TEXT); INSERT INTO s_kv VALUES ('important')`],
    ['without any name of ours', `CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('important')`],
    [
      'that Kysely migrated',
      `CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
       INSERT INTO kysely_migration VALUES ('001_init', '2026'); CREATE TABLE users (theirs TEXT)`,
    ],
    [
      'that the same library migrated',
      `CREATE TABLE effect_sql_migrations (migration_id INTEGER PRIMARY KEY NOT NULL, created_at, name TEXT NOT NULL);
       INSERT INTO effect_sql_migrations (migration_id, name) VALUES (1, 'shop'); CREATE TABLE orders (id)`,
    ],
    [
      'that the same library migrated as far as ours',
      `CREATE TABLE effect_sql_migrations (migration_id INTEGER PRIMARY KEY NOT NULL, created_at, name TEXT NOT NULL);
       INSERT INTO effect_sql_migrations (migration_id, name) VALUES (${newest.id}, 'shop'); CREATE TABLE orders (id)`,
    ],
  ])('%s is left as it was, byte for byte, and the line names the variable', (_what, sql) => {
    const path = newFile()
    withDatabase(path, (database) => {
      database.exec(sql)
      database.exec(`CREATE TABLE other (a); PRAGMA user_version = 42`)
    })
    const before = bytesOf(path)
    expect(startupMessage(path)).toBe(
      `cannot open the database ${path}: it is no database of this package: check OR3_SQLITE_DB_PATH`,
    )
    expect(bytesOf(path)).toEqual(before)
    expect(existsSync(`${path}-wal`)).toBe(false)
    expect(existsSync(`${path}-seen`)).toBe(false)
  })

  it('is none with nothing but what SQLite and the migrators keep for themselves', () => {
    const path = newFile()
    withDatabase(path, (database) =>
      database.exec(`
        CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE counted;
        CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
        CREATE TABLE kysely_migration_lock (id TEXT PRIMARY KEY, is_locked INTEGER);
        CREATE TABLE effect_sql_migrations (migration_id INTEGER PRIMARY KEY NOT NULL,
          created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, name VARCHAR(255) NOT NULL)`),
    )
    expect(tablesOf(path)).toContain('sqlite_sequence')
    expect(succeeded(path).version).toEqual(newest)
  })
})

describe('a failing migration', () => {
  it('leaves the file as it was, byte for byte', () => {
    const path = newFile()
    succeeded(path)
    withDatabase(path, (database) => {
      // The last one makes no table, which would be there already.
      database.exec(`DELETE FROM effect_sql_migrations WHERE migration_id >= ${newest.id - 1}`)
      database.pragma('journal_mode = DELETE')
    })
    const before = bytesOf(path)
    const error = schemaError(path)
    expect(error.reason).toBe('failed')
    expect(bytesOf(path)).toEqual(before)
    const message = startupMessage(path)
    expect(message).toContain(path)
    expect(message).toContain(error.message)
    expect(message).not.toContain('\n')
    expect(bytesOf(path)).toEqual(before)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  it('is not mistaken for an applied one: a lost table is told by its name', () => {
    const path = newFile()
    succeeded(path)
    withDatabase(path, (database) => database.exec('DROP TABLE s_kv; DROP TABLE tombstones'))
    const before = bytesOf(path)
    const error = schemaError(path)
    expect(error.reason).toBe('incomplete')
    expect(error.message).toContain('lacks tombstones, s_kv')
    expect(bytesOf(path)).toEqual(before)
  })

  it('is not mistaken for an applied one: a gap in the history is told', () => {
    const path = newFile()
    withDatabase(path, (database) =>
      database.exec(`
        CREATE TABLE effect_sql_migrations (migration_id INTEGER PRIMARY KEY NOT NULL, created_at, name TEXT NOT NULL);
        INSERT INTO effect_sql_migrations (migration_id, name) VALUES (${newest.id}, '${newest.name.slice(4)}')`),
    )
    const error = schemaError(path)
    expect(error.reason).toBe('incomplete')
    expect(error.message).toContain('lacks users')
    expect(tablesOf(path)).toEqual(['effect_sql_migrations'])
  })
})

describe('several processes', () => {
  const built = buildForProcesses()
  afterAll(built.remove)

  it('that start at once on a new file all come up, and one of them migrates', async () => {
    const rounds = 12
    const processes = Array.from({ length: 4 }, () =>
      built.start(`
        import { createInterface } from 'node:readline'
        import { openProvider } from './src/nuxt/adapters.js'
        console.log('ready')
        for await (const path of createInterface({ input: process.stdin })) {
          if (path === 'end') break
          const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
          const { userId } = await provider.workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
          await provider.close()
          console.log('up ' + path + ' ' + userId)
        }
        process.stdin.destroy()`),
    )
    await Promise.all(processes.map((each) => each.printed('ready')))
    const paths = Array.from({ length: rounds }, newFile)
    for (const path of paths) {
      for (const each of processes) each.send(path)
      await Promise.all(processes.map((each) => each.printed(`up ${path}`)))
    }
    for (const each of processes) each.send('end')
    const outcomes = await Promise.all(processes.map((each) => each.outcome))
    expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      processes.map(() => ({ code: 0, stderr: '' })),
    )
    const told = outcomes.flatMap(({ news }) => news)
    expect(told.filter((line) => !line.includes('] created '))).toEqual(
      Array.from({ length: rounds }, () => `[or3-provider-sqlite] ${logLine(all)}`),
    )
    expect(told.filter((line) => line.includes('] created ')).sort()).toEqual(
      paths.map((path) => `[or3-provider-sqlite] ${created(path)}`).sort(),
    )
    const lines = outcomes.flatMap(({ stdout }) => stdout.split('\n'))
    for (const path of paths) {
      expect(tablesOf(path)).toEqual(everyTable)
      // All of them saw one and the same user.
      expect(new Set(lines.filter((line) => line.startsWith(`up ${path} `))).size).toBe(1)
    }
  })

  /** A process that holds the write lock of a file for a while; resolves when it has it. */
  const holdLock = async (path: string, begin: string, millis: number) => {
    const holder = built.start(`
      import Sqlite from 'better-sqlite3'
      const database = new Sqlite(${JSON.stringify(path)})
      database.exec('${begin}')
      console.log('locked')
      setTimeout(() => { database.exec('ROLLBACK'); database.close() }, ${millis})`)
    await holder.printed('locked')
    return holder
  }

  const empty = () => {
    const path = newFile()
    withDatabase(path, (database) => database.exec('PRAGMA user_version = 1'))
    return path
  }
  it.each(['BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE'])(
    'that hold the lock of a new database by %s are waited for at start',
    async (begin) => {
      const path = empty()
      const holder = await holdLock(path, begin, 1_500)
      const started = Date.now()
      await silently(() => openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close())
      expect(Date.now() - started).toBeGreaterThan(1_000)
      expect((await holder.outcome).code).toBe(0)
    },
  )

  it('that hold the lock of a migrated database keep nobody from starting: there is nothing to write', async () => {
    const path = newFile()
    succeeded(path)
    const holder = await holdLock(path, 'BEGIN IMMEDIATE', 60_000)
    const started = Date.now()
    await openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close()
    expect(Date.now() - started).toBeLessThan(4_000)
    holder.stop('SIGKILL')
    await holder.outcome
  })

  it.each(['BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE'])(
    'that keep the lock of a new database by %s fail the start after about 5 s, in one line',
    async (begin) => {
      const path = empty()
      const holder = await holdLock(path, begin, 60_000)
      const started = Date.now()
      const message = startupMessage(path)
      const waited = Date.now() - started
      holder.stop('SIGKILL')
      expect(message).toContain(path)
      expect(message).toMatch(/another process|is locked/)
      expect(message).not.toContain('\n')
      expect(waited).toBeGreaterThan(4_500)
      expect(waited).toBeLessThan(9_000)
      await holder.outcome
      // What was waited for in vain did no harm.
      await silently(() => openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close())
    },
  )
})
