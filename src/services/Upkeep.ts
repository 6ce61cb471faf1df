/**
 * Keeping a database small: garbage collection of all workspaces, and what SQLite itself wants done now and then.
 */
import { Context, type Duration, type Effect } from 'effect'
import type { StorageError } from './StorageError.js'

/** What a round of garbage collection removed, of all workspaces together. */
export interface UpkeepReport {
  /** Workspaces looked at. */
  readonly workspaces: number
  /** Log entries removed. */
  readonly entries: number
  /** Tombstones removed, and the payloads of their rows erased. */
  readonly tombstones: number
  /** Op ids forgotten. */
  readonly opIds: number
  /** Stale device cursors removed. */
  readonly cursors: number
  /** Removed workspaces whose content was taken for good. */
  readonly purged: number
}

/** Keeps a database small. Needs one: the in-memory layers have none. */
export class Upkeep extends Context.Tag('or3-provider-sqlite/Upkeep')<
  Upkeep,
  {
    /**
     * Collects what is older than `retention`, in one workspace after another or in the one that is named. Unless one is named, also goes on
     * with purges that were interrupted, and purges workspaces that were removed longer ago than `purgeAfter`, if that is given; some
     * hundreds at a time. `onWorkspace` is told each one that has something to remove, and how many were looked at before it.
     */
    readonly collect: (options: {
      readonly retention: Duration.DurationInput
      readonly workspaceId?: string | undefined
      readonly purgeAfter?: Duration.Duration | undefined
      readonly onWorkspace?: ((workspaceId: string, looked: number) => void) | undefined
    }) => Effect.Effect<UpkeepReport, StorageError>
    /**
     * Removes invites that ended more than 30 days ago. Forgets the planner's statistics, which mislead it as tables grow. Copies the
     * write-ahead log back into the database file and empties it, if for a second nobody else is in the way.
     */
    readonly tidy: Effect.Effect<void, StorageError>
  }
>() {}
