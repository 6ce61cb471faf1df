/**
 * How typed errors look to the host: an HTTP status for a failed call, a wire code for a refused op.
 *
 * The tables are exhaustive: a new error does not compile until it has its place here. A fault of the server never gets a
 * code that makes a client give its op up.
 */
import type { AmbiguousUser, UnknownEmail } from '../services/Administration.js'
import type { JobLeaseLost, JobLimitReached } from '../services/BackgroundJobs.js'
import type { InvalidInput } from '../services/InvalidInput.js'
import type { InviteNotFound } from '../services/Invites.js'
import type { LastOwner, MemberNotFound } from '../services/Memberships.js'
import type { DeviceForbidden } from '../services/SyncErrors.js'
import type {
  GatewayError,
  OpAccepted,
  OpOutcome,
  OpReplayed,
  SnapshotError,
} from '../services/SyncGateway.js'
import type { QuotaExceeded, UploadIntentConflict } from '../services/UploadIntents.js'
import type { WebhookNotFound } from '../services/Webhooks.js'
import type {
  InvalidWorkspaceInput,
  UserNotFound,
  WorkspaceForbidden,
  WorkspaceNotFound,
} from '../services/WorkspaceStore.js'
import type { HostPushResult } from './host.js'

export type ServiceError =
  | GatewayError
  | SnapshotError
  | QuotaExceeded
  | UploadIntentConflict
  | DeviceForbidden
  | InvalidInput
  | JobLeaseLost
  | JobLimitReached
  | InvalidWorkspaceInput
  | UserNotFound
  | WebhookNotFound
  | WorkspaceForbidden
  | WorkspaceNotFound
  | InviteNotFound
  | MemberNotFound
  | LastOwner
  | UnknownEmail
  | AmbiguousUser

/** h3 makes `statusCode` and `statusMessage` the response. */
export class HostError extends Error {
  /** Lets h3 take it for an error of its own: answered as it is, and not logged as unhandled. */
  static readonly __h3_error__ = true
  override readonly name: string = 'HostError'
  /** What h3 asks of an error. */
  readonly fatal = false
  /** What h3 asks of an error. */
  readonly unhandled = false
  /** The message: h3 makes it the status line. */
  readonly statusMessage: string

  constructor(
    /** 400, 401, 403, 404, 409, 410, 413, 429, 500 or 503. */
    readonly statusCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.statusMessage = message
  }

  toJSON() {
    return { statusCode: this.statusCode, statusMessage: this.statusMessage, message: this.message }
  }
}

/** By its name, a host's worker knows that the job is no longer its own. */
class BackgroundJobLeaseLostError extends HostError {
  override readonly name = 'BackgroundJobLeaseLostError'
}

type Statuses = {
  readonly [Tag in ServiceError['_tag']]: (error: Extract<ServiceError, { _tag: Tag }>) => number
}

const statuses: Statuses = {
  InvalidRequest: () => 400,
  ScopeForbidden: () => 403,
  QuotaExceeded: () => 413,
  UploadIntentConflict: () => 409,
  InvalidPageToken: () => 400,
  PageTokenForbidden: () => 403,
  SnapshotGone: () => 410,
  DeviceForbidden: () => 403,
  InvalidInput: () => 400,
  JobLeaseLost: () => 409,
  JobLimitReached: () => 429,
  InvalidWorkspaceInput: () => 400,
  UserNotFound: () => 404,
  WebhookNotFound: () => 404,
  WorkspaceForbidden: () => 403,
  WorkspaceNotFound: () => 404,
  InviteNotFound: () => 404,
  MemberNotFound: () => 404,
  LastOwner: () => 409,
  UnknownEmail: () => 404,
  AmbiguousUser: () => 409,
  StorageError: ({ reason, isRetryable }) => (reason === 'tooLarge' ? 413 : isRetryable ? 503 : 500),
}

export const toHostError = (error: ServiceError): HostError => {
  const status = (statuses[error._tag] as (error: ServiceError) => number)(error)
  const Class = error._tag === 'JobLeaseLost' ? BackgroundJobLeaseLostError : HostError
  return new Class(status, error.message, { cause: error })
}

export const unauthenticated = () => new HostError(401, 'sign in first')
export const shuttingDown = () => new HostError(503, 'the server is shutting down')
/** Of a database behind a network. The cause is the operator's to know. */
export const notOpen = (cause: unknown) => new HostError(503, 'the database is not open yet', { cause })
export const prerendering = () => new HostError(503, 'the database is not open while the host prerenders')

/** What stands instead of an op that does not, if that is known. */
const standing = ({ winner, payload }: OpAccepted | OpReplayed) => ({
  ...(winner === undefined ? {} : { winner }),
  ...(payload === undefined ? {} : { payload }),
})

/** What the client is told about one op. */
export const toPushResult = (outcome: OpOutcome): HostPushResult => {
  const { opId } = outcome
  switch (outcome._tag) {
    case 'OpAccepted': {
      const { serverVersion, applied, wasExisting } = outcome
      const accepted = { opId, success: true, serverVersion, applied, wasExisting }
      return applied ? accepted : { ...accepted, ...standing(outcome) }
    }
    case 'OpReplayed': {
      const { serverVersion, applied } = outcome
      // Its first push has seen to it that the record has a row.
      const replayed = {
        opId,
        success: true,
        serverVersion,
        replayed: true,
        applied,
        wasExisting: true,
      } as const
      return applied ? replayed : { ...replayed, ...standing(outcome) }
    }
    case 'OpConflict':
      return { opId, success: false, errorCode: 'CONFLICT', error: outcome.message }
    case 'OpForbidden':
      return { opId, success: false, errorCode: 'UNAUTHORIZED', error: outcome.message }
    case 'InvalidOp':
      return {
        opId,
        success: false,
        errorCode: outcome.rule === 'payload-too-large' ? 'OVERSIZED' : 'VALIDATION_ERROR',
        error: outcome.message,
      }
  }
}
