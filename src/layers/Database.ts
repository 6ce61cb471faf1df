/**
 * The connection that serves: the only ways to use the database while the program runs.
 *
 * Internal: other programs get the services.
 */
import Sqlite from 'better-sqlite3'
import { Clock, Context, Deferred, Effect, Either, FiberId, Layer, Schedule } from 'effect'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import { type Connection, makeConnection, transaction } from './connection.js'
import { mendEmptiedLogs } from './emptiedLog.js'
import { leapIfRestored, noteExtent } from './leap.js'
import { SchemaImage } from './SchemaMigrator.js'
import { epochSeconds } from './time.js'
import { isDriverError, openError, rootMessage, sqliteCode, toStorageError } from './sqliteErrors.js'

/** How long a lock held by another process is waited for. */
const lockPatienceMillis = 5_000
/** How often it is asked for meanwhile. */
const pollMillis = 5

/**
 * The connection. Other programs only hand it from the layer that makes it to those that use it.
 *
 * @internal
 */
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
    /**
     * `BEGIN IMMEDIATE` … `COMMIT`; a `Left` rolls back. The body runs again if the lock was not to be had. `committed` is called
     * in one step with the COMMIT, so that no interruption comes between.
     */
    readonly write: <A, E = never>(
      operation: string,
      body: (connection: Connection) => Either.Either<A, E>,
      committed?: () => void,
    ) => Effect.Effect<A, E | StorageError>
  }
>() {}

const isBusy = (error: unknown) => error instanceof StorageError && error.reason === 'busy'

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

/**
 * Calls that met a lock wait in line, and only the first asks again: a hundred that ask would leave the event loop no time
 * for anybody else, and the one that came first could be the last.
 */
const makeLine = () => {
  const line: Array<Deferred.Deferred<void>> = []
  const callFirst = () => {
    if (line[0] !== undefined) Deferred.unsafeDone(line[0], Effect.void)
  }
  return <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const turn = Deferred.unsafeMake<void>(FiberId.none)
        line.push(turn)
        callFirst()
        return turn
      }),
      (turn) => Effect.zipRight(Deferred.await(turn), call),
      (turn) =>
        Effect.sync(() => {
          line.splice(line.indexOf(turn), 1)
          callFirst()
        }),
    )
}

const make = Effect.gen(function* () {
  const settings = yield* ProviderConfig
  const { image, isNew } = yield* SchemaImage
  const connection = makeConnection(yield* open(settings, image))
  if (image === undefined) yield* watchExtent(connection, settings.dbPath, isNew)
  // From now on SQLite's own waiting would block the event loop: a schedule waits instead.
  connection.all('PRAGMA busy_timeout = 0')
  const inLine = makeLine()
  const patiently = <A, E>(once: Effect.Effect<A, E>) =>
    Effect.flatMap(Clock.currentTimeMillis, (start) => {
      const mayWait = Effect.map(Clock.currentTimeMillis, (now) => now - start < lockPatienceMillis)
      return inLine(
        Effect.retry(once, {
          schedule: Schedule.jittered(Schedule.spaced(pollMillis)),
          while: (error) => (isBusy(error) ? mayWait : Effect.succeed(false)),
        }),
      )
    })
  const run = <A, E>(operation: string, body: (connection: Connection) => Either.Either<A, E>) => {
    const once = attempt(connection, operation, body)
    // Most calls succeed at once and should not pay for a schedule.
    return Effect.catchAll(once, (error) => (isBusy(error) ? patiently(once) : Effect.fail(error)))
  }
  return Database.of({
    direct: (operation, body) => run(operation, (connection) => Either.right(body(connection))),
    snapshot: (operation, body) => run(operation, transaction('BEGIN', body)),
    write: (operation, body, committed) => {
      const once = transaction('BEGIN IMMEDIATE', body)
      return run(operation, (connection) => {
        const result = once(connection)
        if (committed !== undefined && Either.isRight(result)) committed()
        return result
      })
    },
  })
})

const restored = 'the database seems to be a restored backup: all devices will pull their workspaces anew'

/** How often it is noted how many versions the database has. */
const noteMillis = 1_000

const tampered = (workspaces: number) =>
  `another program has trimmed the log of ${workspaces} workspaces: their rows stand for it, and each device pulls them anew`

/** Recognises a restored backup, and from then on notes what the next start needs to recognise one. */
const watchExtent = (connection: Connection, dbPath: string, isNew: boolean) =>
  Effect.gen(function* () {
    const now = yield* epochSeconds
    const { leapt, mended } = yield* Effect.try({
      try: () => ({
        mended: mendEmptiedLogs(connection, now),
        leapt: leapIfRestored(connection, dbPath, now),
      }),
      catch: openError(dbPath),
    })
    if (mended > 0) yield* Effect.logWarning(tampered(mended))
    // Of a file that is gone the migrator has told.
    if (leapt && !isNew) yield* Effect.logWarning(restored)
    let last: string | undefined
    /** A disk that refuses must not stop a server; the next start then may take its database for an older one. */
    const note = () => {
      try {
        last = noteExtent(connection, dbPath, last)
        return undefined
      } catch (error) {
        return rootMessage(error)
      }
    }
    const refusal = note()
    if (refusal !== undefined) yield* Effect.logWarning(`cannot write ${dbPath}-seen: ${refusal}`)
    yield* Effect.acquireRelease(
      // Must not keep a program alive that forgot to close.
      Effect.sync(() => setInterval(note, noteMillis).unref()),
      (timer) =>
        Effect.sync(() => {
          clearInterval(timer)
          note()
        }),
    )
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
