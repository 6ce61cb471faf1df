/**
 * What a deployment keeps for a workspace under names of its own.
 *
 * These calls are trusted: they name no acting user, so whoever offers them to people checks permissions first.
 */
import { Context, type Effect } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'
import type { WorkspaceNotFound } from './WorkspaceStore.js'

/** Which setting of which workspace. */
export interface SettingKey {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** 1..256 characters. */
  readonly key: string
}

/** Settings of workspaces. */
export class WorkspaceSettings extends Context.Tag('or3-provider-sqlite/WorkspaceSettings')<
  WorkspaceSettings,
  {
    /** Null when it was never set, and for an unknown or removed workspace. */
    readonly get: (request: SettingKey) => Effect.Effect<string | null, InvalidInput | StorageError>
    /** Sets it, whatever it was. */
    readonly set: (
      request: SettingKey & {
        /** At most 262,144 characters. */
        readonly value: string
      },
    ) => Effect.Effect<void, InvalidInput | WorkspaceNotFound | StorageError>
  }
>() {}
