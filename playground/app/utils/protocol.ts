/**
 * The shapes that the host's clients exchange with the sync endpoints.
 */
export interface Stamp {
  readonly deviceId: string
  readonly opId: string
  readonly hlc: string
  readonly clock: number
}

/** An entry of a client's outbox. */
export interface PendingOp {
  readonly id: string
  readonly tableName: string
  readonly operation: 'put' | 'delete'
  readonly pk: string
  readonly payload?: unknown
  readonly stamp: Stamp
  readonly createdAt: number
  attempts: number
  /** A failed op is parked: it is not pushed again by itself. */
  status: 'pending' | 'failed'
  error?: string
}

export interface PushResult {
  readonly opId: string
  readonly success: boolean
  readonly serverVersion?: number
  /** Whether the op stands. */
  readonly applied?: boolean
  /** The op was accepted before. */
  readonly replayed?: boolean
  /** The winner's, where the op lost. */
  readonly payload?: unknown
  readonly errorCode?: string
  readonly error?: string
}

export interface Pushed {
  readonly results: ReadonlyArray<PushResult>
  readonly serverVersion: number
}

interface Change {
  readonly serverVersion: number
  readonly tableName: string
  readonly pk: string
  readonly op: 'put' | 'delete'
  readonly payload?: unknown
  readonly stamp: Stamp
}

export interface Pulled {
  readonly changes: ReadonlyArray<Change>
  readonly nextCursor: number
  readonly hasMore: boolean
}

type SnapshotItem = {
  readonly tableName: string
  readonly pk: string
  readonly revision: { readonly clock: number; readonly hlc: string; readonly opId: string }
} & ({ readonly kind: 'row'; readonly payload: unknown } | { readonly kind: 'tombstone' })

/** A page of all records, for a device that comes fresh. */
export interface SnapshotPage {
  readonly snapshotId: string
  /** Where the device stands with the last page: it pulls from there. */
  readonly highWatermark: number
  readonly items: ReadonlyArray<SnapshotItem>
  /** Asks for the next page; null after the last one. */
  readonly nextPageToken: string | null
}

/** Whose ops are refused for good: pushing them again cannot help. */
export const permanentErrors = ['VALIDATION_ERROR', 'OVERSIZED', 'UNAUTHORIZED']
