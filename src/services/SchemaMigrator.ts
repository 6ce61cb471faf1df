/**
 * Brings the database to the newest schema before anything else uses it.
 */
import { Context, Schema } from 'effect'

/** The schema could not be brought up to date. The file is as it was. */
export class SchemaError extends Schema.TaggedError<SchemaError>('or3-provider-sqlite/SchemaError')(
  'SchemaError',
  {
    reason: Schema.Literal('newer', 'failed', 'incomplete'),
    detail: Schema.String,
    cause: Schema.optional(Schema.Defect),
  },
) {
  override get message() {
    return this.detail
  }
}

export interface SchemaVersion {
  /** The number of the newest applied migration. */
  readonly id: number
  readonly name: string
}

export class SchemaMigrator extends Context.Tag('or3-provider-sqlite/SchemaMigrator')<
  SchemaMigrator,
  {
    /** What this start applied, oldest first; empty when the schema was up to date. */
    readonly appliedAtStart: ReadonlyArray<SchemaVersion>
    /** The newest migration the database has. */
    readonly version: SchemaVersion
  }
>() {}
