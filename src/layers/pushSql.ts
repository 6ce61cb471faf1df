/**
 * The statements of a push. `push.ts` says in which order they run and why.
 */
import { type SyncedTable, syncedTables } from '../services/SyncDomain.js'
import { logEntryColumns } from './logEntry.js'

/** One statement per synced table: a table's name enters SQL only from the list of `SyncDomain`. */
export const perTable = (text: (table: SyncedTable) => string): Record<SyncedTable, string> =>
  Object.fromEntries(syncedTables.map((table) => [table, text(table)])) as Record<SyncedTable, string>

export const pushSql = {
  raiseWatermark: `
    INSERT INTO server_version_counter (workspace_id, value, trimmed_version, version_offset, clock_offset, clock_base)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id) DO UPDATE SET value = excluded.value`,

  hasTombstones: `SELECT 1 FROM tombstones WHERE workspace_id = ? LIMIT 1`,

  loggedOp: `
    SELECT ${logEntryColumns} FROM change_log WHERE workspace_id = ? AND op_id = ?`,

  trimmedOp: `SELECT server_version, content_hash FROM trimmed_ops WHERE workspace_id = ? AND op_id = ?`,

  notificationOwner: `SELECT user_id FROM s_notifications WHERE workspace_id = ? AND pk = ?`,

  log: `
    INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id,
      op_id, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,

  hasRow: perTable((table) => `SELECT 1 FROM s_${table} WHERE workspace_id = ? AND pk = ?`),

  /** Changes one row if the op wins, none if it loses. A notification's user comes last. */
  materialize: perTable((table) => {
    const owned = table === 'notifications'
    return `
      INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted,
        created_at, updated_at${owned ? ', user_id' : ''})
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?${owned ? ', ?' : ''})
      ON CONFLICT (workspace_id, pk) DO UPDATE SET
        data_json = excluded.data_json, clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id,
        device_id = excluded.device_id, server_version = excluded.server_version, deleted = excluded.deleted,
        updated_at = excluded.updated_at
        ${owned ? `, user_id = iif(excluded.deleted, coalesce(s_${table}.user_id, excluded.user_id), excluded.user_id)` : ''}
      WHERE (excluded.clock, excluded.hlc, excluded.op_id) > (s_${table}.clock, s_${table}.hlc, s_${table}.op_id)`
  }),

  winningPayload: perTable((table) => `SELECT data_json FROM s_${table} WHERE workspace_id = ? AND pk = ?`),

  bury: `
    INSERT INTO tombstones (workspace_id, table_name, pk, clock, hlc, op_id, server_version, deleted_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id, table_name, pk) DO UPDATE SET
      clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id,
      server_version = excluded.server_version, deleted_at = excluded.deleted_at`,

  revive: `DELETE FROM tombstones WHERE workspace_id = ? AND table_name = ? AND pk = ?`,
}
