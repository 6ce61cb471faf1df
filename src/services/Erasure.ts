/**
 * Taking content away for good: what removal keeps, so that it can be undone, and what is known of a user.
 *
 * These calls are trusted, as those of `Administration` are. Nothing brings back what they take, but a backup from before.
 */
import { Context, type Effect, Schema } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'
import type { UserNotFound, WorkspaceNotFound } from './WorkspaceStore.js'

/** Only a removed workspace can be purged. Nothing was changed. */
export class WorkspaceIsLive extends Schema.TaggedError<WorkspaceIsLive>(
  'or3-provider-sqlite/WorkspaceIsLive',
)('WorkspaceIsLive', {}) {
  override get message() {
    return 'The workspace is in use: remove it first.'
  }
}

/** Others would be left in workspaces without an owner. Nothing was changed. */
export class OnlyOwner extends Schema.TaggedError<OnlyOwner>('or3-provider-sqlite/OnlyOwner')('OnlyOwner', {
  /** The ids of workspaces that others share and nobody else owns, in their order; a hundred at most. */
  workspaceIds: Schema.Array(Schema.String),
}) {
  override get message() {
    return `The user is the only owner of workspaces that others share: ${this.workspaceIds.join(', ')}.`
  }
}

/** Nobody would administer the deployment any more. Nothing was changed. */
export class LastAdmin extends Schema.TaggedError<LastAdmin>('or3-provider-sqlite/LastAdmin')(
  'LastAdmin',
  {},
) {
  override get message() {
    return 'The user is the only administrator of the deployment.'
  }
}

/** How much of a workspace was taken, or would be. */
export interface PurgeReport {
  /** Records, deleted ones too. */
  readonly records: number
  /** Entries of the change log. */
  readonly entries: number
  /** Memberships. */
  readonly members: number
  /** Invites, whatever became of them. */
  readonly invites: number
  /** Background jobs that answer in a thread, or with a message, of the workspace. */
  readonly jobs: number
  /** Registrations of webhooks. */
  readonly webhooks: number
  /** Deliveries of these. */
  readonly deliveries: number
}

/** Which workspace. */
export interface PurgeRequest {
  /** 1..256 characters. */
  readonly workspaceId: string
}

/** How much of a user was taken, or would be. */
export interface EraseReport {
  /** Workspaces that nobody else is in, live or removed; they are purged. */
  readonly workspaces: number
  /** Memberships, those in these workspaces too. */
  readonly memberships: number
  /** Identities that they signed in by. */
  readonly identities: number
  /** Invites that were addressed to them, or that they used. */
  readonly invites: number
  /** Background jobs. */
  readonly jobs: number
  /** Registrations of webhooks. */
  readonly webhooks: number
  /** Deliveries of these. */
  readonly deliveries: number
  /** Device cursors, one for each device in each workspace. */
  readonly cursors: number
  /** Notifications with content, in whichever workspace. */
  readonly notifications: number
}

/** Which user. */
export interface EraseRequest {
  /** 1..256 characters. */
  readonly userId: string
}

type Erase = (
  request: EraseRequest,
) => Effect.Effect<EraseReport, InvalidInput | UserNotFound | OnlyOwner | LastAdmin | StorageError>

type Purge = (
  request: PurgeRequest,
) => Effect.Effect<PurgeReport, InvalidInput | WorkspaceNotFound | WorkspaceIsLive | StorageError>

/** Taking content away for good. Its calls are trusted: whoever offers them to people checks permissions first. */
export class Erasure extends Context.Tag('or3-provider-sqlite/Erasure')<
  Erasure,
  {
    /** What `purgeWorkspace` would take now. Changes nothing. */
    readonly previewPurge: Purge
    /**
     * Takes all that a removed workspace holds: records and their history, files that it knows of, members, invites, settings, jobs,
     * webhooks. Its id stays, without a name, so that nobody takes it for another. First it is marked: from then on it cannot be restored,
     * `Administration` does not know it, and nothing can be written into it. The rest goes in short steps; what an interruption
     * leaves, the next call or the next round of upkeep takes. Of one that was purged before, there is nothing to take.
     */
    readonly purgeWorkspace: Purge
    /** What `eraseUser` would take now. Changes nothing. */
    readonly previewErasure: Erase
    /**
     * Takes all that is known of a user: e-mail, name, identities, memberships, the right to administer, jobs, webhooks, device cursors, invites
     * to them, notifications; and purges the workspaces that nobody else is in. What they wrote in workspaces that others share
     * stays: it is the content of those. Invites that they made are revoked. Their id stays as a mark, since records refer to it: from then on
     * every call takes it for that of a user who is unknown, and whoever signs in with one of the identities is a new user. It
     * goes in steps, and on, as a purge does. Of one who was erased before, it takes what was written for them since without a caller.
     *
     * A notification becomes a deleted one without payload, under the versions that it has; so does what the log says of it.
     */
    readonly eraseUser: Erase
  }
>() {}
