/**
 * The in-memory layers one by one, for tests of programs that need only some of the services. What they remember is gone with
 * their scope.
 */
import { Layer } from 'effect'
import type { DatabaseReport } from '../../services/DatabaseReport.js'
import type { Administration } from '../../services/Administration.js'
import type { BackgroundJobs } from '../../services/BackgroundJobs.js'
import type { DeploymentAdmins } from '../../services/DeploymentAdmins.js'
import type { Erasure } from '../../services/Erasure.js'
import type { FileReferences } from '../../services/FileReferences.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import type { Invites } from '../../services/Invites.js'
import type { Memberships } from '../../services/Memberships.js'
import type { SyncGateway } from '../../services/SyncGateway.js'
import type { UploadIntents } from '../../services/UploadIntents.js'
import type { Webhooks } from '../../services/Webhooks.js'
import type { WorkspaceSettings } from '../../services/WorkspaceSettings.js'
import type { WorkspaceStore } from '../../services/WorkspaceStore.js'
import * as Report from './DatabaseReport.js'
import * as Admin from './Administration.js'
import * as Admins from './DeploymentAdmins.js'
import * as Jobs from './BackgroundJobs.js'
import * as Erasing from './Erasure.js'
import * as References from './FileReferences.js'
import * as Ids from '../IdGenerator.js'
import * as GatewayState from './GatewayState.js'
import * as Invitations from './Invites.js'
import * as Members from './Memberships.js'
import * as StoreState from './StoreState.js'
import * as Gateway from './SyncGateway.js'
import * as Intents from './UploadIntents.js'
import * as Hooks from './Webhooks.js'
import * as Settings from './WorkspaceSettings.js'
import * as Store from './WorkspaceStore.js'

/**
 * The gateway, and what is known about files, which share what they remember. They know no workspaces: whatever id they are
 * given is one.
 */
export const syncGateway: Layer.Layer<SyncGateway | FileReferences | UploadIntents> = Layer.provide(
  Layer.mergeAll(Gateway.layerWithState, References.layer, Intents.layer),
  [GatewayState.layer, Ids.layer],
)

/** Background jobs. */
export const backgroundJobs: Layer.Layer<BackgroundJobs, never, IdGenerator> = Layer.provide(
  Jobs.layer,
  StoreState.layer,
)

/** Taking content away for good, of what `workspaces`, `syncGateway`, `backgroundJobs` and `webhooks` remember that are built together with it. */
export const erasure: Layer.Layer<Erasure> = Layer.provide(Erasing.layer, [
  StoreState.layer,
  GatewayState.layer,
])

/** The account of maintenance runs: only those that others tell of. */
export { layer as maintenance } from './Maintenance.js'

/** Rate limits that count in this process alone. */
export { layer as rateLimits } from './RateLimits.js'

/**
 * Webhooks and their deliveries. Built together with `workspaces`, they know the users and workspaces of these; of any other, whatever
 * id they are given is one.
 */
export const webhooks: Layer.Layer<Webhooks, never, IdGenerator> = Layer.provide(
  Hooks.layer,
  // The same layer as below: what is built together shares it.
  StoreState.layer,
)

/** The store, and all that is about the same users and workspaces, which share what they remember. */
export const workspaces: Layer.Layer<
  | WorkspaceStore
  | Memberships
  | DatabaseReport
  | Invites
  | Administration
  | WorkspaceSettings
  | DeploymentAdmins,
  never,
  IdGenerator
> = Layer.provide(
  Layer.mergeAll(
    Store.layerWithState,
    Members.layer,
    Report.layer,
    Invitations.layer,
    Admin.layer,
    Settings.layer,
    Admins.layer,
  ),
  StoreState.layer,
)
