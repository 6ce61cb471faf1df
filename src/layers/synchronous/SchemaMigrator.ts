/**
 * Opens the database for the first time, on @effect/sql, and runs the pending migrations in one immediate transaction.
 */
import { resolve } from 'node:path'
import * as Reactivity from '@effect/experimental/Reactivity'
import * as Migrator from '@effect/sql/Migrator'
import * as SqlClient from '@effect/sql/SqlClient'
import type { Connection } from '@effect/sql/SqlConnection'
import { SqlError } from '@effect/sql/SqlError'
import { Context, Effect, Exit, Layer, Option } from 'effect'
import { migrations } from '../../../migrations/index.js'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import { SchemaError, SchemaMigrator, type SchemaVersion } from '../../services/SchemaMigrator.js'
import { DatabaseOpenError, type StorageError } from '../../services/StorageError.js'
import { isFilled, prepareFile, settledSize } from './databaseFile.js'
import { beginNote, hasNote } from './leap.js'
import {
  isOurs,
  knownMigrations,
  legacyHistory,
  migrationsTable,
  newestKnown,
  ownerOf,
  requiredTables,
  tableNames,
} from '../sql/schemaVersion.js'
import { all, newestApplied, refuseNewer } from './schemaVersion.js'
import { rootMessage } from '../causes.js'
import { foreignDriver, nativeDriver } from '../runtime.js'
import { native } from './native.js'
import { isStorageFault, openError, toStorageError } from './sqliteErrors.js'

/**
 * What the connection that serves has to know. Who asks for it can be sure that the schema is there.
 *
 * @internal
 */
export class SchemaImage extends Context.Tag('or3-provider-sqlite/SchemaImage')<
  SchemaImage,
  {
    /** The migrated database, if it has no file: one in memory is gone with the connection that made it. */
    readonly image: Uint8Array | undefined
    /** Whether there was no file, or an empty one, so that nothing can have been restored. */
    readonly isNew: boolean
  }
>() {}

/** A full disk and the like are no fault of the migration: the same start may succeed later. */
const migrationFailed = (error: Migrator.MigrationError) =>
  error.cause instanceof SqlError && isStorageFault(error.cause)
    ? error.cause
    : new SchemaError({
        reason: 'failed',
        detail: `${error.message}: ${rootMessage(error.cause)}`,
        cause: error,
      })

/**
 * The library skips an id below the newest applied one, and takes any failure to write its table for another process at
 * work. So what it says is not believed: the tables and the version are looked at.
 */
const verify = (connection: Connection) =>
  Effect.gen(function* () {
    const applied = yield* newestApplied(connection)
    const rows = yield* all<{ name: string }>(
      connection,
      `SELECT name FROM sqlite_schema WHERE type = 'table'`,
    )
    const present = new Set(rows.map(({ name }) => name))
    const missing = requiredTables.filter((table) => !present.has(table))
    if (applied.id !== newestKnown.id || missing.length > 0) {
      return yield* new SchemaError({
        reason: 'incomplete',
        detail: `the schema is at ${applied.name} instead of ${newestKnown.name}${missing.length > 0 ? ` and lacks ${missing.join(', ')}` : ''}: restore a backup`,
      })
    }
  })

/** The library reports a failing migration as a defect. */
const migrationDefect = (defect: unknown) =>
  defect instanceof Migrator.MigrationError ? Option.some(Effect.fail(defect)) : Option.none()

/** A file of another program must not get our tables, even where no name is taken. */
const refuseForeign = (connection: Connection, dbPath: string, applied: SchemaVersion) =>
  Effect.gen(function* () {
    const foreign = new DatabaseOpenError({
      path: dbPath,
      detail: 'it is no database of this package: check OR3_SQLITE_DB_PATH',
    })
    if (applied.id > 0) return isOurs(applied) ? undefined : yield* foreign
    const tables = (yield* all<{ name: string }>(connection, tableNames)).map(({ name }) => name)
    const hasHistory =
      tables.includes('kysely_migration') && (yield* all(connection, legacyHistory)).length > 0
    if (ownerOf(tables, hasHistory) === 'foreign') return yield* foreign
  })

const runPending = (client: SqlClient.SqlClient, connection: Connection, dbPath: string) =>
  Effect.gen(function* () {
    const before = yield* refuseNewer(connection)
    // Only under the lock do ledger and tables belong together: another process may be migrating.
    yield* refuseForeign(connection, dbPath, before)
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: migrationsTable })
    yield* verify(connection)
    return knownMigrations.filter(({ id }) => id > before.id)
  }).pipe(
    Effect.provideService(SqlClient.SqlClient, client),
    Effect.provideService(SqlClient.TransactionConnection, [connection, 0]),
    Effect.catchSomeDefect(migrationDefect),
    Effect.catchTag('MigrationError', (error) => Effect.fail(migrationFailed(error))),
  )

/** The client's own transaction is deferred, and takes a failed COMMIT for a bug. */
const immediately = <A, E, R>(connection: Connection, body: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* all(connection, 'BEGIN IMMEDIATE')
    const exit = yield* Effect.exit(Effect.zipLeft(body, all(connection, 'COMMIT')))
    // SQLite has already rolled back after some errors, and then refuses.
    if (Exit.isFailure(exit)) yield* Effect.ignore(all(connection, 'ROLLBACK'))
    return yield* exit
  })

/** SQLite takes a last page that was cut off for one that ends in zeros. */
const refuseIncomplete = (connection: Connection, path: string, size: number) =>
  Effect.flatMap(all<{ page_size: number }>(connection, 'PRAGMA page_size'), ([row]) =>
    size % row!.page_size === 0
      ? Effect.void
      : new DatabaseOpenError({
          path,
          detail: 'the file is incomplete: its last page is cut off; restore a backup',
        }),
  )

/**
 * From its COMMIT on, a database without a note is taken for a restored backup: so the note comes before, and goes again if the
 * COMMIT fails. Where it cannot be written, the next start warns.
 */
const note = (dbPath: string) =>
  Effect.flatMap(Effect.option(Effect.try(() => beginNote(dbPath))), (undo) =>
    Effect.addFinalizer((exit) =>
      Effect.sync(() => Exit.isFailure(exit) && Option.isSome(undo) && undo.value()),
    ),
  )

/** Uses SQLite's own busy timeout of five seconds: a start may block the event loop. */
const migrate = Effect.gen(function* () {
  const { dbPath, driver } = yield* ProviderConfig
  if (driver !== nativeDriver)
    return yield* new DatabaseOpenError({ path: dbPath, detail: `the driver ${foreignDriver(driver)}` })
  // In this order: who makes both makes the file first.
  const hadNote = dbPath !== ':memory:' && hasNote(dbPath)
  const wasThere = dbPath === ':memory:' || isFilled(dbPath)
  if (dbPath !== ':memory:') {
    yield* Effect.try({
      try: () => prepareFile(dbPath),
      catch: (error) => (error instanceof DatabaseOpenError ? error : openError(dbPath)(error)),
    })
  }
  // SQLite makes a journal as soon as it looks.
  const size = dbPath === ':memory:' ? 0 : settledSize(dbPath)
  // The client opens the file in its constructor and reports what goes wrong there as a defect.
  const { client, image: imageOf } = yield* native
    .migrationClient(dbPath)
    .pipe(Effect.catchAllDefect((defect) => Effect.fail(openError(dbPath)(defect))))
  const appliedAtStart = yield* Effect.scoped(
    Effect.flatMap(client.reserve, (connection) =>
      Effect.gen(function* () {
        // The first look at the file: here it turns out whether it is a database at all.
        const applied = yield* refuseNewer(connection).pipe(
          Effect.catchTag('SqlError', (error) => Effect.fail(openError(dbPath)(error))),
        )
        yield* refuseIncomplete(connection, dbPath, size)
        if (applied.id > 0) yield* refuseForeign(connection, dbPath, applied)
        if (applied.id === newestKnown.id) return yield* Effect.as(verify(connection), [])
        // Adopting a legacy database renames tables that foreign ones refer to. Inside a transaction it has no effect.
        yield* all(connection, 'PRAGMA foreign_keys = OFF')
        const pending = runPending(client, connection, dbPath)
        const isNewToUs = applied.id === 0 && dbPath !== ':memory:'
        return yield* immediately(connection, isNewToUs ? Effect.zipLeft(pending, note(dbPath)) : pending)
      }),
    ),
  )
  const image = dbPath === ':memory:' ? yield* imageOf : undefined
  // Another process may have filled it meanwhile.
  return { image, appliedAtStart, hadNote, isNew: !wasThere && appliedAtStart.length > 0, dbPath }
}).pipe(
  Effect.scoped,
  Effect.provide(Reactivity.layer),
  Effect.mapError((error): DatabaseOpenError | SchemaError | StorageError =>
    error instanceof SqlError ? toStorageError('migration')(error) : error,
  ),
)

const gone = (path: string) =>
  `the database file is gone but ${path}-seen tells of one: restore a backup if it was not removed on purpose`

/**
 * Migrates while it is built, in one immediate transaction: it fails with the file as it was. Waits up to five seconds for the
 * lock of another process that starts, blocking the event loop.
 */
export const layer: Layer.Layer<
  SchemaMigrator | SchemaImage,
  DatabaseOpenError | SchemaError | StorageError,
  ProviderConfig
> = Layer.effectContext(
  Effect.gen(function* () {
    const { image, appliedAtStart, hadNote, isNew, dbPath } = yield* migrate
    if (isNew && hadNote) yield* Effect.logWarning(gone(resolve(dbPath)))
    if (isNew) yield* Effect.logInfo(`created a new database at ${resolve(dbPath)}`)
    if (appliedAtStart.length > 0) {
      yield* Effect.logInfo(`applied ${appliedAtStart.map(({ name }) => name).join(', ')}`)
    }
    return Context.make(SchemaMigrator, { appliedAtStart, version: newestKnown }).pipe(
      Context.add(SchemaImage, { image, isNew }),
    )
  }),
)
