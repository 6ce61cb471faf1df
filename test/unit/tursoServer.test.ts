/**
 * The server that stands in for Turso's service: the engine's batches are atomic through it, and its faults are what they say.
 */
import { type Client, createClient, type InStatement } from '@libsql/client'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { refusedStatements } from '../support/refusedStatements.js'
import type { Fault } from '../support/tursoProxy.js'
import { startTurso, type Turso } from '../support/tursoServer.js'

let turso: Turso
let client: Client

beforeAll(async () => {
  turso = await startTurso()
  client = createClient({ url: turso.url })
  await client.execute('CREATE TABLE entries (id INTEGER PRIMARY KEY, text TEXT NOT NULL)')
})
afterEach(async () => {
  turso.proxy.heal()
  turso.proxy.token = undefined
  await client.execute('DELETE FROM entries')
})
afterAll(async () => {
  client.close()
  await turso.stop()
})

const insert = (id: number, text: string | null = 'x'): InStatement => ({
  sql: 'INSERT INTO entries VALUES (?, ?)',
  args: [id, text],
})
const ids = async () => (await client.execute('SELECT id FROM entries ORDER BY id')).rows.map(({ id }) => id)

it('answers a batch in one round trip, and tells what it was', async () => {
  const { proxy } = turso
  const batch = [insert(1), insert(2), 'SELECT count(*) AS n FROM entries']
  const [results, trips] = await proxy.during(() => client.batch(batch, 'write'))
  expect(results[2]!.rows[0]!.n).toBe(2)
  expect(trips).toEqual([
    {
      kinds: ['store_sql', 'store_sql', 'batch', 'close'],
      statements: [insert(1), insert(2)]
        .map((one) => (one as { sql: string }).sql)
        .concat(batch[2] as string),
    },
  ])
})

it('undoes a batch whose statement in the middle fails, and goes on', async () => {
  await expect(client.batch([insert(1), insert(2, null), insert(3)], 'write')).rejects.toThrow(/NOT NULL/)
  await expect(client.batch([insert(1), 'BOGUS', insert(3)], 'write')).rejects.toThrow(/BOGUS/)
  expect(await ids()).toEqual([])
  await client.batch([insert(4)], 'write')
  expect(await ids()).toEqual([4])
})

it('does not mix the batches of two clients', async () => {
  const other = createClient({ url: turso.url })
  const rounds = Array.from({ length: 20 }, (_, round) => 2 * round)
  const entries = rounds.map(async (id) => {
    const results = await client.batch(
      [insert(id), insert(id + 1), 'SELECT count(*) AS n FROM entries'],
      'write',
    )
    return results[2]!.rows[0]!.n as number
  })
  const failures = rounds.map((id) => other.batch([insert(100 + id), insert(100 + id)], 'write'))
  expect((await Promise.all(entries)).sort((a, b) => a - b)).toEqual(rounds.map((id) => id + 2))
  expect(new Set((await Promise.allSettled(failures)).map(({ status }) => status))).toEqual(
    new Set(['rejected']),
  )
  other.close()
  expect(await ids()).toHaveLength(40)
})

it('does not leave the transaction open that a client leaves open', async () => {
  await client.execute('BEGIN IMMEDIATE')
  await client.batch([insert(1)], 'write')
  expect(await ids()).toEqual([1])
})

it.each<readonly [name: string, fault: Fault, told: RegExp]>([
  ['dropped request', { answer: 'closed', executed: false }, /fetch failed/],
  ['dropped answer', { answer: 'closed', executed: true }, /fetch failed/],
  ['reset, not executed', { answer: 'reset', executed: false }, /fetch failed/],
  ['reset, executed', { answer: 'reset', executed: true }, /fetch failed/],
  ['half an answer', { answer: 'half', executed: true }, /terminated|JSON/],
  ['500', { answer: 500, executed: false }, /HTTP status 500/],
  ['503, executed', { answer: 503, executed: true }, /HTTP status 503/],
])('puts in a fault: %s', async (_, fault, told) => {
  turso.proxy.fail(2, fault)
  await client.batch([insert(1)], 'write')
  await expect(client.batch([insert(2)], 'write')).rejects.toThrow(told)
  expect(await ids()).toEqual(fault.executed ? [1, 2] : [1])
})

it.each([true, false])('lets a client wait for ever (executed: %s), and others go on', async (executed) => {
  turso.proxy.fail(({ statements }) => statements.includes('SELECT 2'), { answer: 'never', executed })
  const stalled = client.batch([insert(2), 'SELECT 2'], 'write').then(
    () => 'answered',
    () => 'failed',
  )
  await client.batch([insert(1)], 'write')
  expect(await Promise.race([stalled, ids()])).toEqual(executed ? [1, 2] : [1])
  turso.proxy.heal()
  expect(await stalled).toBe('failed')
})

it('tells the statements that the engine refuses, and not those that the data refuse', async () => {
  const [fine, recursive] = [
    'SELECT ?',
    'WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c',
  ]
  const refused = await refusedStatements(client, [fine, 'INSERT INTO entries VALUES (?, ?)', recursive])
  expect(refused).toEqual([{ sql: recursive, message: expect.stringContaining('Recursive') as string }])
})

it('asks for the token', async () => {
  turso.proxy.token = 'secret'
  await expect(client.execute('SELECT 1')).rejects.toThrow(/401/)
  const known = createClient({ url: turso.url, authToken: 'secret' })
  expect((await known.execute('SELECT 1 AS one')).rows[0]!.one).toBe(1)
  known.close()
  turso.proxy.token = undefined
})

it('takes as long as it is told', async () => {
  turso.proxy.latency = 30
  const start = performance.now()
  await client.batch([insert(1), insert(2)], 'write')
  expect(performance.now() - start).toBeGreaterThan(29)
})

it('has what it answered after it was killed, and refuses while it is down', async () => {
  await client.batch([insert(1)], 'write')
  await turso.kill()
  await expect(client.batch([insert(2)], 'write')).rejects.toThrow(/fetch failed/)
  await turso.restart()
  expect(await ids()).toEqual([1])
})
