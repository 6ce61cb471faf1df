/**
 * Measures this package on D1 in Cloudflare's runtime, beside a loop of single statements on the same binding.
 *
 *   npm run bench:d1              all of it, a minute
 *   npm run bench:d1 -- --quick   a few rounds of each
 *
 * Both contestants run within one Worker, as they would; times are those of a request from here, less those of an empty one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { Miniflare } from 'miniflare'
import { batch } from './workloads.mjs'

const rounds = process.argv.includes('--quick') ? 5 : 40
const print = (line) => process.stdout.write(`${line}\n`)
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

const worker = `
import { openProvider } from ${JSON.stringify(fileURLToPath(new URL('../dist/src/nuxt/workerAdapters.js', import.meta.url)))}

let provider
const scope = { workspaceId: 'bench' }

/** Two questions and two writes for each op, without a transaction, which would be more. */
const loop = async (db, ops) => {
  for (const { pk, payload, stamp } of ops) {
    const json = JSON.stringify(payload)
    await db.prepare('SELECT 1 FROM bench_log WHERE op_id = ?').bind(stamp.opId).all()
    await db.prepare('SELECT json FROM bench_rows WHERE pk = ?').bind(pk).all()
    await db.prepare('INSERT INTO bench_log (op_id, json) VALUES (?, ?)').bind(stamp.opId, json).run()
    await db.prepare('INSERT OR REPLACE INTO bench_rows VALUES (?, ?)').bind(pk, json).run()
  }
}

const calls = {
  empty: () => 0,
  tables: (env) => env.DB.batch([
    env.DB.prepare('CREATE TABLE bench_log (id INTEGER PRIMARY KEY, op_id TEXT UNIQUE, json TEXT)'),
    env.DB.prepare('CREATE TABLE bench_rows (pk TEXT PRIMARY KEY, json TEXT)'),
  ]),
  push: (_, ops) => provider.syncGateway.push({}, { scope, ops }),
  pull: (_, { limit }) => provider.syncGateway.pull({}, { scope, cursor: 0, limit }),
  loop: (env, ops) => loop(env.DB, ops),
  select: async (env, { limit }) =>
    (await env.DB.prepare('SELECT * FROM bench_log WHERE id > 0 ORDER BY id LIMIT ?').bind(limit).all()).results.map(
      ({ json }) => JSON.parse(json),
    ),
}

export default {
  async fetch(request, env) {
    provider ??= openProvider({ env: {}, d1: env.DB })
    await calls[new URL(request.url).pathname.slice(1)](env, await request.json())
    return new Response('')
  },
}`

const folder = mkdtempSync(join(tmpdir(), 'or3-bench-d1-'))
const outfile = join(folder, 'worker.mjs')
buildSync({
  stdin: { contents: worker, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
  outfile,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  conditions: ['workerd'],
  external: ['node:*'],
})

const runtime = new Miniflare({
  modules: [{ type: 'ESModule', path: outfile }],
  modulesRoot: folder,
  compatibilityDate: '2025-09-01',
  compatibilityFlags: ['nodejs_compat'],
  d1Databases: ['DB'],
  d1Persist: join(folder, 'data'),
})

try {
  const url = await runtime.ready
  const call = async (name, input = {}) => {
    const body = JSON.stringify(input)
    const start = performance.now()
    const answer = await fetch(new URL(name, url), { method: 'POST', body })
    const text = await answer.text()
    if (!answer.ok) throw new Error(text)
    return performance.now() - start
  }
  // It takes no database that has tables of others.
  await call('push', batch(1))
  await call('tables')
  for (let round = 0; round < 3; round++) {
    await call('push', batch(500))
    await call('loop', batch(500))
  }
  print('workload          here ms  statements ms')
  const rows = [1, 100, 1_000].map((size) => ({
    name: `push of ${size.toLocaleString('en')}`,
    ours: () => call('push', batch(size)),
    floor: () => call('loop', batch(size)),
    rounds: size === 1_000 ? Math.ceil(rounds / 8) : rounds,
  }))
  for (const limit of [100, 1_000]) {
    rows.push({
      name: `page of ${limit.toLocaleString('en')}`,
      ours: () => call('pull', { limit }),
      floor: () => call('select', { limit }),
      rounds,
    })
  }
  for (const { name, ours, floor, rounds } of rows) {
    const [mine, theirs, none] = [[], [], []]
    for (let round = -2; round < rounds; round++) {
      const times = [await ours(), await floor(), await call('empty')]
      if (round >= 0) for (const [place, list] of [mine, theirs, none].entries()) list.push(times[place])
    }
    const empty = median(none)
    const shown = [median(mine) - empty, median(theirs) - empty].map((ms) => ms.toFixed(1).padStart(12))
    print(`${name.padEnd(14)}${shown.join('')}`)
  }
} finally {
  await runtime.dispose()
  rmSync(folder, { recursive: true, force: true })
}
