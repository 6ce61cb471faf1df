/**
 * Where a workspace stands: its high watermark, its floor, and what leaps have added to all it shows.
 */
import type { Connection } from './connection.js'

/**
 * The workspace whose row says where workspaces begin that have none yet: at 0, or above all that was before the last
 * restore. No workspace can have this id.
 */
export const unbornWorkspace = ''

/** @readByTests of the query plans. */
export const positionSql = `
  SELECT value + version_offset AS version, trimmed_version + version_offset AS floor, value AS stored,
    version_offset AS versionOffset, clock_offset AS clockOffset, leapt_at AS leaptAt, clock_base AS clockBase
  FROM server_version_counter WHERE workspace_id = ?`

export interface Position {
  /** The high watermark. */
  readonly version: number
  /** Up to here the rows stand for the log. */
  readonly floor: number
  /** The high watermark as it is stored; 0 while no version was handed out. */
  readonly stored: number
  /** What a stored version lacks to be the one that devices know: of the log, of rows, of tombstones, of trimmed ops. */
  readonly versionOffset: number
  /** The same of clocks. */
  readonly clockOffset: number
  /** Epoch seconds. */
  readonly leaptAt: number | null
  /** Clocks below it are from before a restored backup. */
  readonly clockBase: number
}

const beginning: Position = {
  version: 0,
  floor: 0,
  stored: 0,
  versionOffset: 0,
  clockOffset: 0,
  leaptAt: null,
  clockBase: 0,
}

export const positionOf = (connection: Connection, workspaceId: string): Position => {
  const own = connection.first<Position>(positionSql, workspaceId)
  if (own !== undefined) return own
  const unborn = connection.first<Position>(positionSql, unbornWorkspace)
  return unborn === undefined ? beginning : { ...unborn, stored: 0 }
}
