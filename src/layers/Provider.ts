/**
 * The composition root: every service on one SQLite database, or in memory.
 */
import { Layer } from 'effect'
import type { FileReferences } from '../services/FileReferences.js'
import type { Maintenance as MaintenanceService } from '../services/Maintenance.js'
import type { Memberships } from '../services/Memberships.js'
import type { InvalidSettings, ProviderConfig } from '../services/ProviderConfig.js'
import type { SchemaError, SchemaMigrator } from '../services/SchemaMigrator.js'
import type { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import type { SyncGateway } from '../services/SyncGateway.js'
import type { UploadIntents } from '../services/UploadIntents.js'
import type { Upkeep as UpkeepService } from '../services/Upkeep.js'
import type { WorkspaceStore } from '../services/WorkspaceStore.js'
import * as Database from './synchronous/betterSqlite3.js'
import * as References from './synchronous/FileReferences.js'
import * as IdGenerator from './IdGenerator.js'
import * as Maintenance from './synchronous/Maintenance.js'
import * as Members from './sql/Memberships.js'
import * as Memory from './memory/index.js'
import * as Config from './ProviderConfig.js'
import * as Migrator from './synchronous/SchemaMigrator.js'
import * as Gateway from './synchronous/SyncGateway.js'
import * as Upkeep from './synchronous/Upkeep.js'
import * as Intents from './sql/UploadIntents.js'
import * as Store from './sql/WorkspaceStore.js'

type Services =
  | SyncGateway
  | FileReferences
  | UploadIntents
  | WorkspaceStore
  | Memberships
  | UpkeepService
  | MaintenanceService
  | SchemaMigrator

/** Why the services could not be had. */
export type StartupError = InvalidSettings | DatabaseOpenError | SchemaError | StorageError

/** The services, on the database that a given `ProviderConfig` names. */
export const layerWithConfig: Layer.Layer<
  Services,
  DatabaseOpenError | SchemaError | StorageError,
  ProviderConfig
> = Layer.mergeAll(
  Gateway.layer,
  References.layer,
  Intents.layer,
  Store.layer,
  Members.layer,
  Upkeep.layerSchedule,
).pipe(
  Layer.provideMerge(Layer.mergeAll(Upkeep.layer, Maintenance.layer)),
  Layer.provide(Database.layer),
  Layer.provideMerge(Migrator.layer),
  Layer.provide(IdGenerator.layer),
)

/** The services, on the database that the `OR3_SQLITE_*` settings of the current `ConfigProvider` name. */
export const layer: Layer.Layer<Services | ProviderConfig, StartupError> = Layer.provideMerge(
  layerWithConfig,
  Config.layer,
)

/** The services without a database, for tests of programs that use them. All is gone with the layer's scope. */
export const layerMemory: Layer.Layer<
  SyncGateway | FileReferences | UploadIntents | WorkspaceStore | Memberships | MaintenanceService
> = Layer.mergeAll(
  Memory.syncGateway,
  Memory.maintenance,
  Layer.provide(Memory.workspaces, IdGenerator.layer),
)
