/**
 * How what was found becomes the items of a page, the same for every implementation.
 */
import type { FileMetadata, RetainedFileMetadata, StorageItem, StoragePage } from './FileReferences.js'
import { fileFieldsOf, normalizeHash } from './fileRules.js'
import { type CheckedStorageQuery, cursorOf, type Position } from './fileRequests.js'
import { fitsPage } from './requests.js'

export const liveItem = (pk: string, updatedAt: number, payloadJson: string | null): FileMetadata => ({
  kind: 'metadata',
  hash: normalizeHash(pk),
  sizeBytes: 0,
  updatedAt,
  ...fileFieldsOf(payloadJson),
})

export const retainedItem = (pk: string, payloadJson: string | null): RetainedFileMetadata => {
  const { sizeBytes, storageId } = fileFieldsOf(payloadJson)
  return {
    kind: 'retained_metadata',
    hash: normalizeHash(pk),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(storageId === undefined ? {} : { storageId }),
  }
}

/** An item that was found, and where it stands. */
export interface Placed {
  readonly item: StorageItem
  readonly position: Position
  /** Characters it was read from; a page holds only so many. */
  readonly bytes: number
}

/** The page that begins with what was found, which is read no further than one item beyond it. */
export const pageOf = ({ kind, hash, limit }: CheckedStorageQuery, found: Iterable<Placed>): StoragePage => {
  const items: Array<StorageItem> = []
  let last: Position = []
  let bytes = 0
  for (const placed of found) {
    bytes += placed.bytes
    if (!fitsPage(items.length, bytes, limit)) {
      return { items, hasMore: true, nextCursor: cursorOf(kind, hash, last) }
    }
    items.push(placed.item)
    last = placed.position
  }
  return { items, hasMore: false }
}
