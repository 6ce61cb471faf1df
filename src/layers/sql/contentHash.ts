/**
 * What is kept of a trimmed op's content: enough to tell the same op from another one under its id.
 */
import { createHash } from 'node:crypto'
import { leapSize } from '../../services/epochs.js'
import { canonicalJson, type CheckedOp } from '../../services/opRules.js'

/** 16 bytes; equal for ops of equal content, whatever a restored backup did to their clocks. */
export const contentHash = (op: Omit<CheckedOp, 'opId' | 'owner'>): Buffer => {
  const payload = op.payloadJson === null ? null : canonicalJson(op.payloadJson)
  const content = [op.tableName, op.operation, op.pk, op.clock % leapSize, op.hlc, op.deviceId, payload]
  return createHash('sha256').update(JSON.stringify(content)).digest().subarray(0, 16)
}
