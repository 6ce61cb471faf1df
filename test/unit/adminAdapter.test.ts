/**
 * Issue 16, point 2: what the host's admin pages are told of the provider, and what they can have it do.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { del, put, scope } from '../support/ops.js'
import { suiteOverBatches } from '../support/suite.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

const opened: Array<Provider> = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((provider) => provider.close()))
  vi.restoreAllMocks()
  vi.useRealTimers()
})

let files = 0
const open = (env: Record<string, string> = {}) => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const file = join(folder, `admin-${++files}.db`)
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file, ...env } })
  opened.push(provider)
  return { file, provider, admin: provider.adminAdapter }
}

const inWorkspace = (id: unknown) => ({ session: { workspace: { id } } })

suiteOverBatches('the admin adapter', (subject) => {
  const admin = () => subject().host.adminAdapter

  it('is the one that the host knows as sqlite, of kind sync', () => {
    expect({ id: admin().id, kind: admin().kind }).toEqual({ id: 'sqlite', kind: 'sync' })
  })

  it('counts users, workspaces and what the log holds', async () => {
    const store = subject().host.workspaceStore
    for (const name of ['ada', 'bob']) {
      const { userId } = await store.getOrCreateUser({ provider: 'p', providerUserId: name })
      await store.getOrCreateDefaultWorkspace(userId)
      const { workspaceId } = await store.createWorkspace({ userId, name: 'gone' })
      await store.removeWorkspace({ userId, workspaceId })
    }
    await subject().push({ ...scope(), ops: [put({ pk: 'a' }), put({ pk: 'b' })] })
    const { details, warnings, actions } = await admin().getStatus()
    expect(details).toMatchObject({ users: 2, workspaces: 2, maintenance: { state: 'idle' } })
    if (subject().name !== 'memory') expect(details.logEntries).toBe(2)
    expect(warnings.every(({ level }) => level === 'warning')).toBe(true)
    expect(actions.map(({ id }) => id)).toEqual(['sync.gc-change-log', 'sync.gc-tombstones'])
    expect(actions.every(({ label, description }) => label !== '' && description !== '')).toBe(true)
  })

  it.each([
    ['an unknown action', 'sync.drop-everything', inWorkspace('w1')],
    ['what every object has', 'toString', inWorkspace('w1')],
    ['no action', undefined, inWorkspace('w1')],
    ['no context', 'sync.gc-change-log', undefined],
    ['no session', 'sync.gc-change-log', {}],
    ['a session without workspace', 'sync.gc-change-log', { session: {} }],
    ['a workspace that is no id', 'sync.gc-tombstones', inWorkspace(7)],
    ['an empty one', 'sync.gc-tombstones', inWorkspace('')],
    [
      'what cannot be read',
      'sync.gc-tombstones',
      {
        get session(): never {
          throw new Error('no')
        },
      },
    ],
  ])('refuses %s with 400', async (_what, action, context) => {
    await expect(admin().runAction({}, action as string, {}, context)).rejects.toMatchObject({ status: 400 })
  })
})

describe('the actions', () => {
  it('collect the workspace of the session, with the window of the server', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 40 * 86_400_000 })
    const { provider, admin, file } = open({ OR3_SQLITE_GC_RETENTION: '7 days' })
    const { syncGateway } = provider
    for (const workspaceId of ['w1', 'w2']) {
      await syncGateway.push({}, { ...scope(workspaceId), ops: [put({ pk: 'a' }), del({ pk: 'b' })] })
    }
    vi.setSystemTime(Date.now() + 6 * 86_400_000)
    const act = (action: string) => admin.runAction({}, action, undefined, inWorkspace('w1'))
    expect(await act('sync.gc-change-log')).toMatchObject({ entries: 0 })
    vi.setSystemTime(Date.now() + 2 * 86_400_000)
    for (const workspaceId of ['w1', 'w2']) {
      await syncGateway.push({}, { ...scope(workspaceId), ops: [put({ pk: 'c' })] })
      await syncGateway.updateCursor({}, { ...scope(workspaceId), deviceId: 'd', version: 3 })
    }
    expect(await act('sync.gc-tombstones')).toMatchObject({ tombstones: 1 })
    expect(await act('sync.gc-change-log')).toMatchObject({ entries: 2 })
    const database = new Sqlite(file, { readonly: true })
    expect(database.prepare('SELECT workspace_id FROM change_log ORDER BY 1').pluck().all()).toEqual([
      'w1',
      'w2',
      'w2',
      'w2',
    ])
    expect(database.prepare('SELECT workspace_id FROM tombstones').pluck().all()).toEqual(['w2'])
    database.close()
  })
})

describe('the status', () => {
  it('tells of a file where it is, how large, and how it is kept', async () => {
    const { admin, file } = open()
    const { details, warnings } = await admin.getStatus({}, {})
    expect(details).toEqual({
      engine: 'better-sqlite3',
      place: file,
      schema: expect.stringMatching(/^\d{3}_/) as string,
      users: 0,
      workspaces: 0,
      logEntries: 0,
      file: {
        bytes: expect.any(Number) as number,
        freeBytes: expect.any(Number) as number,
        walBytes: expect.any(Number) as number,
        diskBytes: expect.any(Number) as number,
        pragmas: { journal_mode: 'wal', synchronous: 'NORMAL', page_size: 4_096, foreign_keys: 1 },
      },
      maintenance: { enabled: true, state: 'idle', backlog: 0 },
    })
    expect(details.file!.bytes).toBeGreaterThan(100_000)
    expect(warnings).toEqual([])
  })

  it.each([
    [
      'a level that a power cut breaks',
      { OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'OFF' },
      'OR3_SQLITE_PRAGMA_SYNCHRONOUS',
    ],
    [
      'a database in memory',
      { OR3_SQLITE_DB_PATH: ':memory:', OR3_SQLITE_ALLOW_IN_MEMORY: 'true' },
      'set OR3_SQLITE_DB_PATH',
    ],
  ])('warns of %s', async (_what, env, hint) => {
    const { warnings } = await open(env).admin.getStatus()
    expect(warnings).toEqual([{ level: 'warning', message: expect.stringContaining(hint) as string }])
  })

  it('warns of a collection that failed, until one has not', async () => {
    const { admin, provider } = open()
    await provider.syncGateway.beginMaintenanceRun()
    await provider.syncGateway.failMaintenanceRun('the disk is full')
    expect((await admin.getStatus()).warnings).toEqual([
      { level: 'warning', message: 'the last garbage collection failed: the disk is full' },
    ])
    await provider.syncGateway.beginMaintenanceRun()
    await provider.syncGateway.completeMaintenanceRun()
    expect((await admin.getStatus()).warnings).toEqual([])
  })

  it('tells a database that does not answer as an error, and what it is all the same', async () => {
    const { admin, file } = open()
    const other = new Sqlite(file)
    other.pragma('foreign_keys = OFF')
    other.exec('DROP TABLE users')
    other.close()
    const { details, warnings } = await admin.getStatus()
    expect(details).toMatchObject({ engine: 'better-sqlite3', place: file })
    expect(warnings).toEqual([
      { level: 'error', message: expect.stringContaining('no such table: users') as string },
    ])
  })
})
