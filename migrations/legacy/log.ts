/**
 * Adopts the change log, and materialises the rows from it as a push does.
 *
 * The earlier log could hold a version twice. Such entries keep their order, and each moves up only as far as it must, into
 * a gap if there is one. So an entry never gets a lower version than it had: a device that had not seen it still will.
 */
import { Effect } from 'effect'
import {
  aside,
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

const materializeAll = syncedTables.map(materialize)

const inThousands = (n: number) => n.toLocaleString('en-US')

/** Gives the number of entries adopted. The legacy rows are there already. */
export const adoptLog = (total: number) =>
  Effect.gen(function* () {
    yield* run(`CREATE INDEX legacy_order ON ${legacyLog} (workspace_id, server_version)`)
    let position: readonly [workspaceId: string, version: number, id: number] = ['', 0, 0]
    let [workspaceId, last, seen, adopted] = ['', 0, 0, 0]
    for (;;) {
      const entries = yield* rows<Entry>(nextEntries, position)
      const final = entries.at(-1)
      if (final === undefined) return adopted
      const places = entries.map((entry) => {
        if (entry.workspace_id !== workspaceId) [workspaceId, last] = [entry.workspace_id, 0]
        last = Math.max(entry.server_version, last + 1)
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
