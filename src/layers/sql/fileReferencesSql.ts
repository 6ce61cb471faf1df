/**
 * The statements that read what is known about files: pages in the order of keys or hashes, each by an index.
 */
import { statement } from './batch.js'
import { bounded } from './bounded.js'

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
  CROSS JOIN s_file_meta AS s INDEXED BY sqlite_autoindex_s_file_meta_1 ON s.workspace_id = f.workspace_id AND s.pk = f.pk
  WHERE f.workspace_id = :workspaceId AND f.deleted = ${deleted} ${ofHash ? 'AND f.hash = :hash' : ''} AND f.pk >= :from
    AND f.hash <> '' ${deleted === 1 ? `AND NOT ${stillLives}` : ''}
  ORDER BY f.pk LIMIT :wanted`

/** To be read row by row, and as a whole; each for all files, and for one. */
const bothWays = (deleted: 0 | 1) => {
  const [all, ofHash] = [files(deleted, false), files(deleted, true)]
  return {
    byRow: [statement(all), statement(ofHash)],
    whole: [statement(bounded(all, 'pk', 'data_json')), statement(bounded(ofHash, 'pk', 'data_json'))],
  } as const
}

const references = statement(`
  SELECT hash, source_table AS sourceTable, source_id AS sourceId FROM file_references
  WHERE workspace_id = :workspaceId AND (hash, source_table, source_id) > (:afterHash, :table, :id)
  ORDER BY hash, source_table, source_id LIMIT :wanted`)

/** Asked for every stored file, so it reads as little as it can. */
const referencesOfHash = (after: string) =>
  statement(`
    SELECT source_table AS sourceTable, source_id AS sourceId FROM file_references
    WHERE workspace_id = :workspaceId AND hash = :hash ${after}
    ORDER BY source_table, source_id LIMIT :wanted`)

const reservations = (ofHash: boolean) =>
  statement(`
    SELECT hash, id, size_bytes AS sizeBytes, expires_at AS expiresAt
    FROM upload_reservations INDEXED BY upload_reservations_open
    WHERE workspace_id = :workspaceId AND settled_at IS NULL AND expires_at > :now AND ${
      ofHash ? 'hash = :hash AND id > :id' : '(hash, id) > (:afterHash, :id)'
    }
    ORDER BY hash, id LIMIT :wanted`)

/** For all files, and for one. */
export const fileReferencesSql = {
  live: bothWays(0),
  retained: bothWays(1),
  references,
  referencesOfHash: [referencesOfHash(''), referencesOfHash('AND (source_table, source_id) > (:table, :id)')],
  reservations: [reservations(false), reservations(true)],
} as const
