/**
 * The rules of upload intents: what may become of one, and whether a file fits. Shared by every implementation.
 */
import { Either } from 'effect'
import { QuotaExceeded, UploadIntentConflict } from './UploadIntents.js'

/** The file an intent is for. */
export interface IntendedFile {
  /** Normalised. */
  readonly hash: string
  readonly mimeType: string
  readonly sizeBytes: number
}

/** An intent as it is stored. */
export interface StoredIntent extends IntendedFile {
  /** Epoch seconds. */
  readonly expiresAt: number
  /** Consumed or cancelled. */
  readonly settled: boolean
}

/** Seconds for which an intent is remembered after its expiry, so that its id is not used twice. */
export const rememberSeconds = 86_400

const isSameFile = (a: IntendedFile, b: IntendedFile) =>
  a.hash === b.hash && a.mimeType === b.mimeType && a.sizeBytes === b.sizeBytes

export const isActive = ({ settled, expiresAt }: StoredIntent, now: number): boolean =>
  !settled && expiresAt > now

const conflict = (reason: UploadIntentConflict['reason']) => Either.left(new UploadIntentConflict({ reason }))

/** Whether an id is free for a file, or `held` by an active intent for the same one. */
export const reservable = (
  known: StoredIntent | undefined,
  file: IntendedFile,
  now: number,
): Either.Either<'free' | 'held', UploadIntentConflict> => {
  if (known === undefined) return Either.right('free')
  if (!isSameFile(known, file)) return conflict('taken')
  if (known.settled) return conflict('settled')
  return Either.right(isActive(known, now) ? 'held' : 'free')
}

/** An intent that may be consumed for a file, or cancelled when no file is given. */
export const settleable = (
  known: StoredIntent | undefined,
  now: number,
  file?: IntendedFile,
): Either.Either<StoredIntent, UploadIntentConflict> => {
  if (known === undefined) return conflict('unknown')
  if (known.settled) return conflict('settled')
  if (!isActive(known, now)) return conflict('expired')
  if (file !== undefined && !isSameFile(known, file)) return conflict('mismatch')
  return Either.right(known)
}

/** What counts against a quota, and what of a file counts already. */
export interface Room {
  /** Bytes of live files. */
  readonly usedBytes: number
  /** Bytes of files with active intents that are not stored, each file once, by its largest intent. */
  readonly reservedBytes: number
  /** Whether the file has a live record. */
  readonly isStored: boolean
  /** Bytes reserved for the file by active intents. */
  readonly heldBytes: number
}

/** Whether a file fits. One that takes no more room always does. */
export const fitting = (
  { usedBytes, reservedBytes, isStored, heldBytes }: Room,
  sizeBytes: number,
  quotaBytes: number,
): Either.Either<void, QuotaExceeded> => {
  const added = isStored ? 0 : Math.max(0, sizeBytes - heldBytes)
  return added === 0 || usedBytes + reservedBytes + added <= quotaBytes
    ? Either.void
    : Either.left(new QuotaExceeded({ quotaBytes, usedBytes, reservedBytes }))
}
