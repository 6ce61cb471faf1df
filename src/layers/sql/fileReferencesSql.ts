/**
 * The statements that read what is known about files: pages in the order of keys or hashes, each by an index.
 */
/** A record of the same file lives under another spelling of its key. */
const stillLives = `
  EXISTS (
    SELECT 1 FROM file_records AS live INDEXED BY file_records_by_hash
    WHERE live.workspace_id = f.workspace_id AND live.hash = f.hash AND live.deleted = 0)`

/**
 * Keys from one on: the next one after a key is the key with a NUL behind it. An adopted one may be empty. Those that name no file
 * have an empty hash.
 */
const files = (deleted: 0 | 1, ofHash: boolean) => `
  SELECT f.pk, s.updated_at, s.data_json
  FROM file_records AS f INDEXED BY ${ofHash ? 'file_records_by_hash' : 'file_records_by_state'}
  CROSS JOIN s_file_meta AS s ON s.workspace_id = f.workspace_id AND s.pk = f.pk
  WHERE f.workspace_id = :workspaceId AND f.deleted = ${deleted} ${ofHash ? 'AND f.hash = :hash' : ''} AND f.pk >= :from
    AND f.hash <> '' ${deleted === 1 ? `AND NOT ${stillLives}` : ''}
  ORDER BY f.pk LIMIT :wanted`

const references = `
  SELECT hash, source_table, source_id FROM file_references
  WHERE workspace_id = :workspaceId AND (hash, source_table, source_id) > (:afterHash, :table, :id)
  ORDER BY hash, source_table, source_id LIMIT :wanted`

/** Asked for every stored file, so it reads as little as it can; parameters without names cost less to bind. */
const referencesOfHash = (after: string) => `
  SELECT source_table AS sourceTable, source_id AS sourceId FROM file_references
  WHERE workspace_id = ? AND hash = ? ${after}
  ORDER BY source_table, source_id LIMIT ?`

const reservations = (ofHash: boolean) => `
  SELECT hash, id, size_bytes, expires_at FROM upload_reservations INDEXED BY upload_reservations_open
  WHERE workspace_id = :workspaceId AND settled_at IS NULL AND expires_at > :now AND ${
    ofHash ? 'hash = :hash AND id > :id' : '(hash, id) > (:afterHash, :id)'
  }
  ORDER BY hash, id LIMIT :wanted`

/** Each for all files, and for one. */
export const fileReferencesSql = {
  live: [files(0, false), files(0, true)],
  retained: [files(1, false), files(1, true)],
  references,
  referencesOfHash: [referencesOfHash(''), referencesOfHash('AND (source_table, source_id) > (?, ?)')],
  reservations: [reservations(false), reservations(true)],
} as const
