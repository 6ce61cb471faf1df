/**
 * Workspaces and users as those see them who administer a deployment.
 *
 * These calls are trusted, as those of `Memberships` are: they name no acting user and ask for nobody's permission, so whoever
 * offers them to people decides first who may use them (`DeploymentAdmins.isAdmin` tells).
 */
import { Context, type Effect, Schema } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { LastOwner, Member } from './Memberships.js'
import type { StorageError } from './StorageError.js'
import type {
  InvalidWorkspaceInput,
  Role,
  UserNotFound,
  UserProfile,
  WorkspaceDetails,
  WorkspaceNotFound,
} from './WorkspaceStore.js'

/** More than one user goes by this address or provider id. Nothing was changed. */
export class AmbiguousUser extends Schema.TaggedError<AmbiguousUser>('or3-provider-sqlite/AmbiguousUser')(
  'AmbiguousUser',
  {},
) {
  override get message() {
    return 'Several users go by this: name one by the user id, or by provider and provider id.'
  }
}

/**
 * No user has this e-mail address. One that was made of an address alone would be nobody's for ever, since an identity is never
 * linked to a user by an address that nobody has verified.
 */
export class UnknownEmail extends Schema.TaggedError<UnknownEmail>('or3-provider-sqlite/UnknownEmail')(
  'UnknownEmail',
  {},
) {
  override get message() {
    return 'No user has this e-mail address: invite the person instead.'
  }
}

/** A workspace, removed or not. */
export interface WorkspaceOverview {
  /** The workspace's id. */
  readonly id: string
  /** 1..100 characters. */
  readonly name: string
  /** Absent when it has none. */
  readonly description?: string
  /** Epoch seconds. */
  readonly createdAt: number
  /** Whether it is removed. */
  readonly deleted: boolean
  /** Epoch seconds; absent while it is not removed. */
  readonly deletedAt?: number
  /** Who is an owner for the longest time; absent when nobody is. */
  readonly ownerUserId?: string
  /** Of that owner, as the identity provider last said; absent when it knows none. */
  readonly ownerEmail?: string
  /** How many members it has. */
  readonly memberCount: number
}

/** Which workspaces. */
export interface WorkspaceQuery {
  /**
   * Part of a name, as literal text of at most 320 characters whose ASCII letters match in either case; or an id as a whole. Absent or
   * empty: all of them.
   */
  readonly search?: string | null | undefined
  /** Whether removed ones count too; absent: no. */
  readonly includeDeleted?: boolean | null | undefined
  /** From 1 on; what is less counts as 1. */
  readonly page: number
  /** 1..100; what is beyond counts as that. */
  readonly perPage: number
}

/** Which users. */
export interface UserQuery {
  /**
   * Part of an e-mail address or a display name, as literal text of at most 320 characters whose ASCII letters match in either case; or
   * a user id or provider user id as a whole. Empty: all of them.
   */
  readonly query: string
  /** At most so many: 1..100, and what is beyond counts as that; 20 when absent. */
  readonly limit?: number | null | undefined
}

/** A membership to be, of somebody who goes by this or that. */
export interface MemberAssignment {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** An e-mail address, which has an `@`; else a provider user id, or a user id. 1..320 characters. */
  readonly emailOrProviderId: string
  /** What the member may do. */
  readonly role: Role
  /** Whose user id it is: 1..256 characters. */
  readonly provider?: string | null | undefined
}

/** Workspaces and users of the whole deployment. */
export class Administration extends Context.Tag('or3-provider-sqlite/Administration')<
  Administration,
  {
    /** A page of workspaces, oldest first, then by id; `total` counts all that match. */
    readonly listWorkspaces: (query: WorkspaceQuery) => Effect.Effect<
      {
        /** At most `perPage`. */
        readonly items: ReadonlyArray<WorkspaceOverview>
        /** At the time of the page. */
        readonly total: number
      },
      InvalidInput | StorageError
    >
    /** One workspace, also a removed one. */
    readonly getWorkspace: (request: {
      /** 1..256 characters. */
      readonly workspaceId: string
    }) => Effect.Effect<WorkspaceOverview, InvalidInput | WorkspaceNotFound | StorageError>
    /** The members of a workspace, also of a removed one, oldest membership first, then by user id. */
    readonly listMembers: (request: {
      /** 1..256 characters. */
      readonly workspaceId: string
    }) => Effect.Effect<ReadonlyArray<Member>, InvalidInput | WorkspaceNotFound | StorageError>
    /** A new workspace of this owner, whose active workspace stays. */
    readonly createWorkspace: (
      request: WorkspaceDetails & {
        /** 1..256 characters. */
        readonly ownerUserId: string
      },
    ) => Effect.Effect<{ readonly workspaceId: string }, InvalidWorkspaceInput | UserNotFound | StorageError>
    /** Removes a workspace and re-homes its members. One that is removed stays as it is. */
    readonly removeWorkspace: (request: {
      /** 1..256 characters. */
      readonly workspaceId: string
      /** Epoch seconds; what is above 1e11 is taken for milliseconds. A fraction is dropped. */
      readonly deletedAt: number
    }) => Effect.Effect<void, InvalidInput | WorkspaceNotFound | StorageError>
    /** Brings a removed workspace back, with its members and roles; nobody's active workspace changes. A live one stays as it is. */
    readonly restoreWorkspace: (request: {
      /** 1..256 characters. */
      readonly workspaceId: string
    }) => Effect.Effect<void, InvalidInput | WorkspaceNotFound | StorageError>
    /** Users, oldest first, then by id. */
    readonly searchUsers: (
      query: UserQuery,
    ) => Effect.Effect<ReadonlyArray<UserProfile>, InvalidInput | StorageError>
    /**
     * Gives a user a role in a live workspace, as a new member or instead of the role before; the only owner cannot be given another. Who
     * it is, is looked for by address where there is an `@`, else by provider id, else by user id. Somebody whom nobody knows
     * is made a user when the provider is given, and waits for the first sign-in.
     */
    readonly upsertMember: (
      request: MemberAssignment,
    ) => Effect.Effect<
      { readonly userId: string },
      | InvalidInput
      | WorkspaceNotFound
      | UserNotFound
      | UnknownEmail
      | AmbiguousUser
      | LastOwner
      | StorageError
    >
  }
>() {}
