/**
 * The sync protocol.
 *
 * Devices keep their own copy of a workspace and exchange ops with this gateway. Whoever reads this comment knows the rules.
 *
 * **Revisions.** Every op carries a revision `(clock, hlc, op_id)`. Of two revisions of a record the greater wins: higher
 * `clock`, then greater `hlc`, then greater `op_id`, strings by code unit. The order is total, so every arrival order ends
 * in the same state. The winner's payload replaces the record as a whole.
 *
 * **Push.** A batch of at most 1,000 ops, worth exactly what its ops would be worth pushed one by one. Per op: validate,
 * recognise a known `op_id`, take the next server version, append to the change log, materialise under last writer wins,
 * keep the tombstones in step. All of that in one immediate transaction: the accepted ops are durable together, or the call
 * fails. Each op has one outcome, in order: `OpAccepted` (applied, or superseded and logged all the same),
 * `OpReplayed` (with its first version), `OpConflict` (the id is taken by other content), `InvalidOp`,
 * `OpForbidden` (another user's notification). The last three take no version and write nothing.
 *
 * **Versions.** `server_version` counts per workspace 1, 2, 3 … in commit order, without a gap or a repeat, whoever else
 * writes to the file. The highest one is the workspace's high watermark.
 *
 * **Pull.** The changes above a cursor, ascending, a page at a time: at most `limit`, and at most 8 MiB of
 * payload. `hasMore` is exact. `nextCursor` is the last change's
 * version while there is more, else the high watermark of the same snapshot; it never goes back.
 *
 * **Changes.** The same as a stream, which goes on with each new commit.
 *
 * **Snapshot.** How a device begins: all records as they are, deleted ones as tombstones, in pages, and the high watermark
 * of the first page to pull from afterwards. A page is read when it is asked for, so it may show a record in a later state
 * than the watermark's; the pulls after it bring that state again, and last writer wins makes that harmless. A record that
 * was there at the watermark is in some page, whatever is pushed, deleted or collected meanwhile: rows are never removed, and
 * the pages follow each other by key. So the server keeps nothing between pages, and a chain of them never expires; but a leap
 * ends it (`SnapshotGone`), since what the earlier pages showed may be lost. Items ascend strictly by table and key, as
 * JavaScript compares strings (UTF-16 code units). Left out are the records that a client could not install: see
 * `requiredFields.ts`. A page token names chain, tables and position. It grants nothing: each page is confined to its own
 * scope and shows the notifications of its own caller.
 *
 * **Trimming.** Garbage collection removes the oldest log entries, up to a floor. Below the floor the materialised rows
 * stand for them: each row whose winning version lies there comes as one change with its own version and stamp. A device
 * that starts from 0, or comes back after a year, ends where every other device is.
 *
 * **Restored backups.** A workspace whose database is older than its devices leaps: all its versions rise to a new epoch, above
 * any cursor, and every device pulls it anew; a replay is answered with the version that its op has since. When the server itself noticed the restore, clocks rise too: of the rows,
 * and of ops from devices that do not know of it yet. See `epochs.ts`.
 *
 * **Cursors** move forward only. One that is not reported within the retention window holds nothing back and is removed.
 * A device belongs to the user who first reported it, until its cursor is removed: another user's report gets
 * `DeviceForbidden`. A report without a caller makes it nobody's and takes it from nobody.
 *
 * **Idempotency.** A trimmed op's id and content hash are kept for one more retention window. An op that is pushed again
 * after that is still recognised while its record stands by it; else it is logged anew and changes nothing, since its
 * revision is not greater than the one it lost to. A replay tells how its record stands by now.
 *
 * **Notifications** belong to a user. A caller puts, deletes and sees only their own.
 *
 * **Scope.** Every call is confined to one workspace. A caller from another workspace gets `ScopeForbidden`.
 */
import { Context, Data, type Effect, type Stream } from 'effect'
import type { StorageError } from './StorageError.js'
import type { Caller, PendingOp, SnapshotItem, SyncChange, SyncScope } from './SyncDomain.js'
import type {
  DeviceForbidden,
  IdempotencyReplay,
  InvalidOp,
  InvalidPageToken,
  InvalidRequest,
  OpConflict,
  OpForbidden,
  PageTokenForbidden,
  ScopeForbidden,
  SnapshotGone,
} from './SyncErrors.js'
import type { Winner } from './Winner.js'

/** The op is new, and durable under `serverVersion`. */
export class OpAccepted extends Data.TaggedClass('OpAccepted')<{
  /** As pushed. */
  readonly opId: string
  /** The version the op was given. */
  readonly serverVersion: number
  /** False when the record already had a greater revision: the op is logged, the record unchanged. */
  readonly applied: boolean
  /** Whether the record had a row before this op, be it of a deleted record. */
  readonly wasExisting: boolean
  /** When superseded: the revision that stands. */
  readonly winner?: Winner
  /** When superseded: the payload of the winning revision, absent if that is a delete without one. */
  readonly payload?: unknown
}> {}

/**
 * The op was accepted before with the same content and is durable under `serverVersion`; nothing was written again. Usual
 * in a batch whose acknowledgement was lost, hence no error there; `pushOne` fails with `IdempotencyReplay` instead.
 */
export class OpReplayed extends Data.TaggedClass('OpReplayed')<{
  /** As pushed. */
  readonly opId: string
  /** The version the op was given the first time. */
  readonly serverVersion: number
  /** Whether the record still stands by this op. */
  readonly applied: boolean
  /** When it does not: the revision that stands. */
  readonly winner?: Winner
  /** When it does not: the payload of that revision, absent if it is a delete without one. */
  readonly payload?: unknown
}> {}

/** What became of an op of a batch. */
export type OpOutcome = OpAccepted | OpReplayed | OpConflict | InvalidOp | OpForbidden

/** Why a single op was not newly accepted. */
export type OpError = IdempotencyReplay | OpConflict | InvalidOp | OpForbidden

/** What can fail a call as a whole. */
export type GatewayError = InvalidRequest | ScopeForbidden | StorageError

/** What can fail a page of a snapshot. */
export type SnapshotError = GatewayError | InvalidPageToken | PageTokenForbidden | SnapshotGone

/** What every call says. */
interface Call {
  /** The workspace it is confined to. */
  readonly scope: SyncScope
  /** Absent for trusted callers. */
  readonly caller?: Caller | undefined
}

/** A batch of ops. */
export interface PushRequest extends Call {
  /** At most 1,000. */
  readonly ops: ReadonlyArray<PendingOp>
}

/** What became of a batch. */
export interface PushResult {
  /** One per op, in the order of the ops. */
  readonly outcomes: ReadonlyArray<OpOutcome>
  /** The workspace's high watermark after the push. */
  readonly serverVersion: number
}

/** Which page of changes. */
export interface PullRequest extends Call {
  /** A safe integer >= 0; 0 asks for everything. */
  readonly cursor: number
  /** Clamped to 1..1,000; 100 when absent. */
  readonly limit?: number | undefined
  /** Only changes of these tables; all when absent or empty. Unknown names match nothing. */
  readonly tables?: ReadonlyArray<string> | undefined
}

/** One page of changes. */
export interface PullPage {
  /** Ascending by `serverVersion`, all above the cursor. */
  readonly changes: ReadonlyArray<SyncChange>
  /** The cursor to ask with next; never below the one asked with. */
  readonly nextCursor: number
  /** Whether there are changes above `nextCursor`, in the same snapshot. */
  readonly hasMore: boolean
}

/** Which page of a snapshot. */
export interface SnapshotRequest extends Call {
  /** Items, at most: 1..1,000; anything else is refused. */
  readonly pageSize: number
  /** The `nextPageToken` of the page before; absent for the first one. */
  readonly pageToken?: string | undefined
  /**
   * Only records of these tables; all when absent or empty. Unknown names match nothing. Of a later page: those of the first
   * one, else it is refused; when absent, the token says which.
   */
  readonly tables?: ReadonlyArray<string> | undefined
}

/** One page of a snapshot. */
export interface SnapshotPage {
  /** That of the scope. */
  readonly workspaceId: string
  /** Names the chain of pages; the same in all of them. */
  readonly snapshotId: string
  /** The cursor to pull with when all pages are installed; the same in all of them. */
  readonly highWatermark: number
  /**
   * Ascending by table and key, above those of the page before. At most `pageSize`, and at most 8 MiB of payload, but one at
   * least, unless there is none at all.
   */
  readonly items: ReadonlyArray<SnapshotItem>
  /** What to ask for the next page with, 1..4,096 characters; null when there are no more items. */
  readonly nextPageToken: string | null
  /** Records that a client could not install, from the page before up to the last item; each counts once in a chain. */
  readonly leftOut: number
}

/** Which changes to follow, and for whom. */
export interface ChangesOptions extends Pick<PullRequest, 'tables' | 'caller'> {
  /** Changes read at once: clamped to 1..1,000; 100 when absent. */
  readonly limit?: number | undefined
}

/** How far a device has got. */
export interface CursorRequest extends Call {
  /** 1..256 characters of printable ASCII. */
  readonly deviceId: string
  /** A safe integer >= 0. One below the known cursor is only a sign of life; one above the high watermark is taken as it is. */
  readonly version: number
}

/** How much history a collection leaves. */
export interface RetentionRequest extends Call {
  /** Seconds; finite and greater than 0. */
  readonly retentionSeconds: number
}

/** What a collection of the log removed. */
export interface ChangeLogReport {
  /** Log entries removed. */
  readonly entries: number
  /** Op ids forgotten: their entries were trimmed a retention window ago. */
  readonly opIds: number
  /** Stale device cursors removed. */
  readonly cursors: number
}

/** What a collection of tombstones removed. */
export interface TombstoneReport {
  /** Tombstones removed, and payloads of deleted rows erased with them. */
  readonly tombstones: number
  /** Stale device cursors removed. */
  readonly cursors: number
}

/** The sync protocol of a server. Its rules stand in the comment at the top of this file. */
export class SyncGateway extends Context.Tag('or3-provider-sqlite/SyncGateway')<
  SyncGateway,
  {
    /** Pushes a batch. Errors of single ops are in the outcomes. */
    readonly push: (request: PushRequest) => Effect.Effect<PushResult, GatewayError>
    /** Pushes one op, with its error in the error channel. */
    readonly pushOne: (
      request: Call & { readonly op: PendingOp },
    ) => Effect.Effect<OpAccepted, OpError | GatewayError>
    /** One page of changes above a cursor. */
    readonly pull: (request: PullRequest) => Effect.Effect<PullPage, GatewayError>
    /** One page of all records there are, for a device that begins. */
    readonly snapshot: (request: SnapshotRequest) => Effect.Effect<SnapshotPage, SnapshotError>
    /**
     * The changes of a workspace above a cursor, ascending: first those there are, then those that are committed, by whichever
     * process, without a gap or a repeat. Reads a page when the last one is used up. Fails as a pull does; ends when the layer
     * closes.
     */
    readonly changes: (
      workspaceId: string,
      cursor: number,
      options?: ChangesOptions,
    ) => Stream.Stream<SyncChange, GatewayError>
    /** Records how far a device has got. The device becomes the caller's if it is nobody's yet. */
    readonly updateCursor: (request: CursorRequest) => Effect.Effect<void, DeviceForbidden | GatewayError>
    /**
     * Trims the front of the log: entries below every live cursor and older than the retention window, up to the first
     * that is not. With no live cursor nothing is trimmed.
     */
    readonly gcChangeLog: (request: RetentionRequest) => Effect.Effect<ChangeLogReport, GatewayError>
    /** Removes tombstones below every live cursor and older than the window, and erases their rows' payloads. */
    readonly gcTombstones: (request: RetentionRequest) => Effect.Effect<TombstoneReport, GatewayError>
  }
>() {}
