/**
 * The host's aliases, and our module's own, which resolve only inside the host's build. An ambient file: no import or export at its top.
 */
declare module '#imports' {
  export const useRuntimeConfig: () => import('./selection.js').HostConfig
  export const defineNitroPlugin: (
    plugin: import('nitropack').NitroAppPlugin,
  ) => import('nitropack').NitroAppPlugin
  export const defineEventHandler: typeof import('h3').defineEventHandler
  export const setResponseHeader: typeof import('h3').setResponseHeader
  export const setResponseStatus: typeof import('h3').setResponseStatus
}

/** Made by our own module from the files of the host, see `registries.ts`. What this host does not have is undefined. */
declare module '#or3-provider-sqlite/host' {
  import type { EmitHook } from './hooks.js'
  import type { AuthWorkspaceStore, Registration, SyncGatewayAdapter } from './host.js'
  import type { AdminStoreProvider } from './hostAdmin.js'
  import type { ProviderAdminAdapter } from './hostAdminAdapter.js'
  import type { BackgroundJobProvider, GetJobConfig } from './hostJobs.js'
  import type { RateLimitProvider } from './hostRateLimits.js'
  import type { WebhookStore } from './hostWebhooks.js'
  export const registerAuthWorkspaceStore: ((item: Registration<AuthWorkspaceStore>) => void) | undefined
  export const registerSyncGatewayAdapter: ((item: Registration<SyncGatewayAdapter>) => void) | undefined
  export const emitWebhookSystemHook: EmitHook | undefined
  export const registerRateLimitProvider: ((id: string, provider: RateLimitProvider) => void) | undefined
  export const registerBackgroundJobProvider:
    ((id: string, provider: BackgroundJobProvider) => void) | undefined
  export const getJobConfig: GetJobConfig | undefined
  export const registerWebhookStore: ((item: Registration<WebhookStore>) => void) | undefined
  export const registerAdminStoreProvider: ((provider: AdminStoreProvider) => void) | undefined
  export const registerProviderAdminAdapter: ((adapter: ProviderAdminAdapter) => void) | undefined
}

/** Made by our own module, see `module.ts`. */
declare module '#or3-provider-sqlite/observability' {
  const observability: import('effect').Layer.Layer<never, unknown> | undefined
  export default observability
}

/** Made by our own module, see `module.ts`. */
declare module '#or3-provider-sqlite/health' {
  /** The path of the health answer, if there shall be one. */
  const path: string | undefined
  export default path
}

interface ImportMeta {
  /** Set by Nitro while it prerenders at build time. */
  readonly prerender?: boolean
}

/** Of Cloudflare's runtime. */
declare module 'cloudflare:workers' {
  /** Settings, secrets and bindings. */
  export const env: Readonly<Record<string, unknown>>
  /** Older runtimes do not have it. */
  export const waitUntil: ((promise: Promise<unknown>) => void) | undefined
}
