/**
 * The package as users get it: packed, installed from the tarball outside this tree, and built into a Nuxt host.
 *
 * Each step takes up to minutes, so it is done once per test run, by the test file that asks first.
 */
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inject } from 'vitest'
import { type Env, root, run } from './run.js'

const require = createRequire(import.meta.url)
const packageJsonOf = (name: string) => require.resolve(`${name}/package.json`)
const versionOf = (name: string) =>
  (JSON.parse(readFileSync(packageJsonOf(name), 'utf8')) as { version: string }).version

/** Lets the first caller of all processes make a folder; the others wait for it, or fail with it. */
export const once = async (name: string, make: (folder: string) => Promise<unknown>): Promise<string> => {
  const workDir = inject('workDir')
  mkdirSync(workDir, { recursive: true })
  const folder = join(workDir, name)
  const [done, failed] = [`${folder}.done`, `${folder}.failed`]
  try {
    mkdirSync(folder)
  } catch {
    while (!existsSync(done) && !existsSync(failed)) await sleep(100)
    if (existsSync(failed))
      throw new Error(`${name} failed in another test file:\n${readFileSync(failed, 'utf8')}`)
    return folder
  }
  try {
    await make(folder)
    writeFileSync(done, '')
  } catch (error) {
    writeFileSync(failed, String(error))
    throw error
  }
  return folder
}

export interface Packed {
  readonly tarball: string
  /** The packed files, as paths within the package. */
  readonly files: ReadonlyArray<string>
}

/** When something below was changed, made or taken away last. */
const changedAt = (path: string): number => {
  const entry = statSync(path)
  if (!entry.isDirectory()) return entry.mtimeMs
  return Math.max(entry.mtimeMs, ...readdirSync(path).map((name) => changedAt(join(path, name))))
}

/** Whether `dist` is of the tree as it is now, as where `.ci/run` has just built it. */
const isBuilt = () => {
  // What a build writes last.
  const built = join(root, 'dist/src/cli/LICENSES.txt')
  const from = [
    ...['src', 'migrations', 'scripts', 'tsconfig.json', 'tsconfig.build.json'],
    // What it has in it of others.
    ...['package.json', 'package-lock.json'],
  ]
  return (
    existsSync(built) &&
    Math.max(...from.map((name) => changedAt(join(root, name)))) < statSync(built).mtimeMs
  )
}

/** The package of the tree as it is now, built and packed. */
export const packed = async (): Promise<Packed> => {
  const folder = await once('packed', async (folder) => {
    const asBuilt = isBuilt() ? ['--ignore-scripts'] : []
    const report = await run('npm', ['pack', '--json', '--pack-destination', folder, ...asBuilt])
    // The build speaks first.
    writeFileSync(join(folder, 'report.json'), report.slice(report.search(/^\[/m)))
  })
  const [{ filename, files }] = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as [
    { filename: string; files: ReadonlyArray<{ path: string }> },
  ]
  return { tarball: join(folder, filename), files: files.map(({ path }) => path) }
}

/** Offers the driver's binary that this tree runs on as a prebuilt one, else each install compiles it for minutes. */
const prebuiltDriver = () =>
  once('prebuilt', async (folder) => {
    const { modules } = process.versions
    const target = `node-v${modules}-${process.platform}-${process.arch}`
    const archive = `better-sqlite3-v${versionOf('better-sqlite3')}-${target}.tar.gz`
    await run('tar', ['-czf', join(folder, archive), 'build/Release/better_sqlite3.node'], {
      cwd: dirname(packageJsonOf('better-sqlite3')),
    })
  })

type Versions = Readonly<Record<string, string>>

/** Installs the tarball, with what else the manifest asks for, into a folder. */
const install = async (folder: string, { dependencies, ...manifest }: { dependencies?: Versions } = {}) => {
  const { tarball } = await packed()
  cpSync(tarball, join(folder, basename(tarball)))
  const whole = {
    private: true,
    type: 'module',
    ...manifest,
    dependencies: { ...dependencies, 'or3-provider-sqlite': `file:./${basename(tarball)}` },
    allowScripts: { 'better-sqlite3': true, esbuild: true, 'msgpackr-extract': false },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(whole))
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], {
    cwd: folder,
    env: { npm_config_better_sqlite3_local_prebuilds: await prebuiltDriver() },
  })
}

/** A folder that has the package installed, and nothing else but its dependencies. */
export const plainConsumer = (): Promise<string> => once('consumer', (folder) => install(folder))

/** The versions that this tree has, which are most likely at hand. */
const asHere = (dependencies: Versions): Versions =>
  Object.fromEntries(
    Object.keys(dependencies)
      .filter((name) => name !== 'or3-provider-sqlite')
      // Programs have the newer compiler of the two, which takes a tenth of the time.
      .map((name) => [name, versionOf(name === 'typescript' ? 'typescript-7' : name)]),
  )

/** A program of `examples/`, copied to where it finds nothing of this tree, and installed. */
export const installedExample = (name: string): Promise<string> =>
  once(name, async (folder) => {
    cpSync(join(root, 'examples', name), folder, {
      recursive: true,
      filter: (source) => !/^(dist|node_modules|package-lock\.json)$/.test(basename(source)),
    })
    const { dependencies, devDependencies, ...manifest } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    ) as { dependencies: Versions; devDependencies: Versions }
    await install(folder, {
      ...manifest,
      dependencies: { ...asHere(dependencies), ...asHere(devDependencies) },
    })
  })

/** The generations of the host, and where their sources are. */
const hosts = { february: 'playground', later: 'test/fixtures/host-2026' } as const

export type Generation = keyof typeof hosts

/** The same tree again, of links to the same files: a thousandth of the time and space of an installation. */
const linkTree = (from: string, to: string) => {
  mkdirSync(to)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) linkTree(source, target)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else linkSync(source, target)
  }
}

/** Where the package and what the hosts need besides is installed: the slow part, done once for all of a generation. */
const installedHost = (generation: Generation): Promise<string> =>
  once(`${generation}-installed`, async (folder) => {
    if (generation === 'february') {
      return install(folder, { dependencies: asHere({ nuxt: '*', '@effect/opentelemetry': '*', zod: '*' }) })
    }
    // As an operator does who chooses Turso; the other host has nothing of it.
    const february = await installedHost('february')
    linkTree(join(february, 'node_modules'), join(folder, 'node_modules'))
    cpSync(join(february, 'package.json'), join(folder, 'package.json'))
    const { tarball } = await packed()
    // The manifest names it.
    cpSync(tarball, join(folder, basename(tarball)))
    const client = `@libsql/client@${require('../../package.json').devDependencies['@libsql/client']}`
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', client], { cwd: folder })
  })

/** The sources of a host, with everything installed, in a folder that is not there yet. */
export const hostSources = async (generation: Generation, folder: string) => {
  const installed = await installedHost(generation)
  cpSync(join(root, hosts[generation]), folder, {
    recursive: true,
    filter: (source) => !/^(\.nuxt|\.output|\.data|node_modules)$/.test(basename(source)),
  })
  cpSync(join(installed, 'package.json'), join(folder, 'package.json'))
  linkTree(join(installed, 'node_modules'), join(folder, 'node_modules'))
}

/** Builds a host for production, and gives all that the build said. */
export const buildHost = (folder: string, env: Env = {}) =>
  run('npx', ['--no-install', 'nuxt', 'build'], {
    cwd: folder,
    env: { NUXT_TELEMETRY_DISABLED: '1', ...env },
    all: true,
  })

export interface BuiltHost {
  /** The `.output` folder, moved away from where it was built: no `node_modules` is found from there. */
  readonly output: string
  /** The database that the environment named during the build. */
  readonly databaseAtBuild: string
  /** What the build said. */
  readonly log: string
}

/** A host, installed from the tarball and built for production. */
export const builtHost = async (generation: Generation = 'february'): Promise<BuiltHost> => {
  const folder = await once(`host-${generation}`, async (folder) => {
    const building = join(folder, 'building')
    await hostSources(generation, building)
    const log = await buildHost(building, { OR3_SQLITE_DB_PATH: join(folder, 'at-build.db') })
    writeFileSync(join(folder, 'build.log'), log)
    mkdirSync(join(folder, 'deployed'))
    renameSync(join(building, '.output'), join(folder, 'deployed/.output'))
    // Sources and `node_modules` are moved as well, so that no path of the build leads anywhere.
    renameSync(building, join(folder, 'project'))
  })
  return {
    output: join(folder, 'deployed/.output'),
    databaseAtBuild: join(folder, 'at-build.db'),
    log: readFileSync(join(folder, 'build.log'), 'utf8'),
  }
}

export interface BuiltWorker {
  /** The folder of the Worker's modules; `index.mjs` is the first. */
  readonly folder: string
  /** What the build said. */
  readonly log: string
}

/** What the README says a host has to have for Workers. */
export const wranglerToml = (): string =>
  /```toml\n([^`]*d1_databases[^`]*)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))![1]!

/** The later host again, where it was installed and built before, for Cloudflare Workers. */
export const builtWorker = async (): Promise<BuiltWorker> => {
  const folder = await once('host-worker', async (folder) => {
    await builtHost('later')
    const project = join(inject('workDir'), 'host-later/project')
    writeFileSync(join(project, 'wrangler.toml'), wranglerToml())
    writeFileSync(join(folder, 'build.log'), await buildHost(project, { NITRO_PRESET: 'cloudflare_module' }))
    renameSync(join(project, '.output'), join(folder, '.output'))
  })
  return {
    folder: join(folder, '.output/server'),
    log: readFileSync(join(folder, 'build.log'), 'utf8'),
  }
}
