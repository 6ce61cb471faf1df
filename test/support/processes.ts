/**
 * Real processes of Node, or of Bun, that run this package, for what only processes can show: locks between them, exit codes, signals.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { afterAll, inject } from 'vitest'
import { faultsIn, newsIn, root } from './run.js'
import { temporaryFolder } from './temporaryFolder.js'

/**
 * What scripts import, and the command. With every module of the source as an entry point the output is two hundred files, and a
 * process takes twice as long to start.
 */
const entryPoints = [
  ...['src/cli/main', 'src/nuxt/adapters', 'src/nuxt/plugin', 'src/layers/index'],
  ...['connection', 'native', 'sqliteErrors'].map((name) => `src/layers/synchronous/${name}`),
]

/** The host's stand-in, for all of its modules that the plugin imports. */
const standIn = `
  export const host = { config: JSON.parse(process.env.HOST_CONFIG ?? '{}'), stores: [], gateways: [] }
  export const registerAuthWorkspaceStore = (item) => host.stores.push(item)
  export const registerSyncGatewayAdapter = (item) => host.gateways.push(item)
  export const emitWebhookSystemHook = undefined
  export const registerRateLimitProvider = undefined
  export const registerBackgroundJobProvider = undefined
  export const getJobConfig = undefined
  export const registerWebhookStore = undefined
  export const registerAdminStoreProvider = undefined
  export const registerProviderAdminAdapter = undefined
  export const useRuntimeConfig = () => host.config
  export const defineNitroPlugin = (plugin) => plugin
  export const defineEventHandler = (handler) => handler
  export const setResponseHeader = undefined
  export const setResponseStatus = undefined
  export default undefined`

const hostModules = [
  '#imports',
  '#or3-provider-sqlite/host',
  '#or3-provider-sqlite/observability',
  '#or3-provider-sqlite/health',
]

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  /** Without the news. */
  readonly stderr: string
  /** The lines in which the library told what it did. */
  readonly news: ReadonlyArray<string>
}

export interface Started {
  /** Resolves when the process has printed a line that holds the text. */
  printed(text: string): Promise<void>
  /** Standard output so far. */
  output(): string
  send(line: string): void
  stop(signal: NodeJS.Signals): void
  readonly outcome: Promise<Outcome>
}

/** The package as JavaScript, bundled, so that nothing depends on an earlier build. */
const build = (folder: string, prerender: boolean) => {
  const host = join(folder, 'stand-in.js')
  writeFileSync(host, standIn)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  buildSync({
    absWorkingDir: root,
    entryPoints: [
      { in: host, out: 'host' },
      ...entryPoints.map((module) => ({ in: `${module}.ts`, out: module })),
    ],
    outdir: folder,
    bundle: true,
    // Effect comes along once: its modules, one by one, take a process three times as long as all the rest.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['better-sqlite3', '@nuxt/*', 'cloudflare:workers'],
    alias: Object.fromEntries(hostModules.map((name) => [name, host])),
    define: { 'import.meta.prerender': String(prerender) },
    banner: {
      js: `import { createRequire as from } from 'node:module'; const require = from(import.meta.url);`,
    },
    logLevel: 'error',
  })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
}

const pause = (millis: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)

/** The same, made by the first test file of a run that asks for it. Others wait, or fail with it, without a turn of the event loop. */
const builtOnce = (prerender: boolean): string => {
  const runDir = inject('runDir')
  const folder = join(runDir, prerender ? 'built-for-prerender' : 'built')
  const [done, failed] = [`${folder}.done`, `${folder}.failed`]
  mkdirSync(runDir, { recursive: true })
  try {
    mkdirSync(folder)
  } catch {
    for (let left = 3_000; !existsSync(done); left--) {
      if (existsSync(failed)) throw new Error(`failed in another test file: ${readFileSync(failed, 'utf8')}`)
      if (left === 0) throw new Error(`${folder} was begun in another test file, and is not there yet`)
      pause(50)
    }
    return folder
  }
  try {
    build(folder, prerender)
    writeFileSync(done, '')
  } catch (error) {
    writeFileSync(failed, String(error))
    throw error
  }
  return folder
}

/**
 * A folder that scripts run in: there they import `./src/nuxt/adapters.js` or `./src/nuxt/plugin.js`, and `./host.js` is the host's
 * stand-in.
 */
export const buildForProcesses = ({ prerender = false, program = process.execPath } = {}) => {
  const { folder, remove } = temporaryFolder()
  const built = builtOnce(prerender)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  for (const name of ['src', 'host.js', 'node_modules']) symlinkSync(join(built, name), join(folder, name))
  let scripts = 0

  /** Starts a process that runs the script, by the program of all if none is given. Its environment has what is given, and nothing that marks a test or configures us. */
  const start = (script: string, env: Record<string, string> = {}, by = program): Started => {
    const file = join(folder, `script-${++scripts}.js`)
    writeFileSync(file, script)
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(OR3_|VITEST|NODE_ENV$|DEBUG$|FORCE_COLOR$)/.test(name),
    )
    const child = spawn(by, [file], {
      cwd: folder,
      env: { ...Object.fromEntries(inherited), ...env },
    })
    let stdout = ''
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    const outcome = new Promise<Outcome>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) =>
        resolve({ code, signal, stdout, stderr: faultsIn(stderr), news: newsIn(stderr) }),
      )
    })
    return {
      outcome,
      printed: (text) =>
        new Promise((resolve, reject) => {
          const look = () => {
            if (!stdout.includes(text)) return
            child.stdout.off('data', look)
            resolve()
          }
          child.stdout.on('data', look)
          look()
          void outcome.then(() => reject(new Error(`ended without printing "${text}": ${stderr || stdout}`)))
        }),
      output: () => stdout,
      send: (line) => child.stdin.write(`${line}\n`),
      stop: (signal) => child.kill(signal),
    }
  }

  return {
    folder,
    start,
    run: (...given: Parameters<typeof start>) => start(...given).outcome,
    remove,
  }
}

/** Declares what a test file about processes needs. When its tests are done, all of it is gone, and what still runs is killed. */
export const makeProcesses = ({ program = process.execPath } = {}) => {
  const { folder, remove } = temporaryFolder()
  const built = buildForProcesses({ program })
  const children: Array<Started> = []
  afterAll(() => {
    for (const child of children) child.stop('SIGKILL')
    built.remove()
    remove()
  })
  return {
    folder,
    /** Where the package is as JavaScript. */
    builtIn: built.folder,
    start: (...given: Parameters<typeof built.start>): Started => {
      const child = built.start(...given)
      children.push(child)
      return child
    },
  }
}
