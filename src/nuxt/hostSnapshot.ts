/**
 * The part of the later host's gateway contract by which a fresh device begins: `snapshot-v1`.
 */
import { servedRevision } from './opIds.js'
import type { SnapshotItem } from '../services/SyncDomain.js'
import type { SnapshotPage } from '../services/SyncGateway.js'

/** What a host may count on. An undeclared capability is one that is not there. */
export interface HostCapabilities {
  /** A fresh device bootstraps by `snapshot`. */
  readonly snapshotBootstrap: 'snapshot-v1'
  /** The log may be trimmed, since snapshots and pulls are complete without it. */
  readonly historyRetention: 'snapshot-v1'
}

export const capabilities: HostCapabilities = {
  snapshotBootstrap: 'snapshot-v1',
  historyRetention: 'snapshot-v1',
}

/** One page of a snapshot. All pages of a chain have the same ids and watermark. */
export interface HostSnapshotPage {
  /** That of the scope. */
  readonly workspaceId: string
  /** Names the chain of pages. */
  readonly snapshotId: string
  /** The cursor to pull with once all pages are installed. */
  readonly highWatermark: number
  /** Ascending strictly by table and key, as JavaScript compares strings. */
  readonly items: ReadonlyArray<SnapshotItem>
  /** 1..4,096 characters; null with the last page. */
  readonly nextPageToken: string | null
}

/** The gateway's methods for devices that begin. */
export interface SnapshotGatewayAdapter<Event> {
  /** Both generations of `snapshot-v1`. */
  readonly capabilities: HostCapabilities
  /**
   * A page of all records of a workspace, deleted ones as tombstones; the first one without `pageToken`. Rejects as the other
   * calls do, and with 400 for a broken token or other `tables` than at the start, 403 for a token of another workspace, 410
   * for one that cannot be continued: begin again.
   */
  snapshot(
    event: Event | undefined,
    input: {
      readonly scope: { readonly workspaceId: string; readonly projectId?: string | undefined }
      /** 1..1,000. */
      readonly pageSize: number
      readonly pageToken?: string
      readonly tables?: ReadonlyArray<string>
    },
  ): Promise<HostSnapshotPage>
}

/** The one place where an item becomes the host's. */
const toHostItem = (workspaceId: string, item: SnapshotItem): SnapshotItem => {
  const revision = servedRevision(workspaceId, item, item.revision)
  return revision === item.revision ? item : { ...item, revision }
}

export const toHostPage = ({ leftOut: _, items, ...page }: SnapshotPage): HostSnapshotPage => ({
  ...page,
  items: items.map((item) => toHostItem(page.workspaceId, item)),
})
