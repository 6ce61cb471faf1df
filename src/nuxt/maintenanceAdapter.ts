/**
 * The account of maintenance runs, as the host's promises.
 */
import type { Run } from './calls.js'
import type { MaintenanceAdapter } from './hostMaintenance.js'

/** What can be read of `{ lastRun }`. */
const lastRunOf = (result: unknown): string | undefined => {
  try {
    return (result as { readonly lastRun?: string } | undefined)?.lastRun
  } catch {
    return undefined
  }
}

/** The account of runs, as promises; a run of the host's is told apart from the server's own. */
export const maintenanceMethods = (run: Run): Omit<MaintenanceAdapter, 'listWorkspaceIds'> => ({
  getMaintenanceState: async () => run(({ maintenance }) => maintenance.state),
  beginMaintenanceRun: async () => run(({ maintenance }) => maintenance.begin('host')),
  completeMaintenanceRun: async (result) =>
    run(({ maintenance }) => maintenance.complete('host', lastRunOf(result))),
  failMaintenanceRun: async (message) => run(({ maintenance }) => maintenance.fail('host', message)),
})
