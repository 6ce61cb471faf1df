/**
 * The check of a push's ops before it touches the database.
 */
import { Effect } from 'effect'
import { type CheckedOp, checkOp } from '../../services/opRules.js'
import { InvalidOp, OpForbidden } from '../../services/SyncErrors.js'
import { letOthersGo } from '../time.js'

export type Checked = CheckedOp | InvalidOp | OpForbidden

export const isRefused = (op: Checked): op is InvalidOp | OpForbidden =>
  op instanceof InvalidOp || op instanceof OpForbidden

/** So many characters of payload are serialised in one go; the usual batch has less. */
const sliceLength = 256 * 1_024

/** Checks all ops, and lets others go in between when there is much to serialise. */
export const checkOps = (workspaceId: string, userId: string | undefined, ops: ReadonlyArray<unknown>) => {
  const checked: Array<Checked> = []
  const slice: Effect.Effect<ReadonlyArray<Checked>> = Effect.suspend(() => {
    for (let length = 0; checked.length < ops.length;) {
      if (length >= sliceLength) return Effect.zipRight(letOthersGo, slice)
      const op = checkOp(workspaceId, userId, ops[checked.length])
      checked.push(op)
      if (!isRefused(op)) length += op.payloadJson?.length ?? 0
    }
    return Effect.succeed(checked)
  })
  return slice
}
