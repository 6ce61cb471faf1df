/**
 * Leaps on SQLite, and how a server notices at start that its database is older than it was.
 *
 * Beside the database file lies `<file>-seen`, with the number of versions that the database had when last looked at. A
 * database with fewer was restored from a backup; so probably was one that lies beside no such file. What this misses (a
 * copy of the whole folder was restored) shows when a device comes with a cursor from before.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { Either } from 'effect'
import { leapSize } from '../services/epochs.js'
import { syncedTables } from '../services/SyncDomain.js'
import { type Connection, transaction } from './connection.js'
import { positionOf, unbornWorkspace } from './position.js'

/** One statement per table that holds versions of rows. */
const shift = (table: string, assignments: string) =>
  `UPDATE ${table} SET server_version = server_version + ${leapSize}${assignments} WHERE workspace_id = ?`

const versioned = [...syncedTables.map((table) => `s_${table}`), 'tombstones']

export const leapSql = {
  shift: versioned.map((table) => shift(table, '')),
  /** Every row becomes a newer revision than any that a device can hold. */
  assert: versioned.map((table) =>
    shift(table, `, clock = min(clock + ${leapSize}, ${Number.MAX_SAFE_INTEGER})`),
  ),
  workspaces: `SELECT workspace_id AS id FROM server_version_counter WHERE workspace_id <> ?`,
  /** Log entries keep their versions, now below the floor: they serve to recognise replays until they are trimmed. */
  counter: `
    INSERT INTO server_version_counter (workspace_id, value, trimmed_version, leapt_at, clock_base)
    VALUES (:workspaceId, :version, :version, :now, :clockBase)
    ON CONFLICT (workspace_id) DO UPDATE SET
      value = excluded.value, trimmed_version = excluded.trimmed_version, leapt_at = excluded.leapt_at,
      clock_base = excluded.clock_base`,
}

const totalSql = `SELECT coalesce(sum(value), 0) AS total FROM server_version_counter`

/**
 * Lets a workspace leap; within a transaction. `now` in epoch seconds.
 *
 * `assert` raises the clocks as well, see `rebasedClock`; only for a restore that the server itself is sure of.
 */
export const leap = (
  connection: Connection,
  workspaceId: string,
  now: number,
  rows: 'shift' | 'assert' = 'shift',
): void => {
  const { version, clockBase } = positionOf(connection, workspaceId)
  for (const sql of leapSql[rows]) connection.run(sql, workspaceId)
  connection.run(leapSql.counter, {
    workspaceId,
    version: version + leapSize,
    clockBase: clockBase + (rows === 'assert' ? leapSize : 0),
    now,
  })
}

const seenFile = (dbPath: string) => `${dbPath}-seen`

const versionsOf = (connection: Connection): number => connection.first<{ total: number }>(totalSql)!.total

/** Undefined when there is no such file, or nothing readable in it. */
const versionsSeen = (dbPath: string): number | undefined => {
  try {
    const seen = Number(readFileSync(seenFile(dbPath), 'utf8'))
    return Number.isSafeInteger(seen) ? seen : undefined
  } catch {
    return undefined
  }
}

/** Notes how many versions the database has. A disk that refuses costs nothing but this note. */
export const noteVersions = (connection: Connection, dbPath: string): void => {
  try {
    const total = versionsOf(connection)
    if (total === versionsSeen(dbPath)) return
    const draft = `${seenFile(dbPath)}.${process.pid}`
    writeFileSync(draft, `${total}\n`)
    renameSync(draft, seenFile(dbPath))
  } catch {}
}

/** What has to be done about a database: nothing, a leap in case it was restored, or one because it was. */
const diagnose = (connection: Connection, dbPath: string): 'shift' | 'assert' | undefined => {
  const total = versionsOf(connection)
  const seen = versionsSeen(dbPath)
  if (seen === undefined) return total === 0 ? undefined : 'shift'
  return seen > total ? 'assert' : undefined
}

/** Lets every workspace of a restored database leap, in one transaction; tells whether it was. `now` in epoch seconds. */
export const leapIfRestored = (connection: Connection, dbPath: string, now: number): boolean => {
  if (diagnose(connection, dbPath) === undefined) return false
  return Either.getOrThrow(
    transaction('BEGIN IMMEDIATE', (connection) => {
      // Another process may have come first.
      const rows = diagnose(connection, dbPath)
      if (rows === undefined) return Either.right(false)
      const workspaces = connection.all<{ id: string }>(leapSql.workspaces, unbornWorkspace)
      for (const { id } of workspaces) leap(connection, id, now, rows)
      // Those that the backup does not know yet begin above what devices remember of them.
      leap(connection, unbornWorkspace, now, rows)
      noteVersions(connection, dbPath)
      return Either.right(true)
    })(connection),
  )
}
