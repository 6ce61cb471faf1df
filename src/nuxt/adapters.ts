/**
 * The services as the host's promise-based adapters, for the Nitro plugin and for programs without Effect.
 */
import { engines } from '../layers/Provider.js'
import { openerOn, type Provider, type ProviderOptions } from './openProvider.js'

export type {
  AuthWorkspaceStore,
  HostEvent,
  HostPullAnswer,
  HostPushAnswer,
  HostPushResult,
  SyncErrorCode,
  SyncGatewayAdapter,
} from './host.js'
export type { EmitHook } from './hooks.js'
export { type Adapters, providerId, unopenedProvider } from './hostAdapters.js'
export type {
  AdminAction,
  AdminContext,
  AdminDetails,
  AdminSession,
  AdminStatus,
  AdminWarning,
  HostWorkspace,
  ProviderAdminAdapter,
} from './hostAdminAdapter.js'
export type {
  AdminCapabilities,
  AdminStoreProvider,
  AdminUserStore,
  WorkspaceAccessStore,
  WorkspaceMemberInfo,
  WorkspaceSettingsStore,
} from './hostAdmin.js'
export type { HostFiles } from './hostFiles.js'
export type { HostInviteGranted, HostInviteRefused, HostInvites } from './hostInvites.js'
export type { BackgroundJobProvider, GetJobConfig, HostJob } from './hostJobs.js'
export type { HostCapabilities, HostSnapshotPage, SnapshotGatewayAdapter } from './hostSnapshot.js'
export type { HostRateLimit, RateLimitProvider } from './hostRateLimits.js'
export type { MaintenanceAdapter } from './hostMaintenance.js'
export type { HostDelivery, HostWebhook, WebhookStore } from './hostWebhooks.js'
export { HostError } from './httpErrors.js'
export { ProviderStartupError } from './opening.js'

export type { D1Binding, D1Statement } from '../layers/batch/d1.js'
export type { WaitUntil } from './hooks.js'
export type { Provider, ProviderOptions } from './openProvider.js'

/**
 * Opens the database and brings its schema up to date: on an engine in the process before it returns, on one behind a network in
 * the background. Calls wait for that, and are refused with 503 as long as it fails; on D1 in the
 * calls themselves.
 *
 * @throws ProviderStartupError for wrong settings; on an engine in the process for everything that keeps it from opening
 */
export const openProvider: (options?: ProviderOptions) => Provider = openerOn(engines)
