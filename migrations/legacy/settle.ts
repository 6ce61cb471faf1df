/**
 * Settles what an adoption of the earlier package's database leaves open, of one that an earlier release of ours adopted as well.
 *
 * - Its package must not start on the file again: it would trim a log whose floor it does not know. A ledger entry that it does
 *   not know stops it. (One that is running asks no ledger; the trigger of `004_offsets` stops that.)
 * - Where that has happened, the rows stand for the entries that are gone: the floor rises up to them.
 * - Where the earlier log held a version twice, entries moved up, to where devices may have been already; and rows below a
 *   floor have versions of an uncertain order (see `versions.ts`), which devices may have missed: so their
 *   workspaces leap above every cursor, and each device pulls them anew, once.
 * - Copies of payloads for pages of snapshots lasted an hour; nobody would ever erase them.
 * - Deleted notifications become those of whom they were for (see `notifications.ts`).
 */
import { Clock, Effect, FiberRef, HashMap } from 'effect'
import { count, run, syncedTables } from './common.js'
import { movedLogs } from './log.js'
import { settleNotifications } from './notifications.js'
import { isLegacy } from './setAside.js'

/** What an operator reads who starts the earlier package all the same: it names the entry as a migration that is missing. */
const ledgerEntry = {
  name: 'adopted by or3-provider-sqlite; to go back, restore the copy made before',
  timestamp: '9999-12-31T23:59:59.999Z',
}

/** Frozen here, as in the migrations themselves. */
const epoch = 2 ** 32
const believableEpochs = 16

const anyRow = (condition: (table: string) => string) =>
  `(${syncedTables.map((table) => `EXISTS (${condition(`s_${table}`)})`).join(' OR ')})`

const allRows = syncedTables
  .map((table) => `SELECT workspace_id, server_version FROM s_${table}`)
  .join(' UNION ALL ')

/** Entries below the new floor stay until they are trimmed, as those of a workspace that leapt: replays are known by them. */
const raiseFloors = `
  UPDATE server_version_counter SET trimmed_version = min(g.last, value), leapt_at = ?
  FROM (
    SELECT r.workspace_id, max(r.server_version) AS last
    FROM (${allRows}) AS r JOIN server_version_counter AS c ON c.workspace_id = r.workspace_id
    WHERE r.server_version > c.trimmed_version AND NOT EXISTS (
      SELECT 1 FROM change_log AS l WHERE l.workspace_id = r.workspace_id AND l.server_version = r.server_version)
    GROUP BY r.workspace_id
  ) AS g
  WHERE g.workspace_id = server_version_counter.workspace_id`

/** Above the watermark and every cursor that can be believed. No number is left for versions near the end of all numbers. */
const offset = `${epoch} * (max(value, coalesce((SELECT max(last_seen_version) FROM device_cursors AS d
    WHERE d.workspace_id = c.workspace_id AND last_seen_version <= c.value + ${believableEpochs * epoch}), 0)) / ${epoch} + 1)`

/** Lets each device pull the workspaces that meet a condition anew; `c` is the counter. */
export const leapWhere = (condition: string) => `
  UPDATE server_version_counter AS c SET version_offset = ${offset}
  WHERE workspace_id <> '' AND value + ${offset} <= ${Number.MAX_SAFE_INTEGER} AND ${condition}`

const isUncertain = `(workspace_id IN (SELECT workspace_id FROM temp.${movedLogs}) OR ${anyRow(
  (table) =>
    `SELECT 1 FROM ${table} AS r WHERE r.workspace_id = c.workspace_id AND r.server_version <= c.trimmed_version`,
)})`

/** A release of ours took `legacy:0`, which stands for no reading, for one: greater than any that a device gives. */
const wronglyDeleted = `(${syncedTables
  .map((table) => `SELECT 1 FROM s_${table} WHERE deleted = 1 AND device_id = 'legacy' AND hlc = 'legacy:0'`)
  .join(' UNION ALL ')})`

export const settleAdopted = Effect.gen(function* () {
  if (!(yield* isLegacy)) return
  const now = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
  yield* run('INSERT OR IGNORE INTO kysely_migration (name, timestamp) VALUES (?, ?)', [
    ledgerEntry.name,
    ledgerEntry.timestamp,
  ])
  for (const table of ['sync_snapshot_items', 'sync_snapshots']) yield* run(`DROP TABLE IF EXISTS ${table}`)
  yield* settleNotifications
  const emptied = yield* run(raiseFloors, [now])
  yield* run(`CREATE TEMP TABLE IF NOT EXISTS ${movedLogs} (workspace_id TEXT NOT NULL)`)
  const leapt = yield* run(leapWhere(isUncertain))
  yield* run(`DROP TABLE temp.${movedLogs}`)
  const deleted = yield* count(wronglyDeleted)
  const notes = [
    emptied > 0
      ? `the earlier package had trimmed the log of ${emptied} workspaces: their rows stand for it`
      : '',
    leapt > 0 ? `each device pulls ${leapt} workspaces anew, once` : '',
    deleted > 0
      ? `${deleted} records count as deleted because of a mark without a time, which an earlier release misread; the copy made before the adoption has them`
      : '',
  ].filter((note) => note !== '')
  if (notes.length > 0) yield* Effect.logInfo(`adopting the earlier database: ${notes.join('; ')}`)
  // The migrator's annotations are of no use to an operator.
}).pipe(Effect.locally(FiberRef.currentLogAnnotations, HashMap.empty()))
