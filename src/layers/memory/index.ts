/**
 * The in-memory layers one by one, for tests of programs that need only some of the services. What they remember is gone with
 * their scope.
 */
import { Layer } from 'effect'
import type { FileReferences } from '../../services/FileReferences.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import type { Memberships } from '../../services/Memberships.js'
import type { SyncGateway } from '../../services/SyncGateway.js'
import type { UploadIntents } from '../../services/UploadIntents.js'
import type { WorkspaceStore } from '../../services/WorkspaceStore.js'
import * as References from './FileReferences.js'
import * as Ids from '../IdGenerator.js'
import * as GatewayState from './GatewayState.js'
import * as Members from './Memberships.js'
import * as StoreState from './StoreState.js'
import * as Gateway from './SyncGateway.js'
import * as Intents from './UploadIntents.js'
import * as Store from './WorkspaceStore.js'

/**
 * The gateway, and what is known about files, which share what they remember. They know no workspaces: whatever id they are
 * given is one.
 */
export const syncGateway: Layer.Layer<SyncGateway | FileReferences | UploadIntents> = Layer.provide(
  Layer.mergeAll(Gateway.layerWithState, References.layer, Intents.layer),
  [GatewayState.layer, Ids.layer],
)

/** The account of maintenance runs: only those that others tell of. */
export { layer as maintenance } from './Maintenance.js'

/** The store and the memberships, which share what they remember. */
export const workspaces: Layer.Layer<WorkspaceStore | Memberships, never, IdGenerator> = Layer.provide(
  Layer.mergeAll(Store.layerWithState, Members.layer),
  StoreState.layer,
)
