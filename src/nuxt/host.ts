/**
 * The host's contract, as types: what OR3 Chat calls, with which shapes. The names are the host's.
 */
import type { PendingOp, SyncChange } from '../services/SyncDomain.js'
import type { Identity, Role, WorkspaceSummary } from '../services/WorkspaceStore.js'

/** The part of an h3 event that is read. A test's or a tool's event may have none of it. */
export interface HostEvent {
  readonly context?: Readonly<Record<string, unknown>> | undefined
}

interface HostScope {
  readonly workspaceId: string
  readonly projectId?: string | undefined
}

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
  readonly opId: string
  readonly success: boolean
  readonly serverVersion?: number
  /** False when the op was logged but lost to a greater revision, whose `payload` is then given. */
  readonly applied?: boolean
  readonly payload?: unknown
  readonly error?: string
  readonly errorCode?: SyncErrorCode
}

export interface SyncGatewayAdapter {
  readonly id: string
  pull(
    event: HostEvent | undefined,
    input: {
      readonly scope: HostScope
      readonly cursor: number
      readonly limit?: number
      readonly tables?: ReadonlyArray<string>
    },
  ): Promise<{ changes: ReadonlyArray<SyncChange>; nextCursor: number; hasMore: boolean }>
  push(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly ops: ReadonlyArray<PendingOp> },
  ): Promise<{ results: ReadonlyArray<HostPushResult>; serverVersion: number }>
  updateCursor(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly deviceId: string; readonly version: number },
  ): Promise<void>
  gcTombstones(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly retentionSeconds: number },
  ): Promise<void>
  gcChangeLog(
    event: HostEvent | undefined,
    input: { readonly scope: HostScope; readonly retentionSeconds: number },
  ): Promise<void>
}

interface Membership {
  readonly userId: string
  readonly workspaceId: string
}

interface Details {
  readonly name: string
  readonly description?: string | null
}

export interface AuthWorkspaceStore {
  getOrCreateUser(identity: Identity): Promise<{ userId: string }>
  getOrCreateDefaultWorkspace(userId: string): Promise<{ workspaceId: string; workspaceName: string }>
  getWorkspaceRole(membership: Membership): Promise<Role | null>
  listUserWorkspaces(userId: string): Promise<ReadonlyArray<WorkspaceSummary>>
  createWorkspace(request: Details & { readonly userId: string }): Promise<{ workspaceId: string }>
  updateWorkspace(request: Details & Membership): Promise<void>
  removeWorkspace(membership: Membership): Promise<void>
  setActiveWorkspace(membership: Membership): Promise<void>
}

/** What the host's registries take. `create` is called on every look-up, so it hands out what is there. */
export interface Registration<A> {
  readonly id: string
  readonly order?: number
  readonly create: () => A
}
