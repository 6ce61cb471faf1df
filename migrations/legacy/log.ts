/**
 * Adopts the change log, and materialises the rows from it as a push does.
 *
 * The earlier log could hold a version twice. Such entries keep their order, and each moves up only as far as it must, into
 * a gap if there is one. A device that had seen as far as such a place need not have seen what moved there, so
 * `004_offsets` lets these workspaces leap.
 */
import { Effect } from 'effect'
import {
  aside,
  count,
  deviceId,
  hlc,
  integer,
  isId,
  loggedOpId,
  payload,
  payloadOwner,
  rows,
  run,
  type SyncedTable,
  syncedTables,
  text,
  tied,
} from './common.js'

const legacyLog = aside('change_log')

/** Entries copied at a time. */
const chunkSize = 10_000
/** Entries between two lines in the server's log. */
const reportEvery = 100_000

interface Entry {
  readonly id: number
  readonly workspace_id: string
  readonly raw_version: number
  readonly server_version: number
}

const nextEntries = `
  SELECT rowid AS id, workspace_id, server_version AS raw_version, ${integer('server_version')} AS server_version
  FROM ${legacyLog} WHERE (workspace_id, server_version, rowid) > (?, ?, ?) AND ${isId('workspace_id')}
  ORDER BY workspace_id, server_version, rowid LIMIT ${chunkSize}`

/** What no rule of ours can make sense of is left out; a version is then a gap. */
const copyEntries = `
  INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id,
    created_at)
  SELECT l.workspace_id, e.value ->> 1, l.table_name, ${text('l.pk')}, l.op, ${payload('l.payload_json', `l.op = 'put'`)},
    ${integer('l.clock')}, ${hlc('l.hlc')}, ${deviceId('l.device_id')}, ${loggedOpId('l.op_id', 'l.rowid')},
    ${integer('l.created_at')}
  FROM json_each(?) AS e JOIN ${legacyLog} AS l ON l.rowid = e.value ->> 0
  WHERE l.table_name IN ('${syncedTables.join("', '")}') AND l.op IN ('put', 'delete') AND l.pk IS NOT NULL
  ORDER BY e.key
  ON CONFLICT (workspace_id, op_id) DO NOTHING`

/** Whether a row shows what an entry of the same clock and reading says. */
const shows = (row: string, entry: string) =>
  `(${row}.deleted = (${entry}.op = 'delete') AND (${row}.deleted OR json(${row}.data_json) = json(${entry}.payload_json)))`

const ties = (row: string, entry: string) => `(${entry}.clock, ${entry}.hlc) = (${row}.clock, ${row}.hlc)`

/**
 * Of ops with the same clock and reading, the earlier package kept the one that came first, and later that of the greater op id.
 * Which of them a row shows, only the row tells if its entry is gone. So it stays as it is, above those that are left.
 */
const keepTied = (table: SyncedTable) => `
  UPDATE s_${table} AS s SET op_id = '${tied}'
  FROM change_log AS l
  WHERE l.rowid > ? AND l.table_name = '${table}' AND s.workspace_id = l.workspace_id AND s.pk = l.pk
    AND s.server_version < 0 AND ${ties('s', 'l')} AND l.op_id > s.op_id AND NOT ${shows('s', 'l')}`

/** Where the entry that a row shows came later, the log has all that tie, and the greatest op id decides as in any log. */
const untie = (table: SyncedTable) => {
  const owner = table === 'notifications'
  return `
    UPDATE s_${table} AS s SET
      data_json = g.payload_json, op_id = g.op_id, device_id = g.device_id, server_version = g.server_version,
      deleted = g.op = 'delete' ${owner ? `, user_id = iif(g.op = 'put', ${payloadOwner('g.payload_json')}, s.user_id)` : ''}
    FROM (
      SELECT l.*, max(l.op_id), sum(${shows('r', 'l')}) > 0 AS shown
      FROM s_${table} AS r CROSS JOIN change_log AS l
        ON l.workspace_id = r.workspace_id AND l.table_name = '${table}' AND l.pk = r.pk AND ${ties('r', 'l')}
      WHERE r.op_id = '${tied}' GROUP BY l.workspace_id, l.pk
    ) AS g
    WHERE g.shown AND s.workspace_id = g.workspace_id AND s.pk = g.pk`
}

/**
 * The entry of the row's own revision wins over the row: it has the version. A row's creation is older than the log.
 */
const materialize = (table: SyncedTable) => {
  const owner = table === 'notifications'
  return `
    INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted,
      created_at, updated_at${owner ? ', user_id' : ''})
    SELECT workspace_id, pk, payload_json, clock, hlc, op_id, device_id, server_version, op = 'delete',
      created_at, created_at${owner ? `, iif(op = 'put', ${payloadOwner('payload_json')}, NULL)` : ''}
    FROM change_log WHERE rowid > ? AND table_name = '${table}' ORDER BY rowid
    ON CONFLICT (workspace_id, pk) DO UPDATE SET
      data_json = excluded.data_json, clock = excluded.clock, hlc = excluded.hlc, op_id = excluded.op_id,
      device_id = excluded.device_id, server_version = excluded.server_version, deleted = excluded.deleted,
      updated_at = iif((excluded.clock, excluded.hlc) = (s_${table}.clock, s_${table}.hlc),
        s_${table}.updated_at, excluded.created_at)
      ${owner ? `, user_id = iif(excluded.deleted, s_${table}.user_id, excluded.user_id)` : ''}
    WHERE (excluded.clock, excluded.hlc, excluded.op_id) >= (s_${table}.clock, s_${table}.hlc, s_${table}.op_id)`
}

const materializeAll = syncedTables.flatMap((table) => [keepTied(table), materialize(table)])

/** Workspaces whose entries moved; gone with the connection, like the mark of `setAside.ts`. */
export const movedLogs = 'moved_logs'

const inThousands = (n: number) => n.toLocaleString('en-US')

/** Gives the number of entries adopted. The legacy rows are there already. */
export const adoptLog = (total: number) =>
  Effect.gen(function* () {
    yield* run(`CREATE INDEX legacy_order ON ${legacyLog} (workspace_id, server_version)`)
    yield* run(`CREATE TEMP TABLE ${movedLogs} (workspace_id TEXT NOT NULL)`)
    const moved = new Set<string>()
    let position: readonly [workspaceId: string, version: number, id: number] = ['', 0, 0]
    let [workspaceId, last, seen, adopted] = ['', 0, 0, 0]
    for (;;) {
      const entries = yield* rows<Entry>(nextEntries, position)
      const final = entries.at(-1)
      if (final === undefined) {
        for (const table of syncedTables) {
          if ((yield* count(`s_${table} WHERE op_id = '${tied}'`)) > 0) yield* run(untie(table))
        }
        yield* run(`INSERT INTO temp.${movedLogs} (workspace_id) SELECT value FROM json_each(?)`, [
          JSON.stringify([...moved]),
        ])
        return adopted
      }
      const places = entries.map((entry) => {
        if (entry.workspace_id !== workspaceId) [workspaceId, last] = [entry.workspace_id, 0]
        last = Math.max(entry.server_version, last + 1)
        if (last !== entry.server_version) moved.add(workspaceId)
        return [entry.id, last]
      })
      const [before] = yield* rows<{ id: number }>('SELECT coalesce(max(rowid), 0) AS id FROM change_log')
      adopted += yield* run(copyEntries, [JSON.stringify(places)])
      for (const statement of materializeAll) yield* run(statement, [before?.id ?? 0])

      position = [final.workspace_id, final.raw_version, final.id]
      const reported = Math.floor(seen / reportEvery)
      seen += entries.length
      if (Math.floor(seen / reportEvery) > reported && seen < total) {
        yield* Effect.logInfo(
          `adopting the earlier database: ${inThousands(seen)} of ${inThousands(total)} log entries`,
        )
      }
    }
  })
