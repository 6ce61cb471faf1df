/**
 * Measures this package through its promise adapters beside the floor, alternating, on database files.
 *
 *   npm run bench            all of it, some minutes
 *   npm run bench -- --quick a tenth of the rounds, and no growth curve to a million changes
 *   npm run bench -- --only 'push, fresh'   the workloads whose name has that in it
 *   npm run bench -- --json FILE   writes the figures as well
 *   npm run bench:bun        the same on Bun, against a floor on Bun's own SQLite
 *
 * No assertions on time: read the ratios, of one run on one machine.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { engineName, Sqlite } from './sqlite.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'
import { openFloor } from './floor.mjs'
import { openFiles } from './files.mjs'
import { openLimits } from './limits.mjs'
import { openJobs } from './jobs.mjs'
import { openPeople } from './people.mjs'
import { openTelemetry } from './telemetry.mjs'
import { openWebhooks } from './webhooks.mjs'
import { batch, fill, workloads } from './workloads.mjs'

const quick = process.argv.includes('--quick')
const option = (name) => {
  const index = process.argv.indexOf(name)
  return index < 0 ? undefined : process.argv[index + 1]
}
const jsonFile = option('--json')
const only = option('--only')
const isWanted = (name) => only === undefined || name.includes(only)
const print = (line) => process.stdout.write(`${line}\n`)

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
const figures = (times) => {
  const sorted = [...times].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

/** The package and the floor, each on a file of its own that the package migrated. */
const openBoth = async (folder) => {
  const file = join(folder, 'ours.db')
  const floorFile = join(folder, 'floor.db')
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  const other = openProvider({ env: { OR3_SQLITE_DB_PATH: floorFile } })
  const identity = {
    provider: 'bench',
    providerUserId: 'user-1',
    email: 'user-1@bench.invalid',
    displayName: 'User 1',
  }
  const signIn = async ({ workspaceStore }) => {
    const { userId } = await workspaceStore.getOrCreateUser(identity)
    return { userId, ...(await workspaceStore.getOrCreateDefaultWorkspace(userId)) }
  }
  const mine = await signIn(provider)
  const user = await signIn(other)
  await other.close()
  const { syncGateway, workspaceStore } = provider
  const scope = (workspaceId) => ({ scope: { workspaceId } })
  return {
    identity,
    user,
    file,
    floorFile,
    ours: {
      push: (workspaceId, ops) => syncGateway.push({}, { ...scope(workspaceId), ops }),
      pull: (workspaceId, cursor, limit, tables) =>
        syncGateway.pull({}, { ...scope(workspaceId), cursor, limit, ...(tables ? { tables } : {}) }),
      snapshot: (workspaceId, pageSize, pageToken) =>
        syncGateway.snapshot({}, { ...scope(workspaceId), pageSize, ...(pageToken ? { pageToken } : {}) }),
      updateCursor: (workspaceId, version) =>
        syncGateway.updateCursor({}, { ...scope(workspaceId), deviceId: 'device-1', version }),
      gc: (workspaceId, retentionSeconds) =>
        syncGateway.gcChangeLog({}, { ...scope(workspaceId), retentionSeconds }),
      role: () => workspaceStore.getWorkspaceRole({ userId: mine.userId, workspaceId: mine.workspaceId }),
      defaultWorkspace: () => workspaceStore.getOrCreateDefaultWorkspace(mine.userId),
      identity: () => workspaceStore.getOrCreateUser(identity),
      list: () => workspaceStore.listUserWorkspaces(mine.userId),
    },
    floor: openFloor(floorFile),
    close: () => provider.close(),
  }
}

/** Times both, turn by turn, the first one changing; the floor's calls are awaited alike. */
const compare = async (both, { input, ours, floor }, rounds) => {
  const times = { ours: [], floor: [] }
  const time = async (name, call, given) => {
    const start = performance.now()
    await call(both, given)
    times[name].push(performance.now() - start)
  }
  // The first rounds are for the compiler.
  const warmUp = Math.max(3, Math.ceil(rounds / 10))
  for (let round = -warmUp; round < rounds; round++) {
    if (round === 0) times.ours.length = times.floor.length = 0
    const given = await input()
    const contestants = [
      ['ours', ours],
      ['floor', floor],
    ]
    for (const [name, call] of round % 2 ? contestants : contestants.reverse()) await time(name, call, given)
  }
  const [a, b] = [figures(times.ours), figures(times.floor)]
  return { ours: a, floor: b, ratio: a.median / b.median }
}

const micro = (millis) => `${Math.round(millis * 1_000).toLocaleString('en')} us`
const report = (name, { ours, floor, ratio }, target) => {
  const aim = target === undefined ? '' : `target ${target}`
  print(
    `${name.padEnd(38)} ${ratio.toFixed(2).padStart(6)}  ${aim.padEnd(12)} ours ${micro(ours.median).padStart(12)} p99 ${micro(ours.p99).padStart(12)}   floor ${micro(floor.median).padStart(12)} p99 ${micro(floor.p99).padStart(12)}`,
  )
}

const results = []
/** Resident memory of both contestants together, with all that they were given. */
let peak = 0
const record = (name, result, target) => {
  const { rss } = process.memoryUsage()
  peak = Math.max(peak, rss)
  results.push({ name, target, ...result, rss })
  report(name, result, target)
}

/** As requests come: the event loop turns between them. */
const afterATurn =
  (call) =>
  async (...args) => {
    await new Promise((resume) => setImmediate(resume))
    return call(...args)
  }

/** The longest time in which the event loop did not turn while a body ran. */
const longestStall = async (body) => {
  let longest = 0
  let last = performance.now()
  let running = true
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(turn)
  }
  await new Promise((resume) => setImmediate(resume))
  last = performance.now()
  setImmediate(turn)
  await body()
  running = false
  await new Promise((resume) => setImmediate(() => setImmediate(resume)))
  return longest
}

const stalls = async (both) => {
  const samples = { ours: [], floor: [] }
  for (let round = 0; round < (quick ? 5 : 25); round++) {
    const ops = batch(1_000)
    const turns = [
      async () => samples.ours.push(await longestStall(() => both.ours.push('stall', ops))),
      async () => samples.floor.push(await longestStall(async () => both.floor.push('stall', ops))),
    ]
    for (const turn of round % 2 ? turns : turns.reverse()) await turn()
  }
  const [ours, floor] = [figures(samples.ours), figures(samples.floor)]
  record('longest stall, push of 1,000', { ours, floor, ratio: ours.median / floor.median }, 1)
}

/** A page from cursor 0 on, wherever in the workspace, when all of the log is trimmed. */
const afterTrim = async (both) => {
  const pages = {}
  for (const rows of quick ? [1_000, 20_000] : [1_000, 100_000]) {
    const workspaceId = `trimmed-${rows}`
    for (let done = 0; done < rows; done += 1_000) await both.ours.push(workspaceId, batch(1_000))
    await both.ours.updateCursor(workspaceId, rows + 1)
    const clock = new Sqlite(both.file)
    clock.prepare('UPDATE change_log SET created_at = 0 WHERE workspace_id = ?').run(workspaceId)
    clock.close()
    await both.ours.gc(workspaceId, 86_400)
    const times = []
    for (let cursor = 0; ;) {
      const start = performance.now()
      const page = await both.ours.pull(workspaceId, cursor, 100)
      times.push(performance.now() - start)
      cursor = page.nextCursor
      if (!page.hasMore) break
    }
    pages[rows] = figures(times)
    const tenth = Math.max(1, Math.floor(times.length / 10))
    const [first, last] = [figures(times.slice(0, tenth)).median, figures(times.slice(-tenth)).median]
    print(
      `after a full trim, ${rows.toLocaleString('en')} rows: page of 100 ${micro(pages[rows].median)}, first pages ${micro(first)}, last ${micro(last)}`,
    )
  }
  const [small, large] = Object.values(pages)
  record(
    'page after a full trim, many/few rows',
    { ours: large, floor: small, ratio: large.median / small.median },
    1.2,
  )
}

/** Pages of 1,000 wherever in a workspace, its whole chain, and how long the event loop stands still for a page. */
const snapshots = async (both) => {
  const rows = quick ? 20_000 : 100_000
  const pageSize = 1_000
  for (let done = 0; done < rows; done += 1_000) await fill(both, batch(1_000), 'snapshot')
  const chain = async ({ snapshot }, onPage = () => {}) => {
    let token
    for (;;) {
      const page = await snapshot('snapshot', pageSize, token)
      onPage(page, token)
      token = page.nextPageToken
      if (token === null) return
    }
  }
  const tokens = { ours: [], floor: [] }
  // Kept as a hash: a heap full of records would make the collector's pauses the measure.
  const read = { ours: createHash('sha256'), floor: createHash('sha256') }
  const counts = { ours: 0, floor: 0 }
  for (const name of ['ours', 'floor']) {
    await chain(both[name], ({ items }, token) => {
      tokens[name].push(token)
      counts[name] += items.length
      for (const { pk, payload, revision } of items) {
        read[name].update(JSON.stringify([pk, payload, revision]))
      }
    })
  }
  if (read.ours.digest('hex') !== read.floor.digest('hex')) throw new Error('the floor has another snapshot')
  if (counts.ours !== rows) throw new Error('the snapshot is not whole')

  const size = rows.toLocaleString('en')
  const pageAt = (place) => ({
    input: () => place,
    ours: (b) => b.ours.snapshot('snapshot', pageSize, tokens.ours.at(place)),
    floor: (b) => b.floor.snapshot('snapshot', pageSize, tokens.floor.at(place)),
  })
  const rounds = quick ? 20 : 100
  record(`snapshot, first page of 1,000 of ${size}`, await compare(both, pageAt(0), rounds), 1.3)
  record(`snapshot, last page of 1,000 of ${size}`, await compare(both, pageAt(-1), rounds), 1.3)
  const flat = { input: () => undefined, ours: pageAt(-1).ours, floor: pageAt(0).ours }
  record('snapshot, last page (ours) against first', await compare(both, flat, rounds), 1.2)
  const all = { input: () => undefined, ours: (b) => chain(b.ours), floor: (b) => chain(b.floor) }
  record(`snapshot, whole chain of ${size}`, await compare(both, all, quick ? 3 : 7), 1.3)
  const samples = { stall: [], page: [] }
  for (let round = 0; round < 7; round++) {
    let longest = 0
    const timed = async (...args) => {
      const start = performance.now()
      const page = await both.ours.snapshot(...args)
      longest = Math.max(longest, performance.now() - start)
      return page
    }
    samples.stall.push(await longestStall(() => chain({ snapshot: afterATurn(timed) })))
    samples.page.push(longest)
  }
  // Both in the same chain, since whatever else the machine does makes both longer. The collector works between pages too.
  const [ours, floor] = [figures(samples.stall), figures(samples.page)]
  record(
    'longest stall of a chain (ours) against its longest page',
    { ours, floor, ratio: ours.median / floor.median },
    1,
  )
}

/** How pushing slows as a workspace grows, here and on the floor. */
const growth = async (both) => {
  const points = {}
  let size = 0
  for (const goal of quick ? [10_000, 30_000] : [10_000, 100_000, 1_000_000]) {
    while (size < goal) {
      await fill(both, batch(1_000), 'growth')
      size += 1_000
    }
    const push = {
      input: () => batch(100),
      ours: (b, ops) => b.ours.push('growth', ops),
      floor: (b, ops) => b.floor.push('growth', ops),
    }
    points[goal] = await compare(both, push, 60)
    size += 6_000
    record(`push of 100 at ${goal.toLocaleString('en')} changes`, points[goal])
  }
  const all = Object.values(points)
  const [first, last] = [all[0], all.at(-1)]
  const own = last.ours.median / first.ours.median
  const floors = last.floor.median / first.floor.median
  print(`growth: ours ${own.toFixed(2)} (target 2), floor ${floors.toFixed(2)}`)
  results.push({ name: 'growth', ours: own, floor: floors })
}

/** What spans and metrics cost when nobody listens. */
const telemetry = async (folder) => {
  const both = await openTelemetry(join(folder, 'telemetry.db'))
  for (const [size, rounds] of [
    [1, 6_000],
    [100, 300],
  ]) {
    const push = { input: () => batch(size), ours: (b, ops) => b.ours(ops), floor: (b, ops) => b.floor(ops) }
    record(
      `telemetry, unheard, push of ${size}`,
      await compare(both, push, quick ? rounds / 10 : rounds),
      1.03,
    )
  }
  await both.close()
}

/** Workloads with contestants of their own, whose names begin with the set's. */
const sets = {
  files: openFiles,
  limits: openLimits,
  jobs: openJobs,
  webhooks: openWebhooks,
  people: openPeople,
}

const runSet = async (folder, set) => {
  const both = await sets[set](join(folder, `${set}.db`), quick)
  for (const workload of both.workloads.filter(({ name }) => isWanted(name))) {
    const rounds = quick ? Math.max(10, workload.rounds / 10) : workload.rounds
    record(workload.name, await compare(both, workload, rounds), workload.target)
  }
  await both.close()
}

/** The same calls must have left the same rows, tombstones and log behind, or the floor is no floor. */
const assertSameState = (both) => {
  const [mine, floors] = [both.file, both.floorFile].map((file) => {
    const database = new Sqlite(file, { readonly: true })
    const of = (sql) => database.prepare(sql).raw().all()
    const state = ['messages', 'threads', 'projects'].map((table) =>
      of(
        `SELECT pk, data_json, clock, hlc, op_id, server_version, deleted FROM s_${table} WHERE workspace_id = 'bench' ORDER BY pk`,
      ),
    )
    state.push(
      of(
        `SELECT table_name, pk, clock, hlc, op_id, server_version FROM tombstones WHERE workspace_id = 'bench' ORDER BY table_name, pk`,
      ),
    )
    state.push(
      of(`SELECT server_version, op_id FROM change_log WHERE workspace_id = 'bench' ORDER BY server_version`),
    )
    database.close()
    return JSON.stringify(state)
  })
  if (mine !== floors) throw new Error('the floor ends in another state than the package')
}

const folder = mkdtempSync(join(tmpdir(), 'or3-bench-'))
try {
  print(`${engineName()}, ${new Date().toISOString().slice(0, 10)}; ratio: this package / floor`)
  const both = await openBoth(folder)
  await compare(both, workloads[0], quick ? 10 : 40)
  await fill(both, batch(20_000), 'bench')
  for (const workload of workloads.filter(({ name }) => isWanted(name))) {
    await workload.prepare?.(both)
    record(
      workload.name,
      await compare(both, workload, Math.max(10, Math.ceil(workload.rounds / (quick ? 10 : 1)))),
      workload.target,
    )
  }
  assertSameState(both)
  if (isWanted('longest stall')) await stalls(both)
  if (isWanted('after a full trim')) await afterTrim(both)
  if (isWanted('snapshot')) await snapshots(both)
  if (isWanted('growth')) await growth(both)
  for (const set of Object.keys(sets)) {
    if (only === undefined || only.startsWith(set)) await runSet(folder, set)
  }
  if (isWanted('telemetry')) await telemetry(folder)
  const memory = process.memoryUsage()
  const mebibytes = (bytes) => Math.round(bytes / 2 ** 20)
  print(
    `memory of both: ${mebibytes(memory.rss)} MiB resident, ${mebibytes(memory.heapUsed)} MiB heap; at most ${mebibytes(peak)} MiB resident after a workload`,
  )
  results.push({ name: 'memory', rss: memory.rss, heapUsed: memory.heapUsed, peak })
  both.floor.close()
  await both.close()
  if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(results, undefined, 2)}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
