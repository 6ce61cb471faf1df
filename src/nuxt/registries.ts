/**
 * Which of the host's own modules the plugin imports: found when the host is built.
 *
 * Hosts differ by their generation, and importing a file that a host lacks would break its build.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

interface HostModule {
  /** Below the host's root, without its extension. */
  readonly path: string
  /** What the plugin imports from it. */
  readonly name: string
  /** Whether every generation has it. */
  readonly required?: true
  /** Whether a file that lacks the export is as good as none. */
  readonly optional?: true
}

/** One line for each. What is imported is declared in `host-aliases.d.ts`, and used in `plugin.ts`. */
const hostModules: ReadonlyArray<HostModule> = [
  { path: 'server/auth/store/registry', name: 'registerAuthWorkspaceStore', required: true },
  { path: 'server/sync/gateway/registry', name: 'registerSyncGatewayAdapter', required: true },
  { path: 'server/utils/webhooks/runtime', name: 'emitWebhookSystemHook' },
  { path: 'server/utils/rate-limit/registry', name: 'registerRateLimitProvider' },
  { path: 'server/utils/background-jobs/registry', name: 'registerBackgroundJobProvider' },
  { path: 'server/utils/background-jobs/store', name: 'getJobConfig', optional: true },
  { path: 'server/utils/webhooks/store/registry', name: 'registerWebhookStore' },
  { path: 'server/admin/stores/registry', name: 'registerAdminStoreProvider' },
  { path: 'server/admin/providers/registry', name: 'registerProviderAdminAdapter' },
]

/** In the order in which Nitro tries them, so that the host's own imports mean the same file; the last one it does not try. */
const extensions = ['.ts', '.mjs', '.js', '.mts']
const endings = [...extensions, ...extensions.map((extension) => `/index${extension}`)]

const withEnding = (path: string) => endings.map((ending) => path + ending).find((file) => existsSync(file))

/** The file behind a relative import, whose extension may be missing, or be the one it is compiled to. */
const imported = (from: string, specifier: string): string | undefined => {
  const path = join(dirname(from), specifier)
  const source = path.replace(/\.(m?)js$/, '.$1ts')
  return [path, source].find((file) => /\.m?[jt]s$/.test(file) && existsSync(file)) ?? withEnding(path)
}

/** What may stand between the words of an export: blanks and comments. */
const gap = String.raw`(?:\s|/\*(?:[^*]|\*(?!/))*\*/|//[^\n]*\n)*`

/** An export of all that another module exports. */
const passedOn = new RegExp(String.raw`\bexport${gap}\*${gap}from${gap}["']([^"']+)`, 'g')

/** An export, but of a type or as the default. */
const exporting = /\bexports?\b(?!\s+(?:type|default)\b)/

/** Whether the name stands behind an export, and is not one that is given another name. */
const mentions = (code: string, name: string) => {
  const first = code.search(exporting)
  return first !== -1 && new RegExp(String.raw`\b${name}\b(?!\s+as\b)`).test(code.slice(first))
}

/**
 * Whether a module may export the name. It may where that cannot be told without reading the module as a compiler does, and when
 * it passes on all of a package or an alias. Then the bundler finds out: a valid host must not be refused.
 */
const mayExport = (file: string, name: string, seen: Set<string> = new Set()): boolean => {
  if (seen.has(file)) return false
  seen.add(file)
  const code = readFileSync(file, 'utf8')
  if (mentions(code, name)) return true
  return [...code.matchAll(passedOn)].some(([, specifier]) => {
    if (!/^\.\.?(\/|$)/.test(specifier!)) return true
    const next = imported(file, specifier!)
    return next === undefined || mayExport(next, name, seen)
  })
}

/** Of a host that lacks what every host has. */
class UnfitHost extends Error {
  constructor(message: string) {
    super(`[or3-provider-sqlite] ${message}`)
    // Its line says all, and Nuxt would print where we noticed below it.
    this.stack = this.message
  }
}

/**
 * The source of a module that exports what the plugin imports from the host: `undefined` for what the host does not have.
 *
 * Throws one line about a file that lacks the export it is there for, or about a registry that every host has; without
 * `strictly` (an incomplete checkout is being prepared) it is taken as missing.
 */
export const hostModule = (root: string, strictly = true): string =>
  hostModules
    .map(({ path, name, required, optional }) => {
      const file = withEnding(join(root, path))
      if (file !== undefined && (!strictly || mayExport(file, name))) {
        const alias = `~~/${relative(root, file).replaceAll('\\', '/')}`
        return `export { ${name} } from ${JSON.stringify(alias)}`
      }
      if (strictly && !optional && file !== undefined) {
        throw new UnfitHost(`${file} does not export ${name}: is this a release of OR3 Chat that we know?`)
      }
      if (strictly && required) {
        throw new UnfitHost(`${join(root, path)}.ts is missing, which exports ${name}: is ${root} OR3 Chat?`)
      }
      return `export const ${name} = undefined`
    })
    .join('\n')
