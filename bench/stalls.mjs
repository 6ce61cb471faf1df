/**
 * How long calls hold each other up: a mixed load on one file, of pushes of 100 and 10, pulls and cursor reports.
 *
 * Arguments: seconds; the pause between rounds in milliseconds; and another build to measure, such as of an earlier commit. To
 * compare, run both in turn: absolute times say more about the disk than about the code.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

const [seconds = '20', pause = '5', dist = 'dist'] = process.argv.slice(2)
const { openProvider } = await import(pathToFileURL(resolve(dist, 'src/nuxt/adapters.js')).href)

const folder = mkdtempSync(join(tmpdir(), 'or3-stalls-'))
const file = join(folder, 'stalls.db')
const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })

const scope = { workspaceId: 'w1' }
const text = 'x'.repeat(400)
let made = 0
const ops = (count) =>
  Array.from({ length: count }, () => {
    const pk = `m${(++made * 7_919) % 50_000}`
    const stamp = { opId: crypto.randomUUID(), clock: made, hlc: 'a', deviceId: `d${made % 20}` }
    return { tableName: 'messages', operation: 'put', pk, payload: { id: pk, n: made, text }, stamp }
  })

const times = { 'push of 100': [], 'push of 10': [], pull: [], cursor: [] }
const timed = async (kind, body) => {
  const start = performance.now()
  const result = await body()
  times[kind].push(performance.now() - start)
  return result
}

const delay = monitorEventLoopDelay({ resolution: 1 })
const end = performance.now() + Number(seconds) * 1_000
delay.enable()
let rounds = 0
for (; performance.now() < end; rounds++) {
  const push = (count) => syncGateway.push(undefined, { scope, ops: ops(count) })
  const { serverVersion } = await timed('push of 100', () => push(100))
  for (let n = 0; n < 3; n++) await timed('push of 10', () => push(10))
  for (let n = 0; n < 5; n++) {
    await timed('pull', () =>
      syncGateway.pull(undefined, { scope, cursor: Math.max(0, serverVersion - 50), limit: 100 }),
    )
    await timed('cursor', () =>
      syncGateway.updateCursor(undefined, { scope, deviceId: `d${n}`, version: serverVersion }),
    )
  }
  if (Number(pause) > 0) await sleep(Number(pause))
  else await new Promise((resume) => setImmediate(resume))
}
delay.disable()

const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(2)
for (const [kind, list] of Object.entries(times)) {
  const sorted = list.sort((a, b) => a - b)
  console.log(
    `${kind.padEnd(12)} p50 ${at(sorted, 0.5)} ms, p99 ${at(sorted, 0.99)} ms, longest ${at(sorted, 1)} ms`,
  )
}
const megabytes = (statSync(`${file}-wal`).size / 1e6).toFixed(0)
console.log(
  `${rounds} rounds, event loop held up for ${(delay.max / 1e6).toFixed(1)} ms at most, log ${megabytes} MB`,
)
await close()
rmSync(folder, { recursive: true, force: true })
