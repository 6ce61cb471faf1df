/**
 * What `or3-provider-sqlite/layers` is in a Worker: the services on D1, and in memory.
 */
import { Layer } from 'effect'
import type { InvalidSettings, ProviderConfig } from '../services/ProviderConfig.js'
import { inWorkers, type OpenFailure, type Services, servicesOn } from './engine.js'
import * as Config from './ProviderConfig.js'

/** The services on D1, with a given `ProviderConfig`. */
export const layerWithConfig: Layer.Layer<Services, OpenFailure, ProviderConfig> = servicesOn(inWorkers)

/** The services on D1, with the `OR3_SQLITE_*` settings of the current `ConfigProvider`. */
export const layer: Layer.Layer<Services | ProviderConfig, OpenFailure | InvalidSettings> =
  Layer.provideMerge(layerWithConfig, Config.layer)

export { D1 } from './batch/d1.js'
export * as IdGeneratorLayer from './IdGenerator.js'
export * as LoggerLayer from './logger.js'
export * as MemoryLayers from './memory/index.js'
export * as ProviderConfigLayer from './ProviderConfig.js'
