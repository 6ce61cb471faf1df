/**
 * A small host in the shape of OR3 Chat: it has the registries, the session and the endpoints that a provider meets there.
 *
 * Every value of `runtimeConfig` can be set from outside, as `NUXT_AUTH_ENABLED=false` or `NUXT_PUBLIC_SYNC_PROVIDER=other`.
 */
import { defineNuxtConfig } from 'nuxt/config'

export default defineNuxtConfig({
  compatibilityDate: '2026-02-01',
  modules: ['or3-provider-sqlite/nuxt'],
  or3Sqlite: { observability: '~~/server/observability', health: '/api/health' },
  telemetry: false,
  devtools: { enabled: false },
  // They take a sixth of a build's time.
  $production: { sourcemap: false },
  css: ['~/assets/base.css'],
  runtimeConfig: {
    auth: { enabled: true, provider: 'dev' },
    sync: { enabled: true, provider: 'sqlite' },
    /** Lets anybody sign in as anybody in a production build too. For tests. */
    devSignIn: false,
    public: { sync: { provider: 'sqlite' } },
  },
  // Like OR3 Chat: while it prerenders, server plugins run at build time, where no database may be opened.
  nitro: { prerender: { routes: ['/about'] } },
})
