/**
 * The Promise adapters: what a typed error looks like to the host, and what becomes of a fault of the server.
 */
import { truncateSync, writeFileSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { createApp, createError, eventHandler, isError, toWebHandler } from 'h3'
import { describe, expect, it, vi } from 'vitest'
import { type ServiceError, toHostError } from '../../src/nuxt/httpErrors.js'
import {
  AmbiguousUser,
  DeviceForbidden,
  InvalidInput,
  InvalidRequest,
  InvalidWorkspaceInput,
  JobLeaseLost,
  JobLimitReached,
  InviteNotFound,
  LastOwner,
  MemberNotFound,
  QuotaExceeded,
  ScopeForbidden,
  StorageError,
  StorageReason,
  UnknownEmail,
  UploadIntentConflict,
  UploadIntentReason,
  UserNotFound,
  WorkspaceForbidden,
  WorkspaceNotFound,
} from '../../src/services/index.js'
import { makeAdapters, statusOf } from '../support/adapterCalls.js'
import { del, put, scope } from '../support/ops.js'

const { file, provider } = makeAdapters()

describe('typed errors', () => {
  const storage = (reason: StorageReason) => new StorageError({ operation: 'push', reason })

  const table: ReadonlyArray<readonly [ServiceError, number]> = [
    [new InvalidRequest({ field: 'cursor', detail: 'is bad' }), 400],
    [new ScopeForbidden({}), 403],
    [new QuotaExceeded({ quotaBytes: 1, usedBytes: 1, reservedBytes: 0 }), 413],
    ...UploadIntentReason.literals.map((reason) => [new UploadIntentConflict({ reason }), 409] as const),
    [new DeviceForbidden({}), 403],
    [new InvalidInput({ field: 'id', detail: 'has 1 to 256 characters' }), 400],
    [new JobLeaseLost({}), 409],
    [new JobLimitReached({ scope: 'user', limit: 5 }), 429],
    [new InvalidWorkspaceInput({ field: 'name', detail: 'too long' }), 400],
    [new UserNotFound({}), 404],
    [new WorkspaceForbidden({ needs: ['owner'] }), 403],
    [new WorkspaceNotFound({}), 404],
    [new InviteNotFound({}), 404],
    [new MemberNotFound({}), 404],
    [new LastOwner({}), 409],
    [new UnknownEmail({}), 404],
    [new AmbiguousUser({}), 409],
    [storage('busy'), 503],
    [storage('full'), 503],
    [storage('io'), 503],
    [storage('timeout'), 503],
    [storage('unreachable'), 503],
    [storage('readonly'), 500],
    [storage('corrupt'), 500],
    [storage('constraint'), 500],
    [storage('closed'), 500],
    [storage('denied'), 500],
    [storage('tooLarge'), 413],
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
    const { workspaceStore: store } = provider()
    const { userId } = await store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
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
    const { syncGateway: gateway } = provider()
    expect(await statusOf(() => gateway.pull({}, { ...scope(), cursor: -1 }))).toBe(400)
    expect(await statusOf(() => gateway.pull({}, { ...scope(''), cursor: 0 }))).toBe(400)
    expect(await statusOf(() => gateway.push({}, undefined as never))).toBe(400)
    const ops = Array.from({ length: 1_001 }, () => put())
    expect(await statusOf(() => gateway.push({}, { ...scope(), ops }))).toBe(400)
  })
})

describe('a fault of the server', () => {
  const push = (operations = [put()]) => provider().syncGateway.push({}, { ...scope(), ops: operations })

  const onFile = <A>(body: (database: Sqlite.Database) => A): A => {
    const database = new Sqlite(file())
    try {
      return body(database)
    } finally {
      database.close()
    }
  }

  /** Holds the write lock as another process would; `release` gives it back. */
  const lock = () => {
    const database = new Sqlite(file())
    database.exec('BEGIN IMMEDIATE')
    return { release: () => database.close() }
  }

  it('such as a lost table fails the push as a whole with 500: no op is told to be given up', async () => {
    onFile((database) => database.exec('DROP TABLE tombstones'))
    const ops = [put(), del()]
    await expect(push(ops)).rejects.toMatchObject({ statusCode: 500 })
    // Nothing was accepted on the way.
    expect((await provider().syncGateway.pull({}, { ...scope(), cursor: 0 })).changes).toEqual([])
  })

  it('such as a damaged file is 500', async () => {
    await push()
    onFile((database) => database.pragma('wal_checkpoint(TRUNCATE)'))
    writeFileSync(file(), Buffer.alloc(8 * 4096, 'x'))
    truncateSync(`${file()}-wal`, 0)
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    // A second writer makes ours look at the file again.
    await expect(push()).rejects.toMatchObject({ statusCode: 500 })
    // The caller is told a status; the operator has to know why.
    expect(logged.mock.calls.flat().join()).toMatch(/^\[or3-provider-sqlite\] .*: \S/)
    logged.mockRestore()
  })

  it('but what the caller did wrong is not logged', async () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    await expect(provider().syncGateway.pull({}, { ...scope(''), cursor: 0 })).rejects.toMatchObject({
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
    const { changes } = await provider().syncGateway.pull({}, { ...scope(), cursor: 0 })
    expect(changes).toHaveLength(1)
    expect(await provider().workspaceStore.getWorkspaceRole({ userId: 'u', workspaceId: 'w' })).toBeNull()
    release()
  })

  it('a stored payload that is damaged is a fault of ours, told without what it holds', async () => {
    await provider().syncGateway.push({}, { ...scope(), ops: [put({ pk: 'm1', clock: 2 })] })
    const other = new Sqlite(file())
    other.exec(
      `UPDATE change_log SET payload_json = 'TOP-SECRET'; UPDATE s_messages SET data_json = 'TOP-SECRET'`,
    )
    other.close()
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const calls = [
      provider().syncGateway.pull({}, { ...scope(), cursor: 0 }),
      provider().syncGateway.push({}, { ...scope(), ops: [put({ pk: 'm1', clock: 1 })] }),
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
})
