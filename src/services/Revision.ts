/**
 * Last writer wins: the total order of revisions.
 *
 * A revision is `(clock, hlc, op_id)`. The strings are printable ASCII, so that plain comparison here and SQLite's `BINARY`
 * collation agree; a comparison by locale would not.
 */
export interface Revision {
  /** Counts the record's revisions: a safe integer >= 0. */
  readonly clock: number
  /** Hybrid logical clock. */
  readonly hlc: string
  /** Of the op that made it. */
  readonly opId: string
}

/** Whether `incoming` replaces `current`. Equal revisions do not: the same op again changes nothing. */
export const wins = (incoming: Revision, current: Revision): boolean => {
  if (incoming.clock !== current.clock) return incoming.clock > current.clock
  if (incoming.hlc !== current.hlc) return incoming.hlc > current.hlc
  return incoming.opId > current.opId
}
