/**
 * The typed errors of the sync gateway. Those of one op never fail its neighbours in the batch.
 */
import { Schema } from 'effect'

/** This workspace has already logged the op, with the same content. The op is durable; nothing was written again. */
export class IdempotencyReplay extends Schema.TaggedError<IdempotencyReplay>(
  'or3-provider-sqlite/IdempotencyReplay',
)('IdempotencyReplay', {
  /** As pushed. */
  opId: Schema.String,
  /** The version the op was given the first time. */
  serverVersion: Schema.Number,
}) {
  override get message() {
    return `op ${this.opId} was accepted before, as version ${this.serverVersion}`
  }
}

/** The op id is taken by an op with other content, in the log or earlier in the batch. Nothing was written. */
export class OpConflict extends Schema.TaggedError<OpConflict>('or3-provider-sqlite/OpConflict')(
  'OpConflict',
  {
    /** As pushed. */
    opId: Schema.String,
    /** The version of the op that holds the id. */
    serverVersion: Schema.Number,
  },
) {
  override get message() {
    return `op id ${this.opId} is taken by an op with other content`
  }
}

/** The rule an op breaks. `payload-too-large` is the one the host knows as `OVERSIZED`. */
export const OpRule = Schema.Literal(
  'shape',
  'table',
  'operation',
  'pk',
  'op-id',
  'hlc',
  'device-id',
  'clock',
  'payload-missing',
  'payload-not-json',
  'payload-too-deep',
  'payload-too-large',
  'payload-key-mismatch',
  'payload-reserved-field',
)
export type OpRule = typeof OpRule.Type

/** The op breaks a rule of the protocol and never will be accepted. Nothing was written. */
export class InvalidOp extends Schema.TaggedError<InvalidOp>('or3-provider-sqlite/InvalidOp')('InvalidOp', {
  /** As sent, if it was a string; else empty. */
  opId: Schema.String,
  /** The first rule that is broken. */
  rule: OpRule,
  /** The rule in words. */
  detail: Schema.String,
}) {
  override get message() {
    return this.detail
  }
}

/** The op touches a notification of another user. Nothing was written. */
export class OpForbidden extends Schema.TaggedError<OpForbidden>('or3-provider-sqlite/OpForbidden')(
  'OpForbidden',
  {
    /** As pushed. */
    opId: Schema.String,
  },
) {
  override get message() {
    return 'a notification can be changed by its own user only'
  }
}

/** The request as a whole is malformed: wrong shape, an id or number out of bounds, too many ops. Nothing was done. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>('or3-provider-sqlite/InvalidRequest')(
  'InvalidRequest',
  {
    /** The offending field, such as `cursor`. */
    field: Schema.String,
    /** What it is or is not, such as `is not an array`. */
    detail: Schema.String,
  },
) {
  override get message() {
    return `${this.field} ${this.detail}`
  }
}

/** The page token of a snapshot is none that this package made. Nothing was read. */
export class InvalidPageToken extends Schema.TaggedError<InvalidPageToken>(
  'or3-provider-sqlite/InvalidPageToken',
)('InvalidPageToken', {}) {
  override get message() {
    return 'pageToken is broken'
  }
}

/** The page token of a snapshot belongs to another workspace. Nothing was read. */
export class PageTokenForbidden extends Schema.TaggedError<PageTokenForbidden>(
  'or3-provider-sqlite/PageTokenForbidden',
)('PageTokenForbidden', {}) {
  override get message() {
    return 'pageToken belongs to another workspace'
  }
}

/** The snapshot cannot be continued: the server has restored a backup since it began. Begin again, without a token. */
export class SnapshotGone extends Schema.TaggedError<SnapshotGone>('or3-provider-sqlite/SnapshotGone')(
  'SnapshotGone',
  {},
) {
  override get message() {
    return 'the snapshot is from before a restore: begin again'
  }
}

/** The scope names a workspace other than the one of the caller's session. */
export class ScopeForbidden extends Schema.TaggedError<ScopeForbidden>('or3-provider-sqlite/ScopeForbidden')(
  'ScopeForbidden',
  {},
) {
  override get message() {
    return 'this session belongs to another workspace'
  }
}

/** The device is another user's. Nothing was recorded. */
export class DeviceForbidden extends Schema.TaggedError<DeviceForbidden>(
  'or3-provider-sqlite/DeviceForbidden',
)('DeviceForbidden', {}) {
  override get message() {
    return 'this device belongs to another user'
  }
}
