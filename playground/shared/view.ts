/**
 * What the server holds of one workspace, as the page shows it.
 */
export interface Revision {
  readonly clock: number
  readonly hlc: string
  readonly opId: string
}

interface Recorded extends Revision {
  readonly table: string
  readonly pk: string
  readonly version: number
}

export interface LogEntry extends Recorded {
  readonly deviceId: string
  readonly op: 'put' | 'delete'
  readonly payload: unknown
}

export interface Row extends Recorded {
  readonly deviceId: string
  readonly deleted: boolean
  readonly payload: unknown
}

export type Tombstone = Recorded

export interface ServerView {
  readonly workspaceId: string
  /** The highest version that was given. */
  readonly version: number
  /** Log entries up to this version were collected; the rows stand for them. */
  readonly floor: number
  /** How many there are; the lists below show the newest. */
  readonly counts: { readonly log: number; readonly rows: number; readonly tombstones: number }
  readonly log: ReadonlyArray<LogEntry>
  readonly rows: ReadonlyArray<Row>
  readonly tombstones: ReadonlyArray<Tombstone>
  readonly cursors: ReadonlyArray<{ readonly deviceId: string; readonly version: number }>
}
