/**
 * 014_erasing: workspaces whose content was taken for good.
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
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
