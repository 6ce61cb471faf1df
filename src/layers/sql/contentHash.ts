/**
 * What is kept of a trimmed op's content: enough to tell the same op from another one under its id.
 */
import { createHash } from 'node:crypto'
import { leapSize } from '../../services/epochs.js'
import { canonicalJson, type CheckedOp } from '../../services/opRules.js'
import { DamagedPayload } from './payload.js'

/** The parser's own message would repeat what the user wrote. */
const canonical = (json: string): string => {
  try {
    return canonicalJson(json)
  } catch {
    throw new DamagedPayload('a stored payload is not JSON')
  }
}

/** 16 bytes; equal for ops of equal content, whatever a restored backup did to their clocks. */
export const contentHash = (op: Omit<CheckedOp, 'opId' | 'owner'>): Buffer => {
  const payload = op.payloadJson === null ? null : canonical(op.payloadJson)
  const content = [op.tableName, op.operation, op.pk, op.clock % leapSize, op.hlc, op.deviceId, payload]
  return createHash('sha256').update(JSON.stringify(content)).digest().subarray(0, 16)
}
