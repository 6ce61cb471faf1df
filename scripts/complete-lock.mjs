// Adds the optional packages of other platforms that the lock file lacks, or with --check only tells.
//
// npm leaves them out when the registry it asks does not serve them, and `npm ci` then refuses the lock file everywhere.
// All such packages here are named by os, cpu and C library: `…-linux-arm64-musl`.
import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../package-lock.json', import.meta.url)
const check = process.argv.includes('--check')
const lock = JSON.parse(readFileSync(file, 'utf8'))
const packages = lock.packages

const platforms = 'aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32'
const named = new RegExp(`-(${platforms})-([a-z0-9]+)(?:-([a-z]+))?$`)

/** What Node would load as `name` from the package at `path`. */
const found = (path, name) => {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const entry = packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]
    if (entry !== undefined || folder === '') return entry
  }
}

const entryFor = (name, version, owner) => {
  const [, os, cpu, abi = ''] = named.exec(name) ?? []
  if (os === undefined)
    throw new Error(`${name}: no platform in its name; add it to package-lock.json by hand`)
  const libc = os !== 'linux' ? undefined : abi.startsWith('musl') ? 'musl' : abi !== '' ? 'glibc' : undefined
  return {
    version,
    cpu: [cpu],
    ...(owner.dev === true ? { dev: true } : {}),
    ...(libc === undefined ? {} : { libc: [libc] }),
    optional: true,
    os: [os],
    ...(owner.peer === true ? { peer: true } : {}),
  }
}

const added = []
for (const [owner, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const present = found(owner, name)
    // Such packages are asked for by their exact version; others, by a range, are everywhere to be had.
    if (present !== undefined && (present.version === version || !/^\d/.test(version))) continue
    packages[`${present === undefined ? '' : `${owner}/`}node_modules/${name}`] = entryFor(
      name,
      version,
      entry,
    )
    added.push(`${name}@${version}`)
  }
}
const foreign = Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined)

if (foreign.length > 0) throw new Error(`package-lock.json names a registry: ${foreign[0][0]}`)
if (added.length > 0 && check) {
  throw new Error(`package-lock.json lacks ${added.join(', ')}: run node scripts/complete-lock.mjs`)
}
if (added.length > 0) {
  lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en')))
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
  console.log(`added ${added.join(', ')}`)
}
