/**
 * The statements of webhooks and their deliveries. Changes say themselves when they apply, by the rules of
 * `services/webhookRules.ts` and `services/deliveryRules.ts`.
 */
import { mostBytes, mostListed } from '../../services/deliveryRules.js'
import { statement } from './batch.js'
import { isClosed } from './purgeSql.js'

/** Deliveries in one step of a change to many, if they are no larger than `mostBytes`. */
export const stepSize = 500

/** Each is named, since not every engine leaves a table's name out of what it returns. */
const webhook = (table: string) =>
  [
    'id AS id',
    'scope AS scope',
    'user_id AS userId',
    'workspace_id AS workspaceId',
    'url AS url',
    'label AS label',
    'events_json AS eventsJson',
    'custom_hooks_json AS customHooksJson',
    'signing_secret_enc AS signingSecretEnc',
    'enabled AS enabled',
    'health AS health',
    'created_at AS createdAt',
    'updated_at AS updatedAt',
  ]
    .map((column) => `${table}.${column}`)
    .join(', ')

const delivery = `id, webhook_id AS webhookId, event_id AS eventId, event_type AS eventType, attempt, status, claimed_by AS claimedBy,
  claimed_at AS claimedAt, http_status AS httpStatus, error_message AS errorMessage, request_json AS requestJson,
  response_json AS responseJson, duration_ms AS durationMs, next_retry_at AS nextRetryAt, created_at AS createdAt`

/** What a patch says of that which never changes is so. */
const agrees = `(:id IS NULL OR webhooks.id = :id) AND (:scope IS NULL OR webhooks.scope = :scope)
  AND (:saysUser = 0 OR webhooks.user_id IS :userId) AND (:saysWorkspace = 0 OR webhooks.workspace_id IS :workspaceId)
  AND (:createdAt IS NULL OR webhooks.created_at = :createdAt)`

const isAgreed = `EXISTS (SELECT 1 FROM webhooks WHERE webhooks.id = :webhookId AND ${agrees})`

/**
 * Whether a registration counts: a user's while its owner is a member of its live workspace. Of one that another provider keeps,
 * nothing is known. Rows of workspaces stay, so none of ours is taken for such.
 */
const counts = `(w.scope = 'admin' OR coalesce((
  SELECT o.deleted = 0 AND EXISTS (
    SELECT 1 FROM workspace_members AS m INDEXED BY sqlite_autoindex_workspace_members_1
    WHERE m.workspace_id = w.workspace_id AND m.user_id = w.user_id)
  FROM workspaces AS o INDEXED BY sqlite_autoindex_workspaces_1 WHERE o.id = w.workspace_id), 1))`

/** Of a delivery `d`. */
const isOfCounting = `EXISTS (SELECT 1 FROM webhooks AS w INDEXED BY sqlite_autoindex_webhooks_1 WHERE w.id = d.webhook_id AND ${counts})`

const isGone = `NOT EXISTS (SELECT 1 FROM webhooks WHERE id = :webhookId)`

const eventsOf = `
  INSERT INTO webhook_events (webhook_id, event, scope, workspace_id)
  SELECT w.id, e.value ->> 0, w.scope, coalesce(w.workspace_id, '')
  FROM json_each(:events) AS e CROSS JOIN webhooks AS w INDEXED BY sqlite_autoindex_webhooks_1 ON w.id = :webhookId`

const hooksOf = `
  INSERT INTO webhook_hooks (webhook_id, hook)
  SELECT w.id, h.value ->> 0
  FROM json_each(:customHooks) AS h CROSS JOIN webhooks AS w INDEXED BY sqlite_autoindex_webhooks_1 ON w.id = :webhookId`

/** Deliveries by id, the index named, since planners would rather read them all. */
const byId = `hook_deliveries INDEXED BY sqlite_autoindex_hook_deliveries_1`

const byWebhook = `FROM hook_deliveries INDEXED BY hook_deliveries_by_webhook WHERE webhook_id = :webhookId`

/** Pending ones that are due. */
const due = `
  FROM hook_deliveries AS d INDEXED BY hook_deliveries_pending WHERE d.status = 'pending' AND d.due_at <= :now`

/** The order in which they are due. */
const longestDue = ['due_at', 'id']

/**
 * The first ids of some deliveries, as many as fit; one at least. Sizes are read from the index that leads to them: in the rows they stand
 * behind payloads.
 */
const fitting = (
  from: string,
  order: ReadonlyArray<string>,
  direction: 'ASC' | 'DESC',
  limit: string | number,
) => {
  const sorted = order.map((column) => `${column} ${direction}`).join(', ')
  return `
    SELECT id FROM (
      SELECT id, size_bytes AS size, sum(size_bytes) OVER (ORDER BY ${sorted}) AS total
      FROM (SELECT ${order.join(', ')}, size_bytes ${from} ORDER BY ${sorted} LIMIT ${limit}))
    WHERE total <= ${mostBytes} OR total = size`
}

/** The first of the newest, of those that have ended or of those that have not. */
const newest = (ended: 0 | 1, more: string, limit: string | number) => `
  SELECT ${delivery} FROM ${byId}
  WHERE id IN (${fitting(`${byWebhook} AND ended = ${ended} ${more}`, ['created_at', 'id'], 'DESC', limit)})`

/** What one step takes of some deliveries, and whether it has left any. */
const step = (of: string, order: ReadonlyArray<string>, change: (ids: string) => string) => ({
  take: statement(`${change(fitting(of, order, 'ASC', stepSize))} RETURNING 1 AS done`),
  left: statement(`SELECT 1 AS found ${of} LIMIT 1`),
})

/** What is cancelled stays so. */
const nextStatus = `iif(status = 'cancelled', status, coalesce(:status, status))`

const ended = (status: string) => `${status} IN ('success', 'failed', 'cancelled')`

/** What a patch says of a column that may be null. */
const said = (says: string, value: string, column: string) => `iif(${says}, ${value}, ${column})`

const bytesOf = (column: string) => `coalesce(length(CAST(${column} AS BLOB)), 0)`

const nextRetryAt = said(':saysNextRetryAt', ':nextRetryAt', 'next_retry_at')

export const webhooksSql = {
  create: statement(`
    INSERT INTO webhooks (id, scope, user_id, workspace_id, url, label, events_json, custom_hooks_json, signing_secret_enc,
      enabled, health, created_at, updated_at)
    SELECT :webhookId, :scope, :userId, :workspaceId, :url, :label, :eventsJson, :customHooksJson, :signingSecretEnc,
      :enabled, 'unknown', :now, :now WHERE NOT ${isClosed} RETURNING 1 AS created`),
  addEvents: statement(eventsOf),
  addHooks: statement(hooksOf),

  update: statement(`
    UPDATE webhooks SET url = coalesce(:url, url), label = coalesce(:label, label),
      events_json = coalesce(:eventsJson, events_json), custom_hooks_json = coalesce(:customHooksJson, custom_hooks_json),
      signing_secret_enc = coalesce(:signingSecretEnc, signing_secret_enc), enabled = coalesce(:enabled, enabled),
      health = coalesce(:health, health), updated_at = :now
    WHERE webhooks.id = :webhookId AND ${agrees} RETURNING ${webhook('webhooks')}`),
  /** These two are for a patch that names events. */
  dropEvents: statement(`DELETE FROM webhook_events WHERE webhook_id = :webhookId AND ${isAgreed}`),
  replaceEvents: statement(`${eventsOf} WHERE ${isAgreed}`),
  /** And these for one that names hooks. */
  dropHooks: statement(`DELETE FROM webhook_hooks WHERE webhook_id = :webhookId AND ${isAgreed}`),
  replaceHooks: statement(`${hooksOf} WHERE ${isAgreed}`),

  get: statement(`SELECT ${webhook('w')} FROM webhooks AS w WHERE w.id = :webhookId`),
  ofOwner: statement(`
    SELECT ${webhook('w')} FROM webhooks AS w INDEXED BY webhooks_by_owner
    WHERE w.scope = 'user' AND w.user_id = :userId AND w.workspace_id = :workspaceId`),
  ofAdmins: statement(
    `SELECT ${webhook('w')} FROM webhooks AS w INDEXED BY webhooks_by_owner WHERE w.scope = 'admin'`,
  ),
  byEvent: statement(`
    SELECT ${webhook('w')} FROM webhook_events AS e INDEXED BY webhook_events_by_event
    CROSS JOIN webhooks AS w INDEXED BY sqlite_autoindex_webhooks_1 ON w.id = e.webhook_id
    WHERE e.event = :eventType AND e.scope = :scope AND e.workspace_id IN (:workspaceId, :orWorkspaceId) AND w.enabled = 1
      AND ${counts}`),
  byHook: statement(`
    SELECT ${webhook('w')} FROM webhook_hooks AS h INDEXED BY webhook_hooks_by_hook
    CROSS JOIN webhooks AS w INDEXED BY sqlite_autoindex_webhooks_1 ON w.id = h.webhook_id
    WHERE h.hook = :hook AND w.enabled = 1 AND ${counts}`),
  activeHooks: statement(`
    SELECT DISTINCT h.hook FROM webhook_hooks AS h INDEXED BY webhook_hooks_by_hook
    CROSS JOIN webhooks AS w INDEXED BY sqlite_autoindex_webhooks_1 ON w.id = h.webhook_id
    WHERE w.enabled = 1 AND ${counts}`),

  setHealth: statement(`UPDATE webhooks SET health = :health WHERE id = :webhookId AND health <> :health`),
  disableAll: statement(`
    UPDATE webhooks INDEXED BY webhooks_by_owner SET enabled = 0, updated_at = :now
    WHERE scope = 'user' AND user_id = :userId AND workspace_id = :workspaceId AND enabled = 1 RETURNING 1 AS disabled`),

  /** When its last delivery is gone, so that there is none without its registration. */
  drop: statement(`
    DELETE FROM webhooks WHERE id = :webhookId AND NOT EXISTS (SELECT 1 ${byWebhook})`),
  dropOldEvents: statement(`DELETE FROM webhook_events WHERE webhook_id = :webhookId AND ${isGone}`),
  dropOldHooks: statement(`DELETE FROM webhook_hooks WHERE webhook_id = :webhookId AND ${isGone}`),

  createDelivery: statement(`
    INSERT INTO hook_deliveries (id, webhook_id, event_id, event_type, attempt, status, ended, claimed_by, claimed_at,
      due_at, next_retry_at, created_at, http_status, duration_ms, error_message, response_json, request_json, size_bytes)
    SELECT :id, webhooks.id, :eventId, :eventType, :attempt, :status, ${ended(':status')}, :claimedBy, :claimedAt,
      coalesce(:nextRetryAt, :createdAt), :nextRetryAt, :createdAt, :httpStatus, :durationMs, :errorMessage, :responseJson,
      :requestJson, :sizeBytes
    FROM webhooks WHERE webhooks.id = :webhookId RETURNING 1 AS created`),
  updateDelivery: statement(`
    UPDATE hook_deliveries SET attempt = coalesce(:attempt, attempt), status = ${nextStatus}, ended = ${ended(nextStatus)},
      claimed_by = iif(${nextStatus} = 'in_flight', ${said(':saysClaimedBy', ':claimedBy', 'claimed_by')}, NULL),
      claimed_at = iif(${nextStatus} = 'in_flight', coalesce(${said(':saysClaimedAt', ':claimedAt', 'claimed_at')}, :now), NULL),
      due_at = coalesce(${nextRetryAt}, created_at), next_retry_at = ${nextRetryAt},
      http_status = ${said(':saysHttpStatus', ':httpStatus', 'http_status')},
      duration_ms = ${said(':saysDurationMs', ':durationMs', 'duration_ms')},
      error_message = ${said(':saysErrorMessage', ':errorMessage', 'error_message')},
      response_json = ${said(':saysResponseJson', ':responseJson', 'response_json')},
      request_json = ${said(':saysRequestJson', ':requestJson', 'request_json')},
      size_bytes = ${said(':saysRequestJson', ':requestBytes', bytesOf('request_json'))}
        + ${said(':saysResponseJson', ':responseBytes', bytesOf('response_json'))}
    WHERE id = :deliveryId`),

  deliveries: {
    open: statement(newest(0, 'AND created_at >= :since', mostListed)),
    ended: statement(newest(1, 'AND created_at >= :since', mostListed)),
  },
  endedDeliveries: statement(newest(1, '', ':limit')),

  /** What is due first of registrations that do not count, so that no claim has to pass it again and again. */
  cancelDue: statement(`
    UPDATE ${byId} SET status = 'cancelled', ended = 1
    WHERE id IN (${fitting(
      `FROM (SELECT d.due_at, d.id, d.webhook_id, d.size_bytes ${due} ORDER BY d.due_at, d.id LIMIT ${stepSize}) AS d
      WHERE NOT ${isOfCounting}`,
      longestDue,
      'ASC',
      stepSize,
    )})`),
  claim: statement(`
    UPDATE ${byId} SET status = 'in_flight', claimed_by = :workerId, claimed_at = :now
    WHERE id IN (${fitting(`${due} AND ${isOfCounting}`, longestDue, 'ASC', ':limit')})
    RETURNING ${delivery}`),

  /** One step each of what may be long. */
  resetStale: step(
    `FROM hook_deliveries INDEXED BY hook_deliveries_in_flight WHERE status = 'in_flight' AND claimed_at <= :cutoff`,
    ['claimed_at', 'id'],
    (ids) =>
      `UPDATE ${byId} SET status = 'pending', claimed_by = NULL, claimed_at = NULL WHERE id IN (${ids})`,
  ),
  cancel: step(
    `${byWebhook} AND ended = 0`,
    ['created_at', 'id'],
    (ids) =>
      `UPDATE ${byId} SET status = 'cancelled', ended = 1, claimed_by = NULL, claimed_at = NULL WHERE id IN (${ids})`,
  ),
  dropDeliveries: step(
    byWebhook,
    ['ended', 'created_at', 'id'],
    (ids) => `DELETE FROM ${byId} WHERE id IN (${ids})`,
  ),
  purge: step(
    `FROM hook_deliveries INDEXED BY hook_deliveries_ended WHERE ended = 1 AND created_at < :before`,
    ['created_at', 'id'],
    (ids) => `DELETE FROM ${byId} WHERE id IN (${ids})`,
  ),
}
