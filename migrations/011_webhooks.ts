/**
 * 011_webhooks: who is to be told of what, and the deliveries.
 *
 * Times are epoch milliseconds, the only ones here that are no seconds: they are the host's. No references: not every engine keeps them.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

const statements = [
  // The lists as JSON, in their order.
  `CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('user', 'admin')),
    user_id TEXT,
    workspace_id TEXT,
    url TEXT NOT NULL,
    label TEXT NOT NULL,
    events_json TEXT NOT NULL,
    custom_hooks_json TEXT NOT NULL,
    signing_secret_enc TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    health TEXT NOT NULL CHECK (health IN ('healthy', 'failing', 'unknown')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  )`,
  `CREATE INDEX webhooks_by_owner ON webhooks (scope, user_id, workspace_id)`,
  // Looked up for each op that was applied. Whose a registration is never changes, so it stands here too; no workspace is ''.
  `CREATE TABLE webhook_events (
    webhook_id TEXT NOT NULL,
    event TEXT NOT NULL,
    scope TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    PRIMARY KEY (webhook_id, event)
  )`,
  `CREATE INDEX webhook_events_by_event ON webhook_events (event, scope, workspace_id, webhook_id)`,
  `CREATE TABLE webhook_hooks (
    webhook_id TEXT NOT NULL,
    hook TEXT NOT NULL,
    PRIMARY KEY (webhook_id, hook)
  )`,
  `CREATE INDEX webhook_hooks_by_hook ON webhook_hooks (hook, webhook_id)`,
  // due_at follows from next_retry_at and created_at, ended from status. Payload and response are JSON, texts too. Those are long, so they come last.
  `CREATE TABLE hook_deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'in_flight', 'success', 'failed', 'cancelled')),
    ended INTEGER NOT NULL CHECK (ended = (status IN ('success', 'failed', 'cancelled'))),
    claimed_by TEXT,
    claimed_at INTEGER,
    due_at INTEGER NOT NULL,
    next_retry_at INTEGER,
    created_at INTEGER NOT NULL,
    http_status INTEGER,
    duration_ms REAL,
    error_message TEXT,
    response_json TEXT,
    request_json TEXT
  )`,
  `CREATE INDEX hook_deliveries_pending ON hook_deliveries (due_at, id) WHERE status = 'pending'`,
  `CREATE INDEX hook_deliveries_in_flight ON hook_deliveries (claimed_at) WHERE status = 'in_flight'`,
  `CREATE INDEX hook_deliveries_by_webhook ON hook_deliveries (webhook_id, ended, created_at, id)`,
  `CREATE INDEX hook_deliveries_ended ON hook_deliveries (created_at) WHERE ended = 1`,
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
