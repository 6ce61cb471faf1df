/**
 * The only ways to use an engine in the process while the program runs.
 *
 * Internal: other programs get the services.
 */
import { Clock, Context, Deferred, Effect, Either, FiberId, Schedule } from 'effect'
import { StorageError } from '../../services/StorageError.js'
import { type Connection, transaction } from './connection.js'
import { damage, DamagedPayload } from '../sql/payload.js'
import { isDriverError, toStorageError } from './sqliteErrors.js'

/** How long a lock held by another process is waited for. */
export const lockPatienceMillis = 5_000
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
    /** The same of one whose outcome may be a typed error. */
    readonly single: <A, E>(
      operation: string,
      body: (connection: Connection) => Either.Either<A, E>,
    ) => Effect.Effect<A, E | StorageError>
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
    /** Copies the write-ahead log into the file and empties it, if there is one and nobody is in the way. */
    readonly emptyLog: Effect.Effect<void, StorageError>
  }
>() {}

const isBusy = (error: unknown) => error instanceof StorageError && error.reason === 'busy'

/** A failure of the driver, or damage, becomes a typed error; whatever else is thrown is a bug and stays a defect. */
const attempt = <A, E>(
  connection: Connection,
  operation: string,
  body: (connection: Connection) => Either.Either<A, E>,
): Either.Either<A, E | StorageError> => {
  try {
    return body(connection)
  } catch (error) {
    if (error instanceof DamagedPayload) return Either.left(damage(operation)(error))
    if (isDriverError(error)) return Either.left(toStorageError(operation)(error))
    throw error
  }
}

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

/**
 * The ways to use a connection whose busy timeout is 0: SQLite's own waiting would block the event loop. `emptiedElsewhere` has the log
 * emptied where nobody waits for it, or is false.
 */
export const databaseOn = (
  connection: Connection,
  emptiedElsewhere: Effect.Effect<boolean> = Effect.succeed(false),
): Database['Type'] => {
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
    const once = () => attempt(connection, operation, body)
    // Most calls end at once, and pay for no more than this one effect.
    return Effect.suspend((): Effect.Effect<A, E | StorageError> => {
      const result = once()
      return Either.isLeft(result) && isBusy(result.left) ? patiently(Effect.suspend(once)) : result
    })
  }
  return {
    direct: (operation, body) => run(operation, (connection) => Either.right(body(connection))),
    single: run,
    snapshot: (operation, body) => run(operation, transaction('BEGIN', body)),
    write: (operation, body, committed) => {
      const once = transaction('BEGIN IMMEDIATE', body)
      return run(operation, (connection) => {
        const result = once(connection)
        if (committed !== undefined && Either.isRight(result)) committed()
        return result
      })
    },
    emptyLog: Effect.unlessEffect(
      run('upkeep', () => Either.right(connection.all('PRAGMA wal_checkpoint(TRUNCATE)'))),
      emptiedElsewhere,
    ),
  }
}
