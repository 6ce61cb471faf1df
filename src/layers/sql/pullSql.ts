/**
 * The statement that reads a page of changes.
 */
import { type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { logEntryColumns } from './logEntry.js'
import { unionAll } from './union.js'

/** Where a page begins, as versions are stored: expressions, of what is behind the cursor and below the floor. */
interface Bounds {
  readonly cursor: string
  readonly floor: string
  readonly logCursor: string
}

const given: Bounds = { cursor: ':cursor', floor: ':floor', logCursor: ':logCursor' }

const logColumns = `${logEntryColumns}, op_id`

/** A put says whose notification it is; a delete has no payload, so its row does. */
const visibleEntry = `(:userId IS NULL OR :userId = coalesce(
  CASE op WHEN 'put' THEN CASE json_type(payload_json, '$.user_id') WHEN 'text' THEN payload_json ->> '$.user_id' END
  ELSE (SELECT user_id FROM s_notifications AS n WHERE n.workspace_id = change_log.workspace_id AND n.pk = change_log.pk)
  END, :userId))`

const wholeLog = ({ logCursor }: Bounds) => `
  SELECT ${logColumns} FROM change_log INDEXED BY change_log_by_version
  WHERE workspace_id = :workspaceId AND server_version > ${logCursor} AND (table_name <> 'notifications' OR ${visibleEntry})`

const logOf = (table: SyncedTable, { logCursor }: Bounds) => `
  SELECT ${logColumns} FROM change_log INDEXED BY change_log_by_table
  WHERE workspace_id = :workspaceId AND table_name = '${table}' AND server_version > ${logCursor}
  ${table === 'notifications' ? `AND ${visibleEntry}` : ''}`

const rowsOf = (table: SyncedTable, { cursor, floor }: Bounds) => `
  SELECT server_version, '${table}' AS table_name, pk, iif(deleted, 'delete', 'put') AS op, data_json AS payload_json, clock, hlc, device_id, op_id
  FROM s_${table} INDEXED BY s_${table}_by_version
  WHERE workspace_id = :workspaceId AND server_version > ${cursor} AND server_version <= ${floor}
  ${table === 'notifications' ? 'AND (:userId IS NULL OR :userId = coalesce(user_id, :userId))' : ''}`

const branches = (tables: ReadonlyArray<SyncedTable>, belowFloor: boolean, bounds: Bounds) => [
  ...(belowFloor ? tables.map((table) => rowsOf(table, bounds)) : []),
  ...(tables.length === syncedTables.length
    ? [wholeLog(bounds)]
    : tables.map((table) => logOf(table, bounds))),
]

const byVersion = 'ORDER BY server_version LIMIT :wanted'

export const pullSql = {
  /** Read row by row, this reads no more than is taken: SQLite merges its branches. */
  page: (tables: ReadonlyArray<SyncedTable>, belowFloor: boolean): string =>
    `${branches(tables, belowFloor, given).join(' UNION ALL ')} ${byVersion}`,

  /** The same for engines that read all there is of a union before they sort it: no branch gives more than a page. */
  wholePage: (tables: ReadonlyArray<SyncedTable>, bounds: Bounds): string =>
    `${unionAll(
      branches(tables, true, bounds).map((branch) => `SELECT * FROM (${branch} ${byVersion})`),
    )} ${byVersion}`,
}
