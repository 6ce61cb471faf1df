/**
 * The sync gateway and the workspace store, as the host's promises.
 */
import { Effect } from 'effect'
import type { GatewayError, RetentionRequest, SyncGateway } from '../services/SyncGateway.js'
import { toPullAnswer, toPushAnswer } from './answers.js'
import type { Run } from './calls.js'
import { type Teller, telling } from './hooks.js'
import type { AuthWorkspaceStore, HostEvent, SyncGatewayAdapter } from './host.js'
import type { HostFiles } from './hostFiles.js'
import { checkHostRetention, type MaintenanceAdapter } from './hostMaintenance.js'
import { capabilities, toHostPage } from './hostSnapshot.js'
import { invitesAdapter } from './invitesAdapter.js'
import { readable } from './readable.js'
import { callerOf, callerOfSession } from './session.js'

export const syncGateway = (
  id: string,
  run: Run,
  teller: Teller | undefined,
): Omit<SyncGatewayAdapter, keyof MaintenanceAdapter | keyof HostFiles<HostEvent>> => {
  /** The input as the service wants it, on behalf of the event's session. What cannot be read, the service refuses. */
  const call = <A extends object>(event: HostEvent | undefined, input: A, callerIn = callerOf) => {
    const caller = callerIn(event)
    // A field after a spread makes it ten times as slow.
    return Object.assign(
      readable(() => ({ ...input })),
      { caller },
    )
  }
  const collect = (
    request: RetentionRequest,
    gc: (gateway: SyncGateway['Type']) => (request: RetentionRequest) => Effect.Effect<unknown, GatewayError>,
  ) =>
    run(({ gateway }) => Effect.asVoid(Effect.zipRight(checkHostRetention(request), gc(gateway)(request))), {
      takesLong: true,
    })
  return {
    id,
    capabilities,
    pull: async (event, input) => {
      const page = await run(({ gateway }) => gateway.pull(call(event, input)))
      return toPullAnswer(input.scope.workspaceId, page)
    },
    snapshot: async (event, input) =>
      toHostPage(await run(({ gateway }) => gateway.snapshot(call(event, input)))),
    push: async (event, input) => {
      const pushed = await run(({ gateway }) => telling(gateway, teller).push(call(event, input)))
      return toPushAnswer(input.scope.workspaceId, input.ops, pushed)
    },
    updateCursor: async (event, input) => {
      await run(({ gateway }) => gateway.updateCursor(call(event, input, callerOfSession)))
    },
    gcTombstones: async (event, input) => collect(call(event, input), (gateway) => gateway.gcTombstones),
    gcChangeLog: async (event, input) => collect(call(event, input), (gateway) => gateway.gcChangeLog),
  }
}

export const workspaceStore = (run: Run): AuthWorkspaceStore => ({
  getOrCreateUser: (identity) => run(({ store }) => store.getOrCreateUser(identity)),
  getUser: (identity) => run(({ store }) => store.getUser(identity)),
  getOrCreateDefaultWorkspace: (userId) => run(({ store }) => store.getOrCreateDefaultWorkspace(userId)),
  getWorkspaceRole: (membership) => run(({ store }) => store.getWorkspaceRole(membership)),
  listUserWorkspaces: (userId) => run(({ store }) => store.listUserWorkspaces(userId)),
  createWorkspace: (request) => run(({ store }) => store.createWorkspace(request)),
  updateWorkspace: (request) => run(({ store }) => store.updateWorkspace(request)),
  removeWorkspace: (membership) => run(({ store }) => store.removeWorkspace(membership)),
  setActiveWorkspace: (membership) => run(({ store }) => store.setActiveWorkspace(membership)),
  ...invitesAdapter(run),
})
