/**
 * Which schema a file has, and what the schema should be made by.
 */
import { Effect, Layer, Logger, LogLevel, Option } from 'effect'
import { type Connection, makeConnection } from '../synchronous/connection.js'
import * as Config from '../ProviderConfig.js'
import { lookIn } from './look.js'
import * as Migrator from '../synchronous/SchemaMigrator.js'
import { lookAtSchema, type SchemaState } from '../sql/schemaLook.js'
import { migrationsTable } from '../sql/schemaVersion.js'
import { native } from '../synchronous/native.js'

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

/** The same, done once: the migrations of a process stay as they are. */
const remembered = <A>(effect: Effect.Effect<A>): Effect.Effect<A> => {
  let known: Option.Option<A> = Option.none()
  const first = Effect.tap(effect, (value) => Effect.sync(() => (known = Option.some(value))))
  return Effect.suspend(() => Option.match(known, { onNone: () => first, onSome: Effect.succeed }))
}

/** What the migrations make of an empty database. */
export const expectedObjects: Effect.Effect<SchemaObjects> = Effect.gen(function* () {
  const database = native.open((yield* Migrator.SchemaImage).image!)
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
  remembered,
)
