/**
 * Which schema a database file has, looked at without migrating it.
 */
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger, LogLevel } from 'effect'
import type { SchemaVersion } from '../../services/SchemaMigrator.js'
import { type Connection, makeConnection } from '../synchronous/connection.js'
import * as Config from '../ProviderConfig.js'
import * as Migrator from '../synchronous/SchemaMigrator.js'
import {
  isOurs,
  knownMigrations,
  legacyHistory,
  migrationsTable,
  newestKnown,
  ownerOf,
  tableNames,
} from '../synchronous/schemaVersion.js'

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

const hasTable = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`
const newest = `SELECT migration_id AS id, name FROM ${migrationsTable} ORDER BY migration_id DESC LIMIT 1`

export const schemaState = (connection: Connection): SchemaState => {
  const has = (table: string) => connection.first(hasTable, table) !== undefined
  const applied = has(migrationsTable) ? connection.first<{ id: number; name: string }>(newest) : undefined
  if (applied !== undefined) {
    const name = `${String(applied.id).padStart(3, '0')}_${applied.name}`
    const isNewer = applied.id > newestKnown.id
    return {
      kind: !isOurs({ id: applied.id, name }) ? 'foreign' : isNewer ? 'newer' : 'ours',
      applied: name,
      pending: knownMigrations.filter(({ id }) => id > applied.id),
    }
  }
  const tables = connection.all<{ name: string }>(tableNames).map(({ name }) => name)
  const hasHistory = has('kysely_migration') && connection.first(legacyHistory) !== undefined
  return { kind: ownerOf(tables, hasHistory), applied: 'none', pending: knownMigrations }
}

/** As a sentence names it. */
export const schemaName = ({ kind, applied }: SchemaState): string =>
  kind === 'legacy' ? 'schema of the earlier package' : `schema ${applied}`

/** A statement for a file that may be from before `004_offsets`: none of its workspaces has an offset then. */
export const withOffsetsOf = ({ pending }: SchemaState, sql: string): string =>
  pending.some(({ id }) => id === 4) ? sql.replaceAll('version_offset', '0') : sql

/** What a table, index or trigger is made by, by its name. */
export type SchemaObjects = ReadonlyMap<string, string>

/** Without the migrator's own table: that is the library's, whose next release may describe it otherwise. */
const objects = `
  SELECT type || ' ' || name AS name, sql FROM sqlite_schema
  WHERE sql IS NOT NULL AND tbl_name <> '${migrationsTable}'`

export const objectsOf = (connection: Connection): SchemaObjects =>
  new Map(connection.all<{ name: string; sql: string }>(objects).map(({ name, sql }) => [name, sql]))

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
