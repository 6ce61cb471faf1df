/**
 * What must hold of the index of files: it says what a look at every row would say.
 *
 * What a payload says about files is a matter of functions, which these statements call by name.
 */
import type { Sqlite } from '../synchronous/sqlite.js'
import { fileHashesOf, fileFieldsOf, normalizeHash, referringTables } from '../../services/fileRules.js'

/** Hashes go through SQLite's JSON as hexadecimal digits, since it loses what follows a NUL. */
export const addFileFunctions = (database: Sqlite): void => {
  const define = (name: string, body: (text: string | null) => string | number | null) =>
    database.function(name, { deterministic: true }, (text: unknown) =>
      body(typeof text === 'string' ? text : null),
    )
  define('or3_file_hashes', (json) =>
    JSON.stringify(fileHashesOf(json).map((hash) => Buffer.from(hash).toString('hex'))),
  )
  define('or3_file_hash', (text) => normalizeHash(text ?? ''))
  define('or3_file_size', (json) => fileFieldsOf(json).sizeBytes ?? null)
}

const named = referringTables
  .map(
    (table) => `
      SELECT r.workspace_id, CAST(unhex(h.value) AS TEXT) AS hash, '${table}' AS source_table, r.pk AS source_id
      FROM s_${table} AS r, json_each(or3_file_hashes(r.data_json)) AS h WHERE r.deleted = 0`,
  )
  .join(' UNION ALL ')

const known = `SELECT workspace_id, hash, source_table, source_id FROM file_references`

const count = (column: string) =>
  `(typeof(${column}) = 'integer' AND ${column} BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER})`

/** The rules that need those functions. */
export const fileRules = {
  known: 'every file that a live record names is known to be referred to',
  named: 'no file is thought to be referred to that no live record names',
  record: 'a file is known by what its row says',
  intent: 'an upload intent is of a file, and has a place only when it is settled',
} as const

/** Whether an upload intent is in order, but for the spelling of its hash. */
export const intentHolds = `(hash <> '' AND mime_type <> '' AND ${count('size_bytes')} AND ${count('expires_at')}
  AND (settled_at IS NULL OR ${count('settled_at')}) AND (storage_id IS NULL OR settled_at IS NOT NULL))`

export const fileInvariants: ReadonlyArray<readonly [rule: string, sql: string]> = [
  [fileRules.known, `SELECT * FROM (${named}) EXCEPT ${known}`],
  [fileRules.named, `${known} EXCEPT SELECT * FROM (${named})`],
  [
    fileRules.record,
    `SELECT coalesce(r.workspace_id, f.workspace_id) AS workspace_id, coalesce(r.pk, f.pk) AS pk
     FROM s_file_meta AS r FULL JOIN file_records AS f ON f.workspace_id = r.workspace_id AND f.pk = r.pk
     WHERE (f.hash, f.deleted, f.size_bytes)
       IS NOT (or3_file_hash(r.pk), r.deleted, iif(r.deleted, NULL, or3_file_size(r.data_json)))`,
  ],
  [
    'the bytes a workspace uses are those of its files',
    // Not every engine has full joins of more than tables.
    `SELECT * FROM (
       SELECT workspace_id, max(used) AS used_bytes, max(summed) AS bytes FROM (
         SELECT workspace_id, used_bytes AS used, NULL AS summed FROM file_usage
         UNION ALL SELECT workspace_id, NULL, sum(size_bytes) FROM file_records GROUP BY workspace_id)
       GROUP BY workspace_id)
     WHERE coalesce(used_bytes, 0) IS NOT coalesce(bytes, 0)`,
  ],
  [
    fileRules.intent,
    `SELECT workspace_id, id FROM upload_reservations WHERE NOT (hash = or3_file_hash(hash) AND ${intentHolds})`,
  ],
]
