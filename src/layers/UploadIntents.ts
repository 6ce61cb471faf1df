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
} from '../services/fileRequests.js'
import {
  fitting,
  rememberSeconds,
  reservable,
  type Room,
  settleable,
  type StoredIntent,
} from '../services/intentRules.js'
import { observeIntents } from '../services/telemetry.js'
import { type QuotaExceeded, type UploadIntentConflict, UploadIntents } from '../services/UploadIntents.js'
import type { Connection } from './connection.js'
import { Database } from './Database.js'
import { epochSeconds } from './time.js'

const isStored = (workspaceId: string, hash: string) =>
  `EXISTS (SELECT 1 FROM file_records AS f INDEXED BY file_records_by_hash
    WHERE f.workspace_id = ${workspaceId} AND f.hash = ${hash} AND f.deleted = 0)`

export const uploadIntentsSql = {
  intent: `
    SELECT hash, mime_type AS mimeType, size_bytes AS sizeBytes, expires_at AS expiresAt,
      settled_at IS NOT NULL AS settled
    FROM upload_reservations WHERE workspace_id = ? AND id = ?`,

  /** Large sums need not be exact: they fit nowhere. */
  room: `
    SELECT coalesce((SELECT used_bytes FROM file_usage WHERE workspace_id = :workspaceId), 0) AS usedBytes,
      ${isStored(':workspaceId', ':hash')} AS isStored,
      (SELECT coalesce(max(size_bytes), 0) FROM upload_reservations INDEXED BY upload_reservations_open
        WHERE workspace_id = :workspaceId AND hash = :hash AND settled_at IS NULL AND expires_at > :now) AS heldBytes,
      (SELECT total(bytes) FROM (
        SELECT max(r.size_bytes) AS bytes FROM upload_reservations AS r INDEXED BY upload_reservations_by_expiry
        WHERE r.workspace_id = :workspaceId AND r.settled_at IS NULL AND r.expires_at > :now
          AND NOT ${isStored('r.workspace_id', 'r.hash')}
        GROUP BY r.hash)) AS reservedBytes`,

  reserve: `
    INSERT INTO upload_reservations (workspace_id, id, hash, mime_type, size_bytes, expires_at, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id, id) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)`,

  settle: `
    UPDATE upload_reservations SET settled_at = ?, storage_id = ? WHERE workspace_id = ? AND id = ?`,

  /** More than come in at a time. */
  forgetOld: `
    DELETE FROM upload_reservations INDEXED BY sqlite_autoindex_upload_reservations_1
    WHERE workspace_id = ? AND id IN (
      SELECT id FROM upload_reservations INDEXED BY upload_reservations_by_expiry
      WHERE workspace_id = ? AND expires_at < ? LIMIT 100)`,
}

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
