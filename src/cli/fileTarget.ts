/**
 * A database in a file, as commands see it.
 */
import { existsSync } from 'node:fs'
import { Effect, Layer, Option } from 'effect'
import { storageMessage } from '../layers/causes.js'
import { observedFile } from '../layers/operating/Observed.js'
import { observe, patienceMillis } from '../layers/operating/observer.js'
import { schemaState } from '../layers/operating/schemaState.js'
import { emptySchema, type SchemaState } from '../layers/sql/schemaLook.js'
import { layerWithConfig } from '../layers/Provider.js'
import * as IdGenerator from '../layers/IdGenerator.js'
import { Batches } from '../layers/sql/Batches.js'
import { sqlServices } from '../layers/sql/services.js'
import { batchesOn } from '../layers/synchronous/Batches.js'
import { makeConnection } from '../layers/synchronous/connection.js'
import { databaseOn } from '../layers/synchronous/Database.js'
import { native } from '../layers/synchronous/native.js'
import * as Migrator from '../layers/synchronous/SchemaMigrator.js'
import { openError } from '../layers/synchronous/sqliteErrors.js'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { SchemaMigrator } from '../services/SchemaMigrator.js'
import { StorageError } from '../services/StorageError.js'
import { failed } from './failure.js'
import { type FileTarget, requireCurrent, type Target } from './target.js'

/** Also of an empty file: no command but `restore` makes a database of one. */
const requireOurs = (file: string, { kind }: SchemaState) =>
  kind === 'foreign' || kind === 'empty'
    ? failed(`${file} is no database of this package: check OR3_SQLITE_DB_PATH`)
    : Effect.void

/** Runs a body on a connection that cannot write. It sees each commit, unless it pins what it sees. */
export const reading = <A, E, R>(
  file: string,
  body: (database: Effect.Effect.Success<ReturnType<typeof observe>>) => Effect.Effect<A, E, R>,
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const database = yield* observe(file)
      yield* requireOurs(file, schemaState(makeConnection(database)))
      return yield* body(database)
    }),
  )

const legacyOf = (file: string) => ({
  message: `${file} is of the earlier package: copy it first (\`or3-sqlite backup FILE\`), then \`or3-sqlite migrate\``,
  isAdopted: true,
})

/** The settings as the services need them, on the file itself. */
const serverSettings = (settings: ProviderSettings, file: string) =>
  reading(file, (database) =>
    Effect.gen(function* () {
      yield* requireCurrent({ name: file, legacy: legacyOf(file) }, schemaState(makeConnection(database)))
      const isWal = database.pragma('journal_mode', { simple: true }) === 'wal'
      // The mode is the server's choice, whose settings this process may not have been given.
      const fallback = settings.journalMode === 'WAL' ? 'DELETE' : settings.journalMode
      return Layer.succeed(ProviderConfig, {
        ...settings,
        dbPath: file,
        journalMode: isWal ? 'WAL' : fallback,
        gcInterval: Option.none(),
      })
    }),
  )

/** One that `migrate --create` fills: it is not there yet, or nobody has put anything into it. */
export const newFileTarget = (settings: ProviderSettings, file: string): FileTarget => {
  const target = fileTarget(settings, file)
  return {
    ...target,
    schema: existsSync(file)
      ? Effect.scoped(
          Effect.flatMap(observe(file), (database) => {
            const found = schemaState(makeConnection(database))
            return found.kind === 'empty' ? Effect.succeed(found) : target.schema
          }),
        )
      : Effect.succeed(emptySchema),
  }
}

/** `file` is the file itself, whatever links lead to it. */
export const fileTarget = (settings: ProviderSettings, file: string): FileTarget => ({
  ...{ settings, file, name: file, legacy: legacyOf(file) },
  afterDamage: 'keep a copy of the file and restore a backup',
  observing: (body) =>
    Effect.scoped(
      Effect.gen(function* () {
        const seen = yield* Effect.flatMap(observe(file), (database) =>
          observedFile(database, file, settings),
        )
        yield* requireOurs(file, seen.schema)
        return yield* body(seen)
      }),
    ),
  serving: (body) =>
    Effect.flatMap(serverSettings(settings, file), (own) =>
      Effect.provide(body, Layer.provide(layerWithConfig, own)),
    ),
  asking: (body) =>
    reading(file, (database) =>
      Effect.gen(function* () {
        const connection = makeConnection(database)
        yield* requireCurrent({ name: file, legacy: legacyOf(file) }, schemaState(connection))
        const engine = Layer.succeed(Batches, batchesOn(databaseOn(connection)))
        const config = Layer.succeed(ProviderConfig, settings)
        return yield* Effect.provide(
          body,
          Layer.provide(sqlServices, Layer.mergeAll(engine, config, IdGenerator.layer)),
        )
      }),
    ),
  failing: Effect.mapError((error) =>
    error instanceof StorageError ? failed(`${file}: ${storageMessage(error)}`) : error,
  ) as Target['failing'],
  filling: (body) =>
    Effect.scoped(
      Effect.gen(function* () {
        const database = yield* Effect.acquireRelease(
          Effect.try({
            try: () => native.open(file, { fileMustExist: true, timeout: patienceMillis }),
            catch: openError(file),
          }),
          (database) => Effect.sync(() => database.close()),
        )
        // A lock is not waited for here.
        yield* Effect.try({
          try: () => {
            database.pragma('journal_mode = WAL')
            database.pragma('synchronous = NORMAL')
          },
          catch: openError(file),
        })
        return yield* body(batchesOn(databaseOn(makeConnection(database))))
      }),
    ),
  schema: reading(file, (database) => Effect.sync(() => schemaState(makeConnection(database)))),
  migrating: Effect.map(SchemaMigrator, ({ appliedAtStart }) => appliedAtStart).pipe(
    Effect.provide(
      Layer.provide(Migrator.layer, Layer.succeed(ProviderConfig, { ...settings, dbPath: file })),
    ),
  ),
})
