/**
 * Which files a workspace knows and who refers to them: for whoever keeps the bytes, and must know which of them may go.
 *
 * All of it is read from the records as they stand, never from the log: only what the winning revision of a live record says
 * counts. A hash is compared as what stands after its last `:`, without blanks around it, in lower case.
 */
import { Context, type Effect } from 'effect'
import type { ReferringTable } from './fileRules.js'
import type { GatewayError, PushRequest } from './SyncGateway.js'

/** What can be asked for. */
export const storageKinds = [
  'live_metadata',
  'retained_metadata',
  'reference_edges',
  'active_reservations',
] as const

/** One of `storageKinds`. */
export type StorageKind = (typeof storageKinds)[number]

/** A live `file_meta` record, if its key names a file at all. */
export interface FileMetadata {
  /** A live record. */
  readonly kind: 'metadata'
  /** The record's key, normalised. */
  readonly hash: string
  /** 0 when the record does not say; at most 2^40. */
  readonly sizeBytes: number
  /** As the record has it. */
  readonly storageId?: string
  /** When the server took the record's revision; epoch seconds. */
  readonly updatedAt: number
  /** As the record has it. */
  readonly mimeType?: string
  /** As the record has it. */
  readonly name?: string
  /** The record's `kind`. */
  readonly fileKind?: string
}

/**
 * A deleted `file_meta` record, if its key names a file, and no live record has the same hash. It tells what the delete's payload
 * told; most bring none.
 */
export interface RetainedFileMetadata {
  /** A deleted record. */
  readonly kind: 'retained_metadata'
  /** The record's key, normalised. */
  readonly hash: string
  /** Absent when it is not known. */
  readonly sizeBytes?: number
  /** As the record has it. */
  readonly storageId?: string
}

/** A live record refers to a file. There is one for each file that the record names, however often. */
export interface FileReference {
  /** A record names a file. */
  readonly kind: 'reference'
  /** Normalised. */
  readonly hash: string
  /** The record's table. */
  readonly sourceTable: ReferringTable
  /** The record's key. */
  readonly sourceId: string
}

/** An upload intent that is neither consumed, nor cancelled, nor expired. */
export interface FileReservation {
  /** An active upload intent. */
  readonly kind: 'reservation'
  /** The intent's id. */
  readonly reservationId: string
  /** Normalised. */
  readonly hash: string
  /** As it was reserved. */
  readonly sizeBytes: number
  /** Epoch seconds. */
  readonly expiresAt: number
}

/** What a page of any kind holds. */
export type StorageItem = FileMetadata | RetainedFileMetadata | FileReference | FileReservation

/** Which page of what. */
export interface StorageQuery extends Pick<PushRequest, 'scope' | 'caller'> {
  /** What is asked for. */
  readonly kind: StorageKind
  /** The last page's `nextCursor`; absent for the first page. Of another kind or hash it is invalid. */
  readonly cursor?: string | undefined
  /** Clamped to 1..1,000; 100 when absent. */
  readonly limit?: number | undefined
  /** Only what is about this file: 1..1,024 characters when normalised. */
  readonly hash?: string | undefined
  /** Epoch seconds: reservations that expire later are active. The server's time when absent. */
  readonly now?: number | undefined
}

/** One page. Metadata is in the order of keys, the rest in the order of hashes. */
export interface StoragePage {
  /** All of the kind that was asked for. A page also ends at 8 MiB of payload. */
  readonly items: ReadonlyArray<StorageItem>
  /** Opaque; there while there is more. */
  readonly nextCursor?: string
  /** Whether there is more. */
  readonly hasMore: boolean
}

/** Which files a workspace knows, and who refers to them. */
export class FileReferences extends Context.Tag('or3-provider-sqlite/FileReferences')<
  FileReferences,
  {
    /**
     * One page of what is known about files. Pages follow each other by key, so what stays is seen once whatever comes and goes
     * meanwhile. A kind, cursor, limit, hash or time that is none is an `InvalidRequest`.
     */
    readonly query: (request: StorageQuery) => Effect.Effect<StoragePage, GatewayError>
  }
>() {}
