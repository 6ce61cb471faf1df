/**
 * A stand-in for the host's aliases and our module's own (`#imports`, `#or3-provider-sqlite/…`), so that the real plugin runs in unit tests.
 */
import type { AuthWorkspaceStore, Registration, SyncGatewayAdapter } from '../../src/nuxt/host.js'
import type { AdminStoreProvider } from '../../src/nuxt/hostAdmin.js'
import type { ProviderAdminAdapter } from '../../src/nuxt/hostAdminAdapter.js'
import type { BackgroundJobProvider } from '../../src/nuxt/hostJobs.js'
import type { RateLimitProvider } from '../../src/nuxt/hostRateLimits.js'
import type { WebhookStore } from '../../src/nuxt/hostWebhooks.js'

export interface HostStub {
  config: Record<string, unknown>
  stores: Array<Registration<AuthWorkspaceStore>>
  gateways: Array<Registration<SyncGatewayAdapter>>
  /** The names of the hooks that were told. */
  hooks: Array<string>
  limits: Array<readonly [string, RateLimitProvider]>
  jobs: Array<readonly [string, BackgroundJobProvider]>
  webhooks: Array<Registration<WebhookStore>>
  adminStores: Array<AdminStoreProvider>
  adminAdapters: Array<ProviderAdminAdapter>
  /** What `getJobConfig` gives. */
  jobConfig: Record<string, number>
}

const empty = () => ({
  ...{ stores: [], gateways: [], hooks: [], limits: [], jobs: [], webhooks: [], adminStores: [] },
  ...{ adminAdapters: [], jobConfig: {} },
})

export const host: HostStub = { config: {}, ...empty() }

export const resetHost = (config: HostStub['config']) => Object.assign(host, { config, ...empty() })

export const registerAuthWorkspaceStore = (item: Registration<AuthWorkspaceStore>) => host.stores.push(item)
export const registerSyncGatewayAdapter = (item: Registration<SyncGatewayAdapter>) => host.gateways.push(item)
export const emitWebhookSystemHook = async (name: string) => {
  host.hooks.push(name)
}
export const registerRateLimitProvider = (id: string, provider: RateLimitProvider) =>
  host.limits.push([id, provider])
export const registerBackgroundJobProvider = (id: string, provider: BackgroundJobProvider) =>
  host.jobs.push([id, provider])
export const getJobConfig = () => host.jobConfig
export const registerWebhookStore = (item: Registration<WebhookStore>) => host.webhooks.push(item)
export const registerAdminStoreProvider = (provider: AdminStoreProvider) => host.adminStores.push(provider)
export const registerProviderAdminAdapter = (adapter: ProviderAdminAdapter) =>
  host.adminAdapters.push(adapter)
export const useRuntimeConfig = () => host.config
export const defineNitroPlugin = <A>(plugin: A): A => plugin

export const defineEventHandler = <A>(handler: A): A => handler
export const setResponseHeader = () => {}
export const setResponseStatus = () => {}

/** `#or3-provider-sqlite/observability` and `/health`, where the host names none. */
export default undefined
