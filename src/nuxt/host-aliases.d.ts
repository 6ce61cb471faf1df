/**
 * The host's aliases, which resolve only inside the host's build. An ambient file: no import or export at its top.
 */
declare module '~~/server/auth/store/registry' {
  export const registerAuthWorkspaceStore: (
    item: import('./host.js').Registration<import('./host.js').AuthWorkspaceStore>,
  ) => void
}

declare module '~~/server/sync/gateway/registry' {
  export const registerSyncGatewayAdapter: (
    item: import('./host.js').Registration<import('./host.js').SyncGatewayAdapter>,
  ) => void
}

declare module '#imports' {
  export const useRuntimeConfig: () => {
    readonly auth?: { readonly enabled?: boolean }
    readonly sync?: { readonly provider?: string }
    readonly public?: { readonly sync?: { readonly provider?: string } }
  }
  export const defineNitroPlugin: (
    plugin: import('nitropack').NitroAppPlugin,
  ) => import('nitropack').NitroAppPlugin
}

/** Made by our own module, see `module.ts`. */
declare module '#or3-provider-sqlite/observability' {
  const observability: import('effect').Layer.Layer<never, unknown> | undefined
  export default observability
}

interface ImportMeta {
  /** Set by Nitro while it prerenders at build time. */
  readonly prerender?: boolean
}
