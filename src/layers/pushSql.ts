/**
 * The statements of a push. `push.ts` says in which order they run and why.
 */
import { type SyncedTable, syncedTables } from '../services/SyncDomain.js'

/** One statement per synced table: a table's name enters SQL only from the list of `SyncDomain`. */
export const perTable = (text: (table: SyncedTable) => string): Record<SyncedTable, string> =>
  Object.fromEntries(syncedTables.map((table) => [table, text(table)])) as Record<SyncedTable, string>

export const pushSql = {
  highWatermark: `SELECT value FROM server_version_counter WHERE workspace_id = ?`,

  knownOps: `
    SELECT op_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id, NULL AS content_hash
    FROM change_log WHERE workspace_id = :workspaceId AND op_id IN (SELECT value FROM json_each(:opIds))
    UNION ALL
    SELECT op_id, server_version, NULL, NULL, NULL, NULL, NULL, NULL, NULL, content_hash
    FROM trimmed_ops WHERE workspace_id = :workspaceId AND op_id IN (SELECT value FROM json_each(:opIds))`,

  notificationOwners: `
    SELECT pk, user_id FROM s_notifications
    WHERE workspace_id = ? AND pk IN (SELECT value FROM json_each(?)) AND user_id IS NOT NULL`,

  allocate: `
    INSERT INTO server_version_counter (workspace_id, value) VALUES (?, ?)
    ON CONFLICT (workspace_id) DO UPDATE SET value = value + excluded.value
    RETURNING value`,

  log: `
    INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id,
      op_id, created_at)
    SELECT :workspaceId, :base + 1 + e.key, e.value ->> '$.t', e.value ->> '$.k', e.value ->> '$.o', e.value ->> '$.p',
      e.value ->> '$.c', e.value ->> '$.h', e.value ->> '$.d', e.value ->> '$.i', :now
    FROM jsonb_each(:ops) AS e`,

  /** Reads the log range just written. `:userId` is asked for notifications only. */
  materialize: perTable((table) => {
    const owner = table === 'notifications'
    // A put says whose notification it is; a delete leaves that as it was.
    const putOwner = `CASE json_type(payload_json, '$.user_id') WHEN 'text' THEN payload_json ->> '$.user_id' END`
    return `
      INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted,
        created_at, updated_at${owner ? ', user_id' : ''})
      SELECT workspace_id, pk, payload_json, clock, hlc, op_id, device_id, server_version, op = 'delete',
        created_at, created_at${owner ? `, CASE op WHEN 'put' THEN ${putOwner} ELSE :userId END` : ''}
      FROM change_log
      WHERE workspace_id = :workspaceId AND table_name = '${table}' AND server_version > :base
      ORDER BY server_version
      ON CONFLICT (workspace_id, pk) DO UPDATE SET
        data_json = excluded.data_json, clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id,
        device_id = excluded.device_id, server_version = excluded.server_version, deleted = excluded.deleted,
        updated_at = excluded.updated_at
        ${owner ? `, user_id = iif(excluded.deleted, coalesce(s_${table}.user_id, excluded.user_id), excluded.user_id)` : ''}
      WHERE (excluded.clock, excluded.hlc, excluded.op_id) > (s_${table}.clock, s_${table}.hlc, s_${table}.op_id)
      RETURNING op_id`
  }),

  payloads: perTable(
    (table) =>
      `SELECT pk, data_json FROM s_${table} WHERE workspace_id = ? AND pk IN (SELECT value FROM json_each(?))`,
  ),

  bury: perTable(
    (table) => `
      INSERT INTO tombstones (workspace_id, table_name, pk, clock, hlc, op_id, server_version, deleted_at)
      SELECT workspace_id, '${table}', pk, clock, hlc, op_id, server_version, updated_at
      FROM s_${table} WHERE workspace_id = :workspaceId AND server_version > :base AND deleted = 1
      ON CONFLICT (workspace_id, table_name, pk) DO UPDATE SET
        clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id,
        server_version = excluded.server_version, deleted_at = excluded.deleted_at`,
  ),

  revive: perTable(
    (table) => `
      DELETE FROM tombstones WHERE workspace_id = :workspaceId AND table_name = '${table}' AND pk IN (
        SELECT pk FROM s_${table} WHERE workspace_id = :workspaceId AND server_version > :base AND deleted = 0)`,
  ),
}
