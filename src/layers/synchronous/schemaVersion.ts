/**
 * Which migrations a database has, and which this package knows.
 */
import type { Connection } from '@effect/sql/SqlConnection'
import type { SqlError } from '@effect/sql/SqlError'
import { Effect } from 'effect'
import { migrations } from '../../../migrations/index.js'
import { SchemaError, type SchemaVersion } from '../../services/SchemaMigrator.js'
import { syncedTables } from '../../services/SyncDomain.js'

/** All rows of one statement. */
export const all = <Row>(
  connection: Connection,
  sql: string,
  params: ReadonlyArray<unknown> = [],
): Effect.Effect<ReadonlyArray<Row>, SqlError> => connection.execute(sql, params, undefined)

export const migrationsTable = 'effect_sql_migrations'

export const knownMigrations: ReadonlyArray<SchemaVersion> = Object.keys(migrations)
  .map((key) => ({ id: Number.parseInt(key, 10), name: key }))
  .sort((a, b) => a.id - b.id)

const none: SchemaVersion = { id: 0, name: 'none' }

export const newestKnown = knownMigrations.at(-1) ?? none

/** The newest migration the database has; id 0 for one that has none. */
export const newestApplied = (connection: Connection): Effect.Effect<SchemaVersion, SqlError> =>
  all<{ name: string }>(connection, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?`, [
    migrationsTable,
  ]).pipe(
    Effect.flatMap((tables) =>
      tables.length === 0
        ? Effect.succeed([])
        : all<{ migration_id: number; name: string }>(
            connection,
            `SELECT migration_id, name FROM ${migrationsTable} ORDER BY migration_id DESC LIMIT 1`,
          ),
    ),
    Effect.map(([row]) =>
      row === undefined
        ? none
        : { id: row.migration_id, name: `${String(row.migration_id).padStart(3, '0')}_${row.name}` },
    ),
  )

/** Fails for a database that a newer release of this package has migrated. */
export const refuseNewer = (connection: Connection): Effect.Effect<SchemaVersion, SqlError | SchemaError> =>
  newestApplied(connection).pipe(
    Effect.filterOrFail(
      (applied) => applied.id <= newestKnown.id,
      (applied) =>
        new SchemaError({
          reason: 'newer',
          detail: `the database has schema ${applied.name}, newer than the ${newestKnown.name} this release knows: install the release that wrote it, or restore a backup`,
        }),
    ),
  )

/** Names of tables and views, without SQLite's own. */
export const tableNames = `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`

/** What the earlier package's migrator wrote with its first migration; read only where there is the table `kysely_migration`. */
export const legacyHistory = `SELECT 1 FROM kysely_migration WHERE name = '001_init'`

/** Tables that every release of the earlier package had, by names that are hardly anybody else's. */
const legacyMarks = ['auth_accounts', 'workspace_members', 'server_version_counter', 'change_log']
const ledgers = new Set(['kysely_migration', 'kysely_migration_lock', migrationsTable])

/** Whose a file is that our migrations have not run on, from the names of its tables. `hasHistory`: see `legacyHistory`. */
export const ownerOf = (
  tables: ReadonlyArray<string>,
  hasHistory: boolean,
): 'legacy' | 'empty' | 'foreign' => {
  if (tables.every((table) => ledgers.has(table))) return 'empty'
  return hasHistory && tables.some((table) => legacyMarks.includes(table)) ? 'legacy' : 'foreign'
}

/** Whether a migration that was applied is one of ours, as far as this release can tell: other programs use the same library. */
export const isOurs = ({ id, name }: SchemaVersion): boolean =>
  id > newestKnown.id || knownMigrations.some((known) => known.id === id && known.name === name)

/** Every table of ours but the migrator's. */
export const requiredTables: ReadonlyArray<string> = [
  'users',
  'auth_accounts',
  'workspaces',
  'workspace_members',
  'server_version_counter',
  'change_log',
  'trimmed_ops',
  'renamed_ops',
  'device_cursors',
  'tombstones',
  'file_references',
  'file_records',
  'file_usage',
  'upload_reservations',
  ...syncedTables.map((table) => `s_${table}`),
]
