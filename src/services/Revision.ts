/**
 * Last writer wins: the total order of revisions.
 *
 * A revision is `(clock, hlc, op_id)`. The strings are printable ASCII, so that plain comparison here and SQLite's `BINARY`
 * collation agree; a comparison by locale would not.
 */
export interface Revision {
  readonly clock: number
  readonly hlc: string
  readonly opId: string
}

/** Whether `incoming` replaces `current`. Equal revisions do not: the same op again changes nothing. */
export const wins = (incoming: Revision, current: Revision): boolean => {
  if (incoming.clock !== current.clock) return incoming.clock > current.clock
  if (incoming.hlc !== current.hlc) return incoming.hlc > current.hlc
  return incoming.opId > current.opId
}
