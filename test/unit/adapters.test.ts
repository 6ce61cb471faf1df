/**
 * The Promise adapters: whose call it is, what a typed error looks like to the host, and how the provider closes.
 */
import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@effect/vitest'
import Sqlite from 'better-sqlite3'
import { createApp, createError, eventHandler, isError, toWebHandler } from 'h3'
import { Context, DefaultServices, Effect, Layer, Tracer } from 'effect'
import { vi } from 'vitest'
import { HostError, openProvider, type Provider } from '../../src/nuxt/adapters.js'
import type { HostEvent } from '../../src/nuxt/host.js'
import { type ServiceError, toHostError } from '../../src/nuxt/httpErrors.js'
import { callerOf } from '../../src/nuxt/session.js'
import {
  DeviceForbidden,
  InvalidRequest,
  InvalidWorkspaceInput,
  QuotaExceeded,
  ScopeForbidden,
  StorageError,
  StorageReason,
  UploadIntentConflict,
  UploadIntentReason,
  UserNotFound,
  WorkspaceForbidden,
  WorkspaceNotFound,
} from '../../src/services/index.js'
import { del, opId, put, scope } from '../support/ops.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
let file: string
let provider: Provider

beforeEach(() => {
  file = join(folder, `adapters-${++files}.db`)
  vi.spyOn(console, 'log').mockImplementation(() => {})
  provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
})

afterEach(async () => {
  vi.restoreAllMocks()
  await provider.close()
})

const identity = { provider: 'p', providerUserId: 'u' }

const session = (fields: Record<string, unknown> | null | undefined): HostEvent => ({
  context: { nitro: {}, params: {}, __or3_session_context_8f3a: fields },
})

const signedIn = (userId: string, workspaceId: string | null): HostEvent =>
  session({
    authenticated: true,
    user: { id: userId, email: 'a@b.c' },
    workspace: workspaceId === null ? null : { id: workspaceId, name: 'W' },
    role: 'owner',
  })

let intents = 0

/** Every method of the gateway, as a call for workspace w1. */
const gatewayCalls = (
  event: HostEvent | undefined,
): ReadonlyArray<readonly [string, () => Promise<unknown>]> => {
  const { syncGateway: gateway } = provider
  const intent = (intentId: string) => ({
    ...{ intentId, workspaceId: 'w1', hash: intentId, mimeType: 'image/png', sizeBytes: 1 },
    expiresAt: 1e10,
  })
  /** An intent that somebody trusted has made before. */
  const reserved = async (call: (made: ReturnType<typeof intent>) => Promise<unknown>) => {
    const made = intent(`i${++intents}`)
    await gateway.reserveUploadIntent({}, made)
    return call(made)
  }
  return [
    ['push', () => gateway.push(event, { ...scope(), ops: [put()] })],
    ['pull', () => gateway.pull(event, { ...scope(), cursor: 0 })],
    ['updateCursor', () => gateway.updateCursor(event, { ...scope(), deviceId: 'd', version: 0 })],
    ['gcTombstones', () => gateway.gcTombstones(event, { ...scope(), retentionSeconds: 3_600 })],
    ['gcChangeLog', () => gateway.gcChangeLog(event, { ...scope(), retentionSeconds: 3_600 })],
    [
      'queryCanonicalStorage',
      () => gateway.queryCanonicalStorage(event, { ...scope(), kind: 'live_metadata' }),
    ],
    ['reserveUploadIntent', () => gateway.reserveUploadIntent(event, intent('i'))],
    [
      'consumeUploadIntent',
      () => reserved((made) => gateway.consumeUploadIntent(event, { ...made, storageId: 's' })),
    ],
    ['cancelUploadIntent', () => reserved((made) => gateway.cancelUploadIntent(event, made))],
  ]
}

const statusOf = async (call: () => Promise<unknown>): Promise<number> => {
  try {
    await call()
    return 200
  } catch (error) {
    expect(error).toBeInstanceOf(HostError)
    expect(isError(error)).toBe(true)
    const { statusCode, statusMessage, message } = error as HostError
    expect(statusMessage).toBe(message)
    expect(message).toMatch(/^[\x20-\x7e]+$/)
    return statusCode
  }
}

const statusesFor = async (event: HostEvent | undefined) =>
  Object.fromEntries(
    await Promise.all(gatewayCalls(event).map(async ([name, call]) => [name, await statusOf(call)])),
  ) as Record<string, number>

const cursorOf = (deviceId: string) => ({ ...scope(), deviceId, version: 1 })

const everywhere = (status: number) => ({
  push: status,
  pull: status,
  updateCursor: status,
  gcTombstones: status,
  gcChangeLog: status,
  queryCanonicalStorage: status,
  reserveUploadIntent: status,
  consumeUploadIntent: status,
  cancelUploadIntent: status,
})

describe('a call', () => {
  it.each<readonly [string, HostEvent | undefined]>([
    ['without an event', undefined],
    ['whose event has no context', {}],
    ['whose event has an undefined context', { context: undefined }],
  ])('%s is trusted', async (_which, event) => {
    expect(callerOf(event)).toBeUndefined()
    expect(await statusesFor(event)).toEqual(everywhere(200))
  })

  it.each<readonly [string, HostEvent]>([
    ['has nothing', { context: {} }],
    ['has no session', { context: { nitro: {}, __or3_session: { authenticated: false } } }],
  ])('whose context %s is trusted, but for a cursor, which needs a session: 401', async (_which, event) => {
    expect(callerOf(event)).toBeUndefined()
    expect(await statusesFor(event)).toEqual({ ...everywhere(200), updateCursor: 401 })
    expect(await statusOf(() => provider.syncGateway.updateCursor(undefined, cursorOf('d')))).toBe(200)
  })

  it('of another user about a device is refused with 403', async () => {
    const report = (event: HostEvent | undefined) =>
      statusOf(() => provider.syncGateway.updateCursor(event, cursorOf('tablet')))
    expect(await report({})).toBe(200)
    expect(await report(signedIn('u1', 'w1'))).toBe(200)
    expect(await report(signedIn('u2', 'w1'))).toBe(403)
    expect(await report(signedIn('u1', 'w1'))).toBe(200)
    expect(await report(undefined)).toBe(200)
  })

  it('from a session of the same workspace goes through', async () => {
    expect(callerOf(signedIn('u1', 'w1'))).toEqual({ userId: 'u1', workspaceId: 'w1' })
    expect(await statusesFor(signedIn('u1', 'w1'))).toEqual(everywhere(200))
  })

  it.each([
    ['another workspace', signedIn('u1', 'w2')],
    ['no workspace', signedIn('u1', null)],
    ['a workspace of another case', signedIn('u1', 'W1')],
  ])('from a session of %s is refused with 403', async (_which, event) => {
    expect(await statusesFor(event)).toEqual(everywhere(403))
  })

  it.each([
    ['not signed in', { authenticated: false }],
    [
      'not signed in, but names somebody',
      { authenticated: false, user: { id: 'u1' }, workspace: { id: 'w1' } },
    ],
    ['of nobody', { authenticated: true }],
    ['whose user is null', { authenticated: true, user: null, workspace: { id: 'w1' } }],
    ['whose user has no id', { authenticated: true, user: {}, workspace: { id: 'w1' } }],
    ['that is only nearly true', { authenticated: 'yes', user: { id: 'u1' }, workspace: { id: 'w1' } }],
    ['that is null', null],
    ['that is undefined', undefined],
  ])('from a session %s is refused with 401', async (_which, fields) => {
    expect(await statusesFor(session(fields))).toEqual(everywhere(401))
  })

  it('that is refused does nothing', async () => {
    await statusesFor(signedIn('u1', 'w2'))
    await statusesFor(session({ authenticated: false }))
    const page = await provider.syncGateway.pull(undefined, { ...scope(), cursor: 0 })
    expect(page).toMatchObject({ changes: [], nextCursor: 0, hasMore: false })
  })

  it('cannot name its caller in the input: the event alone decides', async () => {
    const input = { ...scope('w2'), cursor: 0, caller: { userId: 'u1', workspaceId: 'w2' } }
    const call = () => provider.syncGateway.pull(signedIn('u1', 'w1'), input)
    expect(await statusOf(call)).toBe(403)
  })

  it('on behalf of a user does not show other users’ notifications', async () => {
    const notify = (id: string) => put({ id, table: 'notifications', pk: id, payload: { id } })
    for (const user of ['u1', 'u2']) {
      await provider.syncGateway.push(signedIn(user, 'w1'), { ...scope(), ops: [notify(`n-${user}`)] })
    }
    const { changes } = await provider.syncGateway.pull(signedIn('u2', 'w1'), { ...scope(), cursor: 0 })
    expect(changes.map(({ pk }) => pk)).toEqual(['n-u2'])
  })
})

describe('typed errors', () => {
  const storage = (reason: StorageReason) => new StorageError({ operation: 'push', reason })

  const table: ReadonlyArray<readonly [ServiceError, number]> = [
    [new InvalidRequest({ field: 'cursor', detail: 'is bad' }), 400],
    [new ScopeForbidden({}), 403],
    [new QuotaExceeded({ quotaBytes: 1, usedBytes: 1, reservedBytes: 0 }), 413],
    ...UploadIntentReason.literals.map((reason) => [new UploadIntentConflict({ reason }), 409] as const),
    [new DeviceForbidden({}), 403],
    [new InvalidWorkspaceInput({ field: 'name', detail: 'too long' }), 400],
    [new UserNotFound({}), 404],
    [new WorkspaceForbidden({ needs: ['owner'] }), 403],
    [new WorkspaceNotFound({}), 404],
    [storage('busy'), 503],
    [storage('full'), 503],
    [storage('io'), 503],
    [storage('readonly'), 500],
    [storage('corrupt'), 500],
    [storage('constraint'), 500],
    [storage('closed'), 500],
    [storage('other'), 500],
  ]

  it('cover every reason a storage error has', () => {
    const reasons = table.flatMap(([error]) => (error._tag === 'StorageError' ? [error.reason] : []))
    expect(reasons.sort()).toEqual([...StorageReason.literals].sort())
  })

  it.each(table.map(([error, status]) => [error._tag, error.message, status, error] as const))(
    '%s (%s) has status %i',
    (_tag, _message, status, error) => {
      const hostError = toHostError(error)
      expect(hostError).toBeInstanceOf(Error)
      expect(hostError.statusCode).toBe(status)
      expect(hostError.message).toBe(error.message)
      expect(hostError.statusMessage).toBe(error.message)
      expect(hostError.cause).toBe(error)
    },
  )

  it.each(table.map(([error, status]) => [error._tag, status, error] as const))(
    '%s is an error of h3’s own and becomes a response of status %i',
    async (_tag, status, error) => {
      const hostError = toHostError(error)
      expect(isError(hostError)).toBe(true)
      expect(createError(hostError as unknown as Error)).toBe(hostError)
      const unhandled = vi.spyOn(console, 'error').mockImplementation(() => {})
      const app = createApp()
      app.use(
        eventHandler(() => {
          throw hostError
        }),
      )
      const response = await toWebHandler(app)(new Request('http://localhost/'))
      expect(response.status).toBe(status)
      expect(response.statusText).toBe(error.message)
      expect(await response.json()).toMatchObject({ statusCode: status, statusMessage: error.message })
      expect(unhandled).not.toHaveBeenCalled()
    },
  )

  it('never show the cause to a client', () => {
    const cause = new Error('SELECT secret FROM /data/or3.db')
    const hostError = toHostError(new StorageError({ operation: 'push', reason: 'other', cause }))
    expect(JSON.stringify(hostError)).not.toContain('secret')
    expect(JSON.parse(JSON.stringify(hostError))).toEqual({
      statusCode: 500,
      statusMessage: hostError.message,
      message: hostError.message,
    })
  })

  it('come from the store with their status', async () => {
    const { workspaceStore: store } = provider
    const { userId } = await store.getOrCreateUser(identity)
    const { workspaceId } = await store.getOrCreateDefaultWorkspace(userId)
    const calls: ReadonlyArray<readonly [() => Promise<unknown>, number]> = [
      [() => store.getOrCreateUser({ provider: '', providerUserId: 'u' }), 400],
      [() => store.getOrCreateDefaultWorkspace('nobody'), 404],
      [() => store.createWorkspace({ userId, name: ' ' }), 400],
      [() => store.createWorkspace({ userId: 'nobody', name: 'W' }), 404],
      [() => store.updateWorkspace({ userId, workspaceId: 'none', name: 'W' }), 404],
      [() => store.removeWorkspace({ userId: 'nobody', workspaceId }), 404],
      [() => store.setActiveWorkspace({ userId, workspaceId: 'none' }), 404],
      [() => store.getOrCreateUser(null as never), 400],
      [() => store.listUserWorkspaces(undefined as never), 400],
    ]
    for (const [call, status] of calls) expect(await statusOf(call)).toBe(status)
  })

  it('come from the gateway with their status', async () => {
    const { syncGateway: gateway } = provider
    expect(await statusOf(() => gateway.pull({}, { ...scope(), cursor: -1 }))).toBe(400)
    expect(await statusOf(() => gateway.pull({}, { ...scope(''), cursor: 0 }))).toBe(400)
    expect(await statusOf(() => gateway.push({}, undefined as never))).toBe(400)
    const ops = Array.from({ length: 1_001 }, () => put())
    expect(await statusOf(() => gateway.push({}, { ...scope(), ops }))).toBe(400)
  })
})

describe('a fault of the server', () => {
  const push = (operations = [put()]) => provider.syncGateway.push({}, { ...scope(), ops: operations })

  const onFile = <A>(body: (database: Sqlite.Database) => A): A => {
    const database = new Sqlite(file)
    try {
      return body(database)
    } finally {
      database.close()
    }
  }

  /** Holds the write lock as another process would; `release` gives it back. */
  const lock = () => {
    const database = new Sqlite(file)
    database.exec('BEGIN IMMEDIATE')
    return { release: () => database.close() }
  }

  it('such as a lost table fails the push as a whole with 500: no op is told to be given up', async () => {
    onFile((database) => database.exec('DROP TABLE tombstones'))
    const ops = [put(), del()]
    await expect(push(ops)).rejects.toMatchObject({ statusCode: 500 })
    // Nothing was accepted on the way.
    expect((await provider.syncGateway.pull({}, { ...scope(), cursor: 0 })).changes).toEqual([])
  })

  it('such as a damaged file is 500', async () => {
    await push()
    onFile((database) => database.pragma('wal_checkpoint(TRUNCATE)'))
    writeFileSync(file, Buffer.alloc(8 * 4096, 'x'))
    truncateSync(`${file}-wal`, 0)
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    // A second writer makes ours look at the file again.
    await expect(push()).rejects.toMatchObject({ statusCode: 500 })
    // The caller is told a status; the operator has to know why.
    expect(logged.mock.calls.flat().join()).toMatch(/^\[or3-provider-sqlite\] .*: \S/)
    logged.mockRestore()
  })

  it('but what the caller did wrong is not logged', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    await expect(provider.syncGateway.pull({}, { ...scope(''), cursor: 0 })).rejects.toMatchObject({
      statusCode: 400,
    })
    expect(logged).not.toHaveBeenCalled()
    logged.mockRestore()
  })

  it('such as a lock of another process is waited for, without blocking the event loop', async () => {
    const { release } = lock()
    let worstGap = 0
    let last = performance.now()
    const pulse = setInterval(() => {
      worstGap = Math.max(worstGap, performance.now() - last)
      last = performance.now()
    }, 5)
    const released = new Promise((resolve) => setTimeout(() => resolve(release()), 1_000))
    const started = performance.now()
    const { results } = await push()
    clearInterval(pulse)
    expect(results).toMatchObject([{ success: true, serverVersion: 1 }])
    expect(performance.now() - started).toBeGreaterThan(900)
    await released
    // Blocking for SQLite's usual 5 s, or for the whole second, would show.
    expect(worstGap).toBeLessThan(500)
  })

  it('such as a lock that stays is 503 after about 5 s, and nothing was written', async () => {
    const { release } = lock()
    const started = performance.now()
    await expect(push()).rejects.toMatchObject({ statusCode: 503 })
    const waited = performance.now() - started
    release()
    expect(waited).toBeGreaterThan(4_500)
    expect(waited).toBeLessThan(8_000)
    expect((await push()).serverVersion).toBe(1)
  })

  it('does not keep readers from reading', async () => {
    await push()
    const { release } = lock()
    const { changes } = await provider.syncGateway.pull({}, { ...scope(), cursor: 0 })
    expect(changes).toHaveLength(1)
    expect(await provider.workspaceStore.getWorkspaceRole({ userId: 'u', workspaceId: 'w' })).toBeNull()
    release()
  })
})

describe('close', () => {
  it('refuses later calls of every method with 503', async () => {
    await provider.close()
    expect(await statusesFor({})).toEqual(everywhere(503))
    const { workspaceStore: store } = provider
    const membership = { userId: 'u', workspaceId: 'w' }
    const calls = [
      () => store.getOrCreateUser(identity),
      () => store.getUser(identity),
      () => store.getOrCreateDefaultWorkspace('u'),
      () => store.getWorkspaceRole(membership),
      () => store.listUserWorkspaces('u'),
      () => store.createWorkspace({ userId: 'u', name: 'W' }),
      () => store.updateWorkspace({ ...membership, name: 'W' }),
      () => store.removeWorkspace(membership),
      () => store.setActiveWorkspace(membership),
    ]
    expect(calls).toHaveLength(Object.keys(store).length)
    for (const call of calls) expect(await statusOf(call)).toBe(503)
  })

  it('refuses calls from the moment it is called', async () => {
    const closing = provider.close()
    expect(await statusOf(() => provider.workspaceStore.listUserWorkspaces('u'))).toBe(503)
    await closing
  })

  it('lets running calls end, and then leaves no -wal file', async () => {
    const other = new Sqlite(file)
    other.exec('BEGIN IMMEDIATE')
    const events: Array<string> = []
    const running = [
      provider.syncGateway.push({}, { ...scope(), ops: [put({ id: 'late' })] }),
      provider.workspaceStore.getOrCreateUser(identity),
    ].map((call) => call.then(() => events.push('call ended')))
    const closing = provider.close().then(() => events.push('closed'))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(events).toEqual([])
    other.exec('ROLLBACK')
    other.close()
    await Promise.all([...running, closing])
    expect(events).toEqual(['call ended', 'call ended', 'closed'])
    for (const suffix of ['-wal', '-shm']) expect(existsSync(file + suffix)).toBe(false)
    const database = new Sqlite(file, { readonly: true })
    expect(database.prepare('SELECT op_id FROM change_log').pluck().all()).toEqual([opId('late')])
    database.close()
  })

  it('may be called again, and is done once', async () => {
    await Promise.all([provider.close(), provider.close()])
    await provider.close()
    expect(existsSync(`${file}-wal`)).toBe(false)
  })
})

describe('what the services run under', () => {
  const env = () => ({ OR3_SQLITE_DB_PATH: join(folder, `observed-${++files}.db`) })

  it('sees their calls, and ends when they have', async () => {
    const seen: Array<string> = []
    const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)
    const tracer = Tracer.make({
      ...native,
      span: (name, ...rest) => {
        seen.push(name)
        return native.span(name, ...rest)
      },
    })
    const observability = Layer.merge(
      Layer.setTracer(tracer),
      Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => seen.push('end')))),
    )
    const observed = openProvider({ env: env(), observability })
    await observed.syncGateway.push({}, { ...scope(), ops: [put()] })
    await observed.workspaceStore.getOrCreateUser(identity)
    expect(seen).toEqual(expect.arrayContaining(['SyncGateway.push', 'WorkspaceStore.getOrCreateUser']))
    await observed.close()
    expect(seen.at(-1)).toBe('end')
  })

  it('ends as well when the start fails for another reason', () => {
    let ended = false
    const observability = Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => (ended = true))))
    expect(() => openProvider({ env: { OR3_SQLITE_DB_PATH: folder }, observability })).toThrow('folder')
    expect(ended).toBe(true)
  })

  it('a stored payload that is damaged is a fault of ours, told without what it holds', async () => {
    await provider.syncGateway.push({}, { ...scope(), ops: [put({ pk: 'm1', clock: 2 })] })
    const other = new Sqlite(file)
    other.exec(
      `UPDATE change_log SET payload_json = 'TOP-SECRET'; UPDATE s_messages SET data_json = 'TOP-SECRET'`,
    )
    other.close()
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const calls = [
      provider.syncGateway.pull({}, { ...scope(), cursor: 0 }),
      provider.syncGateway.push({}, { ...scope(), ops: [put({ pk: 'm1', clock: 1 })] }),
    ]
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        statusCode: 500,
        message: expect.not.stringContaining('SECRET'),
      })
    }
    expect(said).toHaveBeenCalledTimes(2)
    expect(JSON.stringify(said.mock.calls)).toContain('a stored payload is not JSON')
    expect(JSON.stringify(said.mock.calls)).not.toContain('SECRET')
  })

  it('stops the start with its own message when it fails', () => {
    const observability = Layer.fail(new Error('no collector at localhost:4318'))
    expect(() => openProvider({ env: env(), observability })).toThrow('no collector at localhost:4318')
  })
})
