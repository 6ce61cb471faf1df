/**
 * 002_sync_tables: the change log, what is derived from it, and what trimming it needs.
 *
 * Plain rowid tables and no surrogate keys: measured, they beat `WITHOUT ROWID` and uuid keys on every push. Each index
 * serves a hot query that the query-plan tests name.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

/** Frozen here: a migration describes the schema of its day, whatever the services list later. */
const tables = ['threads', 'messages', 'projects', 'posts', 'kv', 'file_meta', 'notifications']

const materialized = (table: string) => [
  `CREATE TABLE s_${table} (
    workspace_id TEXT NOT NULL,
    pk TEXT NOT NULL,
    data_json TEXT,
    clock INTEGER NOT NULL,
    hlc TEXT NOT NULL,
    op_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    server_version INTEGER NOT NULL,
    deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ${table === 'notifications' ? 'user_id TEXT,' : ''}
    PRIMARY KEY (workspace_id, pk)
  )`,
  // Pulls below the trimmed floor page through the rows in version order.
  `CREATE UNIQUE INDEX s_${table}_by_version ON s_${table} (workspace_id, server_version)`,
]

const statements = [
  // value: the high watermark. trimmed_version: the floor; log entries up to it are gone, the rows stand for them.
  // clock_base, leapt_at: what a restored backup makes necessary, and when a device last came from before a restored backup, see src/services/epochs.ts.
  `CREATE TABLE server_version_counter (
    workspace_id TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL,
    trimmed_version INTEGER NOT NULL DEFAULT 0,
    leapt_at INTEGER,
    clock_base INTEGER NOT NULL DEFAULT 0
  )`,
  `CREATE TABLE change_log (
    workspace_id TEXT NOT NULL,
    server_version INTEGER NOT NULL,
    table_name TEXT NOT NULL,
    pk TEXT NOT NULL,
    op TEXT NOT NULL CHECK (op IN ('put', 'delete')),
    payload_json TEXT,
    clock INTEGER NOT NULL,
    hlc TEXT NOT NULL,
    device_id TEXT NOT NULL,
    op_id TEXT NOT NULL,
    created_at INTEGER NOT NULL
  )`,
  `CREATE UNIQUE INDEX change_log_by_version ON change_log (workspace_id, server_version)`,
  `CREATE UNIQUE INDEX change_log_by_op ON change_log (workspace_id, op_id)`,
  // A pull of one table must not read the others' entries.
  `CREATE INDEX change_log_by_table ON change_log (workspace_id, table_name, server_version)`,
  // What is left of a trimmed log entry, so that a late replay is still recognised.
  `CREATE TABLE trimmed_ops (
    workspace_id TEXT NOT NULL,
    op_id TEXT NOT NULL,
    server_version INTEGER NOT NULL,
    content_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, op_id)
  )`,
  `CREATE INDEX trimmed_ops_by_age ON trimmed_ops (workspace_id, created_at)`,
  `CREATE TABLE device_cursors (
    workspace_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    last_seen_version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, device_id)
  )`,
  `CREATE TABLE tombstones (
    workspace_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    pk TEXT NOT NULL,
    clock INTEGER NOT NULL,
    hlc TEXT NOT NULL,
    op_id TEXT NOT NULL,
    server_version INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, table_name, pk)
  )`,
  `CREATE UNIQUE INDEX tombstones_by_version ON tombstones (workspace_id, server_version)`,
  ...tables.flatMap(materialized),
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
