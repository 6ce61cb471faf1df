/**
 * Where a workspace stands, as statements of a batch see it.
 */
import { Either } from 'effect'
import { type Batch, firstOf, type Results, statement } from '../sql/batch.js'

/** Of a workspace, as its counter says, or that of workspaces that have none; versions and clocks as they are stored. */
export interface Position {
  readonly value: number
  readonly trimmed_version: number
  readonly version_offset: number
  readonly clock_offset: number
  readonly clock_base: number
  readonly leapt_at: number | null
}

const columns = ['value', 'trimmed_version', 'version_offset', 'clock_offset', 'clock_base']

/** One row named `position`, for a `WITH`. The row of workspaces that have none has an empty id, so it sorts after the own one. */
export const position = `
  position AS (
    SELECT c.workspace_id, ${columns.map((column) => `coalesce(c.${column}, 0) AS ${column}`).join(', ')}, c.leapt_at
    FROM (SELECT 1) LEFT JOIN (
      SELECT * FROM server_version_counter WHERE workspace_id IN (:workspaceId, '') ORDER BY workspace_id DESC LIMIT 1) AS c)`

const positionStatement = statement(`WITH ${position} SELECT * FROM position`)

export const askPosition = (workspaceId: string) => positionStatement({ workspaceId })

/** From the result of `askPosition`. A workspace that has no row has stored nothing. */
export const positionIn = (results: Results, place: number): Position & { readonly stored: number } => {
  const row = firstOf(results, place)!
  return { ...(row as unknown as Position), stored: row.workspace_id ? row.value : 0 }
}

/** The high watermark, as devices know it. */
export const watermark = ({ value, version_offset: offset }: Position): number => value + offset

export const readPosition = (workspaceId: string): Batch<Position & { readonly stored: number }> => ({
  statements: [askPosition(workspaceId)],
  read: (results) => Either.right(positionIn(results, 0)),
})
