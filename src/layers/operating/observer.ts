/**
 * Looks at a database file without changing it, also while a server uses it.
 */
import { existsSync } from 'node:fs'
import { Effect, type Scope } from 'effect'
import { DatabaseOpenError, type StorageError } from '../../services/StorageError.js'
import { settledSize } from '../synchronous/databaseFile.js'
import { isDriverError, openError, toStorageError } from '../synchronous/sqliteErrors.js'
import { native } from '../synchronous/native.js'
import type { Sqlite } from '../synchronous/sqlite.js'

/** How long a lock is waited for. A command may block its own process. */
export const patienceMillis = 5_000

/** What the driver refuses becomes a typed error; whatever else is thrown is a bug and stays a defect. */
export const attempt = <A>(operation: string, body: () => A): Effect.Effect<A, StorageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (error) {
      if (isDriverError(error)) return Effect.fail(toStorageError(operation)(error))
      throw error
    }
  })

/**
 * A read-only connection leaves a write-ahead log behind where there was none, so that is opened for writing and told not to.
 * Where there is one, a connection that may write would copy it into the file when it closes as the last.
 */
const openForReading = (path: string): Sqlite => {
  const options = { fileMustExist: true, timeout: patienceMillis }
  if (existsSync(`${path}-wal`)) return native.open(path, { ...options, readonly: true })
  let database: Sqlite
  try {
    database = native.open(path, options)
  } catch {
    return native.open(path, { ...options, readonly: true })
  }
  database.pragma('query_only = ON')
  return database
}

const firstLook = (database: Sqlite, path: string, size: number) => {
  database.prepare('SELECT count(*) FROM sqlite_schema').get()
  if (size % Number(database.pragma('page_size', { simple: true })) !== 0) {
    throw new DatabaseOpenError({
      path,
      detail: 'the file is incomplete: its last page is cut off; restore a backup',
    })
  }
}

/** A connection that cannot write; closed with its scope. Fails for what is no database. */
export const observe = (path: string): Effect.Effect<Sqlite, DatabaseOpenError, Scope.Scope> =>
  Effect.gen(function* () {
    // SQLite makes a journal as soon as it looks.
    const size = settledSize(path)
    const database = yield* Effect.acquireRelease(
      Effect.try({ try: () => openForReading(path), catch: openError(path) }),
      (database) => Effect.sync(() => database.close()),
    )
    yield* Effect.try({
      try: () => firstLook(database, path, size),
      catch: (error) => (error instanceof DatabaseOpenError ? error : openError(path)(error)),
    })
    return database
  })

/** From here on, if not before, the connection sees one and the same state, whatever others commit, until it is closed. */
export const pinSnapshot = (database: Sqlite): void => {
  if (database.inTransaction) return
  database.exec('BEGIN')
  database.prepare('SELECT count(*) FROM sqlite_schema').get()
}
