/**
 * Issue 7, point 2: when the database or its disk is full, calls fail with a retryable typed error, nothing is half-written,
 * and the same process goes on when there is space again.
 */
import { migrations } from '../../migrations/index.js'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { openProvider, type Provider, ProviderStartupError } from '../../src/nuxt/adapters.js'
import { StorageError } from '../../src/services/index.js'
import { brokenRules, makeLegacy, query } from '../support/adoption.js'
import { bun, openInBun } from '../support/bun.js'
import { makeSpaces } from '../support/fullDisk.js'
import { leftovers } from '../support/legacyLeftovers.js'
import { del, put, scope } from '../support/ops.js'
import { buildForProcesses } from '../support/processes.js'

const { spaces, failed, remove } = makeSpaces(8 * 1_024)
const built = buildForProcesses()
afterAll(() => {
  built.remove()
  remove()
})

let files = 0
const newFile = (folder: string) => join(folder, `full-${++files}.db`)

const open = (path: string) => openProvider({ env: { OR3_SQLITE_DB_PATH: path } })

let count = 0
const batch = (size = 20, length = 1_500, make = put) =>
  Array.from({ length: size }, () => {
    const pk = `m${++count}`
    return make({ pk, id: `op-${count}`, ...(make === put ? { payload: { text: 'x'.repeat(length) } } : {}) })
  })

const day = 86_400

const push = ({ syncGateway }: Provider, ops: ReadonlyArray<unknown>) =>
  syncGateway.push(undefined, { ...scope(), ops } as never)

/** The error of a call that has to fail for want of space. */
const fullError = async (call: Promise<unknown>, operation: string): Promise<void> => {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toMatchObject({ statusCode: 503, message: `${operation}: the disk or the database is full` })
  const { cause } = error as Error
  expect(cause).toBeInstanceOf(StorageError)
  expect(cause).toMatchObject({ reason: 'full', operation, isRetryable: true })
}

const logged = (path: string) =>
  query<{ v: number; id: string }>(path, 'SELECT server_version AS v, op_id AS id FROM change_log ORDER BY 1')

const numbered = (length: number) => Array.from({ length }, (_, index) => index + 1)

describe.each(spaces)('with no space left by the $name', ({ name, folder, fill, free }) => {
  afterEach(() => {
    vi.useRealTimers()
    free()
  })

  it('a push fails as a whole, pulls go on, and the same push succeeds when there is space', async () => {
    const path = newFile(folder)
    const provider = open(path)
    await push(provider, batch())
    fill()
    failed.length = 0
    const accepted: Array<string> = []
    let refused = batch()
    for (;;) {
      try {
        await push(provider, refused)
      } catch {
        break
      }
      accepted.push(...refused.map(({ stamp }) => stamp.opId))
      refused = batch()
      expect(accepted.length).toBeLessThan(20_000)
    }
    const before = logged(path)
    expect(before.map(({ id }) => id).slice(20)).toEqual(accepted)
    for (let attempt = 0; attempt < 3; attempt++) await fullError(push(provider, refused), 'push')
    await fullError(push(provider, batch(1_000)), 'push')
    expect(logged(path)).toEqual(before)
    const { changes } = await provider.syncGateway.pull(undefined, {
      ...scope(),
      cursor: before.length - 5,
      limit: 10,
    })
    expect(changes.map(({ serverVersion }) => serverVersion)).toEqual(numbered(before.length).slice(-5))
    // A full file system shows when the pages are written, a size limit when they are asked for.
    expect(new Set(failed.map((sql) => sql === 'COMMIT'))).toEqual(new Set([name === 'file system']))

    free()
    const { results } = await push(provider, refused)
    expect(results.map(({ serverVersion }) => serverVersion)).toEqual(
      numbered(refused.length).map((index) => before.length + index),
    )
    expect(brokenRules(path)).toEqual({})
    await provider.close()
    expect(logged(path).map(({ v }) => v)).toEqual(numbered(before.length + refused.length))
  })

  it('garbage collection stops at a whole step, and goes on when there is space', async () => {
    const path = newFile(folder)
    const provider = open(path)
    const { syncGateway } = provider
    const total = 1_200
    for (let start = 0; start < total; start += 300) {
      await push(provider, [...batch(150, 20), ...batch(150, 0, del)])
    }
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(Date.now() + 10 * day * 1_000)
    await syncGateway.updateCursor(undefined, { ...scope(), deviceId: 'd', version: total })
    const retention = { ...scope(), retentionSeconds: 6 * day }
    const count = (table: string) => query<{ n: number }>(path, `SELECT count(*) AS n FROM ${table}`)[0]!.n
    fill()
    await fullError(syncGateway.gcChangeLog!(undefined, retention), 'gc change log')
    expect(count('change_log')).toBeGreaterThan(total / 2)
    expect(count('change_log') + count('trimmed_ops')).toBe(total)
    expect(brokenRules(path)).toEqual({})
    if (name === 'file system') {
      await fullError(syncGateway.gcTombstones!(undefined, retention), 'gc tombstones')
      expect(count('tombstones')).toBe(total / 2)
    }
    free()
    await syncGateway.gcChangeLog!(undefined, retention)
    expect([count('change_log'), count('trimmed_ops')]).toEqual([1, total - 1])
    expect(brokenRules(path)).toEqual({})
    await syncGateway.gcTombstones!(undefined, retention)
    expect(count('tombstones')).toBe(1)
    await provider.close()
  })

  it('a cursor and the store fail alike, and hold what they had', async () => {
    const path = newFile(folder)
    const provider = open(path)
    const { syncGateway, workspaceStore } = provider
    const { userId } = await workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'ann' })
    fill()
    const refused = { cursors: 0, users: 0 }
    let [cursors, users] = [0, 1]
    while (refused.cursors === 0 || refused.users === 0) {
      const deviceId = `device-${cursors}`.padEnd(200, '-')
      await syncGateway.updateCursor(undefined, { ...scope(), deviceId, version: 1 }).then(
        () => cursors++,
        (error) => {
          expect(error).toMatchObject({ statusCode: 503, cause: { reason: 'full' } })
          refused.cursors++
        },
      )
      const providerUserId = `user-${users}`.padEnd(200, '-')
      await workspaceStore.getOrCreateUser({ provider: 'p', providerUserId }).then(
        () => users++,
        (error) => {
          expect(error).toMatchObject({ statusCode: 503, cause: { reason: 'full' } })
          refused.users++
        },
      )
    }
    const count = (table: string) => query<{ n: number }>(path, `SELECT count(*) AS n FROM ${table}`)[0]!.n
    expect([count('device_cursors'), count('users'), count('auth_accounts')]).toEqual([cursors, users, users])
    expect(await workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'ann' })).toEqual({ userId })
    free()
    expect((await workspaceStore.getOrCreateDefaultWorkspace(userId)).workspaceId).toBeDefined()
    await provider.close()
  })

  it.each(['new', 'legacy'])(
    'the migration of a %s database fails in one line and leaves it as it was',
    async (kind) => {
      const lines = new Set<string>()
      let [failures, late] = [0, 0]
      for (let room = 0; ; room += name === 'size limit' ? 20 : 36) {
        const path = newFile(folder)
        if (kind === 'legacy') makeLegacy(path, 17, leftovers)
        const before = kind === 'legacy' ? readFileSync(path) : Buffer.alloc(0)
        fill(room)
        try {
          await open(path).close()
          break
        } catch (error) {
          expect(error).toBeInstanceOf(ProviderStartupError)
          failures++
          lines.add((error as Error).message.replaceAll(path, 'PATH'))
        } finally {
          free()
        }
        const isAsBefore = existsSync(path) ? readFileSync(path).equals(before) : kind === 'new'
        // Or there was room to migrate, and none for what comes then.
        if (!isAsBefore) {
          late++
          expect(query(path, 'SELECT count(*) AS n FROM effect_sql_migrations')).toEqual([
            { n: Object.keys(migrations).length },
          ])
          expect(brokenRules(path)).toEqual({})
        }
        await open(path).close()
        expect(brokenRules(path)).toEqual({})
        for (const suffix of ['', '-seen']) rmSync(path + suffix, { force: true })
        expect(room).toBeLessThan(10_000)
      }
      expect(failures).toBeGreaterThan(late)
      const full = 'migration: the disk or the database is full (PATH): free some space and start again'
      expect(lines).toContain(full)
      const toOpen = 'cannot open the database PATH: '
      expect([
        full,
        `${toOpen}the disk is full; free some space and start again`,
        `${toOpen}disk I/O error; check the disk and its free space`,
      ]).toEqual(expect.arrayContaining([...lines]))
    },
  )
})
describe.each(spaces.filter(({ name }) => name === 'file system'))(
  'Bun on a full disk',
  ({ folder, fill, free }) => {
    afterEach(free)

    it('fails a push as a whole, pulls on, and takes the same push when there is space', async () => {
      const path = newFile(folder)
      const { syncGateway, close } = await openInBun({ OR3_SQLITE_DB_PATH: path })
      const push = (ops: ReadonlyArray<unknown>) => syncGateway.push({}, { ...scope(), ops } as never)
      await push(batch())
      fill()
      let refused = batch()
      const full = { statusCode: 503, message: 'push: the disk or the database is full' }
      for (let error: unknown; error === undefined;) {
        error = await push(refused).then(
          () => undefined,
          (failure: unknown) => failure,
        )
        if (error === undefined) refused = batch()
        else expect(error).toMatchObject(full)
      }
      const before = logged(path)
      await expect(push(refused)).rejects.toMatchObject(full)
      expect(logged(path)).toEqual(before)
      const { changes } = await syncGateway.pull({}, { ...scope(), cursor: before.length - 5, limit: 10 })
      expect(changes).toHaveLength(5)
      free()
      const { results } = await push(refused)
      expect(results.map(({ serverVersion }) => serverVersion)).toEqual(
        numbered(refused.length).map((index) => before.length + index),
      )
      await close()
      expect(brokenRules(path)).toEqual({})
    })
  },
)

/** Needs no rights: the kernel refuses to let a process's files grow, and takes that back. Only Linux can take it back. */
describe.runIf(process.platform === 'linux')('a process whose files may not grow', () => {
  it.each([
    ['Node', process.execPath],
    ['Bun', bun],
  ])('loses a COMMIT, answers 503, and goes on when they may: %s', async (_name, program) => {
    const path = newFile(spaces[0]!.folder)
    const script = `
      import { spawnSync } from 'node:child_process'
      import { openProvider } from './src/nuxt/adapters.js'
      const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: ${JSON.stringify(path)} } })
      let count = 0
      const batch = () => Array.from({ length: 20 }, () => ({
        tableName: 'messages', operation: 'put', pk: 'm' + ++count, payload: { text: 'x'.repeat(1500) },
        stamp: { opId: 'op-' + count, clock: 1, hlc: 'a', deviceId: 'd' },
      }))
      const push = (ops) => provider.syncGateway.push(undefined, { scope: { workspaceId: 'w1' }, ops })
      const mayGrowTo = (bytes) => spawnSync('prlimit', ['--pid=' + process.pid, '--fsize=' + bytes + ':unlimited']).status
      const limited = mayGrowTo(700_000)
      let [refused, accepted, error] = [batch(), 0]
      while (error === undefined && accepted < 10_000) {
        try { await push(refused); accepted += refused.length; refused = batch() } catch (failure) { error = failure }
      }
      const again = await push(refused).catch((failure) => failure)
      const { changes } = await provider.syncGateway.pull(undefined, { scope: { workspaceId: 'w1' }, cursor: accepted - 5, limit: 9 })
      const freed = mayGrowTo('unlimited')
      const { results } = await push(refused)
      await provider.close()
      console.log(JSON.stringify({
        limited, freed, accepted, status: error.statusCode, reason: error.cause.reason, again: again.statusCode,
        pulled: changes.length, versions: results.map(({ serverVersion }) => serverVersion),
      }))`
    const { code, stdout, stderr } = await built.run(script, {}, program)
    expect({
      code,
      stderr: stderr.replaceAll(/^.*push: reading or writing the database file failed.*\n/gm, ''),
    }).toEqual({
      code: 0,
      stderr: '',
    })
    const { accepted, versions, ...said } = JSON.parse(stdout.split('\n').at(-2)!) as Record<string, unknown>
    expect(said).toEqual({ limited: 0, freed: 0, status: 503, again: 503, reason: 'io', pulled: 5 })
    expect(accepted).toBeGreaterThan(50)
    expect(versions).toEqual(numbered(20).map((index) => (accepted as number) + index))
    expect(logged(path).map(({ v }) => v)).toEqual(numbered((accepted as number) + 20))
    expect(brokenRules(path)).toEqual({})
  })
})
