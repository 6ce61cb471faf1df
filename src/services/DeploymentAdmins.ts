/**
 * Who administers the whole deployment.
 *
 * These calls are trusted: they name no acting user, so whoever offers them to people checks permissions first. Being an
 * administrator gives no role in any workspace; it lets a user invite into each of them (`Invites`).
 */
import { Context, type Effect } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'
import type { UserNotFound, UserProfile } from './WorkspaceStore.js'

/** A user who administers the deployment. */
export interface DeploymentAdmin extends UserProfile {
  /** Since when, in epoch seconds. */
  readonly createdAt: number
  /** Who made the user one; absent when that was not said. */
  readonly createdByUserId?: string
}

/** Who administers the deployment. What is granted or revoked counts from the next call on. */
export class DeploymentAdmins extends Context.Tag('or3-provider-sqlite/DeploymentAdmins')<
  DeploymentAdmins,
  {
    /** All of them, those for the longest time first, then by user id. */
    readonly list: Effect.Effect<ReadonlyArray<DeploymentAdmin>, StorageError>
    /** Makes a user one. One who is one stays as before. */
    readonly grant: (request: {
      /** 1..256 characters. */
      readonly userId: string
      /** Who does it: 1..256 characters, of whoever is no user here too. */
      readonly createdByUserId?: string | null | undefined
    }) => Effect.Effect<void, InvalidInput | UserNotFound | StorageError>
    /** Makes a user none. One who is none stays so. */
    readonly revoke: (request: {
      /** 1..256 characters. */
      readonly userId: string
    }) => Effect.Effect<void, InvalidInput | UserNotFound | StorageError>
    /** Whether a user is one. Nobody knows of unknown ones. */
    readonly isAdmin: (userId: string) => Effect.Effect<boolean, InvalidInput | StorageError>
  }
>() {}
