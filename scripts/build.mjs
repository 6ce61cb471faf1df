// Builds the package into dist: JavaScript and types by tsc, and the command as one file.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const command = join(root, 'dist/src/cli')

// What the last build left, so that no deleted module is published.
rmSync(join(root, 'dist'), { recursive: true, force: true })

const tsc = join(root, 'node_modules/typescript-7/bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)

// As a thousand modules it took four times as long to start.
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/main.ts'],
  outdir: command,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: ['better-sqlite3', 'cloudflare:workers'],
  banner: {
    js: "import { createRequire as from } from 'node:module'; const require = from(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
})

// Their licences ask for it.
const bundled = Object.values(metafile.outputs)
  .flatMap(({ inputs }) => Object.entries(inputs))
  .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  .flatMap(([file]) => /^(.*\bnode_modules\/(@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? [])
const notices = [...new Set(bundled)].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
  return `${name} ${version} (${license})\n\n${file === undefined ? '' : readFileSync(join(root, folder, file), 'utf8').trim()}`
})
writeFileSync(
  join(command, 'LICENSES.txt'),
  `The command has in it:\n\n${notices.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`,
)
