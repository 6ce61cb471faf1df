/**
 * The connection that serves: the only ways to use the database while the program runs.
 *
 * Internal: other programs get the services.
 */
import Sqlite from 'better-sqlite3'
import { Context, Effect, Either, Layer, Schedule } from 'effect'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import { type Connection, makeConnection } from './connection.js'
import { SchemaImage } from './SchemaMigrator.js'
import { isDriverError, openError, sqliteCode, toStorageError } from './sqliteErrors.js'

/** How long a lock held by another process is waited for. */
const lockPatienceMillis = 5_000
/** How often a call that waits for the lock asks again. Many ask less often each, and together as often as one. */
const pollMillis = 5

export class Database extends Context.Tag('or3-provider-sqlite/Database')<
  Database,
  {
    /** Without a transaction around it: for single statements, each of which is one of its own. */
    readonly direct: <A>(
      operation: string,
      body: (connection: Connection) => A,
    ) => Effect.Effect<A, StorageError>
    /** Reads of one and the same state of the file, whatever other processes commit meanwhile. */
    readonly snapshot: <A, E = never>(
      operation: string,
      body: (connection: Connection) => Either.Either<A, E>,
    ) => Effect.Effect<A, E | StorageError>
    /** `BEGIN IMMEDIATE` … `COMMIT`; a `Left` rolls back. The body runs again if the lock was not to be had. */
    readonly write: <A, E = never>(
      operation: string,
      body: (connection: Connection) => Either.Either<A, E>,
    ) => Effect.Effect<A, E | StorageError>
  }
>() {}

const isBusy = (error: unknown) => error instanceof StorageError && error.reason === 'busy'

/** Runs the body in a transaction that ends with it, whatever it does. */
const transaction =
  <A, E>(begin: string, body: (connection: Connection) => Either.Either<A, E>) =>
  (connection: Connection): Either.Either<A, E> => {
    connection.run(begin)
    try {
      const result = body(connection)
      connection.run(Either.isRight(result) ? 'COMMIT' : 'ROLLBACK')
      return result
    } catch (error) {
      // A failed COMMIT leaves the transaction open; after other errors SQLite has rolled back already, and refuses.
      try {
        connection.run('ROLLBACK')
      } catch {}
      throw error
    }
  }

/** A failure of the driver becomes a typed error; whatever else is thrown is a bug and stays a defect. */
const attempt = <A, E>(
  connection: Connection,
  operation: string,
  body: (connection: Connection) => Either.Either<A, E>,
) =>
  Effect.suspend((): Either.Either<A, E | StorageError> => {
    try {
      return body(connection)
    } catch (error) {
      if (isDriverError(error)) return Either.left(toStorageError(operation)(error))
      throw error
    }
  })

const make = Effect.gen(function* () {
  const settings = yield* ProviderConfig
  const image = yield* SchemaImage
  const connection = makeConnection(yield* open(settings, image))
  // A hundred calls that each ask every few milliseconds would leave the event loop no time for anybody else.
  let waiting = 0
  const untilUnlocked = Schedule.forever.pipe(
    Schedule.addDelay(() => pollMillis * waiting),
    Schedule.jittered,
    Schedule.upTo(lockPatienceMillis),
    Schedule.whileInput((error: unknown) => isBusy(error)),
  )
  const patiently = <A, E>(once: Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => ++waiting),
      () => Effect.retry(once, untilUnlocked),
      () => Effect.sync(() => --waiting),
    )
  const run = <A, E>(operation: string, body: (connection: Connection) => Either.Either<A, E>) => {
    const once = attempt(connection, operation, body)
    // Most calls succeed at once and should not pay for a schedule.
    return Effect.catchAll(once, (error) => (isBusy(error) ? patiently(once) : Effect.fail(error)))
  }
  return Database.of({
    direct: (operation, body) => run(operation, (connection) => Either.right(body(connection))),
    snapshot: (operation, body) => run(operation, transaction('BEGIN', body)),
    write: (operation, body) => run(operation, transaction('BEGIN IMMEDIATE', body)),
  })
})

const open = (settings: ProviderSettings, image: Uint8Array | undefined) => {
  const { dbPath } = settings
  return Effect.acquireRelease(
    Effect.try({
      try: () =>
        new Sqlite(image === undefined ? dbPath : Buffer.from(image), { timeout: lockPatienceMillis }),
      catch: openError(dbPath),
    }),
    (database) => Effect.sync(() => database.close()),
  ).pipe(
    Effect.tap((database) =>
      Effect.try({
        try: () => applyPragmas(database, settings),
        catch: (error) => (error instanceof DatabaseOpenError ? error : openError(dbPath)(error)),
      }),
    ),
  )
}

const applyPragmas = (database: Sqlite.Database, { dbPath, journalMode, synchronous }: ProviderSettings) => {
  const pragma = (text: string) => database.pragma(text, { simple: true })
  const refused = (variable: string, wanted: string, got: unknown) =>
    new DatabaseOpenError({
      path: dbPath,
      detail: `${variable} asks for ${wanted}, but SQLite stays with ${String(got)}`,
    })

  const currentMode = () => String(pragma('journal_mode')).toUpperCase()
  if (dbPath !== ':memory:' && currentMode() !== journalMode) {
    const taken = blockingRetry(() => String(pragma(`journal_mode = ${journalMode}`)))
    if (taken.toUpperCase() !== journalMode)
      throw refused('OR3_SQLITE_PRAGMA_JOURNAL_MODE', journalMode, taken)
  }
  const level = ['OFF', 'NORMAL', 'FULL', 'EXTRA'].indexOf(synchronous)
  pragma(`synchronous = ${level}`)
  const takenLevel = pragma('synchronous')
  if (takenLevel !== level) throw refused('OR3_SQLITE_PRAGMA_SYNCHRONOUS', synchronous, takenLevel)
  pragma('foreign_keys = ON')
  if (pragma('foreign_keys') !== 1) {
    throw new DatabaseOpenError({ path: dbPath, detail: 'this build of SQLite has no foreign keys' })
  }
  // Measured: multi-row statements else spill to a temporary file, and random op ids outgrow the default cache.
  pragma('temp_store = MEMORY')
  pragma(`cache_size = ${-64 * 1024}`)
  pragma('wal_autocheckpoint = 4000')
  // SQLite's own waiting would block the event loop: a schedule waits instead.
  pragma('busy_timeout = 0')
}

/** Changing the journal mode does not honour SQLite's busy timeout. While starting, blocking is fine. */
const blockingRetry = <A>(action: () => A): A => {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  for (let left = lockPatienceMillis; ; left -= 20) {
    try {
      return action()
    } catch (error) {
      if (left <= 0 || sqliteCode(error)?.startsWith('SQLITE_BUSY') !== true) throw error
      Atomics.wait(cell, 0, 0, 20)
    }
  }
}

/** Opens the migrated database, and sets and verifies the pragmas. Closes it with its scope. */
export const layer: Layer.Layer<Database, DatabaseOpenError, ProviderConfig | SchemaImage> = Layer.scoped(
  Database,
  make,
)
