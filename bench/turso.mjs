/**
 * Measures this package over Turso's engine, whose server is 0 and then 20 ms away: round trips are what it costs.
 *
 *   npm run bench:turso              all of it, two minutes
 *   npm run bench:turso -- --quick   a few rounds of each
 *   npm run bench:turso -- --json FILE
 *
 * The engine is a process of its own behind the tests' proxy (`test/support/tursoServer.ts`), which puts the latency in and counts.
 * The ratio is to what the call must cost: its time at 0 ms, and the round trips it is allowed.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { createClient } from '@libsql/client'
import { supported } from './supported.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'
import { batch } from './workloads.mjs'

const latency = 20
const quick = process.argv.includes('--quick')
const jsonFile = process.argv.includes('--json')
  ? process.argv[process.argv.indexOf('--json') + 1]
  : undefined
const print = (line) => process.stdout.write(`${line}\n`)

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

/** What a call costs near and far, alternating, since the machine's mood changes: ms and round trips, medians. */
const measure = async ({ proxy }, { name, input, call }, rounds, warmUp = 2) => {
  const figures = [0, latency].map((ms) => ({ latency: ms, times: [], trips: [] }))
  // The first ones are for the compiler and the connections.
  for (let round = -warmUp; round < rounds; round++) {
    for (const { latency: ms, times, trips } of figures) {
      const given = input?.()
      proxy.latency = ms
      const before = proxy.count
      const start = performance.now()
      await call(given)
      const time = performance.now() - start
      proxy.latency = 0
      if (proxy.count === before) throw new Error(`${name} asked no server`)
      if (round < 0) continue
      times.push(time)
      trips.push(proxy.count - before)
    }
  }
  const [near, far] = figures.map(({ times, trips }) => ({ ms: median(times), trips: median(trips) }))
  return { near, far }
}

const identity = { provider: 'bench', providerUserId: 'user-1' }
const workspace = 'bench'

const workloadsOf = ({ syncGateway, workspaceStore }) => {
  const scope = { scope: { workspaceId: workspace } }
  const pull = (cursor, limit) => syncGateway.pull({}, { ...scope, cursor, limit })
  const push = (size) => ({
    name: `push of ${size.toLocaleString('en')}`,
    allowed: 1,
    input: () => batch(size),
    call: (ops) => syncGateway.push({}, { ...scope, ops }),
  })
  const pullOf = (limit) => ({
    name: `pull of ${limit.toLocaleString('en')}`,
    allowed: 1,
    call: async () => {
      const { changes } = await pull(0, limit)
      if (changes.length !== limit) throw new Error('there is too little to pull')
    },
  })
  let watermark
  return [
    push(1),
    push(100),
    push(1_000),
    pullOf(100),
    pullOf(1_000),
    {
      name: 'session: three look-ups',
      allowed: 3,
      call: async () => {
        const { userId } = await workspaceStore.getOrCreateUser(identity)
        const { workspaceId } = await workspaceStore.getOrCreateDefaultWorkspace(userId)
        await workspaceStore.getWorkspaceRole({ userId, workspaceId })
      },
    },
    {
      name: 'poll, nothing new',
      allowed: 1,
      prepare: async () => {
        let page = { nextCursor: 0, hasMore: true }
        while (page.hasMore) page = await pull(page.nextCursor, 1_000)
        watermark = page.nextCursor
      },
      call: () => pull(watermark, 100),
    },
  ]
}

/**
 * A push as a protocol does it that talks statement by statement: two questions and two writes for each op. In a table of its own,
 * and without the transaction, which would be more.
 */
const statementByStatement = async (url) => {
  const client = createClient({ url })
  await client.batch(
    [
      'CREATE TABLE bench_log (op_id TEXT PRIMARY KEY, json TEXT)',
      'CREATE TABLE bench_rows (pk TEXT PRIMARY KEY, json TEXT)',
    ],
    'write',
  )
  return {
    name: 'push of 100, by statements',
    input: () => batch(100),
    call: async (ops) => {
      for (const { pk, payload, stamp } of ops) {
        const json = JSON.stringify(payload)
        await client.execute({ sql: 'SELECT 1 FROM bench_log WHERE op_id = ?', args: [stamp.opId] })
        await client.execute({ sql: 'SELECT json FROM bench_rows WHERE pk = ?', args: [pk] })
        await client.execute({ sql: 'INSERT INTO bench_log VALUES (?, ?)', args: [stamp.opId, json] })
        await client.execute({ sql: 'INSERT OR REPLACE INTO bench_rows VALUES (?, ?)', args: [pk, json] })
      }
    },
    close: () => client.close(),
  }
}

const column = (value, width) => `${value}`.padStart(width)
const millis = (value) => value.toFixed(1)

const record = (results, { name, allowed }, { near, far }) => {
  const ratio = allowed === undefined ? undefined : far.ms / (near.ms + allowed * latency)
  results.push({ name, near: near.ms, far: far.ms, trips: far.trips, allowed, ratio })
  print(
    [
      name.padEnd(30),
      column(millis(near.ms), 10),
      column(millis(far.ms), 10),
      column(far.trips, 8),
      column(allowed ?? '', 8),
      column(ratio?.toFixed(2) ?? '', 8),
    ].join(''),
  )
}

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version

const { startTurso } = await supported('tursoServer')
const turso = await startTurso()
const provider = openProvider({ env: { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: turso.url } })
try {
  print(
    `Node ${process.version}, turso ${versionOf('turso')}, @libsql/client ${versionOf('@libsql/client')}; medians in ms`,
  )
  print(
    ['workload'.padEnd(30), ...['at 0 ms', `at ${latency} ms`].map((name) => column(name, 10))].join('') +
      ['trips', 'allowed', 'ratio'].map((name) => column(name, 8)).join(''),
  )
  const results = []
  for (const workload of workloadsOf(provider)) {
    await workload.prepare?.()
    const rounds = quick ? 5 : workload.name.includes('1,000') ? 15 : 40
    record(results, workload, await measure(turso, workload, rounds))
  }
  const chatty = await statementByStatement(turso.url)
  record(results, chatty, await measure(turso, chatty, 1, 0))
  chatty.close()
  if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(results, undefined, 2)}\n`)
} finally {
  await provider.close()
  await turso.stop()
}
