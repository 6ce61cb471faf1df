/**
 * What the provider promises: tags, interfaces, domain types and typed errors. No implementation.
 */
export * from './DatabaseReport.js'
export * from './Administration.js'
export * from './DeploymentAdmins.js'
export * from './BackgroundJobs.js'
export { IdGenerator } from './IdGenerator.js'
export { InvalidInput } from './InvalidInput.js'
export * from './Invites.js'
export * from './Maintenance.js'
export * from './Erasure.js'
export * from './FileReferences.js'
export * from './Memberships.js'
export {
  type Driver,
  drivers,
  InvalidSettings,
  type JournalMode,
  journalModes,
  ProviderConfig,
  type ProviderSettings,
  type SynchronousLevel,
  synchronousLevels,
} from './ProviderConfig.js'
export * from './RateLimits.js'
export { SchemaError, SchemaMigrator, type SchemaVersion } from './SchemaMigrator.js'
/** What the services count and measure. */
export * as ProviderMetrics from './metrics.js'
export { DatabaseOpenError, StorageError, StorageReason } from './StorageError.js'
export type { Revision } from './Revision.js'
export * from './SyncDomain.js'
export * from './SyncErrors.js'
export * from './SyncGateway.js'
export * from './Upkeep.js'
export type { DeleteWinner, PutWinner, Winner } from './Winner.js'
export * from './UploadIntents.js'
export * from './Webhooks.js'
export * from './WorkspaceStore.js'
export * from './WorkspaceSettings.js'
