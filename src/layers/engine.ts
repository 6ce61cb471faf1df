/**
 * What every engine comes to. Knows no driver but that of Workers, whose bundles get nothing else.
 */
import { Layer } from 'effect'
import type { DatabaseReport } from '../services/DatabaseReport.js'
import type { FileReferences } from '../services/FileReferences.js'
import type { IdGenerator as IdGeneratorService } from '../services/IdGenerator.js'
import type { ProviderConfig } from '../services/ProviderConfig.js'
import type { SchemaError, SchemaMigrator } from '../services/SchemaMigrator.js'
import type { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import type { SyncGateway } from '../services/SyncGateway.js'
import type { Upkeep } from '../services/Upkeep.js'
import * as D1 from './batch/d1.js'
import { batchServices } from './batch/index.js'
import * as NetworkMigrator from './batch/SchemaMigrator.js'
import * as IdGenerator from './IdGenerator.js'
import type { Batches } from './sql/Batches.js'
import type { SqlServices } from './sql/services.js'
import { layerSchedule } from './upkeepSchedule.js'

export type Services = SyncGateway | FileReferences | DatabaseReport | Upkeep | SqlServices | SchemaMigrator

/** Why a database could not be opened. */
export type OpenFailure = DatabaseOpenError | SchemaError | StorageError

/** @internal */
export interface Engine {
  /**
   * When a server opens its database: before anything else happens; while it serves already; or in the calls themselves, since nothing
   * else runs in a Worker.
   */
  readonly opens: 'at once' | 'in the background' | 'in calls'
  readonly layer: Layer.Layer<Services, OpenFailure, ProviderConfig | IdGeneratorService>
}

export const overNetwork = (
  engine: Layer.Layer<Batches, DatabaseOpenError, ProviderConfig>,
): Engine['layer'] => batchServices.pipe(Layer.provideMerge(NetworkMigrator.layer), Layer.provide(engine))

/** @internal */
export const inWorkers: Engine = { opens: 'in calls', layer: overNetwork(D1.layer) }

/** The services on an engine, with their schedule. */
export const servicesOn = ({ layer }: Engine): Layer.Layer<Services, OpenFailure, ProviderConfig> =>
  layerSchedule.pipe(Layer.provideMerge(layer), Layer.provide(IdGenerator.layer))
