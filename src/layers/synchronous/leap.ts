/**
 * Leaps on SQLite, and how a server notices at start that its database is older than it was.
 *
 * Beside the database file lies `<file>-seen`: how many versions the database had when last looked at, and the highest version
 * and clock base among its workspaces. A database with fewer versions was restored from a backup (or lost its last
 * transactions in a power cut, which comes to the same); so perhaps was one that lies beside no such file. What this misses (a
 * copy of the whole folder was restored) shows when a device comes with a cursor from before.
 */
import { existsSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Either } from 'effect'
import { assumedSeen, leapOver } from '../../services/epochs.js'
import * as metrics from '../../services/metrics.js'
import { type Connection, transaction } from './connection.js'
import { positionOf, unbornWorkspace } from './position.js'

export const leapSql = {
  workspaces: `SELECT workspace_id AS id FROM server_version_counter WHERE workspace_id <> ?`,
  /** No row of the workspace is touched: rows, tombstones and log rise with the offsets. */
  rise: `
    INSERT INTO server_version_counter (workspace_id, value, version_offset, clock_offset, clock_base, leapt_at)
    VALUES (:workspaceId, 0, :versions, :clocks, :clocks, :now)
    ON CONFLICT (workspace_id) DO UPDATE SET
      version_offset = version_offset + excluded.version_offset, clock_offset = clock_offset + excluded.clock_offset,
      clock_base = clock_base + excluded.clock_base, leapt_at = excluded.leapt_at`,
  extent: `
    SELECT coalesce(sum(value), 0) AS total, coalesce(max(value + version_offset), 0) AS highest,
      coalesce(max(clock_base), 0) AS clockBase, coalesce(sum(value - trimmed_version), 0) AS logEntries
    FROM server_version_counter`,
}

/** What a database holds, or held when last looked at. */
export interface Extent {
  /** Versions handed out in all workspaces together, whatever leaps have added. */
  readonly total: number
  /** The highest high watermark. */
  readonly highest: number
  readonly clockBase: number
}

/**
 * Lets a workspace leap over a version; within a transaction. `now` in epoch seconds.
 *
 * With `overClocks` its clocks rise as well, above those of that clock base, see `rebasedClock`; only for a restore that the
 * server itself is sure of.
 */
export const leap = (
  connection: Connection,
  workspaceId: string,
  now: number,
  overVersion: number,
  overClocks?: number,
): void => {
  const { version, clockBase } = positionOf(connection, workspaceId)
  const versions = leapOver(overVersion, version)
  // No number is left above it: an adopted version may be anything.
  if (!Number.isSafeInteger(version + versions)) return
  const clocks = overClocks === undefined ? 0 : leapOver(overClocks, clockBase)
  connection.run(leapSql.rise, { workspaceId, versions, clocks, now })
}

/** A total of which a note says no more than that devices have seen more than is there; `restore` writes it where there was no note. */
export const unknown = Number.MAX_SAFE_INTEGER

/** Beside the file itself, whatever links lead to it. */
const noteOf = (dbPath: string) => `${existsSync(dbPath) ? realpathSync(dbPath) : dbPath}-seen`

const extentOf = (connection: Connection) =>
  connection.first<Extent & { readonly logEntries: number }>(leapSql.extent)!

/** Undefined when there is no such note, or nothing readable in it. A single number is taken for the total. */
export const lastSeen = (dbPath: string): Extent | undefined => {
  try {
    const note = readFileSync(noteOf(dbPath), 'utf8').trim()
    if (!/^\d+( \d+ \d+)?$/.test(note)) return undefined
    const [total = 0, highest = 0, clockBase = 0] = note.split(' ').map(Number)
    return { total, highest, clockBase }
  } catch {
    return undefined
  }
}

/** Notes and measures what the database holds; gives the note, and writes it only if it differs from the last one. */
export const noteExtent = (connection: Connection, dbPath: string, last?: string): string => {
  const { total, highest, clockBase, logEntries } = extentOf(connection)
  metrics.logEntries.unsafeUpdate(logEntries, [])
  const note = `${total} ${highest} ${clockBase}\n`
  if (note !== last) {
    const file = noteOf(dbPath)
    // A draft of its own for each process: none may rename what another one is writing.
    const draft = `${file}.${process.pid}`
    writeFileSync(draft, note)
    renameSync(draft, file)
  }
  return note
}

/** Whether there is a note that tells of anything. */
export const hasNote = (dbPath: string): boolean => (lastSeen(dbPath)?.total ?? 0) > 0

/** Notes that nothing was seen yet, unless there is a note; gives what takes that back. */
export const beginNote = (dbPath: string): (() => void) => {
  const file = noteOf(dbPath)
  if (existsSync(file)) return () => {}
  writeFileSync(file, '0 0 0\n')
  return () => rmSync(file, { force: true })
}

/** What devices may have seen of a database that is older than its note says, or has none; undefined of any other. */
const olderThan = (connection: Connection, dbPath: string): Partial<Extent> | undefined => {
  // The note is read before the database: whoever else is at work writes to the database first.
  const seen = lastSeen(dbPath)
  const { total, highest, clockBase } = extentOf(connection)
  if (seen === undefined) return total > 0 ? {} : undefined
  // Leaps of other kinds raise the highest version alone, and a database that leapt has versions no more than before.
  return seen.total > total || seen.highest > highest || seen.clockBase > clockBase ? seen : undefined
}

/** Whether its next start takes it for a restored backup. */
export const seemsRestored = (connection: Connection, dbPath: string): boolean =>
  olderThan(connection, dbPath) !== undefined

/** Lets every workspace of a restored database leap, in one transaction; tells whether it did. `now` in epoch seconds. */
export const leapIfRestored = (connection: Connection, dbPath: string, now: number): boolean => {
  if (!seemsRestored(connection, dbPath)) return false
  return Either.getOrThrow(
    transaction('BEGIN IMMEDIATE', (connection) => {
      // Another process may have come first, or just have made both the database and the note.
      const seen = olderThan(connection, dbPath)
      if (seen === undefined) return Either.right(false)
      const { total = unknown, highest = 0, clockBase } = seen
      const assumed = total < unknown ? 0 : assumedSeen(now)
      const clocks = clockBase === undefined ? undefined : Math.max(clockBase, assumed)
      const leapOne = (id: string) => leap(connection, id, now, Math.max(highest, assumed), clocks)
      for (const { id } of connection.all<{ id: string }>(leapSql.workspaces, unbornWorkspace)) leapOne(id)
      // Those that the backup does not know yet begin above what devices remember of them.
      leapOne(unbornWorkspace)
      return Either.right(true)
    })(connection),
  )
}
