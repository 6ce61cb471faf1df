/**
 * Brings the database to the newest schema before anything else uses it.
 */
import { Context, Schema } from 'effect'

/** The schema could not be brought up to date. The file is as it was. */
export class SchemaError extends Schema.TaggedError<SchemaError>('or3-provider-sqlite/SchemaError')(
  'SchemaError',
  {
    /** A newer release made it; a migration failed and was rolled back; tables are missing though all migrations ran. */
    reason: Schema.Literal('newer', 'failed', 'incomplete'),
    /** What is wrong and what to do, in one line. */
    detail: Schema.String,
    /** What the migration failed with. */
    cause: Schema.optional(Schema.Defect),
  },
) {
  override get message() {
    return this.detail
  }
}

/** A migration, as `effect_sql_migrations` lists it. */
export interface SchemaVersion {
  /** The number of the newest applied migration. */
  readonly id: number
  /** Such as `001_init`. */
  readonly name: string
}

/** The schema of the database. Who has this service can be sure that it is up to date: its layer migrates, or fails. */
export class SchemaMigrator extends Context.Tag('or3-provider-sqlite/SchemaMigrator')<
  SchemaMigrator,
  {
    /** What this start applied, oldest first; empty when the schema was up to date. */
    readonly appliedAtStart: ReadonlyArray<SchemaVersion>
    /** The newest migration the database has. */
    readonly version: SchemaVersion
  }
>() {}
