/**
 * A stand-in for the host's aliases (`#imports`, `~~/server/…`) and our module's own, so that the real plugin runs in unit tests.
 */
import type { AuthWorkspaceStore, Registration, SyncGatewayAdapter } from '../../src/nuxt/host.js'

export interface HostStub {
  config: Record<string, unknown>
  stores: Array<Registration<AuthWorkspaceStore>>
  gateways: Array<Registration<SyncGatewayAdapter>>
}

export const host: HostStub = { config: {}, stores: [], gateways: [] }

export const resetHost = (config: HostStub['config']) =>
  Object.assign(host, { config, stores: [], gateways: [] })

export const registerAuthWorkspaceStore = (item: Registration<AuthWorkspaceStore>) => host.stores.push(item)
export const registerSyncGatewayAdapter = (item: Registration<SyncGatewayAdapter>) => host.gateways.push(item)
export const useRuntimeConfig = () => host.config
export const defineNitroPlugin = <A>(plugin: A): A => plugin

/** `#or3-provider-sqlite/observability`, where the host names none. */
export default undefined
