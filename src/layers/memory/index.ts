/**
 * The in-memory layers one by one, for tests of programs that need only some of the services. What they remember is gone with
 * their scope.
 */
import { Layer } from 'effect'
import type { IdGenerator } from '../../services/IdGenerator.js'
import type { Memberships } from '../../services/Memberships.js'
import type { WorkspaceStore } from '../../services/WorkspaceStore.js'
import * as Members from './Memberships.js'
import * as StoreState from './StoreState.js'
import * as Store from './WorkspaceStore.js'

/** The gateway. It knows no workspaces: whatever id it is given is one. */
export { layer as syncGateway } from './SyncGateway.js'

/** The store and the memberships, which share what they remember. */
export const workspaces: Layer.Layer<WorkspaceStore | Memberships, never, IdGenerator> = Layer.provide(
  Layer.mergeAll(Store.layerWithState, Members.layer),
  StoreState.layer,
)
