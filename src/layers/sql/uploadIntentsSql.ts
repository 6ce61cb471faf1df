/**
 * The statements of upload intents. Changes say themselves when they apply, by the rules of `services/intentRules.ts`.
 */
import { rememberSeconds } from '../../services/intentRules.js'
import { statement } from './batch.js'
import { isPurged } from './purgeSql.js'

const isStored = (workspaceId: string, hash: string) =>
  `EXISTS (SELECT 1 FROM file_records AS f INDEXED BY file_records_by_hash
    WHERE f.workspace_id = ${workspaceId} AND f.hash = ${hash} AND f.deleted = 0)`

/** Large sums need not be exact: they fit nowhere. */
const room = `
  SELECT coalesce((SELECT used_bytes FROM file_usage WHERE workspace_id = :workspaceId), 0) AS usedBytes,
    ${isStored(':workspaceId', ':hash')} AS isStored,
    (SELECT coalesce(max(size_bytes), 0) FROM upload_reservations INDEXED BY upload_reservations_open
      WHERE workspace_id = :workspaceId AND hash = :hash AND settled_at IS NULL AND expires_at > :now) AS heldBytes,
    (SELECT total(bytes) FROM (
      SELECT max(r.size_bytes) AS bytes FROM upload_reservations AS r INDEXED BY upload_reservations_by_expiry
      WHERE r.workspace_id = :workspaceId AND r.settled_at IS NULL AND r.expires_at > :now
        AND NOT ${isStored('r.workspace_id', 'r.hash')}
      GROUP BY r.hash)) AS reservedBytes`

const isSameFile = `hash = :hash AND mime_type = :mimeType AND size_bytes = :sizeBytes`

const own = `FROM upload_reservations WHERE workspace_id = :workspaceId AND id = :intentId`

export const uploadIntentsSql = {
  /** Where the workspace is not purged, and the id is free, or held for the same file; a file that takes more room than it holds must fit. */
  reserve: statement(`
    INSERT INTO upload_reservations (workspace_id, id, hash, mime_type, size_bytes, expires_at, created_at)
    SELECT :workspaceId, :intentId, :hash, :mimeType, :sizeBytes, :expiresAt, :now
    WHERE NOT ${isPurged} AND NOT EXISTS (SELECT 1 ${own} AND NOT (settled_at IS NULL AND ${isSameFile}))
      AND (:quotaBytes IS NULL
        OR EXISTS (SELECT 1 FROM (${room}) AS room WHERE isStored OR heldBytes >= :sizeBytes
          OR usedBytes + reservedBytes + :sizeBytes - heldBytes <= :quotaBytes))
    ON CONFLICT (workspace_id, id) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at) RETURNING id`),

  /** These two tell why nothing was changed, and nothing if something was. */
  intent: statement(`
    SELECT hash, mime_type AS mimeType, size_bytes AS sizeBytes, expires_at AS expiresAt,
      settled_at IS NOT NULL AS settled ${own} AND changes() = 0`),
  room: statement(`${room} WHERE changes() = 0`),

  /** Without a file, of any. */
  settle: statement(`
    UPDATE upload_reservations SET settled_at = :now, storage_id = :storageId
    WHERE workspace_id = :workspaceId AND id = :intentId AND settled_at IS NULL AND expires_at > :now
      AND (:hash IS NULL OR ${isSameFile})
    RETURNING id`),

  /** Where one was reserved; more than come in at a time. */
  forgetOld: statement(`
    DELETE FROM upload_reservations INDEXED BY sqlite_autoindex_upload_reservations_1
    WHERE workspace_id = :workspaceId AND changes() > 0 AND id IN (
      SELECT id FROM upload_reservations INDEXED BY upload_reservations_by_expiry
      WHERE workspace_id = :workspaceId AND expires_at < :now - ${rememberSeconds} LIMIT 100)`),
}
