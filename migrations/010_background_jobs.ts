/**
 * 010_background_jobs: answers that are streamed while their user may be away. Times are epoch milliseconds.
 *
 * What changes many times a second is one short row; content and documents, which may be large, have rows of their own. The earlier
 * package's table `background_jobs`, which an adopted database may hold, has another name.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

const statements = [
  // content_length: characters as JavaScript counts them. piece_count: how many pieces the content has. completed_at: set unless it
  // is streaming. has_execution: whether there is such a document.
  `CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT,
    status TEXT NOT NULL CHECK (status IN ('streaming', 'complete', 'error', 'aborted')),
    content_length INTEGER NOT NULL,
    piece_count INTEGER NOT NULL,
    chunks_received INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    completed_at INTEGER,
    error TEXT,
    idempotency_key TEXT,
    has_execution INTEGER NOT NULL CHECK (has_execution IN (0, 1)),
    lease_owner TEXT,
    lease_expires_at INTEGER,
    attempts INTEGER NOT NULL
  )`,
  // Streaming ones, oldest first: few, however many are kept.
  `CREATE INDEX jobs_streaming ON jobs (started_at, id) WHERE completed_at IS NULL`,
  `CREATE INDEX jobs_ended ON jobs (completed_at, id) WHERE completed_at IS NOT NULL`,
  `CREATE UNIQUE INDEX jobs_by_key ON jobs (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL`,
  // Content in pieces: a chunk is one, and so is final content.
  `CREATE TABLE job_chunks (
    job_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
  )`,
  `CREATE TABLE job_documents (
    job_id TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name IN ('tool_calls', 'workflow_state', 'execution')),
    json TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
  )`,
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
