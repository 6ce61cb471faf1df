/**
 * What becomes of the ops of a push, given what stood before: plain code, op by op, each seeing those before it.
 *
 * The statements of a batch come to the same (`pushSql.ts`), but for what only this can decide; then they have changed nothing.
 */
import { leapSize, rebasedClock, shownClock } from '../../services/epochs.js'
import { type CheckedOp, isSameAsStands, sameContent } from '../../services/opRules.js'
import { wins } from '../../services/Revision.js'
import { OpConflict, OpForbidden } from '../../services/SyncErrors.js'
import { OpAccepted, type OpOutcome, OpReplayed } from '../../services/SyncGateway.js'
import { supersededBy } from '../../services/Winner.js'
import type { Row } from '../sql/batch.js'
import { contentHash } from '../sql/contentHash.js'
import { contentOf, type LogEntryRow } from '../sql/logEntry.js'
import { parsePayload } from '../sql/payload.js'
import type { Position } from './position.js'

/** What a record stands by. */
interface Standing {
  readonly op: CheckedOp
  readonly version: number
  readonly deletedAt: number | null
  readonly owner: string | null
}

/** An op by another name: what migration 005 called it, and the record it was of. */
export interface Renamed {
  readonly op_id: string
  readonly new_op_id: string
  readonly table_name: string
  readonly pk: string
}

export interface Before {
  readonly position: Position
  /** By op id: the version of what is logged. */
  readonly logged: ReadonlyMap<string, number>
  /** By op id: version and content hash, in hex, of what was trimmed. */
  readonly trimmed: ReadonlyMap<string, { readonly version: number; readonly hash: string }>
  /** By op id: what is logged, as far as it was asked for. */
  readonly contents: ReadonlyMap<string, LogEntryRow>
  /** By op id: what migration 005 called ops. */
  readonly renamed: ReadonlyMap<string, ReadonlyArray<Renamed>>
  /** By table and key. */
  readonly standing: ReadonlyMap<string, Row>
}

/** An op that is taken, as it is to be logged. */
export interface Taken {
  readonly op: CheckedOp
  /** Of a notification, whose it is if the op wins. */
  readonly owner: string | null
}

export interface Decision {
  /** In the order of the ops. */
  readonly outcomes: ReadonlyArray<OpOutcome>
  readonly taken: ReadonlyArray<Taken>
  /** The high watermark afterwards. */
  readonly serverVersion: number
  /** There is an op of the kind that statements leave to this. */
  readonly isOurs: boolean
  /** Ids that are logged, with contents that were not asked for: whether an op is the same is guessed. */
  readonly guessed: ReadonlyArray<string>
}

export const recordKey = (tableName: string, pk: string) => `${tableName}\0${pk}`

/** The clock an op is stored under. */
const storedClock = (clock: number, { clock_base: base, clock_offset: offset }: Position): number =>
  base === 0 ? clock : rebasedClock(clock, base) - offset

const standingOf = (op: CheckedOp, row: Row): Standing => ({
  op: {
    ...op,
    operation: row.deleted === 1 ? 'delete' : 'put',
    payloadJson: row.data_json,
    clock: row.clock,
    hlc: row.hlc,
    opId: row.op_id,
    deviceId: row.device_id,
  },
  version: row.server_version,
  deletedAt: row.deleted_at,
  owner: row.user_id,
})

export const decide = (
  before: Before,
  ops: ReadonlyArray<CheckedOp>,
  userId: string | undefined,
  now: number,
): Decision => {
  const { position } = before
  const records = new Map<string, Standing>()
  const logged = new Map<string, { readonly version: number; readonly op: CheckedOp }>()
  const taken: Array<Taken> = []
  let version = position.value
  let isOurs = false
  const guessed: Array<string> = []

  const shown = (stored: number) => stored + position.version_offset
  const standing = (op: CheckedOp): Standing | undefined => {
    const key = recordKey(op.tableName, op.pk)
    const own = records.get(key)
    if (own !== undefined) return own
    const row = before.standing.get(key)
    return row && standingOf(op, row)
  }
  const superseding = ({ op, deletedAt, owner }: Standing) => {
    const revision = { clock: shownClock(op.clock, position.clock_offset), hlc: op.hlc, opId: op.opId }
    const payload = op.payloadJson === null ? undefined : parsePayload(op.payloadJson)
    return supersededBy({ revision, deletedAt, payload, owner }, userId)
  }
  /** A device may repeat an op with the clock from before a restored backup, which is whole epochs away. */
  const isSame = (a: CheckedOp, b: CheckedOp) => {
    if (position.clock_base === 0) return sameContent(a, b)
    const within = (it: CheckedOp) => ({ ...it, clock: it.clock % leapSize })
    return sameContent(within(a), within(b))
  }
  const renamedOf = ({ opId, tableName, pk }: CheckedOp) => {
    const rows = before.renamed.get(opId)
    if (rows === undefined) return undefined
    const own = rows.find((row) => row.table_name === tableName && row.pk === pk)
    return { opId: (own ?? rows[0]!).new_op_id, isThisRecord: own !== undefined }
  }

  const decideOne = (pushed: CheckedOp): OpOutcome => {
    const renamed = renamedOf(pushed)
    if (renamed !== undefined) isOurs = true
    const replay = (op: CheckedOp, at: number) => {
      const stands = standing(op)
      const isWinner = stands === undefined || [op.opId, renamed?.opId].includes(stands.op.opId)
      const replayed = { opId: pushed.opId, serverVersion: shown(at) }
      return isWinner
        ? new OpReplayed({ ...replayed, applied: true })
        : new OpReplayed({ ...replayed, applied: false, ...superseding(stands) })
    }
    const conflict = (at: number) => new OpConflict({ opId: pushed.opId, serverVersion: shown(at) })
    const known = (op: CheckedOp) => {
      const own = logged.get(op.opId)
      if (own !== undefined) return isSame(op, own.op) ? replay(op, own.version) : conflict(own.version)
      const at = before.logged.get(op.opId)
      if (at !== undefined) {
        const row = before.contents.get(op.opId)
        if (row === undefined) guessed.push(op.opId)
        return row === undefined || isSame(op, contentOf(op.opId, row)) ? replay(op, at) : conflict(at)
      }
      const trimmed = before.trimmed.get(op.opId)
      if (trimmed === undefined) return undefined
      const isSameOp = contentHash(op).toString('hex') === trimmed.hash.toLowerCase()
      return isSameOp ? replay(op, trimmed.version) : conflict(trimmed.version)
    }

    const outcome = known(pushed) ?? (renamed && known({ ...pushed, opId: renamed.opId }))
    if (outcome !== undefined) return outcome
    const op = renamed?.isThisRecord === true ? { ...pushed, opId: renamed.opId } : pushed
    const stands = standing(op)
    if (op.tableName === 'notifications' && userId !== undefined && (stands?.owner ?? userId) !== userId) {
      isOurs = true
      return new OpForbidden({ opId: pushed.opId })
    }
    // Forgotten since, but the record stands by it.
    if (before.standing.get(recordKey(op.tableName, op.pk))?.op_id === op.opId) isOurs = true
    if (stands?.op.opId === op.opId && !wins(op, stands.op) && !wins(stands.op, op)) {
      return isSameAsStands(op, stands.op) ? replay(op, stands.version) : conflict(stands.version)
    }
    version += 1
    logged.set(op.opId, { version, op })
    const accepted = { opId: pushed.opId, serverVersion: shown(version), wasExisting: stands !== undefined }
    const isDelete = op.operation === 'delete'
    const owner =
      op.tableName !== 'notifications' ? null : isDelete ? (stands?.owner ?? userId ?? null) : op.owner
    taken.push({ op, owner })
    if (stands !== undefined && !wins(op, stands.op)) {
      return new OpAccepted({ ...accepted, applied: false, ...superseding(stands) })
    }
    records.set(recordKey(op.tableName, op.pk), { op, version, deletedAt: isDelete ? now : null, owner })
    return new OpAccepted({ ...accepted, applied: true })
  }

  const outcomes = ops.map((op) => decideOne({ ...op, clock: storedClock(op.clock, position) }))
  return { outcomes, taken, serverVersion: shown(version), isOurs, guessed }
}
