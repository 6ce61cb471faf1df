/**
 * The composition root: every service on the engine that is chosen, or in memory.
 */
import { Effect, Layer } from 'effect'
import type { DatabaseReport } from '../services/DatabaseReport.js'
import type { FileReferences } from '../services/FileReferences.js'
import type { IdGenerator as IdGeneratorService } from '../services/IdGenerator.js'
import {
  type Driver,
  type InvalidSettings,
  ProviderConfig,
  type ProviderSettings,
} from '../services/ProviderConfig.js'
import type { SchemaError, SchemaMigrator } from '../services/SchemaMigrator.js'
import type { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import type { SyncGateway } from '../services/SyncGateway.js'
import type { Upkeep as UpkeepService } from '../services/Upkeep.js'
import { batchServices } from './batch/index.js'
import * as NetworkMigrator from './batch/SchemaMigrator.js'
import * as Turso from './batch/turso.js'
import * as IdGenerator from './IdGenerator.js'
import * as Memory from './memory/index.js'
import * as Config from './ProviderConfig.js'
import type { Batches } from './sql/Batches.js'
import { type SqlServices, sqlServices } from './sql/services.js'
import * as Sqlite from './synchronous/betterSqlite3.js'
import * as Report from './synchronous/DatabaseReport.js'
import * as References from './synchronous/FileReferences.js'
import * as Migrator from './synchronous/SchemaMigrator.js'
import * as Gateway from './synchronous/SyncGateway.js'
import * as Upkeep from './synchronous/Upkeep.js'
import { layerSchedule } from './upkeepSchedule.js'

type Services = SyncGateway | FileReferences | DatabaseReport | UpkeepService | SqlServices | SchemaMigrator

/** Why the services could not be had. */
export type StartupError = InvalidSettings | DatabaseOpenError | SchemaError | StorageError

type OnAnEngine = Layer.Layer<
  Services,
  DatabaseOpenError | SchemaError | StorageError,
  ProviderConfig | IdGeneratorService
>

const inProcess: OnAnEngine = Layer.mergeAll(
  Gateway.layer,
  References.layer,
  Upkeep.layer,
  Report.layer,
  sqlServices,
).pipe(Layer.provide(Sqlite.layer), Layer.provideMerge(Migrator.layer))

const overNetwork = (engine: Layer.Layer<Batches, DatabaseOpenError, ProviderConfig>): OnAnEngine =>
  batchServices.pipe(Layer.provideMerge(NetworkMigrator.layer), Layer.provide(engine))

const engines: Record<Driver, OnAnEngine> = {
  'better-sqlite3': inProcess,
  turso: overNetwork(Turso.layer),
}

/** The services, on the database that a given `ProviderConfig` names. */
export const layerWithConfig: Layer.Layer<
  Services,
  DatabaseOpenError | SchemaError | StorageError,
  ProviderConfig
> = layerSchedule.pipe(
  Layer.provideMerge(Layer.unwrapEffect(Effect.map(ProviderConfig, ({ driver }) => engines[driver]))),
  Layer.provide(IdGenerator.layer),
)

/** The services, on the database that the `OR3_SQLITE_*` settings of the current `ConfigProvider` name. */
export const layer: Layer.Layer<Services | ProviderConfig, StartupError> = Layer.provideMerge(
  layerWithConfig,
  Config.layer,
)

/** Whether the database of these settings is open before anything else happens, or has to be waited for. */
export const opensAtOnce = ({ driver }: ProviderSettings): boolean => driver === 'better-sqlite3'

/** The services without a database, for tests of programs that use them. All is gone with the layer's scope. */
export const layerMemory: Layer.Layer<SyncGateway | FileReferences | DatabaseReport | SqlServices> =
  Layer.mergeAll(
    Memory.syncGateway,
    Memory.maintenance,
    Memory.rateLimits,
    Layer.provide(
      Layer.mergeAll(Memory.workspaces, Memory.backgroundJobs, Memory.webhooks),
      IdGenerator.layer,
    ),
  )
