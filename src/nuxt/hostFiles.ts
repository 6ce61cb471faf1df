/**
 * The host's contract about files, as types: its file providers keep the bytes, and ask the sync gateway which are alive.
 */
import type { StorageItem, StorageKind } from '../services/FileReferences.js'

/** A file that is being uploaded, in the workspace of the session, if the event has one: else 403. */
interface UploadedFile {
  /** 1..256 characters. */
  readonly intentId: string
  /** 1..256 characters. */
  readonly workspaceId: string
  /** Compared as what stands after the last `:`, without blanks around it, in lower case; 1..1,024 characters of that. */
  readonly hash: string
  /** 1..256 characters. */
  readonly mimeType: string
  /** Bytes, 0 included. */
  readonly sizeBytes: number
}

/** What the gateway knows about files. Rejects as its other methods do. */
export interface HostFiles<Event> {
  /**
   * A page of the files that are known, of who refers to them, or of room that is reserved. 400 for a cursor of another kind or
   * hash.
   */
  queryCanonicalStorage(
    event: Event | undefined,
    input: {
      readonly scope: { readonly workspaceId: string; readonly projectId?: string | undefined }
      readonly kind: StorageKind
      /** The last page's `nextCursor`. */
      readonly cursor?: string | undefined
      /** Clamped to 1..1,000; 100 when absent. */
      readonly limit?: number | undefined
      /** Only what is about this file. */
      readonly hash?: string | undefined
      /** Epoch seconds; the server's time when absent. */
      readonly now?: number | undefined
    },
  ): Promise<{
    readonly items: ReadonlyArray<StorageItem>
    readonly nextCursor?: string
    readonly hasMore: boolean
  }>
  /**
   * Reserves room for an upload until it expires. 413 when it does not fit the quota, 409 when the id is settled or taken by
   * another upload.
   */
  reserveUploadIntent(
    event: Event | undefined,
    input: UploadedFile & {
      /** Epoch seconds, later than now. */
      readonly expiresAt: number
      /** Bytes; no quota when absent. */
      readonly workspaceQuotaBytes?: number | undefined
    },
  ): Promise<void>
  /** Ends an active intent of just this file, once. 409 otherwise. */
  consumeUploadIntent(
    event: Event | undefined,
    input: UploadedFile & {
      /** 1..1,024 characters. */
      readonly storageId: string
    },
  ): Promise<void>
  /** Ends an active intent. 409 when it is not active. */
  cancelUploadIntent(
    event: Event | undefined,
    input: Pick<UploadedFile, 'workspaceId' | 'intentId'>,
  ): Promise<void>
}
