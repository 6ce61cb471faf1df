/**
 * Which migrations this package knows, and whose a database is.
 */
import { migrations } from '../../../migrations/index.js'
import { SchemaError, type SchemaVersion } from '../../services/SchemaMigrator.js'
import { syncedTables } from '../../services/SyncDomain.js'

export const migrationsTable = 'effect_sql_migrations'

export const knownMigrations: ReadonlyArray<SchemaVersion> = Object.keys(migrations)
  .map((key) => ({ id: Number.parseInt(key, 10), name: key }))
  .sort((a, b) => a.id - b.id)

export const none: SchemaVersion = { id: 0, name: 'none' }

export const newestKnown = knownMigrations.at(-1) ?? none

/** As `knownMigrations` names it, of a row of the migrator's table. */
export const versionOf = (id: number, name: string): SchemaVersion => ({
  id,
  name: `${String(id).padStart(3, '0')}_${name}`,
})

/** In the ledger of a copy until it is whole: no release takes a database with a migration that it does not know. */
export const unfinishedCopy = { id: 1_000_000, name: 'unfinished_copy' } as const

/** Whether this is the newest migration that a ledger names. */
export const isUnfinishedCopy = (applied: string): boolean => applied.endsWith(`_${unfinishedCopy.name}`)

/** What to do about it. */
export const howToFinishCopy =
  'is an unfinished copy: run the same `or3-sqlite copy` again, which goes on with it, or remove it'

/** Of a database that a newer release of this package has migrated. */
export const newerSchema = (applied: string): SchemaError =>
  new SchemaError({
    reason: 'newer',
    detail: isUnfinishedCopy(applied)
      ? `the database ${howToFinishCopy}`
      : `the database has schema ${applied}, newer than the ${newestKnown.name} this release knows: install the release that wrote it, or restore a backup`,
  })

/** Names of tables and views, without SQLite's own. */
export const tableNames = `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'`

/** What the earlier package's migrator wrote with its first migration; read only where there is the table `kysely_migration`. */
export const legacyHistory = `SELECT 1 FROM kysely_migration WHERE name = '001_init'`

/** Tables that every release of the earlier package had, by names that are hardly anybody else's. */
const legacyMarks = ['auth_accounts', 'workspace_members', 'server_version_counter', 'change_log']
/** Of migrators, ours and the earlier package's. */
export const ledgers: ReadonlySet<string> = new Set([
  'kysely_migration',
  'kysely_migration_lock',
  migrationsTable,
])

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
  'rate_limit_windows',
  'workspace_invites',
  'workspace_settings',
  'deployment_admins',
  'jobs',
  'job_chunks',
  'job_documents',
  'webhooks',
  'webhook_events',
  'webhook_hooks',
  'hook_deliveries',
  ...syncedTables.map((table) => `s_${table}`),
]
