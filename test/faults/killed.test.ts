/**
 * Issue 7, point 1: a process that pushes without pause is killed at random moments, again and again on the same file.
 *
 * What it had acknowledged is there, once; what it had not is there as whole batches or not at all, and is pushed again by the
 * process that comes next. SIGKILL takes the process and not the machine: see the README for what survives a loss of power.
 */
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { expect, it } from 'vitest'
import { brokenRules, query } from '../support/adoption.js'
import { bun } from '../support/bun.js'
import { makeProcesses } from '../support/processes.js'
import { deep, patience } from '../support/property.js'

/** Each file has a process of its own, since what is looked at after a kill grows with it. */
const processes = (['node', 'bun'] as const).flatMap((program) =>
  Array.from({ length: deep ? 4 : 1 }, (_, index) => ({
    program,
    number: index + 1,
    rounds: deep ? 30 : program === 'node' ? 15 : 10,
  })),
)

/** In about this time a process has started. */
const startMillis = { node: 800, bun: 300 }

const { folder, start } = makeProcesses()

/** Numbers of ops, from the first up to but without the last. */
type Batch = readonly [first: number, last: number]

/**
 * Tells each batch before it is pushed and when it is acknowledged. An op's content depends on its number alone. Beside it
 * a second workspace is filled and trimmed.
 */
const script = `
  import { writeSync } from 'node:fs'
  import { openProvider } from './src/nuxt/adapters.js'
  const { file, mode, again, from } = JSON.parse(process.env.ROUND)
  const say = (line) => writeSync(1, line + '\\n')
  const op = (n) => ({
    tableName: ['messages', 'threads', 'kv'][n % 3],
    operation: n % 7 === 0 ? 'delete' : 'put',
    pk: 'pk' + (n * 7919) % 500,
    ...(n % 7 === 0 ? {} : { payload: { text: 'op-' + n } }),
    stamp: { opId: 'op-' + n, clock: n % 11, hlc: String((n * 31) % 1000), deviceId: 'd' },
  })
  const now = Date.now
  let passed = 0
  Date.now = () => now() + passed
  const { syncGateway } = openProvider({ env: { OR3_SQLITE_DB_PATH: file, OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode } })
  const push = async (first, last) => {
    say('push ' + JSON.stringify([first, last]))
    const ops = Array.from({ length: last - first }, (_, index) => op(first + index))
    const { results } = await syncGateway.push(undefined, { scope: { workspaceId: 'w1' }, ops })
    say('done ' + JSON.stringify([first, last, results.map((r) => [r.serverVersion, r.success && r.replayed === true])]))
  }
  // Each trimming is an hour after the last one, whichever process made that.
  const machineNow = Date.now
  const trim = async (n) => {
    Date.now = () => machineNow() + n * 3_601_000
    const scope = { workspaceId: 'trimmed' }
    const { serverVersion } = await syncGateway.push(undefined, { scope, ops: Array.from({ length: 40 }, (_, i) => op(n + i)) })
    // All that was pushed so far is older than the shortest window of an adapter.
    passed += 2 * 3_600_000
    await syncGateway.updateCursor(undefined, { scope, deviceId: 'd', version: serverVersion })
    await syncGateway.gcChangeLog(undefined, { scope, retentionSeconds: 3_600 })
  }
  say('ready')
  if (again !== null) await push(...again)
  for (let first = from; ;) {
    const last = first + 1 + (first * 2654435761 >>> 8) % 30
    await push(first, last)
    if (first % 5 === 0) await trim(first)
    first = last
  }`

interface Acknowledged {
  readonly version: number
  readonly replayed: boolean
}

/** The database as the dead process left it, recovered; the original stays as it is for the next process. */
const recovered = (file: string) => {
  const target = `${file}-copy`
  for (const suffix of ['', '-wal', '-journal']) {
    rmSync(target + suffix, { force: true })
    if (existsSync(file + suffix)) copyFileSync(file + suffix, target + suffix)
  }
  rmSync(`${target}-shm`, { force: true })
  const database = new Sqlite(target)
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
  database.close()
  return target
}

it.each(processes)(
  '$rounds kills of $program on file $number lose nothing that was acknowledged, and double nothing',
  async ({ program, number, rounds }) => {
    const file = join(folder, `killed-${program}-${number}.db`)
    const acknowledged = new Map<number, Acknowledged>()
    const tally = { inStart: 0, whilePushing: 0, replayed: 0, pushedAnew: 0, entries: 0 }
    let open: Batch | undefined
    let from = 1
    for (let round = 0; round < rounds; round++) {
      const again = open
      const mode = round % 10 < 7 ? 'WAL' : 'DELETE'
      const child = start(
        script,
        { ROUND: JSON.stringify({ file, mode, again: again ?? null, from }) },
        program === 'bun' ? bun : undefined,
      )
      // Also while it starts: it recovers what the last one left, changes the journal mode, and at first migrates.
      if (round % 5 !== 0) await child.printed('ready\n')
      await sleep(Math.random() * (round % 5 === 0 ? startMillis[program] : 150))
      child.stop('SIGKILL')
      const { signal, stdout, stderr } = await child.outcome
      expect({ signal, stderr }).toEqual({ signal: 'SIGKILL', stderr: '' })

      const lines = stdout.split('\n').slice(0, -1)
      tally[lines.includes('ready') ? 'whilePushing' : 'inStart']++
      for (const line of lines) {
        if (line.startsWith('push ')) {
          open = JSON.parse(line.slice(5)) as Batch
          from = Math.max(from, open[1])
        }
        if (!line.startsWith('done ')) continue
        const [first, last, results] = JSON.parse(line.slice(5)) as [...Batch, Array<[number, boolean]>]
        results.forEach(([version, replayed], index) =>
          acknowledged.set(first + index, { version, replayed }),
        )
        // A batch is durable as a whole, so it is replayed as a whole or accepted as a whole.
        expect(new Set(results.map(([, replayed]) => replayed)).size).toBe(1)
        if (first === again?.[0]) tally[results[0]![1] ? 'replayed' : 'pushedAnew'] += last - first
        else expect(results[0]![1]).toBe(false)
        open = undefined
      }

      const left = recovered(file)
      const isMigrated = query(left, `SELECT 1 FROM sqlite_schema WHERE name = 'change_log'`).length > 0
      if (!isMigrated) {
        expect(acknowledged.size).toBe(0)
        expect(query(left, 'SELECT name FROM sqlite_schema')).toEqual([])
        continue
      }
      expect(brokenRules(left)).toEqual({})
      const log = query<{ v: number; id: string; payload: string | null }>(
        left,
        `SELECT server_version AS v, op_id AS id, payload_json AS payload FROM change_log
         WHERE workspace_id = 'w1' ORDER BY server_version`,
      )
      expect(log.map(({ v }) => v)).toEqual(log.map((_, index) => index + 1))
      const versions = new Map(log.map(({ id, v }) => [id, v]))
      expect(versions.size).toBe(log.length)
      const lost = [...acknowledged].filter(([n, { version }]) => versions.get(`op-${n}`) !== version)
      expect(lost).toEqual([])
      expect(
        log.filter(({ id, payload }) => payload !== null && payload !== JSON.stringify({ text: id })),
      ).toEqual([])
      // Beyond what was acknowledged there is the open batch, whole, or nothing.
      const unacknowledged = log.filter(({ id }) => !acknowledged.has(Number(id.slice(3)))).length
      expect([0, open === undefined ? 0 : open[1] - open[0]]).toContain(unacknowledged)
      const gaps = query(
        left,
        `SELECT count(*) AS entries, max(server_version) - min(server_version) + 1 AS span, max(server_version) AS last,
           (SELECT value FROM server_version_counter WHERE workspace_id = 'trimmed') AS value
         FROM change_log WHERE workspace_id = 'trimmed' HAVING count(*) > 0 AND (entries <> span OR last <> value)`,
      )
      expect(gaps).toEqual([])
      tally.entries = log.length
    }
    console.log(
      `${rounds} kills of ${program} (${tally.inStart} of them during the start): ${acknowledged.size} ops acknowledged, none lost; ` +
        `${tally.replayed} pushed again had been stored, ${tally.pushedAnew} had not; ${tally.entries} log entries, no gap`,
    )
    expect(acknowledged.size).toBeGreaterThan(rounds * 10)
    // Chance decides where they fall; a few may all fall elsewhere.
    if (rounds < 30) return
    expect(tally.inStart).toBeGreaterThan(0)
    expect(tally.pushedAnew).toBeGreaterThan(0)
  },
  patience(240_000),
)
