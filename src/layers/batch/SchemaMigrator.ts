/**
 * Brings a database on an engine over a network to the newest schema: all pending migrations as one batch.
 *
 * Several servers that start at once send the same batch, and all but the first fail at its first table; so who fails looks again.
 */
import { Effect, Either, Layer } from 'effect'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import { SchemaError, SchemaMigrator, type SchemaVersion } from '../../services/SchemaMigrator.js'
import { DatabaseOpenError, StorageError } from '../../services/StorageError.js'
import { type Batch, type Statement, statement } from '../sql/batch.js'
import { Batches } from '../sql/Batches.js'
import {
  isOurs,
  knownMigrations,
  legacyHistory,
  migrationsTable,
  newerSchema,
  newestKnown,
  none,
  ownerOf,
  requiredTables,
  tableNames,
  versionOf,
} from '../sql/schemaVersion.js'
import { migrationStatements } from './migrationBatches.js'

const ask = <A>(sql: string, read: (rows: ReadonlyArray<Readonly<Record<string, any>>>) => A): Batch<A> => ({
  statements: [statement(sql)({})],
  read: ([rows]) => Either.right(read(rows!)),
})

const askTables = ask(tableNames, (rows) => rows.map(({ name }) => name as string))

const askHistory = ask(legacyHistory, (rows) => rows.length > 0)

const askApplied = ask(
  `SELECT migration_id, name FROM ${migrationsTable} ORDER BY migration_id DESC LIMIT 1`,
  ([row]): SchemaVersion => (row === undefined ? none : versionOf(row.migration_id, row.name)),
)

/** What to do about a database of the earlier package, which no batch can adopt. */
export const howToAdopt =
  'it is of the earlier package, which is adopted from a file only: dump it into a file, run `or3-sqlite migrate` on that, and move its workspaces with `or3-sqlite export` and `import`'

/** The newest migration of a database that is ours, or that nobody has used yet. */
const lookAt = ({ read }: Batches['Type'], url: string) =>
  Effect.gen(function* () {
    const refused = (detail: string) => new DatabaseOpenError({ path: url, detail })
    const foreign = refused('it is no database of this package: check OR3_SQLITE_TURSO_URL')
    const tables = yield* read('start', askTables)
    const applied = tables.includes(migrationsTable) ? yield* read('start', askApplied) : none
    if (applied.id > 0 && !isOurs(applied)) return yield* foreign
    if (applied.id > newestKnown.id) return yield* newerSchema(applied)
    if (applied.id === 0) {
      const hasHistory = tables.includes('kysely_migration') && (yield* read('start', askHistory))
      const owner = ownerOf(tables, hasHistory)
      if (owner === 'legacy') return yield* refused(howToAdopt)
      if (owner === 'foreign') return yield* foreign
    }
    if (applied.id === newestKnown.id) {
      const missing = requiredTables.filter((table) => !tables.includes(table))
      if (missing.length > 0) {
        return yield* new SchemaError({
          reason: 'incomplete',
          detail: `the schema lacks ${missing.join(', ')}: restore the database as it was`,
        })
      }
    }
    return applied
  })

const run = (statements: ReadonlyArray<Statement>): Batch<void> => ({ statements, read: () => Either.void })

const migrate = Effect.gen(function* () {
  const batches = yield* Batches
  const { dbPath } = yield* ProviderConfig
  const applied = yield* lookAt(batches, dbPath)
  if (applied.id === newestKnown.id) return []
  const statements = yield* migrationStatements(applied)
  return yield* batches.write('migration', run(statements)).pipe(
    Effect.as(knownMigrations.filter(({ id }) => id > applied.id)),
    Effect.catchTag('StorageError', (error) =>
      // Another server may have been first, or this one, without hearing of it.
      Effect.flatMap(lookAt(batches, dbPath), ({ id }) =>
        id === newestKnown.id ? Effect.succeed([]) : Effect.fail(failed(error)),
      ),
    ),
  )
})

const failed = (error: StorageError) =>
  error.isRetryable || error.reason === 'denied'
    ? error
    : new SchemaError({ reason: 'failed', detail: `the migration failed: ${error.message}`, cause: error })

/** Migrates while it is built. */
export const layer: Layer.Layer<
  SchemaMigrator,
  DatabaseOpenError | SchemaError | StorageError,
  Batches | ProviderConfig
> = Layer.effect(
  SchemaMigrator,
  Effect.gen(function* () {
    const { dbPath } = yield* ProviderConfig
    const appliedAtStart = yield* migrate
    if (appliedAtStart.length > 0) {
      yield* Effect.logInfo(`applied ${appliedAtStart.map(({ name }) => name).join(', ')} to ${dbPath}`)
    }
    return { appliedAtStart, version: newestKnown }
  }),
)
