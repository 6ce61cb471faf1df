/**
 * What the host's administration asks of its provider: the stores, and what they can do. The names are the host's.
 */
import type {
  MemberAssignment,
  UserQuery,
  WorkspaceOverview,
  WorkspaceQuery,
} from '../services/Administration.js'
import type { DeploymentAdmin } from '../services/DeploymentAdmins.js'
import type { Role, UserProfile } from '../services/WorkspaceStore.js'

/** A member, as the host shows one. */
export interface WorkspaceMemberInfo {
  /** The user's id. */
  readonly userId: string
  /** As the identity provider last said; absent when it knows none. */
  readonly email?: string
  /** What the member may do. */
  readonly role: Role
}

/** Which workspace. */
interface OfWorkspace {
  /** 1..256 characters. */
  readonly workspaceId: string
}

/** Which user. */
interface OfUser {
  /** 1..256 characters. */
  readonly userId: string
}

/**
 * Workspaces and their members. Trusted: the host checks who asks. Calls reject with a `HostError`: 400 for a field out of bounds, 404
 * for an unknown workspace, user or member, 409 for the only owner and for a name of several users, 503 and 500 as the gateway's.
 */
export interface WorkspaceAccessStore {
  /** Also of a removed workspace, oldest membership first. */
  listMembers(request: OfWorkspace): Promise<ReadonlyArray<WorkspaceMemberInfo>>
  /** Adds a member, or sets the role of one; found by e-mail, else by provider id, else by user id. */
  upsertMember(request: MemberAssignment): Promise<{ userId: string }>
  /** Of a member. */
  setMemberRole(request: OfWorkspace & OfUser & { readonly role: Role }): Promise<void>
  /** Re-homes the user. */
  removeMember(request: OfWorkspace & OfUser): Promise<void>
  /** A page, oldest first. */
  listWorkspaces(
    query: WorkspaceQuery,
  ): Promise<{ readonly items: ReadonlyArray<WorkspaceOverview>; readonly total: number }>
  /** Also a removed one. */
  getWorkspace(request: OfWorkspace): Promise<WorkspaceOverview>
  /** Owned by the user, whose active workspace stays. */
  createWorkspace(request: {
    /** Trimmed, 1..100 characters. */
    readonly name: string
    /** At most 1,000 characters. */
    readonly description?: string | null
    /** 1..256 characters. */
    readonly ownerUserId: string
  }): Promise<{ workspaceId: string }>
  /** Re-homes its members. Again, it changes nothing. `deletedAt`: epoch seconds, or milliseconds above 1e11. */
  softDeleteWorkspace(request: OfWorkspace & { readonly deletedAt: number }): Promise<void>
  /** With its members. Again, it changes nothing. */
  restoreWorkspace(request: OfWorkspace): Promise<void>
  /** By part of an e-mail or a display name, or by an id as a whole; oldest first. */
  searchUsers(query: UserQuery): Promise<ReadonlyArray<UserProfile>>
}

/** Settings of workspaces. Calls reject as those of `WorkspaceAccessStore`. */
export interface WorkspaceSettingsStore {
  /** Null when it was never set, and for an unknown workspace. */
  get(workspaceId: string, key: string): Promise<string | null>
  /** `key` has 1..256 characters, `value` at most 262,144. */
  set(workspaceId: string, key: string, value: string): Promise<void>
}

/** Who administers the deployment. Calls reject as those of `WorkspaceAccessStore`. */
export interface AdminUserStore {
  /** Oldest first. */
  listAdmins(): Promise<ReadonlyArray<DeploymentAdmin>>
  /** Again, it changes nothing. */
  grantAdmin(request: OfUser & { readonly createdByUserId?: string | null }): Promise<void>
  /** Of one who is none, it changes nothing. */
  revokeAdmin(request: OfUser): Promise<void>
  /** False for unknown users. */
  isAdmin(request: OfUser): Promise<boolean>
  /** As `WorkspaceAccessStore.searchUsers`. */
  searchUsers(query: UserQuery): Promise<ReadonlyArray<UserProfile>>
}

/** What a provider can do: this one all of it. */
export interface AdminCapabilities {
  /** Administration without a browser's session with the provider. */
  readonly supportsServerSideAdmin: boolean
  /** `searchUsers`. */
  readonly supportsUserSearch: boolean
  /** `listWorkspaces`. */
  readonly supportsWorkspaceList: boolean
  /** Making, removing and restoring workspaces. */
  readonly supportsWorkspaceManagement: boolean
  /** Granting and revoking administration. */
  readonly supportsDeploymentAdminGrants: boolean
}

/** What the host's registry of admin stores takes. */
export interface AdminStoreProvider {
  /** `sqlite`. */
  readonly id: string
  /** One and the same, each time. */
  createWorkspaceAccessStore(): WorkspaceAccessStore
  /** One and the same, each time. */
  createWorkspaceSettingsStore(): WorkspaceSettingsStore
  /** One and the same, each time. */
  createAdminUserStore(): AdminUserStore
  /** What these stores can do, whatever state the database is in. */
  getCapabilities(): AdminCapabilities
}
