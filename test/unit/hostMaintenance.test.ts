/**
 * What a host's maintenance asks of the adapter: the account of runs, every workspace, and collections within bounds.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HostError, openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { put, scope } from '../support/ops.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

let provider: Provider
let remove: () => void
beforeEach(() => {
  const made = temporaryFolder()
  remove = made.remove
  provider = openProvider({ env: { OR3_SQLITE_DB_PATH: join(made.folder, 'host.db') } })
})
afterEach(async () => {
  await provider.close()
  remove()
})

const gateway = () => provider.syncGateway

describe('a collection that a host asks for', () => {
  const statusOf = (call: Promise<void>) =>
    call.then(
      () => 200,
      (error: unknown) => (error as HostError).statusCode,
    )
  const day = 86_400

  it.each<readonly [number, number]>([
    [1, 400],
    [3_599.999, 400],
    [3_600, 200],
    [30 * day, 200],
    [365 * day, 200],
    [365 * day + 0.001, 400],
    [Number.MAX_SAFE_INTEGER, 400],
    [Number.POSITIVE_INFINITY, 400],
    [Number.NaN, 400],
    [-3_600, 400],
  ])('that leaves %d s is answered with %i', async (retentionSeconds, status) => {
    for (const event of [undefined, {}]) {
      expect(await statusOf(gateway().gcChangeLog(event, { ...scope(), retentionSeconds }))).toBe(status)
      expect(await statusOf(gateway().gcTombstones(event, { ...scope(), retentionSeconds }))).toBe(status)
    }
  })

  it('out of bounds says which, and removes nothing', async () => {
    await gateway().push({}, { ...scope(), ops: [put(), put({ clock: 2 })] })
    await gateway().updateCursor({}, { ...scope(), deviceId: 'd', version: 2 })
    const call = gateway().gcChangeLog({}, { ...scope(), retentionSeconds: 1 })
    await expect(call).rejects.toThrow('retentionSeconds is not between 3600 and 31536000')
    expect((await gateway().pull({}, { ...scope(), cursor: 0 })).changes).toHaveLength(2)
  })

  it.each([undefined, null, '3600', {}])('that leaves %j is refused with 400', async (retentionSeconds) => {
    const request = { ...scope(), retentionSeconds } as never
    expect(await statusOf(gateway().gcChangeLog({}, request))).toBe(400)
  })
})

describe('a host’s sweep', () => {
  it('goes over all live workspaces and tells of its runs, without a session', async () => {
    const { workspaceStore: store } = provider
    const { userId } = await store.getOrCreateUser({ provider: 'p', providerUserId: 'ann' })
    const { workspaceId } = await store.getOrCreateDefaultWorkspace(userId)
    const { workspaceId: removed } = await store.createWorkspace({ userId, name: 'gone' })
    await store.removeWorkspace({ userId, workspaceId: removed })
    // On by default.
    expect(await gateway().getMaintenanceState()).toEqual({ enabled: true, state: 'idle', backlog: 0 })
    await gateway().beginMaintenanceRun()
    expect(await gateway().getMaintenanceState()).toMatchObject({ state: 'running' })
    expect(await gateway().listWorkspaceIds({})).toEqual([workspaceId])
    for (const id of await gateway().listWorkspaceIds({})) {
      await gateway().gcTombstones({}, { ...scope(id), retentionSeconds: 365 * 86_400 })
    }
    const lastRun = '2026-01-02T03:04:05.678Z'
    await gateway().completeMaintenanceRun({ lastRun })
    expect(await gateway().getMaintenanceState()).toEqual({
      enabled: true,
      state: 'idle',
      lastRun,
      backlog: 0,
    })
  })

  it('that fails is told of, and everything goes on', async () => {
    await gateway().beginMaintenanceRun()
    await gateway().failMaintenanceRun('gc of w1: 503')
    expect(await gateway().getMaintenanceState()).toMatchObject({
      state: 'failed',
      lastError: 'gc of w1: 503',
    })
    expect((await gateway().push({}, { ...scope(), ops: [put()] })).results).toMatchObject([
      { success: true },
    ])
    await gateway().beginMaintenanceRun()
    await gateway().completeMaintenanceRun()
    const state = await gateway().getMaintenanceState()
    expect(state).toMatchObject({ state: 'idle', lastRun: expect.stringMatching(/^\d{4}-.*Z$/) })
    expect(state).not.toHaveProperty('lastError')
  })

  it('may say what cannot be read: its run has ended all the same', async () => {
    const hostile = Object.defineProperty({}, 'lastRun', {
      get: () => {
        throw new Error('no')
      },
    })
    for (const result of [hostile, null, 7, { lastRun: 7 }]) {
      await gateway().beginMaintenanceRun()
      await gateway().completeMaintenanceRun(result as never)
      expect(await gateway().getMaintenanceState()).toMatchObject({ state: 'idle' })
    }
  })

  it('sees that the server makes no rounds where they are off', async () => {
    const off = openProvider({ env: { OR3_SQLITE_GC_INTERVAL: 'off', VITEST: '1' } })
    expect(await off.syncGateway.getMaintenanceState()).toMatchObject({ enabled: false, state: 'idle' })
    await off.close()
    await expect(off.syncGateway.getMaintenanceState()).rejects.toMatchObject({ statusCode: 503 })
  })
})
