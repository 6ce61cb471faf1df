/**
 * Push on SQLite: one immediate transaction, op by op, with statements prepared once.
 *
 * The driver is synchronous, so a loop over prepared statements costs what set-based SQL costs for large batches and much
 * less for small ones, and a batch is by construction what its ops are one by one: each sees those before it.
 */
import { Effect, Either } from 'effect'
import { leapSize, rebasedClock } from '../../services/epochs.js'
import { type CheckedOp, isSameAsStands, isUuid, sameContent } from '../../services/opRules.js'
import { checkPush } from '../../services/requests.js'
import { OpConflict, OpForbidden, ScopeForbidden } from '../../services/SyncErrors.js'
import {
  type GatewayError,
  OpAccepted,
  type OpOutcome,
  OpReplayed,
  type PushRequest,
  type PushResult,
} from '../../services/SyncGateway.js'
import type { Connection } from './connection.js'
import { type Checked, checkOps, isRefused } from '../sql/checkOps.js'
import { contentHash } from '../sql/contentHash.js'
import type { Database } from './Database.js'
import { FileIndex } from './fileIndex.js'
import { contentOf, type LogEntryRow } from '../sql/logEntry.js'
import { afterCheck } from '../afterCheck.js'
import type { News } from '../news.js'
import { purgeSql } from '../sql/purgeSql.js'
import { type Position, positionOf } from './position.js'
import { pushSql } from './pushSql.js'
import { Records, standingOp } from './records.js'
import { epochSeconds } from '../time.js'

export const push =
  (database: Database['Type'], news: News) =>
  (request: PushRequest): Effect.Effect<PushResult, GatewayError> =>
    afterCheck(checkPush(request), ({ workspaceId, userId, ops }) =>
      Effect.flatMap(checkOps(workspaceId, userId, ops), (checked) => {
        if (checked.every(isRefused)) {
          return database.direct('push', (connection) => ({
            outcomes: checked,
            serverVersion: positionOf(connection, workspaceId).version,
          }))
        }
        return Effect.flatMap(epochSeconds, (now) =>
          database.write(
            'push',
            (connection) =>
              connection.first(purgeSql.closed.sql, workspaceId, userId ?? null) === undefined
                ? Either.right(new Batch(connection, workspaceId, userId, now).push(checked))
                : Either.left(new ScopeForbidden({})),
            () => news.announce(workspaceId),
          ),
        )
      }),
    )

interface RenamedRow {
  readonly new_op_id: string
  readonly table_name: string
  readonly pk: string
}

/** One batch in its transaction. Versions and clocks are those that are stored, but for what an outcome tells. */
class Batch {
  private readonly position: Position
  private version: number
  private readonly floor: number
  /** The id of the op at hand, as outcomes repeat it: an adopted op may have another one by now. */
  private pushedAs = ''
  private readonly records: Records
  /** While the workspace has no tombstone, a put need not look for one to remove. */
  private hasTombstones: boolean
  private readonly files: FileIndex

  constructor(
    private readonly connection: Connection,
    private readonly workspaceId: string,
    userId: string | undefined,
    private readonly now: number,
  ) {
    this.position = positionOf(connection, workspaceId)
    this.records = new Records(connection, workspaceId, userId, now, this.position.clockOffset)
    this.version = this.position.version - this.position.versionOffset
    this.floor = this.position.floor - this.position.versionOffset
    this.hasTombstones = connection.first(pushSql.hasTombstones, workspaceId) !== undefined
    this.files = new FileIndex(connection, workspaceId)
  }

  push(checked: ReadonlyArray<Checked>): PushResult {
    const before = this.version
    const outcomes = checked.map((op) => (isRefused(op) ? op : this.pushOp(this.stored(op))))
    if (this.version > before) {
      this.files.settle()
      const { versionOffset, clockOffset, clockBase } = this.position
      this.connection.run(
        pushSql.raiseWatermark,
        this.workspaceId,
        this.version,
        this.floor,
        versionOffset,
        clockOffset,
        clockBase,
      )
    }
    return { outcomes, serverVersion: this.shown(this.version) }
  }

  private shown(version: number): number {
    return version + this.position.versionOffset
  }

  private pushOp(op: CheckedOp): OpOutcome {
    this.pushedAs = op.opId
    const renamed = this.renamed(op)
    const known = this.knownOutcome(op) ?? (renamed && this.knownOutcome({ ...op, opId: renamed.opId }))
    if (known !== undefined) return known
    if (!this.records.mayTouch(op)) return new OpForbidden({ opId: op.opId })
    return this.accept(renamed?.isThisRecord === true ? { ...op, opId: renamed.opId } : op)
  }

  /** What migration 005 called an adopted op of this id, and whether it was an op of the same record. */
  private renamed({ opId, tableName, pk }: CheckedOp) {
    if (isUuid(opId)) return undefined
    const rows = this.connection.all<RenamedRow>(pushSql.renamedOp, this.workspaceId, opId)
    const own = rows.find((row) => row.table_name === tableName && row.pk === pk)
    const row = own ?? rows[0]
    return row && { opId: row.new_op_id, isThisRecord: own !== undefined }
  }

  /** The op with the clock it is stored under. No workspace has an offset of clocks without a base at least as high. */
  private stored(op: CheckedOp): CheckedOp {
    const { clockBase, clockOffset } = this.position
    return clockBase === 0 ? op : { ...op, clock: rebasedClock(op.clock, clockBase) - clockOffset }
  }

  /** A device may repeat an op with the clock from before a restored backup, which is whole epochs away. */
  private isSame(op: CheckedOp, logged: CheckedOp): boolean {
    if (this.position.clockBase === 0) return sameContent(op, logged)
    const within = (it: CheckedOp) => ({ ...it, clock: it.clock % leapSize })
    return sameContent(within(op), within(logged))
  }

  /** The outcome of an op whose id is taken, by a logged op or one whose log entry is trimmed. */
  private knownOutcome(op: CheckedOp): OpReplayed | OpConflict | undefined {
    const { opId } = op
    const logged = this.connection.first<LogEntryRow>(pushSql.loggedOp, this.workspaceId, opId)
    if (logged !== undefined) {
      const same = this.isSame(op, contentOf(opId, logged))
      return same ? this.replay(op, logged.server_version) : this.conflict(logged.server_version)
    }
    if (this.floor === 0) return undefined
    const trimmed = this.connection.first<{ server_version: number; content_hash: Buffer }>(
      pushSql.trimmedOp,
      this.workspaceId,
      opId,
    )
    if (trimmed === undefined) return undefined
    const same = contentHash(op).equals(trimmed.content_hash)
    return same ? this.replay(op, trimmed.server_version) : this.conflict(trimmed.server_version)
  }

  private conflict(version: number): OpConflict {
    return new OpConflict({ opId: this.pushedAs, serverVersion: this.shown(version) })
  }

  private replay(op: CheckedOp, version: number): OpReplayed {
    const opId = this.pushedAs
    const serverVersion = this.shown(version)
    const winner = this.records.winnerOf(op)
    // A record that has an op has a row; without one there is nothing that could have won.
    if (winner === undefined || winner === op.opId || winner === this.renamed(op)?.opId) {
      return new OpReplayed({ opId, serverVersion, applied: true })
    }
    const superseding = this.records.superseding(this.records.standing(op)!)
    return new OpReplayed({ opId, serverVersion, applied: false, ...superseding })
  }

  /** Takes the op as the next version: brings its row and tombstone in step, and logs it. */
  private accept(op: CheckedOp): OpAccepted | OpReplayed | OpConflict {
    const { connection, workspaceId, now } = this
    const { opId, tableName, operation, pk, payloadJson, clock, hlc, deviceId } = op
    const version = this.version + 1
    const { wasExisting, applied } = this.records.materialize(op, version)
    const row = applied ? undefined : this.records.standing(op)!
    // Forgotten since, but the record stands by it.
    if (row !== undefined && row.clock === clock && row.hlc === hlc && row.op_id === opId) {
      return isSameAsStands(op, standingOp(op, row))
        ? this.replay(op, row.server_version)
        : this.conflict(row.server_version)
    }
    this.version = version
    connection.run(
      pushSql.log,
      workspaceId,
      version,
      tableName,
      pk,
      operation,
      payloadJson,
      clock,
      hlc,
      deviceId,
      opId,
      now,
    )
    // A literal, since a spread costs each op half a microsecond.
    const accepted = { opId: this.pushedAs, serverVersion: this.shown(version), applied, wasExisting }
    if (row !== undefined) return new OpAccepted({ ...accepted, ...this.records.superseding(row) })
    this.files.follow(op, wasExisting)
    if (operation === 'delete') {
      connection.run(pushSql.bury, workspaceId, tableName, pk, clock, hlc, opId, version, now)
      this.hasTombstones = true
    } else if (this.hasTombstones) connection.run(pushSql.revive, workspaceId, tableName, pk)
    return new OpAccepted(accepted)
  }
}
