/**
 * Which schema a database has, looked at without migrating it.
 */
import type { SchemaVersion } from '../../services/SchemaMigrator.js'
import { ask, type Look } from './look.js'
import {
  isOurs,
  knownMigrations,
  legacyHistory,
  migrationsTable,
  newestKnown,
  ownerOf,
  tableNames,
  versionOf,
} from './schemaVersion.js'

export interface SchemaState {
  /**
   * `ours`, of this or an earlier release; `newer`: of a later release; `legacy`: of the earlier package, to be adopted;
   * `empty`: without any table; `foreign`: of some other program.
   */
  readonly kind: 'ours' | 'newer' | 'legacy' | 'empty' | 'foreign'
  /** The newest applied migration, such as `003_adopt_legacy`, or `none`. */
  readonly applied: string
  /** What `migrate` would apply, oldest first. */
  readonly pending: ReadonlyArray<SchemaVersion>
}

/** Of a database that is not there yet. */
export const emptySchema: SchemaState = { kind: 'empty', applied: 'none', pending: knownMigrations }

const newest = `SELECT migration_id AS id, name FROM ${migrationsTable} ORDER BY migration_id DESC LIMIT 1`

export interface KnownSchema {
  readonly schema: SchemaState
  /** What has no table cannot be asked for. */
  readonly tables: ReadonlySet<string>
}

export function* lookAtSchema(): Look<KnownSchema> {
  const [names] = yield [ask(tableNames)]
  const tables = new Set(names!.map(({ name }) => name as string))
  const ledger = tables.has(migrationsTable) ? [ask(newest)] : []
  const history = tables.has('kysely_migration') ? [ask(legacyHistory)] : []
  const found = ledger.length + history.length === 0 ? [] : yield [...ledger, ...history]
  const applied = ledger.length === 0 ? undefined : found[0]![0]
  const hasHistory = history.length > 0 && found.at(-1)!.length > 0
  return {
    tables,
    schema:
      applied === undefined
        ? { kind: ownerOf([...tables], hasHistory), applied: 'none', pending: knownMigrations }
        : stateOf(versionOf(applied.id, applied.name)),
  }
}

const stateOf = (applied: SchemaVersion): SchemaState => ({
  kind: !isOurs(applied) ? 'foreign' : applied.id > newestKnown.id ? 'newer' : 'ours',
  applied: applied.name,
  pending: knownMigrations.filter(({ id }) => id > applied.id),
})
