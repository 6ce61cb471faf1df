/**
 * The one connection to the database file, and the only ways to use it: a read, a snapshot, a write transaction.
 *
 * Internal: other programs get the services, so that nobody's statement slips into an open transaction.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import * as Reactivity from '@effect/experimental/Reactivity'
import * as SqlClient from '@effect/sql/SqlClient'
import type { Connection } from '@effect/sql/SqlConnection'
import { SqlError } from '@effect/sql/SqlError'
import * as Statement from '@effect/sql/Statement'
import { SqliteClient } from '@effect/sql-sqlite-node'
import { Context, Effect, Exit, Layer, Schedule } from 'effect'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import type { SchemaError } from '../services/SchemaMigrator.js'
import { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import { refuseNewer } from './schemaVersion.js'
import { all } from './statement.js'
import { rootMessage, sqliteCode, toStorageError } from './sqliteErrors.js'

/** How long a lock held by another process is waited for. */
const lockPatienceMillis = 5_000
/** SQLite's own waiting blocks the event loop, so while serving it waits this long only and the schedule does the rest. */
const blockingWaitMillis = 5

type Body<A, E> = (connection: Connection) => Effect.Effect<A, E>
type Run = <A, E>(
  operation: string,
  body: Body<A, E>,
) => Effect.Effect<A, Exclude<E, SqlError> | StorageError>

export class Database extends Context.Tag('or3-provider-sqlite/Database')<
  Database,
  {
    /** Statements that need no common snapshot. */
    readonly read: Run
    /** Reads of one and the same state of the file, whatever other processes commit meanwhile. */
    readonly snapshot: Run
    /** `BEGIN IMMEDIATE` … `COMMIT`. The body may run again if the lock was not to be had, so it must be free of effects. */
    readonly write: Run
    /** For the migrator, whose library wants a client. */
    readonly client: SqlClient.SqlClient
    /** Ends the time in which waiting for a lock may block the event loop. */
    readonly leaveStartup: Effect.Effect<void, StorageError>
  }
>() {}

const untilUnlocked = Schedule.exponential(2).pipe(
  Schedule.union(Schedule.spaced(50)),
  Schedule.jittered,
  Schedule.upTo(lockPatienceMillis),
)

const isBusy = (error: unknown) => error instanceof StorageError && error.reason === 'busy'

const transaction =
  <A, E>(begin: string, body: Body<A, E>) =>
  (connection: Connection): Effect.Effect<A, E | SqlError> => {
    // SQLite has already rolled back after some errors, and then refuses.
    const rollback = Effect.ignore(all(connection, 'ROLLBACK'))
    const finish = (exit: Exit.Exit<A, E>): Effect.Effect<A, E | SqlError> =>
      Exit.isFailure(exit)
        ? Effect.zipRight(rollback, exit)
        : Effect.zipRight(
            Effect.tapError(all(connection, 'COMMIT'), () => rollback),
            exit,
          )
    return Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(all(connection, begin), Effect.flatMap(Effect.exit(restore(body(connection))), finish)),
    )
  }

const make = Effect.gen(function* () {
  const settings = yield* ProviderConfig
  const base = yield* open(settings)
  const client = yield* SqlClient.make({
    acquirer: base.reserve,
    transactionAcquirer: base.reserve,
    beginTransaction: 'BEGIN IMMEDIATE',
    compiler: Statement.makeCompilerSqlite(),
    spanAttributes: [],
  })
  // Until then SQLite itself waits for locks: the start is synchronous, and a schedule could not sleep.
  let serving = false
  const run: Run = <A, E>(operation: string, body: Body<A, E>) =>
    Effect.scoped(Effect.flatMap(client.reserve, body)).pipe(
      Effect.mapError((error) =>
        error instanceof SqlError ? toStorageError(operation)(error) : (error as Exclude<E, SqlError>),
      ),
      Effect.retry(Schedule.whileInput(untilUnlocked, (error: unknown) => serving && isBusy(error))),
    )
  return Database.of({
    read: run,
    snapshot: (operation, body) => run(operation, transaction('BEGIN', body)),
    write: (operation, body) => run(operation, transaction('BEGIN IMMEDIATE', body)),
    client,
    leaveStartup: run('start', (connection) =>
      Effect.map(all(connection, `PRAGMA busy_timeout = ${blockingWaitMillis}`), () => {
        serving = true
      }),
    ),
  })
})

const openError = (path: string) => (cause: unknown) => {
  const code = sqliteCode(cause)
  const detail =
    code === 'SQLITE_NOTADB'
      ? 'the file is not an SQLite database; set OR3_SQLITE_DB_PATH to another path'
      : `${rootMessage(cause)}; check OR3_SQLITE_DB_PATH and the permissions of the file and its folder`
  return new DatabaseOpenError({ path, detail, cause })
}

const open = ({ dbPath, journalMode, synchronous }: ProviderSettings) =>
  Effect.gen(function* () {
    const fail = openError(dbPath)
    const inMemory = dbPath === ':memory:'
    if (!inMemory) {
      yield* Effect.try({ try: () => mkdirSync(dirname(dbPath), { recursive: true }), catch: fail })
    }
    // The client opens the file in its constructor and reports what goes wrong there as a defect.
    const client = yield* SqliteClient.make({ filename: dbPath, disableWAL: true }).pipe(
      Effect.catchAllDefect((defect) => Effect.fail(fail(defect))),
    )
    yield* Effect.scoped(
      Effect.flatMap(client.reserve, (connection) =>
        Effect.zipRight(
          refuseNewer(connection),
          applyPragmas(connection, dbPath, inMemory ? 'MEMORY' : journalMode, synchronous),
        ),
      ),
    ).pipe(Effect.catchTag('SqlError', (error) => Effect.fail(fail(error))))
    return client
  })

const applyPragmas = (
  connection: Connection,
  path: string,
  journalMode: string,
  synchronous: ProviderSettings['synchronous'],
) =>
  Effect.gen(function* () {
    const pragma = (name: string, value?: string | number) =>
      all<Record<string, unknown>>(
        connection,
        `PRAGMA ${name}${value === undefined ? '' : ` = ${value}`}`,
      ).pipe(Effect.map(([row]) => (row === undefined ? undefined : Object.values(row)[0])))
    const refused = (variable: string, wanted: string, got: unknown) =>
      new DatabaseOpenError({
        path,
        detail: `${variable} asks for ${wanted}, but SQLite stays with ${String(got)}`,
      })

    const current = yield* pragma('journal_mode')
    if (String(current).toUpperCase() !== journalMode) {
      const taken = yield* blockingRetry(pragma('journal_mode', journalMode))
      if (String(taken).toUpperCase() !== journalMode) {
        return yield* refused('OR3_SQLITE_PRAGMA_JOURNAL_MODE', journalMode, taken)
      }
    }
    const level = ['OFF', 'NORMAL', 'FULL', 'EXTRA'].indexOf(synchronous)
    yield* pragma('synchronous', level)
    const takenLevel = yield* pragma('synchronous')
    if (takenLevel !== level) {
      return yield* refused('OR3_SQLITE_PRAGMA_SYNCHRONOUS', synchronous, takenLevel)
    }
    yield* pragma('foreign_keys', 'ON')
    if ((yield* pragma('foreign_keys')) !== 1) {
      return yield* new DatabaseOpenError({ path, detail: 'this build of SQLite has no foreign keys' })
    }
    // Measured: multi-row statements else spill to a temporary file, and random op ids outgrow the default cache.
    yield* pragma('temp_store', 'MEMORY')
    yield* pragma('cache_size', -64 * 1024)
    yield* pragma('wal_autocheckpoint', 4_000)
  })

/** Changing the journal mode does not honour SQLite's busy timeout. While starting, blocking is fine. */
const blockingRetry = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> => {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const attempt = (left: number): Effect.Effect<A, SqlError> =>
    Effect.catchAll(effect, (error) => {
      if (left <= 0 || sqliteCode(error)?.startsWith('SQLITE_BUSY') !== true) return Effect.fail(error)
      Atomics.wait(cell, 0, 0, 20)
      return attempt(left - 20)
    })
  return attempt(lockPatienceMillis)
}

/** Opens the file, makes its folder if need be, and sets and verifies the pragmas. Closes it with its scope. */
export const layer: Layer.Layer<Database, DatabaseOpenError | SchemaError, ProviderConfig> = Layer.scoped(
  Database,
  make,
).pipe(Layer.provide(Reactivity.layer))
