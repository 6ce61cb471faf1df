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

interface ImportMeta {
  /** Set by Nitro while it prerenders at build time. */
  readonly prerender?: boolean
}
