/**
 * 014_erasing: workspaces and users whose content was taken for good.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

const statements = [
  // Epoch seconds. purged_at: since when nothing can be written into it; it has no name then. emptied_at: when the last of its content was gone.
  `ALTER TABLE workspaces ADD COLUMN purged_at INTEGER`,
  `ALTER TABLE workspaces ADD COLUMN emptied_at INTEGER`,
  // A page of workspaces passes purged ones by.
  `DROP INDEX workspaces_by_age`,
  `CREATE INDEX workspaces_by_age ON workspaces (created_at, id, deleted, name, purged_at)`,
  // Those that an interruption has left.
  `CREATE INDEX workspaces_to_empty ON workspaces (purged_at) WHERE purged_at IS NOT NULL AND emptied_at IS NULL`,
  // And those that may be due, where removed ones are purged after a time.
  `CREATE INDEX workspaces_by_removal ON workspaces (deleted_at) WHERE deleted = 1 AND purged_at IS NULL`,
  `CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id)`,
  // The same of a user, who has neither address nor name then.
  `ALTER TABLE users ADD COLUMN erased_at INTEGER`,
  `ALTER TABLE users ADD COLUMN emptied_at INTEGER`,
  `CREATE INDEX users_to_empty ON users (erased_at) WHERE erased_at IS NOT NULL AND emptied_at IS NULL`,
  // What is theirs. A notification whose payload is gone need not be found.
  `CREATE INDEX auth_accounts_by_user ON auth_accounts (user_id)`,
  `CREATE INDEX jobs_by_user ON jobs (user_id)`,
  `CREATE INDEX s_notifications_by_user ON s_notifications (user_id, workspace_id, server_version) WHERE data_json IS NOT NULL`,
  `CREATE INDEX workspace_invites_by_acceptor ON workspace_invites (accepted_user_id) WHERE accepted_user_id IS NOT NULL`,
  // Also by the address alone, and by the maker alone.
  `DROP INDEX workspace_invites_by_email`,
  `CREATE INDEX workspace_invites_by_email ON workspace_invites (email, workspace_id)`,
  `DROP INDEX workspace_invites_open`,
  `CREATE INDEX workspace_invites_open ON workspace_invites (invited_by_user_id, workspace_id) WHERE status = 'pending'`,
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
