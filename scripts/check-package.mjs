// Checks the package as it would be published, from what is built: its manifest, its types, its public interface; and that
// nothing in the repository is unused. Run it as `npm run check:package`, which has the programs on its path.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = mkdtempSync(join(tmpdir(), 'or3-package-'))
const options = {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  stdio: 'inherit',
  // npm and what it installs are scripts on Windows, which only a shell runs.
  shell: process.platform === 'win32',
}

// The build came before; npm would do it again.
const pack = spawnSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], options)
if (pack.status !== 0) process.exit(1)
const tarball = join(folder, readdirSync(folder)[0])

const checks = {
  publint: () => spawnSync('publint', ['run', '--strict', tarball], options),
  // The profile ignores two ways to find a module that the package does not offer: `node10`, from before there were `exports`,
  // and `require` from CommonJS. Effect's tags must exist once in a program, so there is one build, and Nuxt takes ESM.
  attw: () => spawnSync('attw', ['--profile', 'esm-only', '--format', 'ascii', tarball], options),
  knip: () => spawnSync('knip', ['--no-progress'], options),
  'public interface': () => spawnSync('node', ['scripts/api.mjs', '--check'], options),
}
const failed = Object.entries(checks).filter(([name, check]) => {
  console.log(`\n${name}:`)
  return check().status !== 0
})

rmSync(folder, { recursive: true })
if (failed.length > 0) console.error(`\nfailed: ${failed.map(([name]) => name).join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)
