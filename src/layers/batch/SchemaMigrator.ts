/**
 * Brings a database on an engine over a network to the newest schema: all pending migrations as one batch.
 *
 * Several servers that start at once send the same batch, and all but the first fail at its first table; so who fails looks again.
 */
import { Effect, Either, Layer } from 'effect'
import { type Driver, ProviderConfig, type ProviderSettings } from '../../services/ProviderConfig.js'
import { SchemaError, SchemaMigrator } from '../../services/SchemaMigrator.js'
import { DatabaseOpenError, StorageError } from '../../services/StorageError.js'
import type { Batch, Statement } from '../sql/batch.js'
import { Batches } from '../sql/Batches.js'
import { lookOver } from '../sql/look.js'
import { lookAtSchema } from '../sql/schemaLook.js'
import { knownMigrations, newerSchema, newestKnown, none, requiredTables } from '../sql/schemaVersion.js'
import { migrationStatements } from './migrationBatches.js'

/** What to do about a database of the earlier package, which no batch can adopt. */
export const howToAdopt =
  'it is of the earlier package, which is adopted from a file only: dump it into a file, run `or3-sqlite migrate` on that, and move its workspaces with `or3-sqlite export` and `import`'

/** The setting that names a database. */
const nameOf: Record<Driver, string> = {
  'better-sqlite3': 'OR3_SQLITE_DB_PATH',
  bun: 'OR3_SQLITE_DB_PATH',
  turso: 'OR3_SQLITE_TURSO_URL',
  d1: 'OR3_SQLITE_D1_BINDING',
}

/** The state of a database that is ours, or that nobody has used yet. */
const lookAt = ({ read }: Batches['Type'], { driver, dbPath: path }: ProviderSettings) =>
  Effect.gen(function* () {
    const refused = (detail: string) => new DatabaseOpenError({ path, detail })
    const { schema, tables } = yield* lookOver(read, 'start', lookAtSchema())
    if (schema.kind === 'foreign') {
      return yield* refused(`it is no database of this package: check ${nameOf[driver]}`)
    }
    if (schema.kind === 'newer') return yield* newerSchema(schema.applied)
    if (schema.kind === 'legacy') return yield* refused(howToAdopt)
    const missing = schema.pending.length > 0 ? [] : requiredTables.filter((table) => !tables.has(table))
    if (missing.length > 0) {
      return yield* new SchemaError({
        reason: 'incomplete',
        detail: `the schema lacks ${missing.join(', ')}: restore the database as it was`,
      })
    }
    return schema
  })

const run = (statements: ReadonlyArray<Statement>): Batch<void> => ({ statements, read: () => Either.void })

const migrate = Effect.gen(function* () {
  const batches = yield* Batches
  const settings = yield* ProviderConfig
  const { applied, pending } = yield* lookAt(batches, settings)
  if (pending.length === 0) return []
  const statements = yield* migrationStatements(knownMigrations.find(({ name }) => name === applied) ?? none)
  return yield* batches.write('migration', run(statements)).pipe(
    Effect.as(pending),
    Effect.catchTag('StorageError', (error) =>
      // Another server may have been first, or this one, without hearing of it.
      Effect.flatMap(lookAt(batches, settings), ({ pending }) =>
        pending.length === 0 ? Effect.succeed([]) : Effect.fail(failed(error)),
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
