/**
 * How many devices one server carries: the built host in a process of its own, simulated devices in another, over HTTP on this machine.
 *
 *   npm run load                                    rising numbers of devices until a poll is slow, some ten minutes
 *   npm run load -- --devices 50,100 --seconds 10   these numbers alone, each measured so long
 *   npm run load -- --runs 3                        the best of three runs of each
 *   npm run load -- --node-options='--cpu-prof --cpu-prof-dir=/tmp/profiles'   what the host's Node is told besides
 *   npm run load -- --growth                        a database of many workspaces beside a small one (growth.mjs)
 *
 * Figures go to standard output, and as JSON to the file that `--json` names; the plot to `--svg`, `bench/load.svg` if not given.
 * OR3_E2E_DIR keeps the built host, as for the tests.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Sqlite from 'better-sqlite3'
import { hostOutput, requireLoopback, startDevices, startHost } from './loadHost.mjs'
import { plotted } from './loadPlot.mjs'

/** Milliseconds that the 99th percentile of a poll may take. */
const goal = 100

const { values: options } = parseArgs({
  options: {
    devices: { type: 'string', default: '50,100,200,400,800,1200,1600,2400' },
    seconds: { type: 'string', default: '20' },
    /** Before a measurement. */
    'warm-up': { type: 'string', default: '8' },
    runs: { type: 'string', default: '1' },
    /** How often the gap is halved in which the polls become slow. */
    halvings: { type: 'string', default: '2' },
    /** Records of a workspace before devices come. */
    records: { type: 'string', default: '500' },
    /** Of one step, at most. */
    requests: { type: 'string', default: '200000' },
    /** Of devices. */
    processes: { type: 'string', default: '1' },
    address: { type: 'string', default: '127.0.0.1' },
    /** The `.output` of a host that is built. */
    output: { type: 'string' },
    'node-options': { type: 'string', default: '' },
    json: { type: 'string' },
    svg: { type: 'string', default: fileURLToPath(new URL('./load.svg', import.meta.url)) },
    growth: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
})

const whole = (name, text = options[name], least = 1) => {
  if (!/^\d{1,6}$/.test(text) || Number(text) < least) {
    throw new Error(`--${name} takes a whole number from ${least} to 999999, not "${text}"`)
  }
  return Number(text)
}
const steps = options.devices.split(',').map((text) => whole('devices', text))
const [seconds, runs, processes, requests] = ['seconds', 'runs', 'processes', 'requests'].map((name) =>
  whole(name),
)
const [warmUp, halvings, records] = ['warm-up', 'halvings', 'records'].map((name) =>
  whole(name, undefined, 0),
)
requireLoopback(options.address)

const print = (line) => process.stdout.write(`${line}\n`)
const tell = (line) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)

/** Devices of ten workspaces, a hundred together. */
const sizes = [1, 50, 2, 5, 1, 10, 3, 20, 1, 7]

/** Workspaces that have so many devices together. */
const workspacesOf = (devices) => {
  const workspaces = []
  for (let left = devices; left > 0;) {
    const size = Math.min(left, sizes[workspaces.length % sizes.length])
    workspaces.push({ name: `w${workspaces.length}`, devices: size, records })
    left -= size
  }
  return workspaces
}

/** Some to each process, so that each has about as many devices. */
const parted = (workspaces, count) => {
  const parts = Array.from({ length: count }, () => ({ devices: 0, workspaces: [] }))
  for (const workspace of [...workspaces].sort((a, b) => b.devices - a.devices)) {
    const least = parts.reduce((a, b) => (b.devices < a.devices ? b : a))
    least.devices += workspace.devices
    least.workspaces.push(workspace)
  }
  return parts.filter((part) => part.devices > 0).map((part) => part.workspaces)
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
const figures = (times) => {
  const sorted = times.sort((a, b) => a - b)
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1),
  }
}

/** The next message of a child that has this in it. */
const heard = (child, name, onOther = () => {}) =>
  new Promise((resolve, reject) => {
    const ended = (code) => reject(new Error(`a process of devices ended with ${code}`))
    const hear = (message) => {
      if (message[name] === undefined) return onOther(message)
      child.off('message', hear)
      child.off('exit', ended)
      resolve(message[name])
    }
    child.on('message', hear)
    child.on('exit', ended)
  })

const sizeOf = (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0
const logEntries = (database) => {
  const sqlite = new Sqlite(database, { readonly: true })
  try {
    return sqlite.prepare('SELECT count(*) FROM change_log').pluck().get()
  } finally {
    sqlite.close()
  }
}

/** One step on a fresh server and a fresh file. */
const measure = async (output, devices) => {
  const folder = mkdtempSync(join(tmpdir(), 'or3-load-'))
  const database = join(folder, 'load.db')
  const workspaces = workspacesOf(devices)
  const children = []
  let host
  try {
    host = await startHost({
      output,
      address: options.address,
      database,
      nodeOptions: options['node-options'].split(' ').filter((option) => option !== ''),
    })
    const parts = parted(workspaces, processes)
    children.push(...startDevices(parts.length))
    const all = (name, onOther) => Promise.all(children.map((child) => heard(child, name, onOther)))
    let opened = 0
    const ready = all('ready', () => {
      if (++opened % 20 === 0) tell(`${devices} devices: ${opened} of ${workspaces.length} workspaces`)
    })
    const perProcess = Math.ceil(requests / parts.length)
    for (const [index, child] of children.entries()) {
      child.send({ url: host.url, workspaces: parts[index], requests: perProcess })
    }
    await ready
    tell(`${devices} devices sync: ${warmUp} s to warm up, ${seconds} s measured`)
    const [measuring, measured, results] = [all('measuring'), all('measured'), all('result')]
    // Whichever is awaited first tells when a process ends too early.
    for (const later of [measuring, measured, results]) later.catch(() => {})
    for (const child of children) child.send({ warmUp, seconds })
    await measuring
    host.begin()
    await measured
    const server = await host.end()
    const sizes = { file: sizeOf(database), wal: sizeOf(`${database}-wal`), entries: logEntries(database) }
    const found = await Promise.race([
      results,
      sleep(60_000, undefined, { ref: false }).then(() => {
        throw new Error('the devices do not come to an end')
      }),
    ])
    await host.stop()
    return { devices, workspaces: workspaces.length, server, sizes, ...joined(found) }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    host?.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What all processes of devices have found together. */
const joined = (results) => {
  const kinds = {}
  const failures = {}
  for (const result of results) {
    for (const [kind, times] of Object.entries(result.kinds)) kinds[kind] = (kinds[kind] ?? []).concat(times)
    for (const [kind, { count, first }] of Object.entries(result.failures)) {
      failures[kind] = { count: count + (failures[kind]?.count ?? 0), first }
    }
  }
  const lateness = results.flatMap((result) => result.lateness)
  const leftOut = results.reduce((sum, result) => sum + result.leftOut, 0)
  const took = Math.max(...results.map((result) => result.took)) / 1_000
  return {
    rate: lateness.length / took,
    kinds: Object.fromEntries(Object.entries(kinds).map(([kind, times]) => [kind, figures(times)])),
    failures,
    late: { ...figures(lateness), leftOut, share: leftOut / Math.max(1, lateness.length) },
    delay: results.map(({ delay }) => delay).reduce((a, b) => (a.p99 > b.p99 ? a : b)),
    isCut: results.some((result) => result.isCut),
  }
}

const ms = (value) => (value === undefined ? '-' : value < 10 ? value.toFixed(1) : `${Math.round(value)}`)
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`
const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`
const order = ['poll', 'page', 'push', 'cursor', 'session', 'snapshot', 'collection']

const report = ({ devices, workspaces, rate, kinds, server, sizes, late, delay, failures, isCut }) => {
  print(`\n${devices} devices in ${workspaces} workspaces: ${Math.round(rate)} requests a second`)
  for (const kind of order.filter((kind) => kinds[kind] !== undefined)) {
    const { count, p50, p95, p99, max } = kinds[kind]
    const times = [p50, p95, p99, max].map((value) => ms(value).padStart(8)).join('')
    print(`  ${kind.padEnd(12)}${`${count}`.padStart(8)}  p50, p95, p99, max in ms${times}`)
  }
  print(
    `  server: loop late by ${ms(server.delay.p50)}, p99 ${ms(server.delay.p99)}, at most ${ms(server.delay.max)} ms; busy ${percent(server.busy)}, of a core ${percent(server.cpu)}; ${mebibytes(server.rss)} resident, ${mebibytes(server.heap)} heap`,
  )
  print(
    `  data: file ${mebibytes(sizes.file)}, write-ahead log ${mebibytes(sizes.wal)}, ${sizes.entries} log entries`,
  )
  print(
    `  devices: loop late by p99 ${ms(delay.p99)}, at most ${ms(delay.max)} ms; requests sent late by p99 ${ms(late.p99)} ms; ${percent(late.share)} sent too late, and left out`,
  )
  for (const [kind, { count, first }] of Object.entries(failures)) {
    print(`  FAILED: ${count} of ${kind}, first: ${first}`)
  }
  if (isCut) print('  CUT SHORT: no more requests were allowed')
}

const p99Of = (step) => step.kinds.poll?.p99 ?? Infinity

const load = () => readFileSync('/proc/loadavg', 'utf8').split(' ', 1)[0]
const loadNow = () => {
  try {
    return load()
  } catch {
    return 'unknown'
  }
}

/** The best of the runs. */
const measureBest = async (output, devices) => {
  const results = []
  for (let run = 1; run <= runs; run++) {
    const of = runs === 1 ? '' : `, run ${run} of ${runs}`
    tell(`${devices} devices${of}: starting a host; load of the machine ${loadNow()}`)
    results.push(await measure(output, devices))
    tell(`${devices} devices${of}: p99 of a poll ${ms(p99Of(results.at(-1)))} ms`)
  }
  const best = results.reduce((a, b) => (p99Of(b) < p99Of(a) ? b : a))
  report(best)
  return best
}

/** Where the line between two steps crosses the goal. */
const crossing = (under, over) => {
  const [low, high] = [p99Of(under), p99Of(over)].map(Math.log)
  const share = (Math.log(goal) - low) / (high - low)
  return Math.round((under.devices + share * (over.devices - under.devices)) / 10) * 10
}

const run = async () => {
  const { output, remove } = await hostOutput(options.output, tell)
  const results = []
  try {
    print(
      `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model}), ${new Date().toISOString().slice(0, 10)}; the host of mid-2026, the devices and it on the same cores`,
    )
    for (const devices of steps) {
      results.push(await measureBest(output, devices))
      if (p99Of(results.at(-1)) > goal) break
    }
    const isUnder = (step) => p99Of(step) <= goal
    const gap = () => [results.filter(isUnder).at(-1), results.find((step) => !isUnder(step))]
    for (let halving = 0; halving < halvings; halving++) {
      const [under, over] = gap()
      if (under === undefined || over === undefined || over.devices - under.devices < 20) break
      const middle = Math.round((under.devices + over.devices) / 20) * 10
      results.push(await measureBest(output, middle))
      results.sort((a, b) => a.devices - b.devices)
    }
    const [under, over] = gap()
    const at = under && over && crossing(under, over)
    if (over === undefined) print(`\np99 of a poll stays under ${goal} ms up to ${under?.devices} devices`)
    else if (under === undefined) print(`\np99 of a poll is over ${goal} ms with ${over.devices} devices`)
    else
      print(
        `\np99 of a poll passes ${goal} ms at about ${at} devices: ${ms(p99Of(under))} ms with ${under.devices}, ${ms(p99Of(over))} ms with ${over.devices}`,
      )
    if (options.json !== undefined) {
      writeFileSync(options.json, `${JSON.stringify({ results, at }, undefined, 2)}\n`)
    }
    writeFileSync(options.svg, plotted(results, { goal, at }))
    return results.every(({ failures, isCut }) => Object.keys(failures).length === 0 && !isCut)
  } finally {
    remove()
  }
}

if (options.growth) {
  const { growth } = await import('./growth.mjs')
  await growth({ quick: options.quick, json: options.json, print, tell })
} else if (!(await run())) process.exitCode = 1
