/**
 * Issue 7, point 6: a server that is told to end while it is busy ends by itself; what it acknowledged is there, what it
 * refused is not, and the write-ahead log has become part of the file.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { brokenRules, query } from '../support/adoption.js'
import { makeProcesses } from '../support/processes.js'
import { patience } from '../support/property.js'

const rounds = process.env.TEST_DEEP === 'true' ? 60 : 8

const { folder, start } = makeProcesses()

/** Ten clients that push, pull, report and collect without pause, each until it is refused. */
const script = `
  import { openProvider } from './src/nuxt/adapters.js'
  const provider = openProvider()
  const { syncGateway, workspaceStore } = provider
  const scope = { workspaceId: 'w1' }
  const [acknowledged, refused] = [[], []]
  const client = async (name) => {
    for (let n = 1; ; n += 20) {
      const ops = Array.from({ length: 20 }, (_, index) => ({
        tableName: 'messages', operation: 'put', pk: name + (n + index) % 300, payload: { n: n + index },
        stamp: { opId: name + '-' + (n + index), clock: n, hlc: 'a', deviceId: name },
      }))
      const ids = ops.map((op) => op.stamp.opId)
      // As a request would: calls on SQLite are over at once, and without a pause no signal would ever be heard.
      await new Promise(setImmediate)
      try {
        const { results, serverVersion } = await syncGateway.push(undefined, { scope, ops })
        acknowledged.push(...results.map((result) => [result.opId, result.serverVersion]))
        await syncGateway.pull(undefined, { scope, cursor: Math.max(0, serverVersion - 50), limit: 100 })
        await syncGateway.updateCursor(undefined, { scope, deviceId: name, version: serverVersion })
        await syncGateway.gcChangeLog(undefined, { scope, retentionSeconds: 86_400 })
        await workspaceStore.getOrCreateUser({ provider: name, providerUserId: String(n % 50) })
      } catch (error) {
        if (!acknowledged.some(([id]) => id === ids[0])) refused.push(...ids)
        return error.statusCode + ' ' + error.message
      }
    }
  }
  const clients = Array.from({ length: 10 }, (_, index) => client('c' + index))
  process.once('SIGTERM', async () => {
    const started = performance.now()
    // A host may well close twice.
    await Promise.all([provider.close(), provider.close()])
    const ends = new Set(await Promise.all(clients))
    const late = await syncGateway.pull(undefined, { scope, cursor: 0, limit: 1 }).catch((error) => error.statusCode)
    console.log(JSON.stringify({ acknowledged, refused, ends: [...ends], late, millis: performance.now() - started }))
  })
  console.log('ready')`

interface Report {
  readonly acknowledged: ReadonlyArray<readonly [opId: string, version: number]>
  readonly refused: ReadonlyArray<string>
  readonly ends: ReadonlyArray<string>
  readonly late: number
  readonly millis: number
}

it(
  `${rounds} shutdowns under load keep what was acknowledged and leave one file`,
  async () => {
    let [kept, slowest] = [0, 0]
    for (let round = 0; round < rounds; round++) {
      const path = join(folder, `shutdown-${round}.db`)
      const child = start(script, { OR3_SQLITE_DB_PATH: path, OR3_SQLITE_GC_INTERVAL: '20 millis' })
      await child.printed('ready\n')
      await sleep(Math.random() * 300)
      child.stop('SIGTERM')
      // Nothing calls exit: it ends because nothing is left to do.
      const { code, signal, stdout, stderr } = await child.outcome
      expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
      const { acknowledged, refused, ends, late, millis } = JSON.parse(stdout.split('\n').at(-2)!) as Report
      expect(ends).toEqual(['503 the server is shutting down'])
      expect(late).toBe(503)
      for (const suffix of ['-wal', '-shm', '-journal']) expect(existsSync(path + suffix)).toBe(false)
      const log = query<{ v: number; id: string }>(
        path,
        'SELECT server_version AS v, op_id AS id FROM change_log ORDER BY server_version',
      )
      expect(log.map(({ id, v }) => [id, v])).toEqual([...acknowledged].sort(([, a], [, b]) => a - b))
      expect(log.map(({ v }) => v)).toEqual(log.map((_, index) => index + 1))
      expect(log.filter(({ id }) => refused.includes(id))).toEqual([])
      expect(brokenRules(path)).toEqual({})
      kept += log.length
      slowest = Math.max(slowest, millis)
    }
    console.log(
      `${rounds} shutdowns: ${kept} acknowledged ops, all there; the slowest took ${Math.round(slowest)} ms`,
    )
    expect(kept).toBeGreaterThan(rounds * 20)
    expect(slowest).toBeLessThan(5_000)
  },
  patience(120_000),
)
