/**
 * The Nitro plugin: opens the provider once and registers it with the host.
 *
 * Everything happens before the plugin returns: Nitro does not wait for promises, and the first request may come right after.
 */
import { registerAuthWorkspaceStore } from '~~/server/auth/store/registry'
import { registerSyncGatewayAdapter } from '~~/server/sync/gateway/registry'
import { defineNitroPlugin, useRuntimeConfig } from '#imports'
import observability from '#or3-provider-sqlite/observability'
import { openProvider, type Provider, providerId, unopenedProvider } from './adapters.js'

const register = ({ syncGateway, workspaceStore }: Pick<Provider, 'syncGateway' | 'workspaceStore'>) => {
  registerAuthWorkspaceStore({ id: providerId, order: 100, create: () => workspaceStore })
  registerSyncGatewayAdapter({ id: providerId, order: 100, create: () => syncGateway })
}

/** A server that cannot store must not serve: one line for the operator, before it listens. */
const openOrExit = (): Provider => {
  try {
    return openProvider({ observability })
  } catch (error) {
    console.error(`[or3-provider-sqlite] ${error instanceof Error ? error.message : String(error)}`)
    // Nitro replaces the expression `process.env.DEBUG` by a constant when it builds.
    const { DEBUG } = process.env
    if (DEBUG) console.error(error)
    return process.exit(1)
  }
}

export default defineNitroPlugin((nitroApp) => {
  const config = useRuntimeConfig()
  const selected = config.public?.sync?.provider ?? config.sync?.provider ?? providerId
  if (config.auth?.enabled !== true || selected !== providerId) return
  if (import.meta.prerender) return register(unopenedProvider())

  const provider = openOrExit()
  register(provider)
  nitroApp.hooks.hook('close', () => provider.close())
})
