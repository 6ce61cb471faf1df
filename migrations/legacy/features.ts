/**
 * What a later release of the earlier package kept for other features, as ours keep it: invites, administrators, settings, upload
 * intents, rate limits, jobs, webhooks.
 *
 * A table is adopted if it has the columns that are known of it, and is dropped then; any other stays as it is. Rows that could not
 * be served are left out: of a workspace or a user who is not there, without an id.
 */
import { Clock, Effect } from 'effect'
import { hashOf } from '../files/payloads.js'
import { columnsOf, count, flag, integer, isId, rows, run, text } from './common.js'
import { isLegacy } from './setAside.js'

const optional = (x: string) => `CASE WHEN ${x} IS NOT NULL THEN ${integer(x)} END`
const oneOf = (x: string, ...values: ReadonlyArray<string>) =>
  `${x} IN (${values.map((value) => `'${value}'`).join(', ')})`

/** JSON, or null for what is none. SQLite looks no further than a NUL. */
const json = (x: string) =>
  `CASE WHEN json_valid(${text(x)}) AND instr(${text(x)}, char(0)) = 0 THEN iif(json_type(${text(x)}) = 'null', NULL, ${text(x)}) END`

/** Of a list of texts as JSON, those that are names; each once. */
const names = (x: string) =>
  `(SELECT DISTINCT value AS name FROM json_each(CASE WHEN json_valid(${text(x)}) THEN ${text(x)} ELSE '[]' END)
    WHERE type = 'text' AND length(value) BETWEEN 1 AND 256)`

/** What is not clearly open still is revoked: nobody gets in by a broken row. An expired one is pending here, as the time tells. */
const inviteStatus = `
  CASE WHEN status = 'accepted' OR accepted_at IS NOT NULL OR accepted_user_id IS NOT NULL THEN 'accepted'
    WHEN ${oneOf('status', 'pending', 'expired')} AND revoked_at IS NULL THEN 'pending' ELSE 'revoked' END`

const invites = Effect.flatMap(Clock.currentTimeMillis, (now) =>
  run(
    `
  INSERT OR IGNORE INTO workspace_invites (id, workspace_id, email, role, status, invited_by_user_id, expires_at, token_hash,
    accepted_at, accepted_user_id, revoked_at, created_at, updated_at)
  SELECT ${text('id')}, ${text('workspace_id')}, lower(trim(${text('email')})), role,
    ${inviteStatus}, coalesce(${text('invited_by_user_id')}, ''),
    iif(status = 'expired', min(${integer('expires_at')}, ?), ${integer('expires_at')}), ${text('token_hash')}, ${optional('accepted_at')}, ${text('accepted_user_id')},
    ${optional('revoked_at')}, ${integer('created_at')}, ${integer('updated_at')}
  FROM auth_invites
  WHERE ${isId('id')} AND ${isId('email')} AND ${isId('token_hash')} AND ${oneOf('role', 'owner', 'editor', 'viewer')}
    AND ${text('workspace_id')} IN (SELECT id FROM workspaces)
  ORDER BY rowid`,
    [Math.floor(now / 1_000)],
  ),
)

const admins = run(`
  INSERT OR IGNORE INTO deployment_admins (user_id, created_at, created_by_user_id)
  SELECT ${text('user_id')}, ${integer('created_at')}, ${text('created_by_user_id')}
  FROM admin_users WHERE ${text('user_id')} IN (SELECT id FROM users) ORDER BY created_at, rowid`)

/** Of several values the newest. */
const settings = run(`
  INSERT OR IGNORE INTO workspace_settings (workspace_id, key, value, updated_at)
  SELECT ${text('workspace_id')}, ${text('key')}, ${text('value')}, ${integer('updated_at')}
  FROM admin_workspace_settings
  WHERE ${isId('key')} AND value IS NOT NULL AND ${text('workspace_id')} IN (SELECT id FROM workspaces)
  ORDER BY updated_at DESC, rowid DESC`)

/** Those that count still. */
const limits = Effect.flatMap(Clock.currentTimeMillis, (now) =>
  run(
    `INSERT OR IGNORE INTO rate_limit_windows (key, ends_at, taken, granted)
     SELECT ${text('key')}, ${integer('expires_at')}, ${integer('count')}, 0 FROM rate_limits
     WHERE ${isId('key')} AND ${integer('expires_at')} > ?`,
    [now],
  ),
)

/** Those that are remembered: until a day after their expiry. Hashes are normalised by a function, as `006_files` says. */
const intents = Effect.gen(function* () {
  const oldest = Math.floor((yield* Clock.currentTimeMillis) / 1_000) - 86_400
  const remembered = yield* rows<{ at: number; hash: string }>(
    `SELECT rowid AS at, ${text('hash')} AS hash FROM upload_intents
     WHERE ${isId('id')} AND ${isId('workspace_id')} AND ${isId('hash')} AND ${integer('expires_at')} >= ? ORDER BY rowid`,
    [oldest],
  )
  let adopted = 0
  for (const { at, hash } of remembered) {
    if (hashOf(hash) === '') continue
    adopted += yield* run(
      `INSERT OR IGNORE INTO upload_reservations (workspace_id, id, hash, mime_type, size_bytes, expires_at, created_at, settled_at,
         storage_id)
       SELECT ${text('workspace_id')}, ${text('id')}, ?, coalesce(${text('mime_type')}, ''), ${integer('size_bytes')},
         ${integer('expires_at')}, 0,
         iif(${oneOf('status', 'consumed', 'cancelled')}, ${integer('coalesce(consumed_at, cancelled_at, expires_at)')}, NULL),
         ${text('storage_id')}
       FROM upload_intents WHERE rowid = ?`,
      [hashOf(hash), at],
    )
  }
  return adopted
})

/** Of jobs with one key the newest keeps it. */
const jobs = Effect.gen(function* () {
  const adopted = yield* run(`
    INSERT OR IGNORE INTO jobs (id, user_id, thread_id, message_id, model, kind, status, content_length, piece_count,
      chunks_received, started_at, last_activity_at, completed_at, error, idempotency_key, has_execution, lease_owner,
      lease_expires_at, attempts)
    SELECT ${text('id')}, ${text('user_id')}, coalesce(${text('thread_id')}, ''), coalesce(${text('message_id')}, ''),
      coalesce(${text('model')}, ''), iif(${oneOf('kind', 'chat', 'workflow')}, kind, NULL), status,
      length(coalesce(content, '')), coalesce(content, '') <> '', ${integer('chunks_received')}, ${integer('started_at')},
      ${integer('last_activity_at')},
      iif(status = 'streaming', NULL, ${integer('coalesce(completed_at, last_activity_at)')}), ${text('error')},
      iif(row_number() OVER (PARTITION BY user_id, idempotency_key ORDER BY started_at DESC, rowid DESC) = 1,
        ${text('idempotency_key')}, NULL),
      ${json('execution_json')} IS NOT NULL, iif(status = 'streaming', ${text('lease_owner')}, NULL),
      iif(status = 'streaming' AND lease_owner IS NOT NULL, ${optional('lease_expires_at')}, NULL), ${integer('attempts')}
    FROM background_jobs
    WHERE ${isId('id')} AND ${isId('user_id')} AND ${oneOf('status', 'streaming', 'complete', 'error', 'aborted')}`)
  yield* run(`
    INSERT OR IGNORE INTO job_chunks (job_id, seq, text)
    SELECT ${text('id')}, 0, ${text('content')} FROM background_jobs
    WHERE coalesce(content, '') <> '' AND ${text('id')} IN (SELECT id FROM jobs)`)
  // In which SQLite counts characters otherwise.
  const wide = yield* rows<{ id: string }>(
    `SELECT job_id AS id FROM job_chunks WHERE length(text) < length(CAST(text AS BLOB))`,
  )
  for (const { id } of wide) {
    const [content] = yield* rows<{ text: string }>('SELECT text FROM job_chunks WHERE job_id = ?', [id])
    yield* run('UPDATE jobs SET content_length = ? WHERE id = ?', [content!.text.length, id])
  }
  for (const name of ['tool_calls', 'workflow_state', 'execution']) {
    yield* run(`
      INSERT OR IGNORE INTO job_documents (job_id, name, json)
      SELECT ${text('id')}, '${name}', ${json(`${name}_json`)} FROM background_jobs
      WHERE ${json(`${name}_json`)} IS NOT NULL AND ${text('id')} IN (SELECT id FROM jobs)`)
  }
  return adopted
})

/** Custom hooks stand in a table of their own. */
const webhooks = Effect.gen(function* () {
  const hasHooks = (yield* columnsOf('webhook_custom_hooks')).has('hook_name')
  const hooksOf = (id: string) =>
    hasHooks
      ? `(SELECT DISTINCT ${text('hook_name')} AS name FROM webhook_custom_hooks
          WHERE webhook_id = ${id} AND length(hook_name) BETWEEN 1 AND 256)`
      : `(SELECT NULL AS name WHERE 0)`
  const adopted = yield* run(`
    INSERT OR IGNORE INTO webhooks (id, scope, user_id, workspace_id, url, label, events_json, custom_hooks_json,
      signing_secret_enc, enabled, health, created_at, updated_at)
    SELECT ${text('id')}, scope, ${text('user_id')}, ${text('workspace_id')}, ${text('url')}, coalesce(${text('label')}, ''),
      (SELECT json_group_array(name) FROM ${names('r.events')}), (SELECT json_group_array(name) FROM ${hooksOf('r.id')}),
      coalesce(${text('signing_secret_enc')}, ''), ${flag('enabled')},
      iif(${oneOf('health', 'healthy', 'failing')}, health, 'unknown'), ${integer('created_at')}, ${integer('updated_at')}
    FROM webhook_registrations AS r
    WHERE ${isId('id')} AND ${isId('url')}
      AND (scope = 'admin' OR scope = 'user' AND ${text('user_id')} IN (SELECT id FROM users)
        AND ${text('workspace_id')} IN (SELECT id FROM workspaces))`)
  yield* run(`
    INSERT OR IGNORE INTO webhook_events (webhook_id, event, scope, workspace_id)
    SELECT w.id, e.value, w.scope, coalesce(w.workspace_id, '') FROM webhooks AS w, json_each(w.events_json) AS e`)
  yield* run(`
    INSERT OR IGNORE INTO webhook_hooks (webhook_id, hook)
    SELECT w.id, h.value FROM webhooks AS w, json_each(w.custom_hooks_json) AS h`)
  if (hasHooks) yield* run('DROP TABLE webhook_custom_hooks')
  return adopted
})

/** After their registrations. */
const deliveries = run(`
  INSERT OR IGNORE INTO hook_deliveries (id, webhook_id, event_id, event_type, attempt, status, ended, claimed_by, claimed_at,
    due_at, next_retry_at, created_at, http_status, duration_ms, error_message, response_json, request_json)
  SELECT ${text('id')}, ${text('webhook_id')}, coalesce(${text('event_id')}, ''), coalesce(${text('event_type')}, ''),
    ${integer('attempt')}, status, ${oneOf('status', 'success', 'failed', 'cancelled')},
    iif(status = 'in_flight', ${text('claimed_by')}, NULL),
    iif(status = 'in_flight', ${integer('coalesce(claimed_at, created_at)')}, NULL),
    ${integer('coalesce(next_retry_at, created_at)')}, ${optional('next_retry_at')}, ${integer('created_at')},
    ${optional('http_status')}, CAST(duration_ms AS REAL), ${text('error_message')},
    CASE WHEN response_body IS NOT NULL THEN json_quote(${text('response_body')}) END,
    CASE WHEN request_payload IS NOT NULL THEN json_quote(${text('request_payload')}) END
  FROM webhook_delivery_logs
  WHERE ${isId('id')} AND ${oneOf('status', 'pending', 'in_flight', 'success', 'failed', 'cancelled')}
    AND ${text('webhook_id')} IN (SELECT id FROM webhooks)`)

/** What is called how, in which table with which columns, and how it is adopted. In this order. */
const features = [
  {
    what: 'invites',
    table: 'auth_invites',
    columns:
      'id workspace_id email role status invited_by_user_id token_hash expires_at accepted_at accepted_user_id revoked_at created_at updated_at',
    adopt: invites,
  },
  { what: 'admins', table: 'admin_users', columns: 'user_id created_at created_by_user_id', adopt: admins },
  {
    what: 'settings',
    table: 'admin_workspace_settings',
    columns: 'workspace_id key value updated_at',
    adopt: settings,
  },
  {
    what: 'upload intents',
    table: 'upload_intents',
    columns:
      'id workspace_id hash mime_type size_bytes expires_at status storage_id consumed_at cancelled_at',
    adopt: intents,
  },
  { what: 'rate limits', table: 'rate_limits', columns: 'key count expires_at', adopt: limits },
  {
    what: 'jobs',
    table: 'background_jobs',
    columns:
      'id user_id thread_id message_id model kind status content chunks_received started_at last_activity_at completed_at error tool_calls_json workflow_state_json execution_json idempotency_key lease_owner lease_expires_at attempts',
    adopt: jobs,
  },
  {
    what: 'webhooks',
    table: 'webhook_registrations',
    columns:
      'id scope user_id workspace_id url label events signing_secret_enc enabled health created_at updated_at',
    adopt: webhooks,
  },
  {
    what: 'deliveries',
    table: 'webhook_delivery_logs',
    columns:
      'id webhook_id event_id event_type attempt status claimed_by claimed_at http_status error_message request_payload response_body duration_ms next_retry_at created_at',
    adopt: deliveries,
  },
]

/** No view of that name, and with the row numbers that say what came first. */
const isPlainTable = (name: string) =>
  Effect.map(
    rows(`SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ? AND type = 'table' AND wr = 0`, [
      name,
    ]),
    (found) => found.length > 0,
  )

/** Adopts each table that is there, and drops it; a database that is not of the earlier package has none. */
export const adoptFeatures = Effect.gen(function* () {
  if (!(yield* isLegacy)) return
  const adopted: Array<string> = []
  for (const { what, table, columns, adopt } of features) {
    const found = yield* columnsOf(table)
    if (!columns.split(' ').every((column) => found.has(column))) continue
    if (!(yield* isPlainTable(table))) continue
    const all = yield* count(table)
    const taken = yield* adopt
    yield* run(`DROP TABLE ${table}`)
    if (all > 0) adopted.push(`${what}: ${taken}${taken < all ? ` of ${all}` : ''}`)
  }
  if (adopted.length > 0)
    yield* Effect.logInfo(`adopting other features of the earlier package: ${adopted.join(', ')}`)
})
