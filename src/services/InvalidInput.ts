/**
 * What is wrong with the input of a service whose calls are plain fields.
 */
import { Schema } from 'effect'

/** A field is missing or out of bounds. Nothing was changed. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>('or3-provider-sqlite/InvalidInput')(
  'InvalidInput',
  {
    /** The offending field, such as `url`. */
    field: Schema.String,
    /** What it must be, in words for people. */
    detail: Schema.String,
  },
) {
  override get message() {
    return `${this.field}: ${this.detail}`
  }
}
