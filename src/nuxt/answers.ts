/**
 * The services' answers as hosts of mid-2026 check them, and those of early 2026 read them.
 */
import type { PendingOp, SyncChange } from '../services/SyncDomain.js'
import type { PullPage, PushResult } from '../services/SyncGateway.js'
import type { Winner } from '../services/Winner.js'
import type { HostPullAnswer, HostPushAnswer, HostPushResult } from './host.js'
import { toPushResult } from './httpErrors.js'
import { madeOpId, servedOpId, servedRevision } from './opIds.js'

/** A device id that is nothing but spaces would fail a host's check, and with it the page. */
const servedDeviceId = (deviceId: string) => (deviceId.trim() === '' ? 'unknown' : deviceId)

/**
 * The changes of a page. The services may have an op id twice: one that was forgotten, and then used again for another record. A
 * page has it once.
 */
const toHostChanges = (
  workspaceId: string,
  changes: ReadonlyArray<SyncChange>,
): ReadonlyArray<SyncChange> => {
  const told = new Set<string>()
  return changes.map((change) => {
    const { tableName, pk, stamp } = change
    const deviceId = servedDeviceId(stamp.deviceId)
    let opId = servedOpId(workspaceId, tableName, pk, stamp)
    while (told.has(opId)) opId = madeOpId(workspaceId, tableName, pk, { ...stamp, opId })
    told.add(opId)
    const same = opId === stamp.opId && deviceId === stamp.deviceId
    return same ? change : { ...change, stamp: { ...stamp, deviceId, opId } }
  })
}

/** A page for a host. Our pulls are complete from any cursor, so no device ever has to begin again. */
export const toPullAnswer = (
  workspaceId: string,
  { changes, nextCursor, hasMore }: PullPage,
): HostPullAnswer => ({
  changes: toHostChanges(workspaceId, changes),
  nextCursor,
  hasMore,
  oldestRetainedVersion: 0,
  requiresSnapshot: false,
})

const toHostWinner = (workspaceId: string, op: PendingOp, winner: Winner): Winner => ({
  ...winner,
  revision: servedRevision(workspaceId, op, winner.revision),
})

/**
 * A push for a host: one result per op id, in the order of their first ops. Of several ops under one id the first stands; but
 * one that is durable is never told as failed, whatever became of its neighbours.
 */
export const toPushAnswer = (
  workspaceId: string,
  ops: ReadonlyArray<PendingOp>,
  { outcomes, serverVersion }: PushResult,
): HostPushAnswer => {
  const results = new Map<string, HostPushResult>()
  for (const [index, outcome] of outcomes.entries()) {
    const known = results.get(outcome.opId)
    if (known !== undefined && (known.success || !isDurable(outcome))) continue
    const result = toPushResult(outcome)
    const { winner } = result
    results.set(
      outcome.opId,
      winner === undefined ? result : { ...result, winner: toHostWinner(workspaceId, ops[index]!, winner) },
    )
  }
  return { results: [...results.values()], serverVersion }
}

const isDurable = ({ _tag }: PushResult['outcomes'][number]) => _tag === 'OpAccepted' || _tag === 'OpReplayed'
