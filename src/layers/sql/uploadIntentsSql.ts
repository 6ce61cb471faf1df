/**
 * The statements of upload intents. `UploadIntents.ts` says in which order they run and why.
 */
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
