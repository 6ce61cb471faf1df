/**
 * All that a host is given, over calls of the services.
 */
import type { Duration } from 'effect'
import { defaultRetention } from '../layers/ProviderConfig.js'
import { adminAdapter } from './adminAdapter.js'
import { adminStoresOf } from './adminStores.js'
import type { Run } from './calls.js'
import { filesAdapter } from './filesAdapter.js'
import { syncGateway, workspaceStore } from './gatewayAdapter.js'
import type { Teller } from './hooks.js'
import type { AuthWorkspaceStore, SyncGatewayAdapter } from './host.js'
import type { AdminStoreProvider } from './hostAdmin.js'
import type { ProviderAdminAdapter } from './hostAdminAdapter.js'
import type { BackgroundJobProvider, GetJobConfig } from './hostJobs.js'
import { rateLimitProvider, type RateLimitProvider } from './hostRateLimits.js'
import { capabilities } from './hostSnapshot.js'
import type { WebhookStore } from './hostWebhooks.js'
import { prerendering } from './httpErrors.js'
import { jobsAdapter } from './jobsAdapter.js'
import { maintenanceMethods } from './maintenanceAdapter.js'
import { webhooksAdapter } from './webhooksAdapter.js'

/** The id under which the host knows this provider. */
export const providerId = 'sqlite'

/** What the host is given: one for each of its registries. */
export interface Adapters {
  /** Users and workspaces. */
  readonly workspaceStore: AuthWorkspaceStore
  /** Push, pull, cursors, garbage collection. */
  readonly syncGateway: SyncGatewayAdapter
  /** How often something may happen. */
  readonly rateLimitProvider: RateLimitProvider
  /** How the provider stands, and what an administrator can have it do. */
  readonly adminAdapter: ProviderAdminAdapter
  /** What administrators see and do. */
  readonly adminStores: AdminStoreProvider
  /** Answers that are streamed while their user may be away. */
  readonly backgroundJobProvider: BackgroundJobProvider
  /** Who is to be told of what, and the deliveries. */
  readonly webhookStore: WebhookStore
}

/** What the adapters do with what they are asked. */
export interface AdapterOptions {
  readonly teller?: Teller | undefined
  /** The window of what an administrator has collected. */
  readonly gcRetention?: Duration.Duration | undefined
  /** The limits of jobs. */
  readonly getJobConfig?: GetJobConfig | undefined
}

/** All adapters, over calls of the services. */
export const adaptersOn = (
  run: Run,
  { teller, gcRetention = defaultRetention, getJobConfig }: AdapterOptions = {},
): Adapters => ({
  workspaceStore: workspaceStore(run),
  syncGateway: {
    ...syncGateway(providerId, run, teller),
    ...maintenanceMethods(run),
    listWorkspaceIds: async () => run(({ store }) => store.listWorkspaceIds),
    ...filesAdapter(run),
  },
  rateLimitProvider: rateLimitProvider(providerId, run),
  adminAdapter: adminAdapter(providerId, run, gcRetention),
  adminStores: adminStoresOf(providerId, run),
  backgroundJobProvider: jobsAdapter(run, providerId, getJobConfig),
  webhookStore: { id: providerId, ...webhooksAdapter(run) },
})

/** Adapters that refuse every call: for a process that must register the provider but not open its database. */
export const unopenedProvider = (): Adapters => {
  const refuse = () => Promise.reject(prerendering())
  const handler: ProxyHandler<object> = {
    get: (target, key) =>
      key === 'then' ? undefined : Object.hasOwn(target, key) ? Reflect.get(target, key) : refuse,
  }
  return {
    syncGateway: new Proxy({ id: providerId, capabilities }, handler) as SyncGatewayAdapter,
    workspaceStore: new Proxy({ id: providerId }, handler) as AuthWorkspaceStore,
    rateLimitProvider: new Proxy({ name: providerId }, handler) as RateLimitProvider,
    adminAdapter: new Proxy({ id: providerId, kind: 'sync' }, handler) as ProviderAdminAdapter,
    adminStores: adminStoresOf(providerId, refuse),
    backgroundJobProvider: new Proxy(
      { name: providerId, getAbortController: () => undefined },
      handler,
    ) as BackgroundJobProvider,
    webhookStore: new Proxy({ id: providerId }, handler) as WebhookStore,
  }
}
