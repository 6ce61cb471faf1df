/**
 * Whose a device is: its first reporter's, until its cursor is removed.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger } from 'effect'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DeviceForbidden, SyncGateway } from '../../src/services/index.js'
import { put, scope } from '../support/ops.js'
import { buildForProcesses } from '../support/processes.js'
import { sqlLayer } from '../support/layerSubjects.js'
import type { Refused } from '../support/verdicts.js'
import { suite } from '../support/suite.js'

const day = 86_400
const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000)

suite('a device', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const report = (userId: string | undefined, version: number, { deviceId = 'd', workspaceId = 'w1' } = {}) =>
    subject().updateCursor({
      ...scope(workspaceId),
      caller: userId === undefined ? undefined : { userId, workspaceId },
      deviceId,
      version,
    })
  const statusOf = (call: Promise<void>) =>
    call.then(
      () => 200,
      (error: Refused) => error.status,
    )
  const cursors = async (workspaceId = 'w1') => (await subject().view(workspaceId)).cursors

  it('belongs to whom reported it first; another user is refused with 403', async () => {
    await report('ann', 3)
    await expect(report('bob', 4)).rejects.toMatchObject({
      status: 403,
      message: 'this device belongs to another user',
    })
    await report('ann', 5)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 5, owner: 'ann' }])
  })

  it('is told apart by the whole id of its user', async () => {
    await report('ann', 1)
    for (const user of ['Ann', 'ann ', ' ann', 'an', 'anna', '0'])
      expect(await statusOf(report(user, 2))).toBe(403)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 1, owner: 'ann' }])
  })

  it('is another one in another workspace', async () => {
    await report('ann', 1)
    await report('bob', 2, { workspaceId: 'w2' })
    await report('bob', 3, { deviceId: 'D' })
    expect(await cursors()).toEqual([
      { deviceId: 'D', version: 3, owner: 'bob' },
      { deviceId: 'd', version: 1, owner: 'ann' },
    ])
    expect(await cursors('w2')).toEqual([{ deviceId: 'd', version: 2, owner: 'bob' }])
  })

  it('that was known before belongs to the user who reports it next', async () => {
    await report(undefined, 2)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 2 }])
    await report('bob', 1)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 2, owner: 'bob' }])
    expect(await statusOf(report('ann', 9))).toBe(403)
  })

  it('stays whose it is when a trusted program reports it', async () => {
    await report('ann', 2)
    await report(undefined, 7)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 7, owner: 'ann' }])
  })

  it('may report less than is known, which changes nothing, and more than there is', async () => {
    await subject().push({ ...scope(), ops: [put()] })
    await report('ann', 5_000_000_000_000)
    await report('ann', 0)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 5_000_000_000_000, owner: 'ann' }])
  })

  it('is kept alive by reports of its user and of programs, not by those of others', async () => {
    const collect = () => subject().gcChangeLog({ ...scope(), retentionSeconds: 30 * day })
    await report('ann', 1)
    pass(29 * day)
    await report('ann', 0)
    pass(29 * day)
    await report(undefined, 0)
    pass(29 * day)
    expect(await statusOf(report('bob', 9))).toBe(403)
    await collect()
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 1, owner: 'ann' }])
    pass(2 * day)
    await collect()
    expect(await cursors()).toEqual([])
  })

  it('is nobody’s again once its cursor is removed as stale', async () => {
    await report('ann', 1)
    pass(31 * day)
    await subject().gcTombstones({ ...scope(), retentionSeconds: 30 * day })
    await report('bob', 0)
    expect(await cursors()).toEqual([{ deviceId: 'd', version: 0, owner: 'bob' }])
    expect(await statusOf(report('ann', 1))).toBe(403)
  })

  it('that many users report at once belongs to one of them', async () => {
    const users = Array.from({ length: 20 }, (_, index) => `user-${index}`)
    const statuses = await Promise.all(users.map((user, index) => statusOf(report(user, index))))
    const winners = users.filter((_user, index) => statuses[index] === 200)
    expect(winners).toHaveLength(1)
    expect(await cursors()).toMatchObject([{ deviceId: 'd', owner: winners[0] }])
    expect(statuses.filter((status) => status === 403)).toHaveLength(19)
  })
})

describe('a refused report', () => {
  it('fails with a typed error', () =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      const report = (userId: string) =>
        gateway.updateCursor({ ...scope(), caller: { userId, workspaceId: 'w1' }, deviceId: 'd', version: 1 })
      yield* report('ann')
      expect(yield* Effect.flip(report('bob'))).toEqual(new DeviceForbidden({}))
    }).pipe(
      Effect.provide(Layer.provide(sqlLayer(':memory:'), Logger.remove(Logger.defaultLogger))),
      Effect.runPromise,
    ))
})

describe('four processes', () => {
  const built = buildForProcesses()
  afterAll(built.remove)

  it('whose users report the same devices at once: each device has one user, who alone was answered', async () => {
    const devices = 200
    const file = join(built.folder, 'owners.db')
    const processes = ['ann', 'bob', 'cem', 'dan'].map((user, index) => ({
      user,
      running: built.start(
        `import { openProvider } from './src/nuxt/adapters.js'
         const { syncGateway, close } = openProvider()
         const event = { context: { __or3_session_context_1: {
           authenticated: true, user: { id: '${user}' }, workspace: { id: 'w1' } } } }
         console.log('open')
         for await (const _ of process.stdin) break
         const statuses = []
         // Each begins elsewhere, so that none is so fast that nobody races.
         for (let n = 0; n < ${devices}; n++) {
           const device = (n + ${(index * devices) / 4}) % ${devices}
           statuses[device] = await syncGateway.updateCursor(event, {
             scope: { workspaceId: 'w1' }, deviceId: 'd' + device, version: device,
           }).then(() => 200, (error) => error.statusCode)
           await new Promise((resume) => setImmediate(resume))
         }
         await close()
         console.log(JSON.stringify(statuses))
         process.stdin.destroy()`,
        { OR3_SQLITE_DB_PATH: file },
      ),
    }))
    await Promise.all(processes.map(({ running }) => running.printed('open')))
    for (const { running } of processes) running.send('go')
    const told = await Promise.all(
      processes.map(async ({ user, running }) => {
        const { stdout, stderr } = await running.outcome
        expect(stderr).toBe('')
        return { user, statuses: JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as ReadonlyArray<number> }
      }),
    )
    const database = new Sqlite(file, { readonly: true })
    const owners = new Map(
      database
        .prepare<[], [string, string]>('SELECT device_id, owner_user_id FROM device_cursors')
        .raw()
        .all(),
    )
    database.close()
    expect(owners.size).toBe(devices)
    for (let device = 0; device < devices; device++) {
      for (const { user, statuses } of told) {
        expect(statuses[device]).toBe(owners.get(`d${device}`) === user ? 200 : 403)
      }
    }
    // Else nobody raced.
    expect(new Set(owners.values()).size).toBeGreaterThan(1)
  })
})
