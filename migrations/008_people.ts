/**
 * 008_people: invites into workspaces, settings of workspaces, and who administers the deployment.
 *
 * Not by the names of the earlier package's tables, which an adopted file may hold and which stay as they are.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

const statements = [
  // One that has expired stays pending: the time tells. acceptance_id: of the call that accepted it, by which its other
  // statements know that it did.
  `CREATE TABLE workspace_invites (
    id TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'revoked')),
    invited_by_user_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    token_hash TEXT NOT NULL,
    accepted_at INTEGER,
    accepted_user_id TEXT,
    acceptance_id TEXT,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  )`,
  `CREATE INDEX workspace_invites_by_token ON workspace_invites (workspace_id, token_hash)`,
  `CREATE INDEX workspace_invites_by_email ON workspace_invites (workspace_id, email)`,
  `CREATE INDEX workspace_invites_by_age ON workspace_invites (workspace_id, created_at, id)`,
  `CREATE TABLE workspace_settings (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, key)
  )`,
  // created_by_user_id: of whoever is no user of ours too.
  `CREATE TABLE deployment_admins (
    user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    created_by_user_id TEXT
  )`,
  // A page of workspaces is found in here alone, whether removed ones count or not.
  `CREATE INDEX workspaces_by_age ON workspaces (created_at, id, deleted, name)`,
  // Addresses are kept as identity providers gave them, and compared otherwise.
  `CREATE INDEX users_by_email ON users (lower(trim(email)))`,
  `CREATE INDEX auth_accounts_by_provider_user ON auth_accounts (provider_user_id)`,
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
