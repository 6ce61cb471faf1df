/**
 * The Nitro plugin on Cloudflare Workers: registers the provider at once, since nothing may be asked of a database before there is a
 * request. Wrong settings keep the Worker from starting.
 */
import * as worker from 'cloudflare:workers'
import { defineNitroPlugin, useRuntimeConfig } from '#imports'
import { emitWebhookSystemHook, getJobConfig } from '#or3-provider-sqlite/host'
import observability from '#or3-provider-sqlite/observability'
import { serveHealth } from './health.js'
import { register } from './register.js'
import { selectionOf } from './selection.js'
import { openProvider, providerId } from './workerAdapters.js'

export default defineNitroPlugin((nitroApp) => {
  const selection = selectionOf(useRuntimeConfig(), providerId)
  if (!Object.values(selection).includes(true)) return
  const { env, waitUntil } = worker
  const provider = openProvider({
    env,
    observability,
    onApplied: emitWebhookSystemHook,
    getJobConfig,
    waitUntil,
  })
  register(provider, selection)
  serveHealth(nitroApp, provider)
  // Where the host has a cron trigger. Nitro keeps the Worker alive until it has ended.
  nitroApp.hooks.hook('cloudflare:scheduled', () => provider.upkeep())
})
