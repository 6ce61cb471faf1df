/**
 * What is known of garbage collection: whether it runs, how the last run ended, and how much waits for the next.
 *
 * Runs are those of this process: the server's own rounds, and those that the host says it makes. Another process on the same
 * file, the command `or3-sqlite gc` too, tells of its own only. The backlog is the file's, whoever asks. A failed run is told and
 * does nothing else: the provider goes on serving.
 */
import { Context, type Effect } from 'effect'

/** Who makes a run: the server by its schedule, or the host by its sweep. */
export type MaintenanceRunner = 'server' | 'host'

/** How things stand. */
export interface MaintenanceState {
  /** Whether the server makes rounds by itself. */
  readonly enabled: boolean
  /** `running` while anybody's run goes on; else `failed` if the last one to end did. */
  readonly state: 'idle' | 'running' | 'failed'
  /** When the last run ended that did not fail, as ISO time; absent before the first. */
  readonly lastRun?: string
  /**
   * Log entries, of all workspaces, that a collection with the server's own retention would remove now. Absent where there is no
   * database, or where it could not be asked.
   */
  readonly backlog?: number
  /** Why the last run to end failed; at most 500 characters. */
  readonly lastError?: string
}

/** Keeps account of the runs of garbage collection. No method fails. */
export class Maintenance extends Context.Tag('or3-provider-sqlite/Maintenance')<
  Maintenance,
  {
    /** How things stand. A few index look-ups per workspace. */
    readonly state: Effect.Effect<MaintenanceState>
    /** A run begins. A runner has one at a time: beginning again means that the one before was given up. */
    readonly begin: (runner: MaintenanceRunner) => Effect.Effect<void>
    /**
     * A run has ended well, at `lastRun`: an ISO time, now when absent. What is no time, or lies ahead, counts as now, since
     * the run has ended all the same.
     */
    readonly complete: (runner: MaintenanceRunner, lastRun?: string) => Effect.Effect<void>
    /** A run has ended with an error. */
    readonly fail: (runner: MaintenanceRunner, message: string) => Effect.Effect<void>
  }
>() {}
