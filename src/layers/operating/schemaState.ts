/**
 * Which schema a database has, looked at without migrating it.
 */
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger, LogLevel } from 'effect'
import type { SchemaVersion } from '../../services/SchemaMigrator.js'
import { type Connection, makeConnection } from '../synchronous/connection.js'
import * as Config from '../ProviderConfig.js'
import { ask, type Look, lookIn } from './look.js'
import * as Migrator from '../synchronous/SchemaMigrator.js'
import {
  isOurs,
  knownMigrations,
  legacyHistory,
  migrationsTable,
  newestKnown,
  ownerOf,
  tableNames,
  versionOf,
} from '../sql/schemaVersion.js'

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

export const schemaState = (connection: Connection): SchemaState => lookIn(connection, lookAtSchema()).schema

/** As a sentence names it. */
export const schemaName = ({ kind, applied }: SchemaState): string =>
  kind === 'legacy' ? 'schema of the earlier package' : `schema ${applied}`

/** A statement for a file that may be from before `004_offsets`: none of its workspaces has an offset then. */
export const withOffsetsOf = ({ pending }: SchemaState, sql: string): string =>
  pending.some(({ id }) => id === 4) ? sql.replaceAll('version_offset', '0') : sql

/** What a table, index or trigger is made by, by its name. */
export type SchemaObjects = ReadonlyMap<string, string>

/** Without the migrator's own table: that is the library's, whose next release may describe it otherwise. */
export const schemaObjects = `
  SELECT type || ' ' || name AS name, sql FROM sqlite_schema
  WHERE sql IS NOT NULL AND tbl_name <> '${migrationsTable}'`

export const objectsOf = (connection: Connection): SchemaObjects =>
  new Map(connection.all<{ name: string; sql: string }>(schemaObjects).map(({ name, sql }) => [name, sql]))

/** What the migrations make of an empty database. */
export const expectedObjects: Effect.Effect<SchemaObjects> = Effect.gen(function* () {
  const database = new Sqlite(Buffer.from((yield* Migrator.SchemaImage).image!))
  try {
    return objectsOf(makeConnection(database))
  } finally {
    database.close()
  }
}).pipe(
  Effect.provide(Layer.provide(Migrator.layer, Config.layerOf({ dbPath: ':memory:' }))),
  // It says what it applied.
  Logger.withMinimumLogLevel(LogLevel.None),
  Effect.orDie,
)
