/**
 * Every service over batches, for an engine that has nothing else. Knows no driver.
 */
import { Layer } from 'effect'
import type { FileReferences } from '../../services/FileReferences.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import type { Maintenance } from '../../services/Maintenance.js'
import type { Memberships } from '../../services/Memberships.js'
import type { ProviderConfig } from '../../services/ProviderConfig.js'
import type { SyncGateway } from '../../services/SyncGateway.js'
import type { UploadIntents } from '../../services/UploadIntents.js'
import type { Upkeep } from '../../services/Upkeep.js'
import type { WorkspaceStore } from '../../services/WorkspaceStore.js'
import type { Batches } from '../sql/Batches.js'
import * as MaintenanceLayer from '../sql/Maintenance.js'
import * as Members from '../sql/Memberships.js'
import * as Intents from '../sql/UploadIntents.js'
import * as Store from '../sql/WorkspaceStore.js'
import * as References from './FileReferences.js'
import * as Gateway from './SyncGateway.js'
import * as UpkeepLayer from './Upkeep.js'

/** The services, on the engine that is given. No schedule runs among them: `upkeepSchedule.ts` has it. */
export const batchServices: Layer.Layer<
  SyncGateway | FileReferences | UploadIntents | WorkspaceStore | Memberships | Upkeep | Maintenance,
  never,
  Batches | IdGenerator | ProviderConfig
> = Layer.mergeAll(
  Gateway.layer,
  References.layer,
  Intents.layer,
  Store.layer,
  Members.layer,
  UpkeepLayer.layer,
  MaintenanceLayer.layer,
)
