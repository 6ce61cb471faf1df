/**
 * The statements of a push. `push.ts` says in which order they run and why.
 */
import { logEntryColumns } from '../sql/logEntry.js'
import { perTable } from '../sql/perTable.js'

export const pushSql = {
  raiseWatermark: `
    INSERT INTO server_version_counter (workspace_id, value, trimmed_version, version_offset, clock_offset, clock_base)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id) DO UPDATE SET value = excluded.value`,

  hasTombstones: `SELECT 1 FROM tombstones WHERE workspace_id = ? LIMIT 1`,

  loggedOp: `
    SELECT ${logEntryColumns} FROM change_log WHERE workspace_id = ? AND op_id = ?`,

  trimmedOp: `SELECT server_version, content_hash FROM trimmed_ops WHERE workspace_id = ? AND op_id = ?`,

  /** What migration 005 called the op of an id; rows of several records may have had the same. */
  renamedOp: `SELECT new_op_id, table_name, pk FROM renamed_ops WHERE workspace_id = ? AND op_id = ?`,

  notificationOwner: `SELECT user_id FROM s_notifications WHERE workspace_id = ? AND pk = ?`,

  log: `
    INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id,
      op_id, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,

  /** Adds a row to a record that has none. A notification's user comes last. */
  insertRow: perTable((table) => {
    const owned = table === 'notifications'
    return `
      INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted,
        created_at, updated_at${owned ? ', user_id' : ''})
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?${owned ? ', ?' : ''})
      ON CONFLICT (workspace_id, pk) DO NOTHING`
  }),

  /** Changes the row if the op wins. A notification that is deleted stays its user's: whether it is, and the op's user, come before the key. */
  replaceRow: perTable(
    (table) => `
      UPDATE s_${table} SET data_json = ?, clock = ?, hlc = ?, op_id = ?, device_id = ?, server_version = ?, deleted = ?,
        updated_at = ?${table === 'notifications' ? ', user_id = coalesce(iif(?, user_id, NULL), ?)' : ''}
      WHERE workspace_id = ? AND pk = ? AND (?, ?, ?) > (clock, hlc, op_id)`,
  ),

  winner: perTable((table) => `SELECT op_id FROM s_${table} WHERE workspace_id = ? AND pk = ?`),

  /** What a record stands by. */
  standing: perTable(
    (table) => `
      SELECT server_version, data_json, clock, hlc, op_id, device_id, deleted,
        iif(deleted, coalesce((SELECT t.deleted_at FROM tombstones AS t WHERE t.workspace_id = r.workspace_id
          AND t.table_name = '${table}' AND t.pk = r.pk), updated_at), NULL) AS deleted_at,
        ${table === 'notifications' ? 'user_id' : 'NULL AS user_id'}
      FROM s_${table} AS r WHERE workspace_id = ? AND pk = ?`,
  ),

  bury: `
    INSERT INTO tombstones (workspace_id, table_name, pk, clock, hlc, op_id, server_version, deleted_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id, table_name, pk) DO UPDATE SET
      clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id,
      server_version = excluded.server_version, deleted_at = excluded.deleted_at`,

  revive: `DELETE FROM tombstones WHERE workspace_id = ? AND table_name = ? AND pk = ?`,
}
