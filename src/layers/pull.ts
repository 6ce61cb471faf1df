/**
 * Pull on SQLite: one page, in version order.
 *
 * Above the trimmed floor the log has every entry. Up to the floor it has none, and the materialised rows stand for them.
 * So a page is a merge of at most 14 index ranges, each of which SQLite reads no further than the page needs.
 */
import type { Connection } from '@effect/sql/SqlConnection'
import { Effect } from 'effect'
import { checkPull } from '../services/requests.js'
import { type Operation, type SyncChange, type SyncedTable, syncedTables } from '../services/SyncDomain.js'
import type { GatewayError, PullPage, PullRequest } from '../services/SyncGateway.js'
import type { Database } from './Database.js'
import { all } from './statement.js'

const logColumns = `server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id`

/** A put says whose notification it is; a delete has no payload, so its row does. */
const visibleEntry = `(:userId IS NULL OR :userId = coalesce(
  CASE op WHEN 'put' THEN CASE json_type(payload_json, '$.user_id') WHEN 'text' THEN payload_json ->> '$.user_id' END
  ELSE (SELECT user_id FROM s_notifications AS n WHERE n.workspace_id = change_log.workspace_id AND n.pk = change_log.pk)
  END, :userId))`

const wholeLog = `
  SELECT ${logColumns} FROM change_log
  WHERE workspace_id = :workspaceId AND server_version > :cursor AND (table_name <> 'notifications' OR ${visibleEntry})`

const logOf = (table: SyncedTable) => `
  SELECT ${logColumns} FROM change_log
  WHERE workspace_id = :workspaceId AND table_name = '${table}' AND server_version > :cursor
  ${table === 'notifications' ? `AND ${visibleEntry}` : ''}`

const rowsOf = (table: SyncedTable) => `
  SELECT server_version, '${table}', pk, iif(deleted, 'delete', 'put'), data_json, clock, hlc, device_id, op_id
  FROM s_${table}
  WHERE workspace_id = :workspaceId AND server_version > :cursor AND server_version <= :floor
  ${table === 'notifications' ? 'AND (:userId IS NULL OR :userId = coalesce(user_id, :userId))' : ''}`

const inOrder = (branches: ReadonlyArray<string>) =>
  `${branches.join(' UNION ALL ')} ORDER BY server_version LIMIT :wanted`

export const pullSql = {
  position: `SELECT value, trimmed_version FROM server_version_counter WHERE workspace_id = ?`,

  page: (tables: ReadonlyArray<SyncedTable>, belowFloor: boolean): string =>
    inOrder([
      ...(belowFloor ? tables.map(rowsOf) : []),
      ...(tables.length === syncedTables.length ? [wholeLog] : tables.map(logOf)),
    ]),
}

type PageRow = readonly [
  serverVersion: number,
  tableName: SyncedTable,
  pk: string,
  op: Operation,
  payloadJson: string | null,
  clock: number,
  hlc: string,
  deviceId: string,
  opId: string,
]

/** Parses a page's payloads as one text, which is faster than one by one. */
const toChanges = (rows: ReadonlyArray<PageRow>): ReadonlyArray<SyncChange> => {
  const payloads: ReadonlyArray<unknown> = JSON.parse(`[${rows.map((row) => row[4] ?? 'null').join(',')}]`)
  return rows.map(([serverVersion, tableName, pk, op, payloadJson, clock, hlc, deviceId, opId], index) => {
    const stamp = { deviceId, opId, hlc, clock }
    return payloadJson === null
      ? { serverVersion, tableName, pk, op, stamp }
      : { serverVersion, tableName, pk, op, payload: payloads[index], stamp }
  })
}

const position = (workspaceId: string) => (connection: Connection) =>
  Effect.map(
    all<{ value: number; trimmed_version: number }>(connection, pullSql.position, [workspaceId]),
    ([row]) => row ?? { value: 0, trimmed_version: 0 },
  )

export const pull =
  (database: Database['Type']) =>
  (request: PullRequest): Effect.Effect<PullPage, GatewayError> =>
    Effect.gen(function* () {
      const { workspaceId, userId, cursor, limit, tables } = yield* checkPull(request)
      const seen = yield* database.read('pull', position(workspaceId))
      // The usual poll: nothing new. One statement is a snapshot of its own.
      if (cursor >= seen.value || tables.length === 0) {
        return { changes: [], nextCursor: Math.max(cursor, seen.value), hasMore: false }
      }
      return yield* database.snapshot('pull', (connection) =>
        Effect.gen(function* () {
          const { value, trimmed_version: floor } = yield* position(workspaceId)(connection)
          const belowFloor = cursor < floor
          const parameters = { workspaceId, cursor, wanted: limit + 1, userId: userId ?? null }
          const rows = (yield* connection.executeValues(pullSql.page(tables, belowFloor), [
            { ...parameters, floor },
          ])) as unknown as ReadonlyArray<PageRow>
          const hasMore = rows.length > limit
          const changes = toChanges(hasMore ? rows.slice(0, limit) : rows)
          return { changes, nextCursor: hasMore ? changes[limit - 1]!.serverVersion : value, hasMore }
        }),
      )
    })
