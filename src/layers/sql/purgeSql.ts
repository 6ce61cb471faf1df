/**
 * The statements of purges. A mark comes first, and stays; so what follows it need not ask again whether it may.
 */
import { syncedTables } from '../../services/SyncDomain.js'
import { statement } from './batch.js'

/** Rows in one step. */
export const stepSize = 500

/** Characters of payload at which a step ends too. */
const stepBytes = 1024 * 1024

/** Of the workspace that a statement is about. Whatever writes without asking whether a workspace is live asks this. */
export const isPurged = `EXISTS (
  SELECT 1 FROM workspaces AS o INDEXED BY sqlite_autoindex_workspaces_1 WHERE o.id = :workspaceId AND o.purged_at IS NOT NULL)`

/** Of the user whom a statement is about, who may be none: asked by whatever writes for users who need not be known. */
export const isErased = `EXISTS (
  SELECT 1 FROM users AS e INDEXED BY sqlite_autoindex_users_1 WHERE e.id = :userId AND e.erased_at IS NOT NULL)`

/** Nothing comes into a workspace that was purged, nor from a user who was erased. */
export const isClosed = `(${isPurged} OR ${isErased})`

/** The first of some rows, by what their key is called within the workspace. */
const some = (table: string, index: string, key: string) =>
  `SELECT ${key} FROM ${table} INDEXED BY ${index} WHERE workspace_id = :workspaceId LIMIT ${stepSize}`

/** The same of rows that have payloads, in the order of their versions: as many as a step may take, one at least. */
const fitting = (table: string, payload: string) => `
  SELECT server_version FROM (
    SELECT server_version, length, sum(length) OVER (ORDER BY server_version) AS total
    FROM (
      SELECT server_version, coalesce(length(${payload}), 0) AS length FROM ${table} INDEXED BY ${table}_by_version
      WHERE workspace_id = :workspaceId ORDER BY server_version LIMIT ${stepSize}))
  WHERE total - length < ${stepBytes}`

const drop = (table: string, index: string, key: string, keys: string) =>
  statement(`
    DELETE FROM ${table} INDEXED BY ${index}
    WHERE workspace_id = :workspaceId AND ${key} IN (${keys}) RETURNING 1 AS gone`)

const dropSome = (table: string, key: string, index = `sqlite_autoindex_${table}_1`) =>
  drop(table, index, key, some(table, index, key))

const dropFitting = (table: string, payload: string) =>
  drop(table, `${table}_by_version`, 'server_version', fitting(table, payload))

const count = (table: string, index: string) =>
  statement(`SELECT count(*) AS total FROM ${table} INDEXED BY ${index} WHERE workspace_id = :workspaceId`)

const byKey = (table: string) => count(table, `sqlite_autoindex_${table}_1`)

/** Whether a workspace has the thread of a job, or its message. */
const answeredIn = (workspaceId: string) => `(
  EXISTS (SELECT 1 FROM s_threads AS t INDEXED BY sqlite_autoindex_s_threads_1
    WHERE t.workspace_id = ${workspaceId} AND t.pk = j.thread_id)
  OR EXISTS (SELECT 1 FROM s_messages AS m INDEXED BY sqlite_autoindex_s_messages_1
    WHERE m.workspace_id = ${workspaceId} AND m.pk = j.message_id))`

const deliveries = `
  FROM webhooks AS w INDEXED BY webhooks_by_workspace
  CROSS JOIN hook_deliveries AS d INDEXED BY hook_deliveries_by_webhook ON d.webhook_id = w.id
  WHERE w.workspace_id = :workspaceId`

export const purgeSql = {
  purged: statement(`SELECT 1 AS purged WHERE ${isPurged}`),
  closed: statement(`SELECT 1 AS closed WHERE ${isClosed}`),
  workspace: statement(`SELECT deleted, purged_at, emptied_at FROM workspaces WHERE id = :workspaceId`),

  mark: statement(`
    UPDATE workspaces SET purged_at = :now, name = '', description = NULL
    WHERE id = :workspaceId AND deleted = 1 AND purged_at IS NULL`),
  /** Nothing above the floor can be deleted, see migration 004. */
  raiseFloor: statement(`
    UPDATE server_version_counter SET trimmed_version = value WHERE workspace_id = :workspaceId AND ${isPurged}`),
  finish: statement(`
    UPDATE workspaces SET emptied_at = :now
    WHERE id = :workspaceId AND purged_at IS NOT NULL AND emptied_at IS NULL`),
  /** What an interruption has left, and what was removed before a time, if one is given; some of them. */
  waiting: statement(`
    SELECT id FROM (
      SELECT id FROM workspaces INDEXED BY workspaces_to_empty
      WHERE purged_at IS NOT NULL AND emptied_at IS NULL LIMIT ${stepSize})
    UNION ALL
    SELECT id FROM (
      SELECT id FROM workspaces INDEXED BY workspaces_by_removal
      WHERE deleted = 1 AND purged_at IS NULL AND deleted_at < :removedBefore LIMIT ${stepSize})`),

  /**
   * A page of all jobs, by their ids: which of them are the workspace's, and how much belongs to them. They name no workspace; one that
   * answers in a workspace of its user as well, which an import may have made, is not ours to take.
   */
  jobs: statement(`
    SELECT j.id, j.piece_count + 1 AS pieces, j.content_length AS length, CASE WHEN ${answeredIn(':workspaceId')}
      THEN NOT EXISTS (SELECT 1 FROM workspace_members AS o INDEXED BY workspace_members_by_user
        WHERE o.user_id = j.user_id AND o.workspace_id <> :workspaceId AND ${answeredIn('o.workspace_id')}) ELSE 0 END AS isOwn
    FROM jobs AS j INDEXED BY sqlite_autoindex_jobs_1 WHERE j.id > :after ORDER BY j.id LIMIT ${stepSize}`),
  dropChunks: statement(`
    DELETE FROM job_chunks INDEXED BY sqlite_autoindex_job_chunks_1 WHERE job_id IN (SELECT value ->> 0 FROM json_each(:ids))`),
  dropDocuments: statement(`
    DELETE FROM job_documents INDEXED BY sqlite_autoindex_job_documents_1 WHERE job_id IN (SELECT value ->> 0 FROM json_each(:ids))`),
  dropJobs: statement(`
    DELETE FROM jobs INDEXED BY sqlite_autoindex_jobs_1 WHERE id IN (SELECT value ->> 0 FROM json_each(:ids)) RETURNING 1 AS gone`),

  webhooks: statement(`
    SELECT id FROM webhooks INDEXED BY webhooks_by_workspace WHERE workspace_id = :workspaceId LIMIT ${stepSize}`),

  /** One step each, in the order in which they go. */
  drop: {
    entries: dropFitting('change_log', 'payload_json'),
    trimmedOps: dropSome('trimmed_ops', 'op_id'),
    renamedOps: dropSome('renamed_ops', 'op_id'),
    tombstones: dropSome('tombstones', 'server_version', 'tombstones_by_version'),
    records: syncedTables.map((table) => dropFitting(`s_${table}`, 'data_json')),
    cursors: dropSome('device_cursors', 'device_id'),
    references: dropSome('file_references', 'source_id', 'file_references_by_source'),
    files: dropSome('file_records', 'pk'),
    usage: statement(`DELETE FROM file_usage WHERE workspace_id = :workspaceId RETURNING 1 AS gone`),
    reservations: dropSome('upload_reservations', 'id'),
    invites: dropSome('workspace_invites', 'token_hash', 'workspace_invites_by_token'),
    settings: dropSome('workspace_settings', 'key'),
    members: dropSome('workspace_members', 'user_id'),
  },

  count: {
    entries: count('change_log', 'change_log_by_version'),
    records: syncedTables.map((table) => count(`s_${table}`, `s_${table}_by_version`)),
    members: byKey('workspace_members'),
    invites: count('workspace_invites', 'workspace_invites_by_token'),
    webhooks: count('webhooks', 'webhooks_by_workspace'),
    deliveries: statement(`SELECT count(*) AS total ${deliveries}`),
  },
}
