/**
 * The materialised rows as a push meets them: whose they are, what they stand by, and an op's taking of its record.
 */
import { shownClock } from '../../services/epochs.js'
import type { CheckedOp } from '../../services/opRules.js'
import { type Superseded, supersededBy } from '../../services/Winner.js'
import type { Connection } from './connection.js'
import { parsePayload } from '../sql/payload.js'
import { pushSql } from './pushSql.js'

/** A record's row, as `pushSql.standing` gives it. */
interface StandingRow {
  readonly server_version: number
  readonly data_json: string | null
  readonly clock: number
  readonly hlc: string
  readonly op_id: string
  readonly device_id: string
  readonly deleted: 0 | 1
  readonly deleted_at: number | null
  readonly user_id: string | null
}

/** The op that a row stands by, of the same record and revision as another. */
export const standingOp = (op: CheckedOp, row: StandingRow): CheckedOp => ({
  ...op,
  operation: row.deleted === 1 ? 'delete' : 'put',
  payloadJson: row.data_json,
  deviceId: row.device_id,
})

/** The rows of one workspace, within a transaction. Versions and clocks are those that are stored. */
export class Records {
  constructor(
    private readonly connection: Connection,
    private readonly workspaceId: string,
    private readonly userId: string | undefined,
    /** Epoch seconds. */
    private readonly now: number,
    private readonly clockOffset: number,
  ) {}

  /** Whether the caller may put or delete the record: a notification is its own user's. */
  mayTouch({ tableName, pk }: CheckedOp): boolean {
    if (tableName !== 'notifications' || this.userId === undefined) return true
    const row = this.connection.first<{ user_id: string | null }>(
      pushSql.notificationOwner,
      this.workspaceId,
      pk,
    )
    return (row?.user_id ?? this.userId) === this.userId
  }

  /**
   * Lets the op take its record, unless that has a greater revision. Clients count a record's revisions from 1, so that one of
   * the two statements is usually enough.
   */
  materialize(op: CheckedOp, version: number): Record<'wasExisting' | 'applied', boolean> {
    if (op.clock <= 1 && this.insertRow(op, version)) return { wasExisting: false, applied: true }
    if (this.replaceRow(op, version)) return { wasExisting: true, applied: true }
    if (op.clock > 1 && this.insertRow(op, version)) return { wasExisting: false, applied: true }
    return { wasExisting: true, applied: false }
  }

  private ownerBy({ operation, owner }: CheckedOp): string | null {
    return operation === 'delete' ? (this.userId ?? null) : owner
  }

  private insertRow(op: CheckedOp, version: number): boolean {
    const { tableName, operation, pk, payloadJson, clock, hlc, opId, deviceId } = op
    const isDelete = operation === 'delete' ? 1 : 0
    const { workspaceId, now } = this
    const row = [workspaceId, pk, payloadJson, clock, hlc, opId, deviceId, version, isDelete, now, now]
    if (tableName === 'notifications') row.push(this.ownerBy(op))
    return this.connection.run(pushSql.insertRow[tableName], ...row) > 0
  }

  private replaceRow(op: CheckedOp, version: number): boolean {
    const { tableName, operation, pk, payloadJson, clock, hlc, opId, deviceId } = op
    const isDelete = operation === 'delete' ? 1 : 0
    const row = [payloadJson, clock, hlc, opId, deviceId, version, isDelete, this.now]
    if (tableName === 'notifications') row.push(isDelete, this.ownerBy(op))
    row.push(this.workspaceId, pk, clock, hlc, opId)
    return this.connection.run(pushSql.replaceRow[tableName], ...row) > 0
  }

  /** The id of the op that a record stands by: most replays need know no more, and payloads are long. */
  winnerOf({ tableName, pk }: CheckedOp): string | undefined {
    return this.connection.first<{ op_id: string }>(pushSql.winner[tableName], this.workspaceId, pk)?.op_id
  }

  standing({ tableName, pk }: CheckedOp): StandingRow | undefined {
    return this.connection.first<StandingRow>(pushSql.standing[tableName], this.workspaceId, pk)
  }

  superseding(row: StandingRow): Superseded {
    const { hlc, op_id: opId, data_json: json } = row
    const clock = shownClock(row.clock, this.clockOffset)
    const payload = json === null ? undefined : parsePayload(json)
    const standing = {
      revision: { clock, hlc, opId },
      deletedAt: row.deleted_at,
      payload,
      owner: row.user_id,
    }
    return supersededBy(standing, this.userId)
  }
}
