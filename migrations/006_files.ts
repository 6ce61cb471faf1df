/**
 * 006_files: which files there are, who refers to them, and room for those that are being uploaded.
 *
 * The first three tables follow from the rows: they are filled from them here and kept in step by pushes. Intents are not called
 * `upload_intents`, since an adopted database may hold a table of that name, which is the earlier package's.
 *
 * A hash is normalised by a function, not by SQL, whose `lower` and `trim` do otherwise beyond ASCII; so rows are read some at a
 * time. Only those that may name a file are read whole.
 */
import { SqlClient } from '@effect/sql'
import type { SqlError } from '@effect/sql/SqlError'
import { Effect } from 'effect'
import { hashOf, referredHashes, sizeOf } from './files/payloads.js'

const statements = [
  // No other columns, so the key is the table: one copy of each hash less.
  `CREATE TABLE file_references (
    workspace_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    source_table TEXT NOT NULL,
    source_id TEXT NOT NULL,
    PRIMARY KEY (workspace_id, hash, source_table, source_id)
  ) WITHOUT ROWID`,
  // A push forgets what its records referred to before.
  `CREATE INDEX file_references_by_source ON file_references (workspace_id, source_table, source_id)`,
  // One per row of s_file_meta. size_bytes: of a live one, where it is known.
  `CREATE TABLE file_records (
    workspace_id TEXT NOT NULL,
    pk TEXT NOT NULL,
    hash TEXT NOT NULL,
    deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    size_bytes INTEGER,
    PRIMARY KEY (workspace_id, pk)
  )`,
  `CREATE INDEX file_records_by_state ON file_records (workspace_id, deleted, pk)`,
  `CREATE INDEX file_records_by_hash ON file_records (workspace_id, hash, deleted, pk)`,
  // used_bytes: the sum of size_bytes.
  `CREATE TABLE file_usage (
    workspace_id TEXT PRIMARY KEY NOT NULL,
    used_bytes INTEGER NOT NULL
  )`,
  // settled_at: when it was consumed (then it has a storage_id) or cancelled.
  `CREATE TABLE upload_reservations (
    workspace_id TEXT NOT NULL,
    id TEXT NOT NULL,
    hash TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    storage_id TEXT,
    PRIMARY KEY (workspace_id, id)
  )`,
  `CREATE INDEX upload_reservations_open ON upload_reservations (workspace_id, hash, id) WHERE settled_at IS NULL`,
  `CREATE INDEX upload_reservations_by_expiry ON upload_reservations (workspace_id, expires_at)`,
]

/** Rows read at once, each with a payload of some hundred kilobytes at most. */
const chunk = 200
/** Rows written by one statement. */
const group = 50

type Migration<A> = Effect.Effect<A, SqlError, SqlClient.SqlClient>

interface Row {
  readonly at: number
  readonly workspaceId: string
  readonly pk: string
  readonly json: string | null
}

/** Hands over the live rows of a table, some at a time. */
const read = (table: string, where: string, body: (rows: ReadonlyArray<Row>) => Migration<void>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    for (let after = -(2 ** 53); ;) {
      const rows = yield* sql.unsafe<Row>(
        `SELECT rowid AS at, workspace_id AS workspaceId, pk, data_json AS json FROM ${table}
         WHERE rowid > ? AND ${where} ORDER BY rowid LIMIT ${chunk}`,
        [after],
      )
      if (rows.length === 0) return
      yield* body(rows)
      after = rows.at(-1)!.at
    }
  })

/** Writes rows of as many values each, which SQLite's JSON would not all carry: it loses what follows a NUL. */
const write = (into: string, rows: ReadonlyArray<ReadonlyArray<unknown>>): Migration<void> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    for (let done = 0; done < rows.length;) {
      const count = rows.length - done >= group ? group : 1
      const values = rows.slice(done, done + count)
      const marks = values.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ')
      yield* sql.unsafe(`INSERT INTO ${into} VALUES ${marks}`, values.flat())
      done += count
    }
  })

const references = (source: string) =>
  read(
    `s_${source}`,
    // A key that is written with escapes is found too.
    String.raw`deleted = 0 AND (instr(data_json, 'file_hashes') > 0 OR instr(data_json, '\u00') > 0)`,
    (rows) =>
      write(
        'file_references (workspace_id, hash, source_table, source_id)',
        rows.flatMap(({ workspaceId, pk, json }) =>
          referredHashes(json).map((hash) => [workspaceId, hash, source, pk]),
        ),
      ),
  )

const liveFiles = read('s_file_meta', 'deleted = 0', (rows) =>
  write(
    'file_records (workspace_id, pk, hash, deleted, size_bytes)',
    rows.map(({ workspaceId, pk, json }) => [workspaceId, pk, hashOf(pk), 0, sizeOf(json)]),
  ),
)

const deletedFiles = read('s_file_meta', 'deleted = 1', (rows) =>
  write(
    'file_records (workspace_id, pk, hash, deleted, size_bytes)',
    rows.map(({ workspaceId, pk }) => [workspaceId, pk, hashOf(pk), 1, null]),
  ),
)

const usage = `
  INSERT INTO file_usage (workspace_id, used_bytes)
  SELECT workspace_id, sum(size_bytes) FROM file_records WHERE size_bytes > 0 GROUP BY workspace_id`

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
  yield* references('messages')
  yield* references('posts')
  yield* liveFiles
  yield* deletedFiles
  yield* sql.unsafe(usage)
})
