/**
 * What a device is told of a record that does not stand as its op would have it.
 */
import type { Revision } from './Revision.js'

/** The record is live, under another revision. */
export interface PutWinner {
  /** Of a live record. */
  readonly kind: 'put'
  /** As it was pushed: the same JSON value. */
  readonly payload: unknown
  /** The one that stands. */
  readonly revision: Revision
}

/** The record is deleted, or no business of the caller: a notification that belongs to somebody else by now. */
export interface DeleteWinner {
  /** Of a deleted one. */
  readonly kind: 'delete'
  /** The one that stands. */
  readonly revision: Revision
  /** When the server took the delete; epoch seconds. Absent for somebody else's notification. */
  readonly serverDeletedAt?: number
}

/** The revision that a record stands by. */
export type Winner = PutWinner | DeleteWinner

/** A record's row, as every layer has it. */
export interface Standing {
  readonly revision: Revision
  /** When the delete came, of a deleted one; epoch seconds. */
  readonly deletedAt: number | null
  /** Undefined when there is none. */
  readonly payload: unknown
  /** Of a notification: whose it is. */
  readonly owner: string | null
}

/** The winner, and its payload apart: clients of early 2026 know only that, which a delete may have as well. */
export interface Superseded {
  readonly winner: Winner
  readonly payload?: unknown
}

/** What to tell a caller of the revision that stands. */
export const supersededBy = (
  { revision, deletedAt, payload, owner }: Standing,
  userId: string | undefined,
): Superseded => {
  if (owner !== null && userId !== undefined && owner !== userId) {
    return { winner: { kind: 'delete', revision } }
  }
  const winner: Winner =
    deletedAt === null
      ? { kind: 'put', payload, revision }
      : { kind: 'delete', revision, serverDeletedAt: deletedAt }
  return payload === undefined ? { winner } : { winner, payload }
}
