/**
 * How the services are made: on SQLite, or in memory.
 */
export { layer, layerMemory, layerWithConfig, type StartupError } from './Provider.js'
export * as IdGeneratorLayer from './IdGenerator.js'
export * as LoggerLayer from './logger.js'
export * as ProviderConfigLayer from './ProviderConfig.js'
