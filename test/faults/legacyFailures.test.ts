/**
 * Issue 7, point 8: an adoption is all or nothing, whether it fails or the process dies, and a large one comes to its end.
 */
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { Effect, Layer } from 'effect'
import { afterAll, describe, expect, it } from 'vitest'
import { migrations } from '../../migrations/index.js'
import { ProviderConfigLayer } from '../../src/layers/index.js'
import * as SchemaMigratorLayer from '../../src/layers/synchronous/SchemaMigrator.js'
import {
  brokenRules,
  formerQuery,
  inspect,
  makeLargeLegacy,
  makeLegacy,
  opened,
  query,
} from '../support/adoption.js'
import type { Shape } from '../support/legacyDatabase.js'
import { leftovers } from '../support/legacyLeftovers.js'
import { migrateUpTo } from '../support/earlierRelease.js'
import { buildForProcesses } from '../support/processes.js'
import { patience } from '../support/property.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const deep = process.env.TEST_DEEP === 'true'

const { folder, remove } = temporaryFolder()
const built = buildForProcesses()
afterAll(() => {
  built.remove()
  remove()
})

let files = 0
const newFile = () => join(folder, `failures-${++files}.db`)

/** Opens the file in a process of its own, as the server's start does, and closes it. */
const start = (path: string) =>
  built.start(`
    import { openProvider } from './src/nuxt/adapters.js'
    console.log('starting')
    const started = performance.now()
    try {
      const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: ${JSON.stringify(path)} } })
      console.log('took ' + Math.round(performance.now() - started) + ' ms, ' + Math.round(process.memoryUsage().rss / 2 ** 20) + ' MiB')
      await provider.close()
    } catch (error) {
      console.error(error.message)
      process.exit(1)
    }`)

const modes = ['WAL', 'DELETE'] as const

const setMode = (path: string, mode: string) => {
  const database = new Sqlite(path)
  database.pragma(`journal_mode = ${mode}`)
  database.close()
}

const isLegacy = (path: string) =>
  query<{ name: string }>(path, `SELECT name FROM sqlite_schema WHERE name LIKE 'effect%'`).length === 0

describe.each(modes)('an adoption in %s mode', (mode) => {
  it('that fails at its very end leaves the file as it was, byte for byte, though more than fits in memory was written', async () => {
    const path = makeLargeLegacy(newFile(), 17, 30_000, 2_000)
    const database = new Sqlite(path)
    database.exec(`create table "connect_roles" ("member" text references "workspace_members" ("id"))`)
    database.close()
    setMode(path, mode)
    const before = readFileSync(path)
    const { code, stderr } = await start(path).outcome
    expect(code).toBe(1)
    expect(stderr).toMatch(/^.*3_adopt_legacy.*foreign key mismatch - "connect_roles"[^\n]*\n$/)
    expect(stderr).toContain(path)
    expect(readFileSync(path).equals(before)).toBe(true)
    for (const suffix of ['-wal', '-shm', '-journal']) expect(existsSync(path + suffix)).toBe(false)
  })

  it(
    'that is killed at any moment is done as a whole or not at all, and succeeds at the next start',
    async () => {
      const original = makeLargeLegacy(newFile(), 3, 6_000)
      setMode(original, mode)
      const legacyLog = query(original, 'SELECT op_id FROM change_log ORDER BY op_id')
      const whole = newFile()
      copyFileSync(original, whole)
      const millis = Number(/took (\d+) ms/.exec((await start(whole).outcome).stdout)?.[1])
      let [finished, undone] = [0, 0]
      const rounds = deep ? 40 : 6
      for (let round = 0; round < rounds; round++) {
        const path = newFile()
        copyFileSync(original, path)
        const child = start(path)
        await child.printed('starting')
        // A moment of each part of the time: by chance alone all could come after an end that was sooner than the first.
        await sleep(((round + Math.random()) / rounds) * millis * 1.2)
        child.stop('SIGKILL')
        await child.outcome
        // Recovers what the dead process left.
        const database = new Sqlite(path)
        expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
        database.close()
        if (isLegacy(path)) {
          undone++
          expect(query(path, 'SELECT op_id FROM change_log ORDER BY op_id')).toEqual(legacyLog)
        } else finished++
        await opened(path, () => {})
        expect(brokenRules(path)).toEqual({})
        // Each entry is there, under the UUID that its op id has become.
        const former = formerQuery<{ op_id: string }>(path, 'SELECT op_id FROM change_log')
        expect(former.sort((a, b) => (a.op_id < b.op_id ? -1 : 1))).toEqual(legacyLog)
      }
      console.log(`killed ${finished + undone} adoptions: ${undone} undone, ${finished} had finished`)
      expect(undone).toBeGreaterThan(0)
    },
    patience(120_000),
  )
})

it('an adoption whose process dies before it serves is not taken for a restored backup', async () => {
  const path = makeLargeLegacy(newFile(), 3, 100)
  await Effect.runPromise(
    Effect.scoped(
      Layer.build(
        SchemaMigratorLayer.layer.pipe(Layer.provide(ProviderConfigLayer.layerOf({ dbPath: path }))),
      ),
    ),
  )
  expect(isLegacy(path)).toBe(false)
  const adopted = query(path, 'SELECT * FROM server_version_counter')
  await opened(path, () => {})
  expect(query(path, 'SELECT * FROM server_version_counter')).toEqual(adopted)
})

describe('a large legacy database', () => {
  const entries = deep ? 1_000_000 : 110_000

  it(
    `of ${entries} log entries is adopted, with progress in the log`,
    async () => {
      const path = makeLargeLegacy(newFile(), 3, entries)
      const { code, stdout, news: lines } = await start(path).outcome
      expect(code).toBe(0)
      console.log(stdout)
      const steps = Math.ceil(entries / 100_000) - 1
      const total = entries.toLocaleString('en-US')
      expect(lines.slice(0, -3)).toEqual(
        Array.from(
          { length: steps },
          (_, index) =>
            `[or3-provider-sqlite] adopting the earlier database: ${index + 1}00,000 of ${total} log entries`,
        ),
      )
      expect(lines.at(-3)).toMatch(
        new RegExp(
          `adopting the earlier database: copied rows: \\d+, tombstones: \\d+, log entries: ${entries} in `,
        ),
      )
      expect(lines.at(-2)).toContain(`: ${entries} op ids became UUIDs`)
      expect(lines.at(-1)).toBe(`[or3-provider-sqlite] applied ${Object.keys(migrations).join(', ')}`)
      expect(query(path, 'SELECT count(*) AS n FROM change_log')).toEqual([{ n: entries }])
      expect(brokenRules(path)).toEqual({})
    },
    patience(60_000),
  )
})

describe('the line in the log', () => {
  it.each([3, 17] as const)(
    'says what was adopted from version %i, and what had to be mended',
    async (shape: Shape) => {
      const path = makeLegacy(newFile(), shape, leftovers)
      const { news } = await start(path).outcome
      const [summary, leap, renamed, applied] = news
      const given = shape === 17 ? 10 : 24
      expect(summary?.replace(/in \d+\.\d s/, 'in 0.0 s')).toBe(
        `[or3-provider-sqlite] adopting the earlier database: copied users: 3, workspaces: 3, rows: 38, tombstones: 7, ` +
          `log entries: 18, device cursors: 3 in 0.0 s (users restored: 1, memberships left out: 2, unknown roles made viewer: 1, ` +
          `workspaces given an owner: 1, active workspaces cleared: 1, rows given an op id: ${given})`,
      )
      expect(leap).toBe(
        '[or3-provider-sqlite] adopting the earlier database: each device pulls 1 workspaces anew, once',
      )
      expect(renamed).toMatch(/: \d+ op ids became UUIDs$/)
      expect(applied).toContain('applied')
      expect(inspect(path, (database) => database.pragma('user_version', { simple: true }))).toBe(0)
    },
  )

  it('names records that are kept as text, the first five of them', async () => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      const deep = `${'['.repeat(1_200)}${']'.repeat(1_200)}`
      for (let n = 1; n <= 6; n++) legacy.row({ table: 'kv', pk: `deep-${n}` }, { data_json: deep })
      legacy.row({ pk: 'broken' }, { data_json: '{"a":' })
      legacy.row({ pk: 'fine', payload: { a: 1 } })
    })
    const { news } = await start(path).outcome
    expect(news[0]).toBe(
      '[or3-provider-sqlite] adopting the earlier database: 7 records are not JSON, or nest too deep, and are kept as ' +
        '{"legacy_text": …}: messages/broken, kv/deep-1, kv/deep-2, kv/deep-3, kv/deep-4, …',
    )
    expect(news.filter((line) => line.includes('legacy_text'))).toHaveLength(1)
  })

  it('says how many records 0.1 took for deleted, which nothing can bring back', async () => {
    const path = makeLegacy(newFile(), 17, (legacy) => legacy.row({ pk: 'a', deleted: true }))
    await migrateUpTo(path, 3)
    const database = new Sqlite(path)
    database.exec(
      `UPDATE s_messages SET hlc = 'legacy:0', device_id = 'legacy'; UPDATE tombstones SET hlc = 'legacy:0'`,
    )
    database.close()
    const { news } = await start(path).outcome
    expect(news[0]).toContain('1 records count as deleted because of a mark without a time')
  })
})
