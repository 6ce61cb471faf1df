/**
 * The Nuxt module: what a host lists among its modules.
 */
import {
  addServerPlugin,
  createResolver,
  defineNuxtModule,
  directoryToURL,
  resolveModule,
  resolvePath,
} from '@nuxt/kit'
import type { NuxtModule } from '@nuxt/schema'
import type { Nitro, NitroConfig } from 'nitropack'
import { hostModule } from './registries.js'

/** Measured: bundled into the server these start in a third of the time, at half the size, of copies beside it. */
const inlined = ['effect/', '@effect/', 'fast-check/', 'pure-rand/']

/** What the engine of Turso loads, if the host has it installed: nothing in the server's code names it. */
const clients = ['@libsql/client/http', '@libsql/client/sqlite3']

const installed = (names: ReadonlyArray<string>, root: string): ReadonlyArray<string> =>
  names.flatMap((name) => {
    try {
      return [resolveModule(name, { url: directoryToURL(root) })]
    } catch {
      return []
    }
  })

/** The hook is typed only where Nuxt itself is installed. */
const onceNitroIsThere = (nuxt: object, use: (nitro: Nitro) => void) =>
  (nuxt as { hook(name: 'nitro:init', use: (nitro: Nitro) => void): void }).hook('nitro:init', use)

/** What a host may set under `or3Sqlite` in its Nuxt configuration. */
export interface ModuleOptions {
  /** A file of the host whose default export is an Effect layer that the services run under: a tracer, exporters, a logger. */
  readonly observability?: string
  /**
   * A path such as `/api/health`, which then answers everybody who asks: 200 while the database answers, else 503. There is none by
   * itself, nor where the host selects nothing of the provider.
   */
  readonly health?: string
}

/** Adds the Nitro plugin that registers the provider, and has Nitro bundle what starts faster bundled. */
const module: NuxtModule<ModuleOptions> = defineNuxtModule<ModuleOptions>({
  meta: { name: 'or3-provider-sqlite', configKey: 'or3Sqlite', compatibility: { nuxt: '>=4.0.0' } },
  async setup({ observability, health }, nuxt) {
    if (health !== undefined && !health.startsWith('/'))
      throw new Error(`or3Sqlite.health has to be a path that begins with /, but is ${health}`)
    const { resolve } = createResolver(import.meta.url)
    const plugin = resolve('./plugin')
    addServerPlugin(plugin)
    // Only when Nitro has its preset it is known what the server will run on. Plugins keep their order.
    onceNitroIsThere(nuxt, (nitro) => {
      if (nitro.options.exportConditions?.includes('workerd') !== true) return
      nitro.options.plugins = nitro.options.plugins.map((other) =>
        other === plugin ? resolve('./workerPlugin') : other,
      )
    })
    // Nitro's options are typed only where Nuxt itself is installed.
    const options = nuxt.options as object as { nitro?: NitroConfig; _prepare?: boolean }
    const nitro = (options.nitro ??= {})
    nitro.virtual = {
      ...nitro.virtual,
      // `nuxt prepare` runs after an installation, where the host's sources may not be there yet.
      '#or3-provider-sqlite/host': hostModule(nuxt.options.rootDir, options._prepare !== true),
      '#or3-provider-sqlite/observability':
        observability === undefined
          ? 'export default undefined'
          : `export { default } from ${JSON.stringify(await resolvePath(observability))}`,
      '#or3-provider-sqlite/health': `export default ${JSON.stringify(health)}`,
    }
    if (nuxt.options.dev) return
    nitro.externals = {
      ...nitro.externals,
      inline: [...(nitro.externals?.inline ?? []), ...inlined],
      traceInclude: [...(nitro.externals?.traceInclude ?? []), ...installed(clients, nuxt.options.rootDir)],
    }
  },
})

export default module
