/**
 * The calls of upload intents as batches. Room is counted and taken at once, so two uploads cannot both have the last of it. What
 * is counted is kept at hand: the bytes of live files as one number, the intents in the order of their expiry.
 */
import { Either } from 'effect'
import type { CheckedReserve } from '../../services/fileRequests.js'
import {
  fitting,
  type IntendedFile,
  reservable,
  type Room,
  settleable,
  type StoredIntent,
} from '../../services/intentRules.js'
import { ScopeForbidden } from '../../services/SyncErrors.js'
import type { QuotaExceeded, UploadIntentConflict } from '../../services/UploadIntents.js'
import { type Batch, firstOf, type Row } from './batch.js'
import { purgeSql } from './purgeSql.js'
import { uploadIntentsSql } from './uploadIntentsSql.js'

interface IntentKey {
  readonly workspaceId: string
  readonly intentId: string
}

const intentIn = (row: Row | undefined): StoredIntent | undefined =>
  row && { ...(row as Omit<StoredIntent, 'settled'>), settled: row.settled === 1 }

const roomIn = (row: Row): Room => ({ ...(row as Omit<Room, 'isStored'>), isStored: row.isStored === 1 })

/** Why the rules refuse what the statements did not do. */
const refusal = <A, E>(either: Either.Either<A, E>): Either.Either<never, E> => {
  if (Either.isLeft(either)) return Either.left(either.left)
  throw new Error('a statement refused what the rules allow')
}

/** `now` in epoch seconds. */
export const reserve = (
  { workspaceId, intentId, file, expiresAt, quotaBytes }: CheckedReserve,
  now: number,
): Batch<void, UploadIntentConflict | QuotaExceeded | ScopeForbidden> => {
  const { hash, mimeType, sizeBytes } = file
  const params = { workspaceId, intentId, hash, mimeType, sizeBytes, expiresAt, now }
  return {
    statements: [
      uploadIntentsSql.reserve({ ...params, quotaBytes: quotaBytes ?? null }),
      uploadIntentsSql.intent(params),
      uploadIntentsSql.room(params),
      uploadIntentsSql.forgetOld(params),
      purgeSql.purged(params),
    ],
    read: (results) => {
      if (firstOf(results, 0) !== undefined) return Either.void
      if (firstOf(results, 4) !== undefined) return Either.left(new ScopeForbidden({}))
      const id = reservable(intentIn(firstOf(results, 1)), file, now)
      return Either.isLeft(id)
        ? Either.left(id.left)
        : refusal(fitting(roomIn(firstOf(results, 2)!), sizeBytes, quotaBytes ?? Infinity))
    },
  }
}

/** Ends an active intent: of just this file if one is given, which is stored then. */
const settle = (
  { workspaceId, intentId }: IntentKey,
  now: number,
  stored?: { readonly file: IntendedFile; readonly storageId: string },
): Batch<void, UploadIntentConflict> => {
  const { hash, mimeType, sizeBytes } = stored?.file ?? { hash: null, mimeType: null, sizeBytes: null }
  const storageId = stored?.storageId ?? null
  const params = { workspaceId, intentId, hash, mimeType, sizeBytes, storageId, now }
  return {
    statements: [uploadIntentsSql.settle(params), uploadIntentsSql.intent(params)],
    read: (results) =>
      firstOf(results, 0) === undefined
        ? refusal(settleable(intentIn(firstOf(results, 1)), now, stored?.file))
        : Either.void,
  }
}

export const consume = (key: IntentKey, file: IntendedFile, storageId: string, now: number) =>
  settle(key, now, { file, storageId })

export const cancel = (key: IntentKey, now: number) => settle(key, now)
