/**
 * The engine of Bun: its own SQLite, brought to the shape of better-sqlite3.
 *
 * It is asked for at run time, since neither Node nor a bundler knows a module of its name.
 */
import { createRequire } from 'node:module'
import { SqlError } from '@effect/sql/SqlError'
import { Effect } from 'effect'
import { migrationClient } from '../sql/migrationClient.js'
import type { Statement } from './connection.js'
import { lockPatienceMillis } from './Database.js'
import type { NativeSqlite, OpenOptions, Sqlite } from './sqlite.js'

/** As much of Bun's module as is used here: its types would bring all of Bun's. */
interface BunStatement {
  readonly all: (...params: ReadonlyArray<any>) => Array<unknown>
  /** Null without a row. */
  readonly get: (...params: ReadonlyArray<any>) => unknown
  readonly run: (...params: ReadonlyArray<any>) => { readonly changes: number }
  readonly iterate: (...params: ReadonlyArray<any>) => Iterable<object>
  readonly finalize: () => void
}

interface BunDatabase {
  readonly inTransaction: boolean
  readonly prepare: (sql: string) => BunStatement
  readonly run: (sql: string) => unknown
  readonly function: Sqlite['function']
  readonly serialize: () => Uint8Array
  readonly fileControl: (op: number, value: number) => unknown
  readonly close: () => void
}

interface Options {
  /** Names of parameters without their sign, and no parameter left out. */
  readonly strict: true
}

interface BunSqlite {
  readonly Database: {
    new (path: string, options: Options & Readonly<Record<string, boolean>>): BunDatabase
    deserialize(bytes: Uint8Array, options: Options): BunDatabase
  }
  readonly constants: { readonly SQLITE_FCNTL_PERSIST_WAL: number }
}

const load = () => createRequire(import.meta.url)('bun:sqlite') as BunSqlite

function* tuples(rows: Iterable<object>): Generator<ReadonlyArray<unknown>> {
  for (const row of rows) yield Object.values(row)
}

/** Its own arrays of values come all at once; so rows are made arrays, and no two columns may have one name. */
const statementOn = (statement: BunStatement): Statement => {
  const common = {
    all: (...params: ReadonlyArray<unknown>) => statement.all(...params),
    get: (...params: ReadonlyArray<unknown>) => statement.get(...params) ?? undefined,
    run: (...params: ReadonlyArray<unknown>) => statement.run(...params),
    // What returns no rows answers `all` with none.
    reader: true,
  }
  const plain: Statement = {
    ...common,
    iterate: (...params) => statement.iterate(...params),
    raw: (on) => (on ? arrays : plain),
  }
  const arrays: Statement = { ...plain, iterate: (...params) => tuples(statement.iterate(...params)) }
  return plain
}

/**
 * With a sign before each parameter, which changes no value. Without it some statements, as it seems those that partial indexes are
 * considered for, take as long as to prepare them anew: measured, 35 us in place of 2. No text of ours has a question mark in a
 * literal.
 */
const signed = (sql: string) => sql.replaceAll('?', '+?')

/** A statement that is still prepared would keep the file open, and its write-ahead log with it. */
const databaseOn = (database: BunDatabase): Sqlite & { readonly serialize: () => Uint8Array } => {
  const prepared = new Set<BunStatement>()
  const rowsOf = (sql: string) => {
    const statement = database.prepare(sql)
    try {
      return statement.all() as ReadonlyArray<object>
    } finally {
      statement.finalize()
    }
  }
  return {
    get inTransaction() {
      return database.inTransaction
    },
    prepare: (sql) => {
      const statement = database.prepare(signed(sql))
      prepared.add(statement)
      return statementOn(statement)
    },
    exec: (sql) => database.run(sql),
    pragma: (text, { simple = false } = {}) => {
      const rows = rowsOf(`PRAGMA ${text}`)
      return simple ? Object.values(rows[0] ?? {})[0] : rows
    },
    function: (name, options, body) => database.function(name, options, body),
    serialize: () => database.serialize(),
    close: () => {
      for (const statement of prepared) statement.finalize()
      prepared.clear()
      database.close()
    },
  }
}

const open = (
  place: string | Uint8Array,
  { timeout = 0, readonly = false, fileMustExist = false }: OpenOptions = {},
) => {
  const { Database, constants } = load()
  const strict = { strict: true } as const
  if (typeof place !== 'string') return databaseOn(Database.deserialize(place, strict))
  const access = readonly ? { readonly } : { readwrite: true, create: !fileMustExist }
  const database = new Database(place, { ...strict, ...access })
  // Bun's own numbers are for programs that are alone with their file.
  database.run(`PRAGMA busy_timeout = ${timeout}`)
  // On macOS Bun takes the system's SQLite, which leaves the log behind unless it is told not to.
  if (process.platform === 'darwin') database.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 0)
  return databaseOn(database)
}

export const bunSqlite: NativeSqlite = {
  open,
  migrationClient: (path) =>
    Effect.gen(function* () {
      const database = yield* Effect.acquireRelease(
        Effect.sync(() => open(path, { timeout: lockPatienceMillis })),
        (database) => Effect.sync(() => database.close()),
      )
      const client = yield* migrationClient((sql, params) =>
        Effect.try({
          try: () => database.prepare(sql).all(...params),
          catch: (cause) => new SqlError({ cause, message: 'Failed to execute statement' }),
        }),
      )
      const image = Effect.try({
        try: () => database.serialize(),
        catch: (cause) => new SqlError({ cause, message: 'Failed to export database' }),
      })
      return { client, image }
    }),
}
