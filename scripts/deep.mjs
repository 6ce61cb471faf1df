// Runs the properties and the injected faults with a hundred times more cases. Takes hours; no machine's CI runs it.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
const files =
  process.argv.length > 2 ? process.argv.slice(2) : ['test/properties', 'test/store', 'test/faults']

spawn(process.execPath, [vitest, 'run', ...files], {
  stdio: 'inherit',
  env: { ...process.env, TEST_DEEP: 'true' },
}).on('exit', (code) => process.exit(code ?? 1))
