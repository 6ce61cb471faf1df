/**
 * What grows with a database: the same calls on few workspaces, on many, and on many with many records.
 *
 *   npm run load -- --growth           10,000 workspaces and 1,000,000 records at most, some minutes
 *   npm run load -- --growth --quick   a tenth of the workspaces and of the records
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { openProvider } from '../dist/src/nuxt/adapters.js'
import { batch } from './workloads.mjs'

const pathOf = (place) => fileURLToPath(new URL(place, import.meta.url))

/** Each workspace with its owner and a device that has seen all of it. */
const fill = async (database, { workspaces, records }, tell) => {
  const { syncGateway, workspaceStore, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  for (let n = 0; n < workspaces; n++) {
    if (n % 2_000 === 1_999) tell(`${n + 1} workspaces of ${workspaces}`)
    const { userId } = await workspaceStore.getOrCreateUser({ provider: 'growth', providerUserId: `u${n}` })
    const { workspaceId } = await workspaceStore.getOrCreateDefaultWorkspace(userId)
    const scope = { workspaceId }
    const { serverVersion } = await syncGateway.push({}, { scope, ops: batch(records / workspaces) })
    await syncGateway.updateCursor({}, { scope, deviceId: `d${n}`, version: serverVersion })
  }
  await close()
}

/** Writes the most memory that a process had, in KiB, as its last line of standard error. */
const peak = `data:text/javascript,${encodeURIComponent(
  `process.on('exit', () => process._rawDebug('\\n' + process.resourceUsage().maxRSS))`,
)}`

/** A process to its end: its output, its time and its memory. */
const run = (args, env = {}) =>
  new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(process.execPath, ['--import', peak, ...args], { env: { ...process.env, ...env } })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      const ms = performance.now() - start
      if (code === 0) resolve({ stdout, ms, rss: Number(stderr.trimEnd().split('\n').at(-1)) * 1_024 })
      else reject(new Error(`${args.join(' ')} ended with ${code}: ${stderr}`))
    })
  })

const best = async (count, body) => {
  const results = []
  for (let turn = 0; turn < count; turn++) results.push(await body())
  return results.reduce((a, b) => (b.ms < a.ms ? b : a))
}

const mebibytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`
const time = (ms) =>
  ms < 1
    ? `${Math.round(ms * 1_000)} us`
    : ms < 1_000
      ? `${ms.toFixed(1)} ms`
      : `${(ms / 1_000).toFixed(1)} s`

const measure = async (database) => {
  const figures = { file: mebibytes(statSync(database).size) }
  const env = { OR3_SQLITE_DB_PATH: database }
  const look = () => run([pathOf('./growthLook.mjs'), database])
  const { stdout } = await look()
  const seen = JSON.parse(stdout)
  for (const again of [JSON.parse((await look()).stdout), JSON.parse((await look()).stdout)]) {
    for (const name of Object.keys(seen)) seen[name] = Math.min(seen[name], again[name])
  }
  for (const [name, value] of Object.entries(seen)) {
    figures[name] = name.startsWith('memory') ? mebibytes(value) : time(value)
  }
  const command = pathOf('../dist/src/cli/main.js')
  for (const name of ['status', 'gc']) {
    const { ms, rss } = await best(3, () => run([command, name], env))
    figures[`or3-sqlite ${name}`] = time(ms)
    figures[`memory of or3-sqlite ${name}`] = mebibytes(rss)
  }
  return figures
}

/** Prints a table: a column for each database. */
export const growth = async ({ quick, json, print, tell }) => {
  const part = quick ? 10 : 1
  const many = 10_000 / part
  const sizes = [
    { workspaces: 100, records: 10_000 / part },
    { workspaces: many, records: many },
    { workspaces: many, records: 1_000_000 / part },
  ]
  const folder = mkdtempSync(join(tmpdir(), 'or3-growth-'))
  const columns = []
  try {
    for (const [index, size] of sizes.entries()) {
      const database = join(folder, `${index}.db`)
      const name = `${size.workspaces.toLocaleString('en')} workspaces, ${size.records.toLocaleString('en')} records`
      tell(`filling ${name}`)
      await fill(database, size, tell)
      tell(`measuring ${name}`)
      columns.push({ name, figures: await measure(database) })
    }
    print(`| | ${columns.map(({ name }) => name).join(' | ')} |`)
    print(`| --- | ${columns.map(() => '---:').join(' | ')} |`)
    for (const row of Object.keys(columns[0].figures)) {
      print(`| ${row} | ${columns.map(({ figures }) => figures[row]).join(' | ')} |`)
    }
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(columns, undefined, 2)}\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
