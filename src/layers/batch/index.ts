/**
 * Every service over batches, for an engine that has nothing else. Knows no driver.
 */
import { Layer } from 'effect'
import type { DatabaseReport } from '../../services/DatabaseReport.js'
import type { FileReferences } from '../../services/FileReferences.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import type { ProviderConfig } from '../../services/ProviderConfig.js'
import type { SyncGateway } from '../../services/SyncGateway.js'
import type { Upkeep } from '../../services/Upkeep.js'
import type { Batches } from '../sql/Batches.js'
import { type SqlServices, sqlServices } from '../sql/services.js'
import * as Report from './DatabaseReport.js'
import * as References from './FileReferences.js'
import * as Gateway from './SyncGateway.js'
import * as UpkeepLayer from './Upkeep.js'

/** The services, on the engine that is given. No schedule runs among them: `upkeepSchedule.ts` has it. */
export const batchServices: Layer.Layer<
  SyncGateway | FileReferences | Upkeep | DatabaseReport | SqlServices,
  never,
  Batches | IdGenerator | ProviderConfig
> = Layer.mergeAll(Gateway.layer, References.layer, UpkeepLayer.layer, Report.layer, sqlServices)
