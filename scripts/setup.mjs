// Installs what the lock file says if node_modules is missing or differs from it. Runs before the tests and the playground,
// so that each is one command in a fresh clone; costs a fraction of a second when there is nothing to do.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const readJson = (path) => JSON.parse(readFileSync(`${root}${path}`, 'utf8'))

const npm = (...args) => {
  console.log(`> npm ${args.join(' ')}`)
  // npm is a script on Windows, which only a shell runs.
  const { status } = spawnSync('npm', args, {
    cwd: root,
    stdio: 'inherit',
    // The driver is compiled where nobody offers it compiled.
    env: { JOBS: 'max', ...process.env },
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
}

/** What npm wrote down when it installed. Another installer's tree is judged by our own dependencies alone. */
const installedVersions = (wanted) => {
  if (existsSync(`${root}node_modules/.package-lock.json`)) {
    const { packages } = readJson('node_modules/.package-lock.json')
    return (path) => packages[path]?.version
  }
  const own = { ...wanted['']?.dependencies, ...wanted['']?.devDependencies }
  return (path) => {
    if (!Object.hasOwn(own, path.slice('node_modules/'.length))) return wanted[path].version
    return existsSync(`${root}${path}/package.json`) ? readJson(`${path}/package.json`).version : undefined
  }
}

const isUpToDate = () => {
  const { packages: wanted } = readJson('package-lock.json')
  const installed = installedVersions(wanted)
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional === true || installed(path) === version,
  )
}

/** False when an installer skipped its install script, or when Node was changed since. */
const driverLoads = () => {
  try {
    new (createRequire(import.meta.url)('better-sqlite3'))(':memory:').close()
    return true
  } catch {
    return false
  }
}

const options = ['--include=dev', '--no-audit', '--no-fund']
if (!existsSync(`${root}node_modules`)) npm('ci', ...options)
// Changes only what differs, and leaves the lock file as it is.
else if (!isUpToDate()) npm('install', '--no-save', ...options)
if (!driverLoads()) npm('rebuild', 'better-sqlite3')
