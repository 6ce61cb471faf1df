/**
 * Issue 15, points 4 and 5: migrations as one batch, once, on a database that is ours or nobody's.
 */
import { join } from 'node:path'
import { describe, expect, it } from '@effect/vitest'
import Sqlite from 'better-sqlite3'
import { Effect, Either, Layer, Logger } from 'effect'
import { afterAll } from 'vitest'
import { migrationStatements } from '../../src/layers/batch/migrationBatches.js'
import * as Migrator from '../../src/layers/batch/SchemaMigrator.js'
import * as Turso from '../../src/layers/batch/turso.js'
import { expectedObjects, objectsOf } from '../../src/layers/operating/schemaState.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import { knownMigrations, newestKnown, none } from '../../src/layers/sql/schemaVersion.js'
import { makeConnection } from '../../src/layers/synchronous/connection.js'
import { SchemaMigrator } from '../../src/services/index.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `migrator-${++files}.db`)

/** Starts on a file by the client of Turso; gives what it applied. */
const start = (path: string) =>
  Effect.map(SchemaMigrator, ({ appliedAtStart }) => appliedAtStart.map(({ name }) => name)).pipe(
    Effect.provide(
      Migrator.layer.pipe(
        Layer.provide(Turso.layer),
        Layer.provide(Config.layerOf({ driver: 'turso', dbPath: `file:${path}` })),
        Layer.provide(Logger.remove(Logger.defaultLogger)),
      ),
    ),
  )

const messageOf = (path: string) =>
  Effect.runPromise(
    Effect.map(Effect.either(start(path)), (result) =>
      Either.isLeft(result) ? result.left.message : undefined,
    ),
  )

const everyName = knownMigrations.map(({ name }) => name)

describe('migrations as a batch', () => {
  it('make what they make on a file, but for tables without a rowid', async () => {
    const database = new Sqlite(':memory:')
    for (const { sql, params } of Effect.runSync(migrationStatements(none)))
      database.prepare(sql).run(...params)
    const expected = await Effect.runPromise(expectedObjects)
    const portable = new Map([...expected].map(([name, sql]) => [name, sql.replace(' WITHOUT ROWID', '')]))
    expect(objectsOf(makeConnection(database))).toEqual(portable)
    expect(database.prepare('SELECT migration_id FROM effect_sql_migrations').pluck().all()).toEqual(
      knownMigrations.map(({ id }) => id),
    )
  })

  it('send nothing to a database that has them', () => {
    const statements = Effect.runSync(migrationStatements(newestKnown))
    expect(statements.filter(({ sql }) => !sql.includes('effect_sql_migrations'))).toEqual([])
  })

  it('bring a database of the release before to the newest', async () => {
    const released = knownMigrations.find(({ name }) => name === '007_device_owners')!
    const all = Effect.runSync(migrationStatements(none))
    const later = Effect.runSync(migrationStatements(released))
    const database = new Sqlite(':memory:')
    const run = (statements: typeof all) => {
      for (const { sql, params } of statements) database.prepare(sql).run(...params)
    }
    const isOf =
      (id: number) =>
      ({ sql, params }: (typeof all)[number]) =>
        sql.includes('INSERT INTO "effect_sql_migrations"') && params.includes(id)
    expect(later.some(isOf(8))).toBe(true)
    expect(later.some(isOf(7))).toBe(false)
    const tables = (statements: typeof all) =>
      statements.filter(({ sql }) => !sql.includes('effect_sql_migrations'))
    const before = tables(all).slice(0, tables(all).length - tables(later).length)
    run([...before, ...tables(later)])
    expect([...objectsOf(makeConnection(database)).keys()].sort()).toEqual(
      [...(await Effect.runPromise(expectedObjects)).keys()].sort(),
    )
  })

  it('refuse to guess what a database holds', () => {
    const before = knownMigrations.at(4)!
    expect(() => Effect.runSync(migrationStatements(before))).toThrow(
      `a migration after ${before.name} reads`,
    )
  })
})

describe('a start', () => {
  it('migrates a new database, and finds it migrated the next time', async () => {
    const path = newFile()
    expect(await Effect.runPromise(start(path))).toEqual(everyName)
    expect(await Effect.runPromise(start(path))).toEqual([])
  })

  it('migrates once when several servers start at the same time', async () => {
    const path = newFile()
    const applied = await Effect.runPromise(
      Effect.all(
        Array.from({ length: 8 }, () => start(path)),
        { concurrency: 'unbounded' },
      ),
    )
    expect(applied.filter((names) => names.length > 0)).toEqual([everyName])
  })

  const having = (...statements: ReadonlyArray<string>) => {
    const path = newFile()
    const database = new Sqlite(path)
    for (const sql of statements) database.exec(sql)
    database.close()
    return path
  }

  it('refuses what another program has made, and leaves it as it was', async () => {
    const path = having('CREATE TABLE recipes (id)')
    expect(await messageOf(path)).toBe(
      `cannot open the database file:${path}: it is no database of this package: check OR3_SQLITE_TURSO_URL`,
    )
    const database = new Sqlite(path)
    expect(database.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['recipes'])
    database.close()
  })

  it('refuses a ledger of another program', async () => {
    const path = having(
      'CREATE TABLE effect_sql_migrations (migration_id integer PRIMARY KEY, created_at, name)',
      `INSERT INTO effect_sql_migrations (migration_id, name) VALUES (1, 'recipes')`,
    )
    expect(await messageOf(path)).toContain('it is no database of this package')
  })

  it('refuses the earlier package, and says what to do instead', async () => {
    const path = having(
      'CREATE TABLE kysely_migration (name, timestamp)',
      `INSERT INTO kysely_migration (name) VALUES ('001_init')`,
      'CREATE TABLE change_log (id)',
    )
    expect(await messageOf(path)).toContain(
      'it is of the earlier package, which is adopted from a file only: dump it',
    )
  })

  it('refuses the schema of a newer release', async () => {
    const path = newFile()
    await Effect.runPromise(start(path))
    const database = new Sqlite(path)
    database.exec(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (999, 'later')`)
    database.close()
    expect(await messageOf(path)).toContain('the database has schema 999_later, newer than')
  })

  it('refuses a schema that lacks a table', async () => {
    const path = newFile()
    await Effect.runPromise(start(path))
    const database = new Sqlite(path)
    database.exec('DROP TABLE s_posts')
    database.close()
    expect(await messageOf(path)).toBe('the schema lacks s_posts: restore the database as it was')
  })
})
