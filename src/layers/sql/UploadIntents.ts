/**
 * Upload intents on SQLite. Room is counted and taken in one immediate transaction, so two uploads cannot both have the last of
 * it. What is counted is kept at hand: the bytes of live files as one number, the intents in the order of their expiry.
 */
import { Effect, Either, Layer } from 'effect'
import {
  checkCancel,
  checkConsume,
  checkReserve,
  type CheckedReserve,
  expiresTooEarly,
} from '../../services/fileRequests.js'
import {
  fitting,
  rememberSeconds,
  reservable,
  type Room,
  settleable,
  type StoredIntent,
} from '../../services/intentRules.js'
import { observeIntents } from '../../services/telemetry.js'
import { type QuotaExceeded, type UploadIntentConflict, UploadIntents } from '../../services/UploadIntents.js'
import type { Connection } from '../synchronous/connection.js'
import { Database } from '../synchronous/Database.js'
import { epochSeconds } from '../time.js'
import { uploadIntentsSql } from './uploadIntentsSql.js'

const intentOf = (connection: Connection, workspaceId: string, id: string): StoredIntent | undefined => {
  const row = connection.first<Omit<StoredIntent, 'settled'> & { readonly settled: number }>(
    uploadIntentsSql.intent,
    workspaceId,
    id,
  )
  return row && { ...row, settled: row.settled === 1 }
}

const roomFor = (connection: Connection, workspaceId: string, hash: string, now: number): Room => {
  const row = connection.first<Omit<Room, 'isStored'> & { readonly isStored: number }>(
    uploadIntentsSql.room,
    { workspaceId, hash, now },
  )!
  return { ...row, isStored: row.isStored === 1 }
}

/** Reserves in a transaction, whose time is `now`. */
const reserveIn = (
  connection: Connection,
  { workspaceId, intentId, file, expiresAt, quotaBytes }: CheckedReserve,
  now: number,
): Either.Either<void, UploadIntentConflict | QuotaExceeded> => {
  const { hash, mimeType, sizeBytes } = file
  const id = reservable(intentOf(connection, workspaceId, intentId), file, now)
  if (Either.isLeft(id)) return Either.left(id.left)
  if (id.right === 'free' && quotaBytes !== undefined) {
    const fits = fitting(roomFor(connection, workspaceId, hash, now), sizeBytes, quotaBytes)
    if (Either.isLeft(fits)) return fits
  }
  connection.run(uploadIntentsSql.forgetOld, workspaceId, workspaceId, now - rememberSeconds)
  const row = [workspaceId, intentId, hash, mimeType, sizeBytes, expiresAt, now]
  connection.run(uploadIntentsSql.reserve, ...row)
  return Either.void
}

const make = Effect.gen(function* () {
  const { write } = yield* Database
  return observeIntents({
    reserve: (request) =>
      Effect.flatMap(checkReserve(request), (checked) =>
        Effect.flatMap(epochSeconds, (now): ReturnType<UploadIntents['Type']['reserve']> =>
          checked.expiresAt <= now
            ? expiresTooEarly()
            : write('reserve upload', (connection) => reserveIn(connection, checked, now)),
        ),
      ),

    consume: (request) =>
      Effect.flatMap(checkConsume(request), ({ workspaceId, intentId, file, storageId }) =>
        Effect.flatMap(epochSeconds, (now) =>
          write('consume upload', (connection) =>
            Either.map(settleable(intentOf(connection, workspaceId, intentId), now, file), () => {
              connection.run(uploadIntentsSql.settle, now, storageId, workspaceId, intentId)
            }),
          ),
        ),
      ),

    cancel: (request) =>
      Effect.flatMap(checkCancel(request), ({ workspaceId, intentId }) =>
        Effect.flatMap(epochSeconds, (now) =>
          write('cancel upload', (connection) =>
            Either.map(settleable(intentOf(connection, workspaceId, intentId), now), () => {
              connection.run(uploadIntentsSql.settle, now, null, workspaceId, intentId)
            }),
          ),
        ),
      ),
  })
})

/** Upload intents, beside the tables of the gateway, whose records say what is stored. */
export const layer: Layer.Layer<UploadIntents, never, Database> = Layer.effect(UploadIntents, make)
