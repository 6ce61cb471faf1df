/**
 * Issue 3, point 5: many fibers, and four processes at once on one file. No version is skipped or given twice, no op is lost
 * or doubled, whoever pulls sees each version once, and nobody sees a lock.
 */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { limits, type SyncChange } from '../../src/services/index.js'
import {
  type Answer,
  batchesOf,
  judgeAnswers,
  loadSeed,
  opOf,
  randomOf,
  upTo,
  winners,
} from '../support/load.js'
import { scope } from '../support/ops.js'
import { buildForProcesses } from '../support/processes.js'
import type { Subject } from '../support/subjectType.js'
import { suite } from '../support/suite.js'
import { startTurso } from '../support/tursoServer.js'
import { isFar } from '../support/subjectType.js'

// Shown when a test fails.
beforeEach(() => console.log(`TEST_SEED=${loadSeed}`))

/** An op id is known for two windows, so the load takes a little less time than that. */
const retentionSeconds = 50 * 72
const loadSeconds = 95 * 72
const start = 1_700_000_000_000
const batchesOn = ({ name }: Subject) => (isFar(name) ? 8 : 25)

/** Fibers that share a layer, a clock that goes on while they work, and what they were told. */
class Load {
  readonly answers: Array<Answer> = []
  readonly pushed = new Set<string>()
  readonly random = randomOf(loadSeed)
  readonly batches: number
  #pushing: number
  #batchesDone = 0

  constructor(
    readonly subject: Subject,
    readonly clients: ReadonlyArray<string>,
  ) {
    this.#pushing = clients.length
    this.batches = batchesOn(subject)
  }

  /** Sometimes lets others go first, so that the order of calls is never the same. */
  async #pause() {
    for (let turns = this.random(3); turns > 0; turns--) await turn()
  }

  async push(client: string) {
    for (const ids of batchesOf(this.random, client, this.batches, 40)) {
      for (const id of ids) this.pushed.add(id)
      const { verdicts } = await this.subject.push({ ...scope(), ops: ids.map(opOf) })
      this.answers.push(...(verdicts as ReadonlyArray<Answer>))
      this.#batchesDone++
      await this.#pause()
    }
    this.#pushing--
  }

  /** Pulls until the load is over and nothing is left; checks each page for itself. */
  async pull(limit: number, deviceId?: string) {
    const seen: Array<SyncChange> = []
    for (let cursor = 0, rest = true; rest;) {
      const over = this.#pushing === 0
      if (deviceId !== undefined) {
        await this.subject.updateCursor({ ...scope(), deviceId, version: cursor })
      }
      const page = await this.subject.pull({ ...scope(), cursor, limit })
      const versions = page.changes.map(({ serverVersion }) => serverVersion)
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
      expect(versions.every((version) => version > cursor && version <= page.nextCursor)).toBe(true)
      expect(page.hasMore ? versions.length : limit).toBe(limit)
      if (page.hasMore) expect(page.nextCursor).toBe(versions.at(-1))
      seen.push(...page.changes)
      cursor = page.nextCursor
      rest = !over || page.hasMore
      await this.#pause()
    }
    return seen
  }

  /** Collects all the time, while the clock goes on with the load. */
  async collect() {
    while (this.#pushing > 0) {
      const progress = this.#batchesDone / (this.batches * this.clients.length)
      vi.setSystemTime(start + progress * loadSeconds * 1_000)
      await Promise.all([
        this.subject.gcTombstones({ ...scope(), retentionSeconds }),
        this.subject.gcChangeLog({ ...scope(), retentionSeconds }),
      ])
      await turn()
    }
  }
}

suite(`many fibers`, (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('push, pull, report and collect at once, and all agree', async () => {
    const load = new Load(subject(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    const [devices, strangers] = await Promise.all([
      Promise.all([5, 17, limits.pageMax].map((limit) => load.pull(limit, `device-${limit}`))),
      Promise.all([load.pull(1), load.pull(100)]),
      load.collect(),
      ...load.clients.map((client) => load.push(client)),
    ])

    const accepted = judgeAnswers(load.pushed, load.answers)
    expect(load.answers.some(({ kind }) => kind === 'replay')).toBe(true)
    const view = await subject().view('w1')
    expect(view.version).toBe(accepted.size)
    expect(view.logVersions).toEqual(upTo(view.version).slice(view.floor))
    // Else this would be no test of trimming.
    expect(view.floor).toBeGreaterThan(20)
    const rows = Object.fromEntries(view.rows.map(({ table, pk, opId }) => [`${table}/${pk}`, opId]).sort())
    expect(rows).toEqual(winners([...load.pushed].map(opOf)))

    // Who reports holds the collection back, and so sees every version once.
    for (const seen of devices) {
      expect(seen.map(({ serverVersion }) => serverVersion)).toEqual(upTo(view.version))
      expect(new Map(seen.map(({ stamp, serverVersion }) => [stamp.opId, serverVersion]))).toEqual(accepted)
    }
    // Who does not may find the log trimmed, but ends where all others are.
    for (const seen of strangers) {
      const versions = seen.map(({ serverVersion }) => serverVersion)
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
      expect(winners(seen)).toEqual(rows)
    }
  })
})

interface Told {
  readonly answers: ReadonlyArray<Answer>
  readonly seen: ReadonlyArray<number>
}

/** Where four processes meet, and what is there in the end. */
interface Place {
  readonly env: Record<string, string>
  readonly judge: (
    accepted: ReadonlyMap<string, number>,
    rows: Readonly<Record<string, string>>,
  ) => Promise<void>
}

const onFile =
  (journalMode: string) =>
  async (folder: string): Promise<Place> => {
    const file = join(folder, `${journalMode}.db`)
    return {
      env: {
        OR3_SQLITE_DB_PATH: file,
        OR3_SQLITE_PRAGMA_JOURNAL_MODE: journalMode,
        OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'OFF',
      },
      judge: async (accepted, winning) => {
        const database = new Sqlite(file, { readonly: true })
        try {
          const rowsOf = (sql: string) => database.prepare(sql).raw().all()
          expect(rowsOf('PRAGMA integrity_check')).toEqual([['ok']])
          expect(rowsOf('SELECT op_id, server_version FROM change_log ORDER BY server_version')).toEqual(
            [...accepted].sort(([, a], [, b]) => a - b),
          )
          expect(rowsOf('SELECT value FROM server_version_counter')).toEqual([[accepted.size]])
          const rows = ['messages', 'threads', 'file_meta'].flatMap((table) =>
            rowsOf(`SELECT '${table}/' || pk, op_id FROM s_${table}`),
          )
          expect(Object.fromEntries(rows as Array<[string, string]>)).toEqual(winning)
        } finally {
          database.close()
        }
      },
    }
  }

const onTurso = async (): Promise<Place> => {
  const { url, stop } = await startTurso()
  const env = { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: url, OR3_SQLITE_TURSO_TIMEOUT: '1 minute' }
  return {
    env,
    judge: async (accepted, winning) => {
      const { syncGateway, close } = openProvider({ env })
      const { changes, hasMore } = await syncGateway.pull(undefined as never, {
        ...scope(),
        cursor: 0,
        limit: limits.pageMax,
      })
      expect(hasMore).toBe(false)
      expect(changes.map(({ stamp, serverVersion }) => [stamp.opId, serverVersion])).toEqual(
        [...accepted].sort(([, a], [, b]) => a - b),
      )
      expect(winners(changes)).toEqual(winning)
      await close()
      await stop()
    },
  }
}

/** With the number of batches of each client, of which a process has three. */
const places: ReadonlyArray<readonly [string, number, (folder: string) => Promise<Place>]> = [
  ['one file (journal mode WAL)', 30, onFile('WAL')],
  ['one file (journal mode DELETE)', 30, onFile('DELETE')],
  ["Turso's engine", 6, onTurso],
]

describe.each(places)('four processes on %s', (_where, batches, openPlace) => {
  let built: ReturnType<typeof buildForProcesses>
  beforeAll(() => {
    built = buildForProcesses()
  })
  afterAll(() => built.remove())

  /** Several pushers, a puller and a collector in one process; its answers on the last line. */
  const script = `
    import { createInterface } from 'node:readline'
    import { setImmediate as turn } from 'node:timers/promises'
    import { openProvider } from './src/nuxt/adapters.js'

    console.log('started')
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    const { clients, limit, deviceId } = JSON.parse((await lines.next()).value)
    // All processes open, and so migrate, the new file at the same moment.
    const { syncGateway, close } = openProvider()
    const scope = { workspaceId: 'w1' }
    const answers = []
    let pushing = clients.length
    const push = async (batches) => {
      for (const ops of batches) {
        const { results } = await syncGateway.push({}, { scope, ops })
        for (const { opId, success, serverVersion, replayed, applied, errorCode } of results) {
          const kind = !success ? errorCode : replayed ? 'replay' : applied ? 'applied' : 'superseded'
          answers.push({ opId, kind, version: serverVersion })
        }
        await turn()
      }
      pushing--
    }
    const seen = []
    let cursor = 0
    const pull = async () => {
      const page = await syncGateway.pull({}, { scope, cursor, limit })
      seen.push(...page.changes.map((change) => change.serverVersion))
      cursor = page.nextCursor
      await syncGateway.updateCursor({}, { scope, deviceId, version: cursor })
      await turn()
      return page.hasMore
    }
    const keepPulling = async () => { while (pushing > 0) await pull() }
    const collect = async () => {
      while (pushing > 0) {
        await syncGateway.gcChangeLog({}, { scope, retentionSeconds: 3_600 })
        await turn()
      }
    }
    await Promise.all([...clients.map(push), keepPulling(), collect()])
    console.log('pushed')
    await lines.next()
    while (await pull());
    await close()
    console.log(JSON.stringify({ answers, seen }))
    process.exit(0)
  `

  it('push random batches, and nobody notices the others', async () => {
    const place = await openPlace(built.folder)
    const random = randomOf(loadSeed)
    const pushed = new Set<string>()
    const processes = [1, 2, 3, 4].map((index) => {
      const clients = ['a', 'b', 'c'].map((client) =>
        batchesOf(random, `${client}${index}`, batches, 60).map((ids) => {
          for (const id of ids) pushed.add(id)
          return ids.map(opOf)
        }),
      )
      const running = built.start(script, place.env)
      return { running, task: JSON.stringify({ clients, limit: 5 ** index, deviceId: `process-${index}` }) }
    })
    await Promise.all(processes.map(({ running }) => running.printed('started')))
    for (const { running, task } of processes) running.send(task)
    await Promise.all(processes.map(({ running }) => running.printed('pushed')))
    for (const { running } of processes) running.send('go on')
    const told = await Promise.all(
      processes.map(async ({ running }): Promise<Told> => {
        const { code, stdout, stderr } = await running.outcome
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Told
      }),
    )

    const accepted = judgeAnswers(
      pushed,
      told.flatMap(({ answers }) => answers),
    )
    for (const { seen } of told) expect(seen).toEqual(upTo(accepted.size))
    await place.judge(accepted, winners([...pushed].map(opOf)))
  })
})
