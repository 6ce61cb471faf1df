/**
 * What the storage below a service can do wrong, classified so that a caller knows whether to try again.
 */
import { Schema } from 'effect'

/** What went wrong, in the classes a caller can act on. */
export const StorageReason = Schema.Literal(
  'busy',
  'full',
  'readonly',
  'corrupt',
  'constraint',
  'io',
  'closed',
  'timeout',
  'unreachable',
  'denied',
  'tooLarge',
  'other',
)
export type StorageReason = typeof StorageReason.Type

const retryable: ReadonlySet<StorageReason> = new Set(['busy', 'full', 'io', 'timeout', 'unreachable'])

const explanation: Record<StorageReason, string> = {
  busy: 'another process holds the write lock of the database',
  full: 'the disk or the database is full',
  readonly: 'the database cannot be written',
  corrupt: 'the database file is damaged',
  constraint: 'a constraint of the schema was violated',
  io: 'reading or writing the database file failed',
  closed: 'the database is closed',
  timeout: 'the database did not answer in time',
  unreachable: 'the database cannot be reached',
  denied: 'the database refused the token',
  tooLarge: 'a value is larger than the database takes',
  other: 'the database failed',
}

/**
 * A fault of the database, not of the caller, but for `tooLarge`. Nothing of the failed call was written; but over a network the answer may be what
 * was lost (`timeout`, `unreachable`), so that the call was done.
 */
export class StorageError extends Schema.TaggedError<StorageError>('or3-provider-sqlite/StorageError')(
  'StorageError',
  {
    /** `busy`, `full`, `io`, `timeout` and `unreachable` may pass; the others stay until somebody acts. */
    reason: StorageReason,
    /** What was being done, such as `push`. */
    operation: Schema.String,
    /** What the driver threw. */
    cause: Schema.optional(Schema.Defect),
  },
) {
  override get message() {
    return `${this.operation}: ${explanation[this.reason]}`
  }

  /** True when the same call may succeed later: the lock is released, space is freed, the disk or the network answers again. */
  get isRetryable(): boolean {
    return retryable.has(this.reason)
  }
}

/** The database could not be opened as the settings ask. No data was changed. */
export class DatabaseOpenError extends Schema.TaggedError<DatabaseOpenError>(
  'or3-provider-sqlite/DatabaseOpenError',
)('DatabaseOpenError', {
  /** As the settings name it. */
  path: Schema.String,
  /** What is wrong and what to do about it. */
  detail: Schema.String,
  /** What the driver or the system threw. */
  cause: Schema.optional(Schema.Defect),
}) {
  override get message() {
    return `cannot open the database ${this.path}: ${this.detail}`
  }
}
