/**
 * What the host's own sweep and its pages for owners ask of the provider, and the bounds that a host's collections have.
 */
import { Effect } from 'effect'
import type { MaintenanceState } from '../services/Maintenance.js'
import { InvalidRequest } from '../services/SyncErrors.js'

/** The part of the sync gateway's adapter that a host's maintenance uses. It is trusted: none of it looks at a session. */
export interface MaintenanceAdapter {
  /** Every live workspace, oldest first. Nothing of the event is read. */
  listWorkspaceIds(event?: unknown): Promise<ReadonlyArray<string>>
  /** Whether collections run, how the last one of this process ended, and how much waits for the next. */
  getMaintenanceState(): Promise<MaintenanceState>
  /** A run of the host's begins. */
  beginMaintenanceRun(): Promise<void>
  /** It has ended well, at `lastRun`, an ISO time; what is none counts as now. */
  completeMaintenanceRun(result?: { readonly lastRun?: string }): Promise<void>
  /** It has failed. The provider goes on serving. */
  failMaintenanceRun(message: string): Promise<void>
}

/** A host's collection leaves at least an hour of history, and at most 365 days. */
const retentionBounds = { min: 3_600, max: 365 * 86_400 }

/** For the adapter alone: programs that use the services may want less. What is no number, those refuse. */
export const checkHostRetention = (request: {
  readonly retentionSeconds?: number
}): Effect.Effect<void, InvalidRequest> => {
  const { retentionSeconds } = request
  return typeof retentionSeconds === 'number' &&
    (retentionSeconds < retentionBounds.min || retentionSeconds > retentionBounds.max)
    ? Effect.fail(
        new InvalidRequest({ field: 'retentionSeconds', detail: 'is not between 3600 and 31536000' }),
      )
    : Effect.void
}
