/**
 * Hostile input over HTTP: random and mutated requests to every endpoint of the built host. No answer is a 500, the process
 * lives, its memory stays flat, and a well-behaved device beside it is served all the while.
 *
 * Runs for FUZZ_SECONDS: 15 by default, ten minutes in a deep run.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, expect, it } from 'vitest'
import { type Device, type Method, signIn } from '../support/httpDevice.js'
import { put } from '../support/ops.js'
import { fc } from '../support/property.js'
import { killServers, startServer } from '../support/server.js'

const fallback = process.env.TEST_DEEP === 'true' ? 600 : 15
const seconds = Number(process.env.FUZZ_SECONDS ?? fallback)
const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)

const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-hostile-'))
const file = join(folder, 'hostile.db')

afterAll(() => {
  killServers()
  rmSync(folder, { recursive: true, force: true })
})

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    "' OR 1=1 --",
    '"; DROP TABLE change_log; --',
    '\0',
    '\ud800',
    'x'.repeat(5_000),
    '__proto__',
    '../../etc/passwd',
    '${7*7}',
  ),
)

const anything: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(null, -1, 0.5, 1e308, 2 ** 53, [], {}, true, JSON.parse('{"__proto__":{"a":1}}')),
)

/** An object with some fields replaced by anything, or left out. */
const mutated = (base: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> =>
  fc
    .record({
      replaced: fc.subarray(Object.keys(base), { maxLength: Math.min(2, Object.keys(base).length) }),
      missing: fc.subarray(Object.keys(base), { maxLength: 1 }),
      values: fc.array(anything, { minLength: 2, maxLength: 2 }),
    })
    .map(({ replaced, missing, values }) => {
      const result: Record<string, unknown> = { ...base }
      for (const [index, field] of replaced.entries()) result[field] = values[index]
      for (const field of missing) delete result[field]
      return result
    })

const requestsOf = (device: Device): fc.Arbitrary<readonly [Method, string, unknown]> => {
  const { workspace, user } = device.session
  const scope = { workspaceId: workspace.id }
  const op = put({ pk: 'm1', payload: { id: 'm1', text: 'fuzz' } })
  const ops = fc.array(
    fc.oneof(
      anything,
      mutated({ ...op }),
      mutated({ ...op.stamp }).map((stamp) => ({ ...op, stamp })),
      mutated({ id: 'm1', user_id: user.id, workspace_id: workspace.id }).map((payload) => ({
        ...op,
        payload,
      })),
    ),
    { maxLength: 4 },
  )
  const post = (path: string, body: fc.Arbitrary<unknown>) =>
    body.map((value) => ['POST', path, value] as const)
  const id = fc.oneof(text.map(encoded), fc.constant(workspace.id))
  return fc.oneof(
    post(
      '/api/sync/push',
      ops.map((list) => ({ scope, ops: list })),
    ),
    post('/api/sync/push', mutated({ scope, ops: [op] })),
    post('/api/sync/pull', mutated({ scope, cursor: 0, limit: 10, tables: ['messages'] })),
    post('/api/sync/update-cursor', mutated({ scope, deviceId: 'd1', version: 1 })),
    post('/api/sync/gc-tombstones', mutated({ scope, retentionSeconds: 86_400 })),
    post('/api/sync/gc-change-log', mutated({ scope, retentionSeconds: 86_400 })),
    post('/api/workspaces', mutated({ name: 'fuzz', description: 'x' })),
    post('/api/workspaces/active', mutated({ id: workspace.id, workspaceId: workspace.id })),
    post('/api/sync/push', text),
    fc
      .tuple(id, mutated({ name: 'fuzz' }))
      .map(([which, body]) => ['PATCH', `/api/workspaces/${which}`, body] as const),
    text.map((which) => ['DELETE', `/api/workspaces/${encoded(which)}`, undefined] as const),
  )
}

/** Lone surrogates cannot be part of a URL. */
const encoded = (value: string) => encodeURIComponent(value.toWellFormed()) || 'x'

const residentMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024

it(
  `answers nothing with a 500 in ${seconds} s of random requests (seed ${seed})`,
  async () => {
    const server = await startServer({ OR3_SQLITE_DB_PATH: file })
    const hostile = await signIn(server.url, 'mallory')
    const honest = await signIn(server.url, 'ada')
    const statuses = new Map<number, number>()
    const until = Date.now() + seconds * 1_000
    const memory: Array<number> = []
    let pushed = 0
    for (let round = 0; Date.now() < until; round++) {
      for (const [method, path, body] of fc.sample(requestsOf(hostile), {
        numRuns: 50,
        seed: seed + round,
      })) {
        const { status } = await hostile.call(method, path, body)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        expect(status, `seed ${seed + round}: ${method} ${path} ${JSON.stringify(body)}`).toBeLessThan(500)
      }
      const { body } = await honest.push(put({ pk: `honest-${round}` }))
      expect(body).toMatchObject({ serverVersion: ++pushed, results: [{ success: true, applied: true }] })
      memory.push(residentMiB(server.pid))
    }

    // The first third is warming up: caches fill, code is compiled.
    const half = Math.floor(memory.length / 3)
    const [early, late] = [Math.max(...memory.slice(half, 2 * half)), Math.max(...memory.slice(2 * half))]
    expect(late - early, `from ${early} to ${late} MiB`).toBeLessThan(64)
    expect([...statuses.keys()].sort()).toEqual(expect.arrayContaining([200, 400]))

    await server.stop()
    const database = new Sqlite(file)
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
    const tables = database.prepare(`SELECT count(*) FROM sqlite_schema WHERE type = 'table'`).pluck().get()
    expect(tables).toBeGreaterThan(15)
    database.close()
  },
  (seconds + 600) * 1_000,
)
