/**
 * Registers the provider with the host.
 */
import {
  registerAdminStoreProvider,
  registerAuthWorkspaceStore,
  registerBackgroundJobProvider,
  registerProviderAdminAdapter,
  registerRateLimitProvider,
  registerSyncGatewayAdapter,
  registerWebhookStore,
} from '#or3-provider-sqlite/host'
import { type Adapters, providerId } from './hostAdapters.js'
import type { Selection } from './selection.js'

/** Registers what is selected with the registries that this host has. */
export const register = (adapters: Adapters, { store, gateway }: Selection) => {
  const made = <A>(adapter: A) => ({ id: providerId, order: 100, create: () => adapter })
  if (store) {
    registerAuthWorkspaceStore?.(made(adapters.workspaceStore))
    registerRateLimitProvider?.(providerId, adapters.rateLimitProvider)
    registerBackgroundJobProvider?.(providerId, adapters.backgroundJobProvider)
    registerWebhookStore?.(made(adapters.webhookStore))
    registerAdminStoreProvider?.(adapters.adminStores)
    registerProviderAdminAdapter?.(adapters.adminAdapter)
  }
  if (gateway) registerSyncGatewayAdapter?.(made(adapters.syncGateway))
}
