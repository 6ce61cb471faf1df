/**
 * Where a workspace stands: its high watermark, its floor, and when it last leapt.
 */
import type { Connection } from './connection.js'

/**
 * The workspace whose row says where workspaces begin that have none yet: at 0, or above all that was before the last
 * restore. No workspace can have this id.
 */
export const unbornWorkspace = ''

/** @readByTests of the query plans. */
export const positionSql = `
  SELECT value AS version, trimmed_version AS floor, leapt_at AS leaptAt, clock_base AS clockBase
  FROM server_version_counter WHERE workspace_id = ?`

export interface Position {
  /** The high watermark. */
  readonly version: number
  /** Up to here the rows stand for the log. */
  readonly floor: number
  /** Epoch seconds. */
  readonly leaptAt: number | null
  /** Clocks below it are from before a restored backup. */
  readonly clockBase: number
}

const beginning: Position = { version: 0, floor: 0, leaptAt: null, clockBase: 0 }

export const positionOf = (connection: Connection, workspaceId: string): Position =>
  connection.first<Position>(positionSql, workspaceId) ??
  connection.first<Position>(positionSql, unbornWorkspace) ??
  beginning
