/**
 * The rules of a page of a snapshot: which records a caller is shown, how they look, and where the page ends.
 *
 * Every implementation gives it the stored records in the order of a snapshot, from the position on.
 */
import { Either } from 'effect'
import { isOfThisEpoch } from './epochs.js'
import { type CheckedSnapshot, fitsPage } from './requests.js'
import { isInstallable } from './requiredFields.js'
import { encodeToken, isTokenKey, type RecordKey } from './snapshotToken.js'
import type { SnapshotItem, SyncedTable } from './SyncDomain.js'
import { SnapshotGone } from './SyncErrors.js'
import type { SnapshotPage } from './SyncGateway.js'

/** A record as it is stored. */
export interface StoredRecord extends RecordKey {
  /** Null for a record that is deleted. */
  readonly payloadJson: string | null
  readonly clock: number
  readonly hlc: string
  readonly opId: string
  /** Epoch seconds; null for a live record. */
  readonly deletedAt: number | null
  /** Of a notification: whose it is; null for nobody's in particular, and for other records. */
  readonly owner: string | null
}

/** What became of a record: it is in the page, it is passed over, or it has to wait for the next page. */
export type Placement = 'in' | 'passed' | 'full'

/** The same for all pages of a chain. */
export interface ChainStart {
  readonly snapshotId: string
  readonly highWatermark: number
}

/** Of a chain that begins at this version; or of one that has begun, if it can be continued still. */
export const startOf = (
  begun: ChainStart | undefined,
  version: number,
  newId: string,
): Either.Either<ChainStart, SnapshotGone> => {
  if (begun === undefined) return Either.right({ snapshotId: newId, highWatermark: version })
  return isOfThisEpoch(begun.highWatermark, version) ? Either.right(begun) : Either.left(new SnapshotGone({}))
}

/** A page while it is filled. */
export class PageInProgress {
  private readonly items: Array<SnapshotItem> = []
  private bytes = 0
  private leftOut = 0
  /** Behind the last item. */
  private leftOutSince = 0
  private isFull = false
  /** The last record that was looked at. */
  position: RecordKey | undefined

  constructor(
    private readonly request: CheckedSnapshot,
    private readonly parse: (json: string) => unknown,
  ) {
    this.position = request.chain?.after
  }

  /** Tables that may have records after the position. */
  get tablesLeft(): ReadonlyArray<SyncedTable> {
    const { tables } = this.request
    return this.position === undefined ? tables : tables.slice(tables.indexOf(this.position.tableName))
  }

  /** Takes the next record. Whatever is passed over counts for nothing, so a page that has a successor is never empty. */
  add(record: StoredRecord): Placement {
    const { userId, pageSize } = this.request
    if (record.owner !== null && userId !== undefined && record.owner !== userId) return this.pass(record)
    const item = this.itemOf(record)
    if (item === undefined) {
      this.leftOutSince++
      return this.pass(record)
    }
    const bytes = this.bytes + (record.payloadJson?.length ?? 0)
    if (!fitsPage(this.items.length, bytes, pageSize)) {
      this.isFull = true
      return 'full'
    }
    this.bytes = bytes
    this.items.push(item)
    this.leftOut += this.leftOutSince
    this.leftOutSince = 0
    this.position = item
    return 'in'
  }

  private pass(record: RecordKey): Placement {
    this.position = record
    return 'passed'
  }

  private itemOf(record: StoredRecord): SnapshotItem | undefined {
    const { tableName, pk, payloadJson, clock, hlc, opId, deletedAt } = record
    if (!isTokenKey(pk)) return undefined
    const revision = { clock, hlc, opId }
    if (deletedAt !== null) return { kind: 'tombstone', tableName, pk, revision, serverDeletedAt: deletedAt }
    if (payloadJson === null) return undefined
    const payload = this.parse(payloadJson)
    return isInstallable(tableName, payload) ? { kind: 'row', tableName, pk, payload, revision } : undefined
  }

  /** The next page begins behind the last item: it may be for another caller, to whom what is passed over here is shown. */
  answer({ snapshotId, highWatermark }: ChainStart): SnapshotPage {
    const { workspaceId, tables } = this.request
    const { items, leftOut, leftOutSince } = this
    const page = { workspaceId, snapshotId, highWatermark, items }
    if (!this.isFull) return { ...page, nextPageToken: null, leftOut: leftOut + leftOutSince }
    const { tableName, pk } = items.at(-1)!
    const token = { snapshotId, workspaceId, highWatermark, tables, after: { tableName, pk } }
    return { ...page, nextPageToken: encodeToken(token), leftOut }
  }
}
