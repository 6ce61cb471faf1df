/**
 * Runs the pending migrations at start, all of them in one immediate transaction.
 */
import * as Migrator from '@effect/sql/Migrator'
import * as SqlClient from '@effect/sql/SqlClient'
import type { Connection } from '@effect/sql/SqlConnection'
import { Effect, Layer, Option } from 'effect'
import { migrations } from '../../migrations/index.js'
import { SchemaError, SchemaMigrator } from '../services/SchemaMigrator.js'
import { syncedTables } from '../services/SyncDomain.js'
import type { StorageError } from '../services/StorageError.js'
import { Database } from './Database.js'
import { all } from './statement.js'
import { knownMigrations, migrationsTable, newestApplied, newestKnown, refuseNewer } from './schemaVersion.js'
import { rootMessage } from './sqliteErrors.js'

const requiredTables = [
  'users',
  'auth_accounts',
  'workspaces',
  'workspace_members',
  'server_version_counter',
  'change_log',
  'trimmed_ops',
  'device_cursors',
  'tombstones',
  ...syncedTables.map((table) => `s_${table}`),
]

const migrationFailed = (error: Migrator.MigrationError) =>
  new SchemaError({ reason: 'failed', detail: `${error.message}: ${rootMessage(error.cause)}`, cause: error })

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

const runPending = (client: SqlClient.SqlClient) => (connection: Connection) =>
  Effect.gen(function* () {
    const before = yield* refuseNewer(connection)
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: migrationsTable })
    yield* verify(connection)
    return knownMigrations.filter(({ id }) => id > before.id)
  }).pipe(
    Effect.provideService(SqlClient.SqlClient, client),
    Effect.provideService(SqlClient.TransactionConnection, [connection, 0]),
    Effect.catchSomeDefect(migrationDefect),
    Effect.catchTag('MigrationError', (error) => Effect.fail(migrationFailed(error))),
  )

export const layer: Layer.Layer<SchemaMigrator, SchemaError | StorageError, Database> = Layer.effect(
  SchemaMigrator,
  Effect.gen(function* () {
    const { client, read, write, leaveStartup } = yield* Database
    const appliedAtStart = yield* write('migration', runPending(client))
    yield* leaveStartup
    if (appliedAtStart.length > 0) {
      yield* Effect.logInfo(`applied ${appliedAtStart.map(({ name }) => name).join(', ')}`)
    }
    return SchemaMigrator.of({ appliedAtStart, version: read('schema version', newestApplied) })
  }),
)
