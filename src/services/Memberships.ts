/**
 * Who belongs to a workspace: for programs that invite, administer or import.
 *
 * These calls are trusted. They name no acting user and ask for nobody's permission, so whoever offers them to people decides
 * first who may use them (`WorkspaceStore.getWorkspaceRole` tells). What they do hold is the invariant that a live workspace
 * always has at least one owner, whatever runs at the same time.
 */
import { Context, type Effect, Schema } from 'effect'
import type { StorageError } from './StorageError.js'
import {
  type InvalidWorkspaceInput,
  Role,
  type UserNotFound,
  type WorkspaceNotFound,
} from './WorkspaceStore.js'

/** The workspace is there, but this user is no member of it. */
export class MemberNotFound extends Schema.TaggedError<MemberNotFound>('or3-provider-sqlite/MemberNotFound')(
  'MemberNotFound',
  {},
) {
  override get message() {
    return 'This user is not a member of the workspace.'
  }
}

/** The user is a member already, with another role than the one asked for. `setRole` changes it. */
export class AlreadyMember extends Schema.TaggedError<AlreadyMember>('or3-provider-sqlite/AlreadyMember')(
  'AlreadyMember',
  {
    /** The role the user has. */
    role: Role,
  },
) {
  override get message() {
    return `This user is a member of the workspace already, as ${this.role}.`
  }
}

/** The change would leave the workspace without an owner. */
export class LastOwner extends Schema.TaggedError<LastOwner>('or3-provider-sqlite/LastOwner')(
  'LastOwner',
  {},
) {
  override get message() {
    return 'A workspace needs at least one owner: make another member owner first.'
  }
}

/** Whose membership of what. */
export interface MemberKey {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** 1..256 characters. */
  readonly userId: string
}

/** A member of a workspace. */
export interface Member {
  /** The user's id, as `WorkspaceStore.getOrCreateUser` gives it. */
  readonly userId: string
  /** What the member may do. */
  readonly role: Role
  /** Epoch seconds. */
  readonly memberSince: number
  /** What the identity provider last said; absent when it knows none. */
  readonly email?: string
  /** As `email`. */
  readonly displayName?: string
}

/** Who belongs to a workspace. Its calls are trusted: whoever offers them to people checks permissions first. */
export class Memberships extends Context.Tag('or3-provider-sqlite/Memberships')<
  Memberships,
  {
    /**
     * Makes a user a member. The user's active workspace stays. Adding a member again in the same role changes nothing; in
     * another role it fails, so that an invitation accepted twice neither promotes anybody nor takes an owner away.
     */
    readonly addMember: (
      request: MemberKey & { readonly role: Role },
    ) => Effect.Effect<
      void,
      InvalidWorkspaceInput | WorkspaceNotFound | UserNotFound | AlreadyMember | StorageError
    >
    /** Changes a member's role. The only owner cannot be given another; of any other who becomes less, open invites are revoked. */
    readonly setRole: (
      request: MemberKey & { readonly role: Role },
    ) => Effect.Effect<
      void,
      InvalidWorkspaceInput | WorkspaceNotFound | MemberNotFound | LastOwner | StorageError
    >
    /**
     * Ends a membership, except that of the only owner. Where the workspace was the user's active one, the user is re-homed to
     * the oldest other live membership, else to none. Open invites of the workspace that are addressed to the user or were made by
     * them are revoked; the latter not if they administer the deployment.
     */
    readonly removeMember: (
      request: MemberKey,
    ) => Effect.Effect<
      void,
      InvalidWorkspaceInput | WorkspaceNotFound | MemberNotFound | LastOwner | StorageError
    >
    /** The members of a live workspace, oldest membership first, then by user id. */
    readonly listMembers: (
      workspaceId: string,
    ) => Effect.Effect<ReadonlyArray<Member>, InvalidWorkspaceInput | WorkspaceNotFound | StorageError>
  }
>() {}
