/**
 * Taking content away for good: what removal keeps, so that it can be undone.
 *
 * These calls are trusted, as those of `Administration` are. Nothing brings back what they take, but a backup from before.
 */
import { Context, type Effect, Schema } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'
import type { WorkspaceNotFound } from './WorkspaceStore.js'

/** Only a removed workspace can be purged. Nothing was changed. */
export class WorkspaceIsLive extends Schema.TaggedError<WorkspaceIsLive>(
  'or3-provider-sqlite/WorkspaceIsLive',
)('WorkspaceIsLive', {}) {
  override get message() {
    return 'The workspace is in use: remove it first.'
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
  }
>() {}
