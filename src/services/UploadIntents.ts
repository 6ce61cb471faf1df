/**
 * Room for files that are being uploaded, so that uploads at the same time cannot exceed a workspace's quota together.
 *
 * An intent is active until it is consumed, cancelled or expires. What counts against a quota is the bytes of all live
 * `file_meta` records, and those of each file with active intents and no such record, once. So a file that is stored or
 * reserved already takes no more room, and when one of two intents for it ends the other one still holds its room.
 */
import { Context, type Effect, Schema } from 'effect'
import type { GatewayError, PushRequest } from './SyncGateway.js'

/** The file does not fit the workspace's quota. Nothing was reserved. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>('or3-provider-sqlite/QuotaExceeded')(
  'QuotaExceeded',
  {
    /** As given. */
    quotaBytes: Schema.Number,
    /** Bytes of live files. */
    usedBytes: Schema.Number,
    /** Bytes of files that are being uploaded. */
    reservedBytes: Schema.Number,
  },
) {
  override get message() {
    return 'the file does not fit the quota of this workspace'
  }
}

/** Why an intent is not as a call needs it. */
export const UploadIntentReason = Schema.Literal('unknown', 'taken', 'settled', 'expired', 'mismatch')
export type UploadIntentReason = typeof UploadIntentReason.Type

const explanation: Record<UploadIntentReason, string> = {
  unknown: 'this workspace has no such upload intent',
  taken: 'the intent id is taken by another upload',
  settled: 'the upload intent was consumed or cancelled before',
  expired: 'the upload intent has expired',
  mismatch: 'the upload is another one than was intended',
}

/** The intent is not active, or not of this upload. Nothing was changed. */
export class UploadIntentConflict extends Schema.TaggedError<UploadIntentConflict>(
  'or3-provider-sqlite/UploadIntentConflict',
)('UploadIntentConflict', {
  /** `taken` is for reserving, `mismatch` for consuming; the others are for both consuming and cancelling. */
  reason: UploadIntentReason,
}) {
  override get message() {
    return explanation[this.reason]
  }
}

/** Which intent. */
export interface IntentKey extends Pick<PushRequest, 'scope' | 'caller'> {
  /** 1..256 characters; counts within its workspace. */
  readonly intentId: string
}

/** Which file is being uploaded. */
interface UploadedFile extends IntentKey {
  /** 1..1,024 characters when normalised: what stands after the last `:`, without blanks around it, in lower case. */
  readonly hash: string
  /** 1..256 characters, compared as they are. */
  readonly mimeType: string
  /** A safe integer >= 0. */
  readonly sizeBytes: number
}

/** Room to reserve. */
export interface ReserveRequest extends UploadedFile {
  /** Epoch seconds, later than now; a fraction is dropped. The intent is active before that time. */
  readonly expiresAt: number
  /** A safe integer >= 0; without one there is no quota. */
  readonly workspaceQuotaBytes?: number | undefined
}

/** A finished upload. */
export interface ConsumeRequest extends UploadedFile {
  /** Where the bytes are: 1..1,024 characters. Kept with the intent. */
  readonly storageId: string
}

/** Room for files that are being uploaded. Each call is one transaction, whatever other processes do. */
export class UploadIntents extends Context.Tag('or3-provider-sqlite/UploadIntents')<
  UploadIntents,
  {
    /**
     * Makes an intent and reserves room for its file, or fails with `QuotaExceeded`. A file that takes no more room always fits.
     * Reserving again under the same id for the same file keeps the later expiry, while the intent is not settled; an id that is
     * settled, or taken by another upload, is an `UploadIntentConflict`. An id is remembered for a day after its expiry.
     */
    readonly reserve: (
      request: ReserveRequest,
    ) => Effect.Effect<void, GatewayError | QuotaExceeded | UploadIntentConflict>
    /** Ends an active intent of just this file. Succeeds once. */
    readonly consume: (request: ConsumeRequest) => Effect.Effect<void, GatewayError | UploadIntentConflict>
    /** Ends an active intent. Succeeds once. */
    readonly cancel: (request: IntentKey) => Effect.Effect<void, GatewayError | UploadIntentConflict>
  }
>() {}
