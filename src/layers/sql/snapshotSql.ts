/**
 * What a snapshot reads of a record's row, as `r`.
 */
import type { SyncedTable } from '../../services/SyncDomain.js'

/** A tombstone says when its record was deleted; when it is collected, the row's last change was that. */
export const recordColumns = (table: SyncedTable): string => `
  r.pk, iif(r.deleted, NULL, r.data_json) AS data_json, r.clock, r.hlc, r.op_id,
  iif(r.deleted, coalesce((SELECT t.deleted_at FROM tombstones AS t INDEXED BY sqlite_autoindex_tombstones_1
    WHERE t.workspace_id = r.workspace_id AND t.table_name = '${table}' AND t.pk = r.pk), r.updated_at), NULL) AS deleted_at,
  ${table === 'notifications' ? 'r.user_id' : 'NULL'} AS user_id`
