/**
 * The Nitro plugin: opens the provider once and registers it with the host.
 *
 * Everything happens before the plugin returns: Nitro does not wait for promises, the first request may come right after, and
 * later hosts check then which providers there are.
 */
import { defineNitroPlugin, useRuntimeConfig } from '#imports'
import { emitWebhookSystemHook, getJobConfig } from '#or3-provider-sqlite/host'
import observability from '#or3-provider-sqlite/observability'
import { openProvider, type Provider, providerId, unopenedProvider } from './adapters.js'
import { serveHealth } from './health.js'
import { register } from './register.js'
import { selectionOf } from './selection.js'

/** A server that cannot store must not serve: one line for the operator. */
const exit = (error: unknown): never => {
  console.error(`[or3-provider-sqlite] ${error instanceof Error ? error.message : String(error)}`)
  // Nitro replaces the expression `process.env.DEBUG` by a constant when it builds.
  const { DEBUG } = process.env
  if (DEBUG) console.error(error)
  return process.exit(1)
}

/** Before the server listens. */
const openOrExit = (): Provider => {
  try {
    return openProvider({ observability, onApplied: emitWebhookSystemHook, getJobConfig })
  } catch (error) {
    return exit(error)
  }
}

export default defineNitroPlugin((nitroApp) => {
  const selection = selectionOf(useRuntimeConfig(), providerId)
  if (!Object.values(selection).includes(true)) return
  if (import.meta.prerender) return register(unopenedProvider(), selection)

  const provider = openOrExit()
  register(provider, selection)
  serveHealth(nitroApp, provider)
  let closing = false
  // Behind a network it turns out later.
  provider.ready.catch((error: unknown) => closing || exit(error))
  nitroApp.hooks.hook('close', () => {
    closing = true
    return provider.close()
  })
})
