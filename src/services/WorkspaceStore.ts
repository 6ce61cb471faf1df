/**
 * Who people are and which workspaces they share.
 *
 * An identity `(provider, provider user id)` belongs to one user. A user is a member of workspaces as `owner`, `editor` or
 * `viewer`, and one of these is active. Removal is soft: a removed workspace has no roles and is in no list, and whoever had
 * it active is re-homed to another live membership. Whoever is no member of a workspace is told that it does not exist.
 */
import { Context, type Effect, Schema } from 'effect'
import type { StorageError } from './StorageError.js'

/** What a member may do: an owner everything, an editor all but remove the workspace, a viewer read. */
export const Role = Schema.Literal('owner', 'editor', 'viewer')
export type Role = typeof Role.Type

/** There is no such workspace for this user: unknown, removed, or somebody else's. */
export class WorkspaceNotFound extends Schema.TaggedError<WorkspaceNotFound>(
  'or3-provider-sqlite/WorkspaceNotFound',
)('WorkspaceNotFound', {}) {
  override get message() {
    return 'This workspace does not exist.'
  }
}

/** The user is a member, but the role does not allow this. */
export class WorkspaceForbidden extends Schema.TaggedError<WorkspaceForbidden>(
  'or3-provider-sqlite/WorkspaceForbidden',
)('WorkspaceForbidden', {
  /** The roles that allow it. */
  needs: Schema.Array(Role),
}) {
  override get message() {
    return `Only an ${this.needs.join(' or ')} of this workspace may do this.`
  }
}

/** A field is missing or out of bounds. Nothing was changed. */
export class InvalidWorkspaceInput extends Schema.TaggedError<InvalidWorkspaceInput>(
  'or3-provider-sqlite/InvalidWorkspaceInput',
)('InvalidWorkspaceInput', {
  /** The offending field, such as `name`. */
  field: Schema.String,
  /** What it must be, in words for people. */
  detail: Schema.String,
}) {
  override get message() {
    return this.detail
  }
}

/** No user has this id. */
export class UserNotFound extends Schema.TaggedError<UserNotFound>('or3-provider-sqlite/UserNotFound')(
  'UserNotFound',
  {},
) {
  override get message() {
    return 'This user does not exist.'
  }
}

/** A person as an identity provider knows them. */
export interface Identity {
  /** 1..256 characters. */
  readonly provider: string
  /** 1..256 characters. */
  readonly providerUserId: string
  /** Absent: keep what is known. Null or empty: the provider knows none. At most 1,000 characters. */
  readonly email?: string | null | undefined
  /** As `email`. */
  readonly displayName?: string | null | undefined
}

/** A user as an identity provider knows them, without the right to make one. */
export type IdentityKey = Pick<Identity, 'provider' | 'providerUserId'>

/** What is known of a user. */
export interface UserProfile {
  /** The user's id. */
  readonly userId: string
  /** As the identity provider last said; absent when it knows none. */
  readonly email?: string
  /** As `email`. */
  readonly displayName?: string
}

/** A workspace that was found, or made. */
export interface DefaultWorkspace {
  /** The workspace's id. */
  readonly workspaceId: string
  /** 1..100 characters. */
  readonly workspaceName: string
  /** Of the one call that made the workspace, whoever else asked at the same time; absent everywhere else. */
  readonly created?: true
}

/** What a workspace is called. */
export interface WorkspaceDetails {
  /** Trimmed, 1..100 characters. */
  readonly name: string
  /** At most 1,000 characters. Absent: keep what is known. Null or empty: none. */
  readonly description?: string | null | undefined
}

/** A user, who acts, and a workspace. */
interface Membership {
  /** 1..256 characters. */
  readonly userId: string
  /** 1..256 characters. */
  readonly workspaceId: string
}

/** A workspace as one of its members sees it. */
export interface WorkspaceSummary {
  /** The workspace's id. */
  readonly id: string
  /** 1..100 characters. */
  readonly name: string
  /** Absent when it has none. */
  readonly description?: string
  /** Of this member. */
  readonly role: Role
  /** Epoch seconds. */
  readonly createdAt: number
  /** Whether it is the user's active one; at most one is. */
  readonly isActive: boolean
}

/** Users and workspaces. Each call acts for the user it names, and is allowed what their role allows. */
export class WorkspaceStore extends Context.Tag('or3-provider-sqlite/WorkspaceStore')<
  WorkspaceStore,
  {
    /** The user behind an identity, made at first sight. Writes only when the profile changed. */
    readonly getOrCreateUser: (
      identity: Identity,
    ) => Effect.Effect<{ readonly userId: string }, InvalidWorkspaceInput | StorageError>
    /** The user behind an identity, or null. Makes none and changes none. */
    readonly getUser: (
      identity: IdentityKey,
    ) => Effect.Effect<UserProfile | null, InvalidWorkspaceInput | StorageError>
    /** The active workspace, else another live membership, else a new workspace; that one is active afterwards. */
    readonly getOrCreateDefaultWorkspace: (
      userId: string,
    ) => Effect.Effect<DefaultWorkspace, UserNotFound | InvalidWorkspaceInput | StorageError>
    /** Null for non-members and for removed or unknown workspaces. */
    readonly getWorkspaceRole: (
      membership: Membership,
    ) => Effect.Effect<Role | null, InvalidWorkspaceInput | StorageError>
    /** Live workspaces of a user, oldest first. */
    readonly listUserWorkspaces: (
      userId: string,
    ) => Effect.Effect<ReadonlyArray<WorkspaceSummary>, InvalidWorkspaceInput | StorageError>
    /** Every live workspace of everybody, oldest first: for upkeep, not for people. */
    readonly listWorkspaceIds: Effect.Effect<ReadonlyArray<string>, StorageError>
    /** A new workspace owned by the user. The active workspace stays. */
    readonly createWorkspace: (
      request: WorkspaceDetails & { readonly userId: string },
    ) => Effect.Effect<{ readonly workspaceId: string }, InvalidWorkspaceInput | UserNotFound | StorageError>
    /** Needs owner or editor. */
    readonly updateWorkspace: (
      request: WorkspaceDetails & Membership,
    ) => Effect.Effect<void, InvalidWorkspaceInput | WorkspaceNotFound | WorkspaceForbidden | StorageError>
    /** Needs owner. Re-homes every user whose active workspace it was. */
    readonly removeWorkspace: (
      membership: Membership,
    ) => Effect.Effect<void, InvalidWorkspaceInput | WorkspaceNotFound | WorkspaceForbidden | StorageError>
    /** Needs membership. */
    readonly setActiveWorkspace: (
      membership: Membership,
    ) => Effect.Effect<void, InvalidWorkspaceInput | WorkspaceNotFound | StorageError>
  }
>() {}
