/**
 * A stand-in for the host's aliases and our module's own (`#imports`, `#or3-provider-sqlite/…`), so that the real plugin runs in unit tests.
 */
import type { AuthWorkspaceStore, Registration, SyncGatewayAdapter } from '../../src/nuxt/host.js'

export interface HostStub {
  config: Record<string, unknown>
  stores: Array<Registration<AuthWorkspaceStore>>
  gateways: Array<Registration<SyncGatewayAdapter>>
  /** The names of the hooks that were told. */
  hooks: Array<string>
}

export const host: HostStub = { config: {}, stores: [], gateways: [], hooks: [] }

export const resetHost = (config: HostStub['config']) =>
  Object.assign(host, { config, stores: [], gateways: [], hooks: [] })

export const registerAuthWorkspaceStore = (item: Registration<AuthWorkspaceStore>) => host.stores.push(item)
export const registerSyncGatewayAdapter = (item: Registration<SyncGatewayAdapter>) => host.gateways.push(item)
export const emitWebhookSystemHook = async (name: string) => {
  host.hooks.push(name)
}
export const useRuntimeConfig = () => host.config
export const defineNitroPlugin = <A>(plugin: A): A => plugin

/** `#or3-provider-sqlite/observability`, where the host names none. */
export default undefined
