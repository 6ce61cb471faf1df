/**
 * Issue 16, point 3: rate limits of several servers on one database, and of one whose database cannot be written.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Either, Layer, Logger } from 'effect'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { layerWithConfig, ProviderConfigLayer } from '../../src/layers/index.js'
import { Batches } from '../../src/layers/sql/Batches.js'
import { share } from '../../src/layers/sql/RateLimits.js'
import { rateLimitSql } from '../../src/layers/sql/rateLimitBatches.js'
import { openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { RateLimits } from '../../src/services/index.js'
import { batchLayer, committingWith } from '../support/layerSubjects.js'
import { buildForProcesses } from '../support/processes.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
const { start, remove: removeBuild } = buildForProcesses()
afterAll(() => {
  remove()
  removeBuild()
})

let files = 0
const newFile = () => join(folder, `limits-${++files}.db`)
const config = { windowMs: 60_000, maxRequests: 100 }

const opened: Array<Provider> = []
const open = (path: string) => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
  opened.push(provider)
  return provider.rateLimitProvider
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((provider) => provider.close()))
  vi.restoreAllMocks()
})

/** How many of so many requests are allowed. */
const allowedOf = async (limits: Provider['rateLimitProvider'], count: number, given = config) => {
  let allowed = 0
  for (let n = 0; n < count; n++) if ((await limits.checkAndRecord('k', given)).allowed) allowed += 1
  return allowed
}

describe('several servers', () => {
  it.each([2, 4])('%i that are asked until they refuse allow exactly the limit together', async (count) => {
    const path = newFile()
    open(path)
    const running = Array.from({ length: count }, () =>
      start(
        `
        import { openProvider } from './src/nuxt/adapters.js'
        const provider = openProvider()
        const { checkAndRecord } = provider.rateLimitProvider
        let allowed = 0
        for (const key of ['a', 'b', 'c']) {
          const ask = async () => { if ((await checkAndRecord(key, { windowMs: 600_000, maxRequests: 200 })).allowed) allowed++ }
          for (let n = 0; n < 100; n++) await Promise.all([ask(), ask(), ask()])
        }
        console.log(allowed)
        await provider.close()`,
        { OR3_SQLITE_DB_PATH: path },
      ),
    )
    const outcomes = await Promise.all(running.map(({ outcome }) => outcome))
    expect(outcomes.map(({ stderr }) => stderr)).toEqual(outcomes.map(() => ''))
    expect(outcomes.reduce((sum, { stdout }) => sum + Number(stdout), 0)).toBe(600)
  })

  it('refuse at most an eighth too early, and never too late', async () => {
    for (const first of [1, 10, 33, 60, 90, 99, 100]) {
      const path = newFile()
      const [one, other] = [open(path), open(path)]
      const allowed = (await allowedOf(one, first)) + (await allowedOf(other, 100))
      expect(allowed, `${first} first`).toBeLessThanOrEqual(100)
      expect(allowed, `${first} first`).toBeGreaterThanOrEqual(100 - Math.ceil(100 / share))
      // What the one has is not lost to it.
      expect(allowed + (await allowedOf(one, 100)), `${first} first`).toBe(100)
    }
  })

  it('count a small limit exactly, whoever is asked', async () => {
    const path = newFile()
    const [one, other] = [open(path), open(path)]
    const small = { ...config, maxRequests: 2 * share - 1 }
    expect((await allowedOf(one, share, small)) + (await allowedOf(other, 20, small))).toBe(2 * share - 1)
  })
})

describe('a database that another process writes to', () => {
  it('keeps nobody waiting for long, and each server within the limit; then it is told', async () => {
    const path = newFile()
    const limits = open(path)
    const small = { ...config, maxRequests: 5 }
    const other = new Sqlite(path)
    other.exec('BEGIN IMMEDIATE')
    const before = performance.now()
    expect(await allowedOf(limits, 20, small)).toBe(5)
    expect(performance.now() - before).toBeLessThan(2_000)
    other.exec('COMMIT')
    // What was allowed on credit is settled: others know of it.
    await vi.waitFor(() => {
      expect(other.prepare('SELECT taken FROM rate_limit_windows').all()).toEqual([{ taken: 5 }])
    })
    other.close()
    expect(await allowedOf(open(path), 20, small)).toBe(0)
  })

  it('is not asked again for what is known', async () => {
    const took: Array<number> = []
    // A busy machine may hold up one of them.
    for (let round = 0; round < 3; round++) {
      const path = newFile()
      const limits = open(path)
      expect(await allowedOf(limits, 3)).toBe(3)
      const other = new Sqlite(path)
      other.exec('BEGIN IMMEDIATE')
      const before = performance.now()
      expect(await allowedOf(limits, 5)).toBe(5)
      took.push(performance.now() - before)
      other.exec('ROLLBACK')
      other.close()
    }
    expect(Math.min(...took)).toBeLessThan(90)
  })
})

describe('a database that answers after the window has ended', () => {
  /** As many as the database counts in the window that has begun, after one check in it. */
  const permitsOfNext = () => {
    const small = { key: 'k', ...config, maxRequests: 5 }
    let takings = 0
    const latch = Effect.unsafeMakeLatch()
    const answered = Effect.unsafeMakeLatch()
    const engine = committingWith(({ write }) => ({
      write: (operation, batch) =>
        operation === 'take permits' && ++takings === 1
          ? Effect.zipLeft(Effect.zipRight(latch.await, write(operation, batch)), answered.open)
          : write(operation, batch),
    }))
    return Effect.gen(function* () {
      const limits = yield* RateLimits
      const check = limits.check(small)
      // On credit, but for the first: that one's permit has been asked for.
      for (let n = 0; n < 3; n++) expect(yield* check).toEqual({ allowed: true, remaining: 4 - n })
      vi.setSystemTime(Date.now() + config.windowMs)
      expect(yield* check).toEqual({ allowed: true, remaining: 4 })
      yield* latch.open
      yield* answered.await
      // What it would be told is on its way then.
      yield* Effect.sleep(10)
      const { write } = yield* Batches
      const taken = { sql: 'SELECT taken FROM rate_limit_windows', params: [] }
      return yield* write('test', { statements: [taken], read: ([rows]) => Either.right(rows![0]!.taken) })
    }).pipe(
      Effect.provide(Layer.provide(batchLayer(engine), Logger.remove(Logger.defaultLogger))),
      Effect.runPromise,
    )
  }

  it('is told nothing more of it: that would count in the next', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      expect(await permitsOfNext()).toBe(2)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a database that cannot be written', () => {
  it('leaves each server to count for itself, and says so once', async () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => void lines.push(message))
    const path = newFile()
    await Effect.gen(function* () {
      const limits = yield* RateLimits
      const database = new Sqlite(path)
      database.exec('DROP TABLE rate_limit_windows')
      database.close()
      const verdicts = yield* Effect.forEach(Array.from({ length: 8 }), () =>
        limits.check({ key: 'k', windowMs: 60_000, maxRequests: 5 }),
      )
      expect(verdicts.filter(({ allowed }) => allowed)).toHaveLength(5)
      expect(yield* limits.stats({ key: 'k', windowMs: 60_000, maxRequests: 5 })).toMatchObject({
        limit: 5,
        remaining: 0,
      })
    }).pipe(
      Effect.provide(Layer.provide(layerWithConfig, ProviderConfigLayer.layerOf({ dbPath: path }))),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.runPromise,
    )
    const told = lines.map(String).filter((line) => line.includes('rate limits'))
    expect(told).toEqual([
      expect.stringContaining('each process counts rate limits for itself meanwhile: take permits'),
      '4 more takings of rate limits failed',
    ])
  })
})

describe('windows that are over', () => {
  it('go away by themselves, here and in the database, through indexes', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      const path = newFile()
      const limits = open(path)
      for (let n = 0; n < 500; n++) await limits.checkAndRecord(`old-${n}`, config)
      vi.setSystemTime(Date.now() + 60_000)
      for (let n = 0; n < 500; n++) await limits.checkAndRecord(`new-${n}`, config)
      const database = new Sqlite(path, { readonly: true })
      expect(
        database.prepare(`SELECT count(*) AS n FROM rate_limit_windows WHERE key LIKE 'old-%'`).get(),
      ).toEqual({ n: 0 })
      expect(database.prepare(`SELECT count(*) AS n FROM rate_limit_windows`).get()).toEqual({ n: 500 })
      const plan = (sql: string) =>
        database
          .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replaceAll('?', '1')}`)
          .all()
          .map(({ detail }) => detail)
          .join('\n')
      for (const { sql } of Object.values(rateLimitSql)) {
        expect(plan(sql)).not.toMatch(/SCAN (?!\(subquery|CONSTANT)|TEMP B-TREE/)
      }
      database.close()
    } finally {
      vi.useRealTimers()
    }
  })
})
