// Starts the playground on this machine's own address alone, since anybody can sign in as anybody; with a database file of its own
// unless PLAYGROUND_DB_PATH names another: OR3_SQLITE_DB_PATH may be exported for the one that serves.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const database = process.env.PLAYGROUND_DB_PATH || join(root, 'playground/.data/playground.db')
const nuxt = join(dirname(createRequire(import.meta.url).resolve('nuxt/package.json')), 'bin/nuxt.mjs')

const host = '127.0.0.1'
const port = process.env.PORT || '3210'

console.log(`The playground will be at http://localhost:${port}, stores in ${database}, and ends with Ctrl-C`)

const server = spawn(
  process.execPath,
  [nuxt, 'dev', join(root, 'playground'), '--port', port, '--host', host],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      HOST: host,
      NITRO_HOST: host,
      NUXT_HOST: host,
      OR3_SQLITE_DB_PATH: database,
      NUXT_TELEMETRY_DISABLED: '1',
    },
  },
)
// A terminal interrupts both processes at once; then this one only waits for the other.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => server.kill('SIGTERM'))
server.on('exit', (code) => process.exit(code ?? 0))
