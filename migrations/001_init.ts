/**
 * 001_init: who signs in, and the workspaces they share.
 *
 * Times are epoch seconds. A workspace is removed softly (`deleted`), so its id is never handed out again.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'
import { setAside } from './legacy/setAside.js'

const statements = [
  `CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT,
    display_name TEXT,
    active_workspace_id TEXT REFERENCES workspaces (id),
    created_at INTEGER NOT NULL
  )`,
  `CREATE TABLE auth_accounts (
    provider TEXT NOT NULL,
    provider_user_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (provider, provider_user_id)
  )`,
  `CREATE TABLE workspaces (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    deleted_at INTEGER
  )`,
  `CREATE TABLE workspace_members (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
  )`,
  // A user's workspaces are listed at every sign-in; the primary key leads with the workspace.
  `CREATE INDEX workspace_members_by_user ON workspace_members (user_id)`,
]

export default Effect.gen(function* () {
  yield* setAside
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
