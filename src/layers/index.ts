/**
 * How the services are made: on SQLite, or in memory.
 *
 * Most programs want `layer`, `layerWithConfig` or `layerMemory`. The single layers are for those that replace one of the
 * parts, such as the `IdGenerator`; what each needs, its type tells.
 */
export { layer, layerMemory, layerWithConfig, type StartupError } from './Provider.js'
/** What administrators see and do, on SQLite. */
export * as AdministrationLayer from './sql/Administration.js'
/** Background jobs on SQLite. */
export * as BackgroundJobsLayer from './sql/BackgroundJobs.js'
/** The connection that the services on SQLite share. Its methods are internal: any release may change them. */
export * as DatabaseLayer from './synchronous/databaseLayer.js'
/** The binding that the driver `d1` uses; `openProvider` is given it as `d1`. */
export { D1, type D1Binding, type D1Statement } from './batch/d1.js'
/** What the database is, on SQLite. */
export * as DatabaseReportLayer from './synchronous/DatabaseReport.js'
/** Who administers the deployment, on SQLite. */
export * as DeploymentAdminsLayer from './sql/DeploymentAdmins.js'
/** Taking content away for good, on SQLite. */
export * as ErasureLayer from './sql/Erasure.js'
/** What is known about files, on SQLite. */
export * as FileReferencesLayer from './synchronous/FileReferences.js'
/** New ids: random ones, or such that a test can foretell. */
export * as IdGeneratorLayer from './IdGenerator.js'
/** Invites on SQLite. */
export * as InvitesLayer from './sql/Invites.js'
/** Log lines as the provider writes them. */
export * as LoggerLayer from './logger.js'
/** The account of maintenance runs beside a database. */
export * as MaintenanceLayer from './sql/Maintenance.js'
/** Rate limits on SQLite. */
export * as RateLimitsLayer from './sql/RateLimits.js'
/** Memberships on SQLite. */
export * as MembershipsLayer from './sql/Memberships.js'
/** The in-memory layers. */
export * as MemoryLayers from './memory/index.js'
/** Settings: from the environment, or given in the program. */
export * as ProviderConfigLayer from './ProviderConfig.js'
/** Opens the file and migrates it. `DatabaseLayer` needs what it leaves. */
export * as SchemaMigratorLayer from './synchronous/SchemaMigrator.js'
/** The sync gateway on SQLite. */
export * as SyncGatewayLayer from './synchronous/SyncGateway.js'
/** Upload intents on SQLite. */
export * as UploadIntentsLayer from './sql/UploadIntents.js'
/** Upkeep on SQLite, and the schedule that runs it. */
export * as UpkeepLayer from './synchronous/Upkeep.js'
/** Settings of workspaces, on SQLite. */
export * as WorkspaceSettingsLayer from './sql/WorkspaceSettings.js'
/** Webhooks on SQLite. */
export * as WebhooksLayer from './sql/Webhooks.js'
/** The workspace store on SQLite. */
export * as WorkspaceStoreLayer from './sql/WorkspaceStore.js'
