/**
 * The statements of erasing users. One batch marks them and takes whatever could bring them back, and each of its changes asks for the
 * mark; what steps take afterwards need not ask again.
 */
import { mostNamed } from '../../services/erasureRules.js'
import { statement } from './batch.js'
import { isErased, stepSize } from './purgeSql.js'

/** Notifications in one step: their payloads may be long. */
export const notificationStep = 100

/** Workspaces looked at in one go. */
export const chunkSize = 50

const others = (more = '') => `EXISTS (
  SELECT 1 FROM workspace_members AS o INDEXED BY sqlite_autoindex_workspace_members_1
  WHERE o.workspace_id = m.workspace_id AND o.user_id <> m.user_id ${more})`

const memberships = `workspace_members AS m INDEXED BY workspace_members_by_user`

/** The user's memberships in workspaces that are not purged. */
const ownMemberships = `
  FROM ${memberships}
  CROSS JOIN workspaces AS w INDEXED BY sqlite_autoindex_workspaces_1 ON w.id = m.workspace_id AND w.purged_at IS NULL
  WHERE m.user_id = :userId`

/** Those that would be left without an owner. */
const left = `${ownMemberships} AND w.deleted = 0 AND m.role = 'owner' AND ${others()} AND NOT ${others(`AND o.role = 'owner'`)}`

const isLastAdmin = `(
  EXISTS (SELECT 1 FROM deployment_admins WHERE user_id = :userId)
  AND NOT EXISTS (SELECT 1 FROM deployment_admins WHERE user_id <> :userId))`

/** Of those that somebody has who is erased, the purged ones. */
const purgedOnes = `
  SELECT m.workspace_id FROM ${memberships}
  CROSS JOIN workspaces AS w INDEXED BY sqlite_autoindex_workspaces_1 ON w.id = m.workspace_id AND w.purged_at IS NOT NULL
  WHERE m.user_id = :userId`

const addressed = `workspace_invites INDEXED BY workspace_invites_by_email
  WHERE email = (SELECT u.folded_email FROM users AS u WHERE u.id = :userId)`
const accepted = `workspace_invites INDEXED BY workspace_invites_by_acceptor WHERE accepted_user_id = :userId`

const registrations = `webhooks AS w INDEXED BY webhooks_by_owner`
const areTheirs = `w.scope IN ('user', 'admin') AND w.user_id = :userId`

const notifications = `s_notifications INDEXED BY s_notifications_by_user WHERE user_id = :userId AND data_json IS NOT NULL`

/** The versions of the first of them in a workspace: the same ones for each statement of a step. */
const someNotifications = `
  SELECT server_version FROM ${notifications} AND workspace_id = :workspaceId ORDER BY server_version LIMIT ${notificationStep}`

/**
 * What the log says of a user's notifications in a workspace. What a row stands by goes with that row, lest the two differ. A put names its
 * user, and of what is no JSON nobody knows; a delete is its row's user's.
 */
const entries = (workspaceId: string) => `
  FROM change_log AS l INDEXED BY change_log_by_table
  WHERE l.workspace_id = ${workspaceId} AND l.table_name = 'notifications' AND l.payload_json IS NOT NULL
    AND :userId = CASE WHEN l.op = 'delete' THEN (
        SELECT r.user_id FROM s_notifications AS r INDEXED BY sqlite_autoindex_s_notifications_1
        WHERE r.workspace_id = l.workspace_id AND r.pk = l.pk)
      WHEN json_valid(l.payload_json) THEN l.payload_json ->> '$.user_id' END
    AND NOT EXISTS (SELECT 1 FROM s_notifications AS r INDEXED BY s_notifications_by_version
      WHERE r.workspace_id = l.workspace_id AND r.server_version = l.server_version AND r.data_json IS NOT NULL)`

/** Keeps the revision and no content. */
const emptied = `
  UPDATE change_log INDEXED BY change_log_by_version SET op = 'delete', payload_json = NULL WHERE workspace_id = :workspaceId`

export const eraseSql = {
  user: statement(`
    SELECT erased_at, ${isLastAdmin} AS isLastAdmin FROM users WHERE id = :userId`),
  left: statement(`SELECT m.workspace_id AS id ${left} ORDER BY m.workspace_id LIMIT ${mostNamed}`),

  mark: statement(`
    UPDATE users SET erased_at = :now
    WHERE id = :userId AND erased_at IS NULL AND NOT ${isLastAdmin} AND NOT EXISTS (SELECT 1 ${left})`),
  /** In this order: an address is forgotten last. */
  dropAdmin: statement(`DELETE FROM deployment_admins WHERE user_id = :userId AND ${isErased}`),
  dropIdentities: statement(`
    DELETE FROM auth_accounts INDEXED BY auth_accounts_by_user WHERE user_id = :userId AND ${isErased} RETURNING 1 AS gone`),
  dropAddressed: statement(`DELETE FROM ${addressed} AND ${isErased} RETURNING 1 AS gone`),
  dropAccepted: statement(`DELETE FROM ${accepted} AND ${isErased} RETURNING 1 AS gone`),
  revokeMade: statement(`
    UPDATE workspace_invites INDEXED BY workspace_invites_open SET status = 'revoked', revoked_at = :now, updated_at = :now
    WHERE invited_by_user_id = :userId AND status = 'pending' AND expires_at > :now AND ${isErased}`),
  /** Those that nobody else is in. */
  purgeOwn: statement(`
    UPDATE workspaces SET deleted = 1, deleted_at = coalesce(deleted_at, :now), purged_at = :now, name = '', description = NULL
    WHERE id IN (SELECT m.workspace_id ${ownMemberships} AND NOT ${others()}) AND ${isErased} RETURNING 1 AS purged`),
  /** Nothing above the floor can be deleted, see migration 004. */
  raiseFloors: statement(`
    UPDATE server_version_counter INDEXED BY sqlite_autoindex_server_version_counter_1 SET trimmed_version = value
    WHERE workspace_id IN (${purgedOnes}) AND ${isErased}`),
  /** By those in purged ones, these are found until they are empty. */
  leave: statement(`
    DELETE FROM workspace_members INDEXED BY workspace_members_by_user
    WHERE user_id = :userId AND workspace_id NOT IN (${purgedOnes}) AND ${isErased} RETURNING 1 AS gone`),
  forget: statement(`
    UPDATE users SET email = NULL, folded_email = NULL, display_name = NULL, active_workspace_id = NULL
    WHERE id = :userId AND erased_at IS NOT NULL`),
  purged: statement(purgedOnes),

  jobs: statement(`
    SELECT id, piece_count + 1 AS pieces, content_length AS length FROM jobs INDEXED BY jobs_by_user
    WHERE user_id = :userId LIMIT ${stepSize}`),
  webhooks: statement(`SELECT w.id FROM ${registrations} WHERE ${areTheirs} LIMIT ${stepSize}`),
  /** A page of all cursors: few, since stale ones are removed, and each report of one would pay for an index. */
  cursors: statement(`
    SELECT workspace_id, device_id, owner_user_id IS :userId AS isOwn
    FROM device_cursors INDEXED BY sqlite_autoindex_device_cursors_1
    WHERE (workspace_id, device_id) > (:workspaceId, :deviceId) ORDER BY workspace_id, device_id LIMIT ${stepSize}`),
  dropCursors: statement(`
    DELETE FROM device_cursors INDEXED BY sqlite_autoindex_device_cursors_1
    WHERE workspace_id = :workspaceId AND device_id IN (SELECT value ->> 0 FROM json_each(:devices)) AND owner_user_id = :userId`),

  /** A workspace in which they have any. */
  notified: statement(`SELECT workspace_id FROM ${notifications} LIMIT 1`),
  /** Some with what the log says where they stand by it. */
  emptyStood: statement(`${emptied} AND server_version IN (${someNotifications})`),
  emptyNotifications: statement(`
    UPDATE s_notifications INDEXED BY s_notifications_by_version SET deleted = 1, data_json = NULL
    WHERE workspace_id = :workspaceId AND server_version IN (${someNotifications}) RETURNING 1 AS gone`),
  /** Some workspaces, by their ids, and whether the log of each says anything more. */
  logs: statement(`
    SELECT c.workspace_id AS id, EXISTS (SELECT 1 ${entries('c.workspace_id')}) AS isDue
    FROM server_version_counter AS c INDEXED BY sqlite_autoindex_server_version_counter_1
    WHERE c.workspace_id > :after ORDER BY c.workspace_id LIMIT ${chunkSize}`),
  emptyEntries: statement(`
    ${emptied} AND server_version IN (SELECT l.server_version ${entries(':workspaceId')} LIMIT ${notificationStep}) RETURNING 1 AS gone`),

  finish: statement(`
    UPDATE users SET emptied_at = :now WHERE id = :userId AND erased_at IS NOT NULL AND emptied_at IS NULL`),
  /** Those that an interruption has left; some of them. */
  waiting: statement(`
    SELECT id FROM users INDEXED BY users_to_empty WHERE erased_at IS NOT NULL AND emptied_at IS NULL LIMIT ${stepSize}`),

  count: {
    workspaces: statement(`SELECT count(*) AS total ${ownMemberships} AND NOT ${others()}`),
    memberships: statement(`SELECT count(*) AS total FROM ${memberships} WHERE m.user_id = :userId`),
    identities: statement(`
      SELECT count(*) AS total FROM auth_accounts INDEXED BY auth_accounts_by_user WHERE user_id = :userId`),
    invites: statement(`
      SELECT count(*) AS total FROM (SELECT id FROM ${addressed} UNION SELECT id FROM ${accepted})`),
    jobs: statement(`SELECT count(*) AS total FROM jobs INDEXED BY jobs_by_user WHERE user_id = :userId`),
    webhooks: statement(`SELECT count(*) AS total FROM ${registrations} WHERE ${areTheirs}`),
    deliveries: statement(`
      SELECT count(*) AS total FROM ${registrations}
      CROSS JOIN hook_deliveries AS d INDEXED BY hook_deliveries_by_webhook ON d.webhook_id = w.id WHERE ${areTheirs}`),
    notifications: statement(`SELECT count(*) AS total FROM ${notifications}`),
  },
}
