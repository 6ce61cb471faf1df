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
  /** Absent in the answer to an op that was accepted before. */
  readonly applied?: boolean
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

/** Whose ops are refused for good: pushing them again cannot help. */
export const permanentErrors = ['VALIDATION_ERROR', 'OVERSIZED', 'UNAUTHORIZED']
