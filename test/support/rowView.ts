/**
 * A record's row as every subject shows it.
 */
export interface RowView {
  readonly table: string
  readonly pk: string
  readonly payload: unknown
  readonly clock: number
  readonly hlc: string
  readonly opId: string
  readonly deviceId: string
  readonly version: number
  readonly deleted: boolean
}
