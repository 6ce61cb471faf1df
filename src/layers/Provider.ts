/**
 * The composition root: every service on the engine that is chosen, or in memory.
 */
import { Effect, Layer } from 'effect'
import type { DatabaseReport } from '../services/DatabaseReport.js'
import type { FileReferences } from '../services/FileReferences.js'
import { type Driver, type InvalidSettings, ProviderConfig } from '../services/ProviderConfig.js'
import type { SyncGateway } from '../services/SyncGateway.js'
import * as Turso from './batch/turso.js'
import { type Engine, inWorkers, type OpenFailure, overNetwork, type Services, servicesOn } from './engine.js'
import * as IdGenerator from './IdGenerator.js'
import * as Memory from './memory/index.js'
import * as Config from './ProviderConfig.js'
import { type SqlServices, sqlServices } from './sql/services.js'
import * as Sqlite from './synchronous/databaseLayer.js'
import * as Report from './synchronous/DatabaseReport.js'
import * as References from './synchronous/FileReferences.js'
import * as Migrator from './synchronous/SchemaMigrator.js'
import * as Gateway from './synchronous/SyncGateway.js'
import * as Upkeep from './synchronous/Upkeep.js'

/** Why the services could not be had. */
export type StartupError = InvalidSettings | OpenFailure

const inProcess: Engine = {
  opens: 'at once',
  layer: Layer.mergeAll(Gateway.layer, References.layer, Upkeep.layer, Report.layer, sqlServices).pipe(
    Layer.provide(Sqlite.layer),
    Layer.provideMerge(Migrator.layer),
  ),
}

/** @internal */
export const engines: Record<Driver, Engine> = {
  'better-sqlite3': inProcess,
  bun: inProcess,
  turso: { opens: 'in the background', layer: overNetwork(Turso.layer) },
  d1: inWorkers,
}

/** The services, on the database that a given `ProviderConfig` names. */
export const layerWithConfig: Layer.Layer<Services, OpenFailure, ProviderConfig> = Layer.unwrapEffect(
  Effect.map(ProviderConfig, ({ driver }) => servicesOn(engines[driver])),
)

/** The services, on the database that the `OR3_SQLITE_*` settings of the current `ConfigProvider` name. */
export const layer: Layer.Layer<Services | ProviderConfig, StartupError> = Layer.provideMerge(
  layerWithConfig,
  Config.layer,
)

/** The services without a database, for tests of programs that use them. All is gone with the layer's scope. */
export const layerMemory: Layer.Layer<SyncGateway | FileReferences | DatabaseReport | SqlServices> =
  Layer.mergeAll(
    Memory.syncGateway,
    Memory.maintenance,
    Memory.rateLimits,
    Memory.erasure,
    Layer.provide(
      Layer.mergeAll(Memory.workspaces, Memory.backgroundJobs, Memory.webhooks),
      IdGenerator.layer,
    ),
  )
