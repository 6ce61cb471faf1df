/**
 * The host's contract, as types: what OR3 Chat calls, with which shapes. The names are the host's.
 */
import type { SnapshotGatewayAdapter } from './hostSnapshot.js'
import type { PendingOp, SyncChange } from '../services/SyncDomain.js'
import type { Winner } from '../services/Winner.js'
import type {
  DefaultWorkspace,
  Identity,
  IdentityKey,
  Role,
  UserProfile,
  WorkspaceSummary,
} from '../services/WorkspaceStore.js'
import type { HostFiles } from './hostFiles.js'
import type { HostInvites } from './hostInvites.js'
import type { MaintenanceAdapter } from './hostMaintenance.js'

/** The part of an h3 event that is read. A test's or a tool's event may have none of it. */
export interface HostEvent {
  /** The session is under a key that begins with `__or3_session_context_`. */
  readonly context?: Readonly<Record<string, unknown>> | undefined
}

/** What a call is confined to. */
interface HostScope {
  /** Must be the session's, if the event has one: else 403. */
  readonly workspaceId: string
  /** Selects nothing: a workspace is synced as a whole. */
  readonly projectId?: string | undefined
}

/** The host's codes for a refused op. This package uses the first three and `OVERSIZED`, at which a client gives the op up. */
export type SyncErrorCode =
  | 'VALIDATION_ERROR'
  | 'UNAUTHORIZED'
  | 'CONFLICT'
  | 'NOT_FOUND'
  | 'RATE_LIMITED'
  | 'OVERSIZED'
  | 'NETWORK_ERROR'
  | 'SERVER_ERROR'
  | 'UNKNOWN'

/** The fate of one op. A client drops the op from its outbox on `success`, and for good on a permanent error code. */
export interface HostPushResult {
  /** As pushed. */
  readonly opId: string
  /** Whether the op is durable. */
  readonly success: boolean
  /** On success; a retry is given its first version again. */
  readonly serverVersion?: number
  /** On success: the op was accepted before, and nothing was written now. */
  readonly replayed?: true
  /** On success: whether the record stands by this op now. If not, `winner` is given. */
  readonly applied?: boolean
  /** On success: whether the record had a row before this push, be it of a deleted record. */
  readonly wasExisting?: boolean
  /** What the record stands by, when `applied` is false. */
  readonly winner?: Winner
  /** Of the winner, when `applied` is false and that is not a delete without one: for clients that do not know `winner`. */
  readonly payload?: unknown
  /** Without success: what is wrong, in words. */
  readonly error?: string
  /** Without success. */
  readonly errorCode?: SyncErrorCode
}

/** What became of a push. */
export interface HostPushAnswer {
  /** One per op id, in the order in which they first came. */
  readonly results: ReadonlyArray<HostPushResult>
  /** The workspace's high watermark after the push. */
  readonly serverVersion: number
}

/** A page of changes. */
export interface HostPullAnswer {
  /** Ascending, all above the cursor; their op ids are UUIDs, each once. */
  readonly changes: ReadonlyArray<SyncChange>
  /** The cursor to ask with next. */
  readonly nextCursor: number
  /** Whether there are changes above `nextCursor`. */
  readonly hasMore: boolean
  /** The lowest version that can be pulled incrementally: all of them. */
  readonly oldestRetainedVersion: 0
  /** Whether the device has to begin again: never. */
  readonly requiresSnapshot: false
}

/**
 * The host's sync gateway. Calls reject with a `HostError`: 400 for a bad request, 401 for a session of nobody, 403 for another
 * workspace than the session's, 503 for a fault that may pass, 500 for one that stays. An event without session is trusted.
 */
export interface SyncGatewayAdapter
  extends MaintenanceAdapter, HostFiles<HostEvent>, SnapshotGatewayAdapter<HostEvent> {
  /** `sqlite`. */
  readonly id: string
  /** A page of the changes above `cursor`: at most `limit`, 1..1,000, 100 when absent. */
  pull(
    event: HostEvent | undefined,
    input: {
      readonly scope: HostScope
      readonly cursor: number
      readonly limit?: number
      readonly tables?: ReadonlyArray<string>
    },
  ): Promise<HostPullAnswer>
  /** Pushes at most 1,000 ops. One result per op id, in their order; a refused op leaves its neighbours alone. */
  push(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly ops: ReadonlyArray<PendingOp> },
  ): Promise<HostPushAnswer>
  /**
   * Records that a device has seen everything up to `version`. Never moves it back. Needs a session, so 401 for an event with a
   * context but none; 403 when another user has reported the device.
   */
  updateCursor(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly deviceId: string; readonly version: number },
  ): Promise<void>
  /** Removes tombstones that every device has seen and that are older than the window: one hour to 365 days, else 400. */
  gcTombstones(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly retentionSeconds: number },
  ): Promise<void>
  /** Removes log entries that every device has seen and that are older than the window: one hour to 365 days, else 400. */
  gcChangeLog(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly retentionSeconds: number },
  ): Promise<void>
}

/** A user, who acts, and a workspace. */
interface Membership {
  /** 1..256 characters. */
  readonly userId: string
  /** 1..256 characters. */
  readonly workspaceId: string
}

/** What a workspace is called. */
interface Details {
  /** Trimmed, 1..100 characters. */
  readonly name: string
  /** At most 1,000 characters; absent keeps what is known. */
  readonly description?: string | null
}

/**
 * The host's store of users and workspaces. Calls reject with a `HostError`: 400 for a field out of bounds, 403 for a role that
 * does not allow it, 404 for an unknown user or a workspace the user is no member of, 503 and 500 as the gateway's.
 */
export interface AuthWorkspaceStore extends HostInvites {
  /** The user behind an identity, made at first sight. */
  getOrCreateUser(identity: Identity): Promise<{ userId: string }>
  /** The user behind an identity, or null. Makes none: it decides whether a sign-in is known. */
  getUser(identity: IdentityKey): Promise<UserProfile | null>
  /** The active workspace, else another live one, else a new one. `created` is true for the one call that made it. */
  getOrCreateDefaultWorkspace(userId: string): Promise<DefaultWorkspace>
  /** Null for non-members and for removed or unknown workspaces. */
  getWorkspaceRole(membership: Membership): Promise<Role | null>
  /** Live workspaces of a user, oldest first. */
  listUserWorkspaces(userId: string): Promise<ReadonlyArray<WorkspaceSummary>>
  /** A new workspace owned by the user. The active one stays. */
  createWorkspace(request: Details & { readonly userId: string }): Promise<{ workspaceId: string }>
  /** Needs owner or editor. */
  updateWorkspace(request: Details & Membership): Promise<void>
  /** Needs owner. */
  removeWorkspace(membership: Membership): Promise<void>
  /** Needs membership. */
  setActiveWorkspace(membership: Membership): Promise<void>
}

/** What the host's registries take. `create` is called on every look-up, so it hands out what is there. */
export interface Registration<A> {
  readonly id: string
  readonly order?: number
  readonly create: () => A
}
