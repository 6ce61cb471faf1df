/**
 * What a leap costs, whom it is made for, and what is said about it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect, it as effectIt } from '@effect/vitest'
import { Effect, Layer, Logger, TestClock } from 'effect'
import { afterAll, afterEach, describe, it, vi } from 'vitest'
import { leapSize } from '../../src/services/epochs.js'
import { SyncGateway } from '../../src/services/index.js'
import { del, hlc, put, scope, opId } from '../support/ops.js'
import { sqlLayer, subjectOnFile } from '../support/layerSubjects.js'
import { temporaryFolder } from '../support/temporaryFolder.js'
import { suite } from '../support/suite.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)
afterEach(() => {
  vi.useRealTimers()
})

/** All that is stored of rows, log, tombstones and trimmed ops. */
const stored = (path: string) => {
  const database = new Sqlite(path, { readonly: true })
  try {
    const tables = database
      .prepare<[], string>(
        `SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'server_version_counter' ORDER BY name`,
      )
      .pluck()
      .all()
    return tables.map((name) => [name, database.prepare(`SELECT * FROM ${name}`).all()])
  } finally {
    database.close()
  }
}

suite('a leap', (subject) => {
  const fill = () =>
    subject().push({
      ...scope(),
      ops: [
        ...['a', 'b', 'c'].map((pk) => put({ pk, id: `put-${pk}`, hlc: hlc(5) })),
        del({ pk: 'b', id: 'del-b', clock: 2, hlc: hlc(6) }),
        put({ pk: 'a', id: 'loser', clock: 0, hlc: hlc(7) }),
      ],
    })

  it('touches no row, whatever the workspace holds', async () => {
    await fill()
    const { file } = subject()
    const before = file === undefined ? [] : stored(file)
    await subject().pull({ ...scope(), cursor: 50 })
    const { version } = await subject().view('w1')
    expect(version).toBe(leapSize + 5)
    if (file !== undefined) expect(stored(file)).toEqual(before)
  })

  it('brings every device everything again, in order, and what is pushed since after it', async () => {
    await fill()
    await subject().pull({ ...scope(), cursor: 50 })
    await subject().push({ ...scope(), ops: [put({ pk: 'd', id: 'later' })] })
    const page = await subject().pull({ ...scope(), cursor: 50 })
    expect(page.changes.map(({ serverVersion, stamp }) => [serverVersion - leapSize, stamp.opId])).toEqual([
      [1, opId('put-a')],
      [2, opId('put-b')],
      [3, opId('put-c')],
      [4, opId('del-b')],
      [5, opId('loser')],
      [6, opId('later')],
    ])
    expect(page.nextCursor).toBe(leapSize + 6)
  })

  it('keeps cursors, collections, and what is known of trimmed ops, in step', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await fill()
    const report = (deviceId: string, version: number) =>
      subject().updateCursor({ ...scope(), deviceId, version })
    await report('d1', 5)
    await subject().pull({ ...scope(), cursor: 50 })
    // What a device has seen before the leap says nothing about what comes after it.
    vi.setSystemTime(Date.now() + 4_000_000)
    await report('d1', 5)
    vi.setSystemTime(Date.now() + 4_000_000)
    await subject().gcChangeLog({ ...scope(), retentionSeconds: 5_000 })
    expect((await subject().view('w1')).logVersions).toHaveLength(5)
    await report('d1', leapSize + 3)
    vi.setSystemTime(Date.now() + 10_000_000)
    await report('d1', leapSize + 3)
    await subject().gcChangeLog({ ...scope(), retentionSeconds: 5_000 })
    const view = await subject().view('w1')
    expect(view.logVersions).toEqual([3, 4, 5].map((version) => leapSize + version))
    expect(view.floor).toBe(leapSize + 2)
    const { verdicts } = await subject().push({
      ...scope(),
      ops: [put({ pk: 'b', id: 'put-b', hlc: hlc(5) })],
    })
    expect(verdicts).toEqual([{ kind: 'replay', opId: opId('put-b'), version: leapSize + 2 }])
    const fresh = await subject().pull({ ...scope(), cursor: 0 })
    expect(fresh.changes.map(({ pk, op }) => `${op} ${pk}`)).toEqual(['put a', 'put c', 'delete b', 'put a'])
  })

  it('is not made in a workspace without a version, nor does that write anything', async () => {
    const page = await subject().pull({ ...scope('nowhere'), cursor: 50 })
    expect(page).toMatchObject({ changes: [], nextCursor: 50, hasMore: false })
    expect((await subject().view('nowhere')).version).toBe(0)
    const { file } = subject()
    if (file === undefined) return
    const database = new Sqlite(file, { readonly: true })
    expect(database.prepare('SELECT * FROM server_version_counter').all()).toEqual([])
    database.close()
  })

  it('is made in it when it has one, for a device that comes again', async () => {
    await subject().pull({ ...scope(), cursor: 50 })
    await fill()
    await subject().pull({ ...scope(), cursor: 50 })
    const page = await subject().pull({ ...scope(), cursor: 50 })
    expect(page.changes).toHaveLength(5)
  })
})

describe('at the start, after a restore that the server noticed', () => {
  it('touches no row either, clocks included', async () => {
    const path = join(folder, 'start.db')
    const first = await subjectOnFile(path)
    const op = put({ pk: 'a', id: 'op', clock: 3, payload: { n: 1 } })
    await first.push({ ...scope(), ops: [op, del({ pk: 'b', id: 'gone', clock: 2 })] })
    await first.close()
    const before = stored(path)
    writeFileSync(`${path}-seen`, '9 9 0\n')
    const second = await subjectOnFile(path)
    try {
      expect(stored(path)).toEqual(before)
      const { rows, tombstones } = await second.view('w1')
      expect(rows).toMatchObject([
        { pk: 'a', clock: leapSize + 3, version: leapSize + 1 },
        { pk: 'b', clock: leapSize + 2, version: leapSize + 2 },
      ])
      expect(tombstones).toMatchObject([{ clock: leapSize + 2, version: leapSize + 2 }])
      const changes = (await second.pull({ ...scope(), cursor: 0 })).changes
      expect(changes.map(({ stamp }) => stamp.clock)).toEqual([leapSize + 3, leapSize + 2])
      // A device that does not know of the restore repeats its op, and edits; one that knows edits.
      const { verdicts } = await second.push({
        ...scope(),
        ops: [
          op,
          put({ pk: 'a', id: 'old', clock: 4, payload: { n: 2 } }),
          put({ pk: 'a', id: 'new', clock: leapSize + 5, payload: { n: 3 } }),
          put({ pk: 'a', id: 'op', clock: 4, payload: { n: 1 } }),
        ],
      })
      expect(verdicts.map(({ kind }) => kind)).toEqual(['replay', 'applied', 'applied', 'conflict'])
      expect((await second.view('w1')).rows[0]).toMatchObject({ opId: opId('new'), clock: leapSize + 5 })
    } finally {
      await second.close()
    }
  })

  it('lets new workspaces begin above what devices remember', async () => {
    const path = join(folder, 'unborn.db')
    await (await subjectOnFile(path)).close()
    writeFileSync(`${path}-seen`, '9 9 0\n')
    const subject = await subjectOnFile(path)
    try {
      await subject.push({ ...scope(), ops: [put({ clock: 1 })] })
      const { rows, version } = await subject.view('w1')
      expect(version).toBe(leapSize + 1)
      expect(rows).toMatchObject([{ version, clock: leapSize + 1 }])
    } finally {
      await subject.close()
    }
  })
})

const lines: Array<string> = []
const collectLogs = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ message }) => void lines.push(String(message))),
)

describe('the lines about leaps', () => {
  effectIt.scoped('come at most once a minute, with a count of the others', () =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      const leapIn = (name: string) =>
        Effect.zipRight(
          gateway.push({ ...scope(name), ops: [put()] }),
          gateway.pull({ ...scope(name), cursor: 50 }),
        )
      yield* TestClock.adjust('1000 days')
      lines.length = 0
      for (const name of ['w1', 'w2', 'w3']) yield* leapIn(name)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain('workspace w1')
      yield* TestClock.adjust('1 minute')
      expect(lines.slice(1)).toEqual([
        'in the last minute 2 more workspaces leapt over a device that was ahead',
      ])
      yield* TestClock.adjust('1 minute')
      expect(lines).toHaveLength(2)
      yield* leapIn('w4')
      expect(lines[2]).toContain('workspace w4')
    }).pipe(
      Effect.provide(Layer.provideMerge(sqlLayer(':memory:'), collectLogs)),
      Effect.provide(collectLogs),
    ),
  )
})
