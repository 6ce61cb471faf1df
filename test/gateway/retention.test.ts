/**
 * Garbage collection, and the pulls that stay complete after it.
 */
import { readFileSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Caller, type PendingOp, syncedTables } from '../../src/services/index.js'
import { del, hlc, put, scope, opId } from '../support/ops.js'
import type { Subject } from '../support/subjectType.js'
import { selectedSubjects, withSubject } from '../support/subjects.js'
import { suite } from '../support/suite.js'

const start = 1_700_000_000_000
const day = 86_400

const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000)

const push = async (subject: Subject, ...ops: ReadonlyArray<PendingOp>) =>
  (await subject.push({ ...scope(), ops })).verdicts

const seen = (subject: Subject, version: number, deviceId = 'd1') =>
  subject.updateCursor({ ...scope(), deviceId, version })

/** Both collections, with a retention of 30 days. */
const collect = async (subject: Subject, retentionSeconds = 30 * day) => {
  await subject.gcTombstones({ ...scope(), retentionSeconds })
  await subject.gcChangeLog({ ...scope(), retentionSeconds })
}

const pullAll = async (subject: Subject, limit = 1_000, caller?: Caller) => {
  const changes = []
  for (let cursor = 0; ;) {
    const page = await subject.pull({ ...scope(), cursor, limit, caller })
    changes.push(...page.changes)
    if (!page.hasMore) return changes
    expect(page.nextCursor).toBeGreaterThan(cursor)
    cursor = page.nextCursor
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: start })
})
afterEach(() => {
  vi.useRealTimers()
})

suite('gcChangeLog', (subject) => {
  const logVersions = async () => (await subject().view('w1')).logVersions
  const floor = async () => (await subject().view('w1')).floor

  it('deletes nothing while there is no cursor', async () => {
    await push(subject(), put(), put({ clock: 2 }))
    pass(365 * day)
    await collect(subject())
    expect(await logVersions()).toEqual([1, 2])
  })

  it('deletes entries below every cursor that are older than the window', async () => {
    await push(subject(), put({ clock: 1 }), put({ clock: 2 }), put({ clock: 3 }), put({ clock: 4 }))
    pass(31 * day)
    await seen(subject(), 4, 'fast')
    await seen(subject(), 3, 'slow')
    await collect(subject())
    expect(await logVersions()).toEqual([3, 4])
    expect(await floor()).toBe(2)
  })

  it('keeps entries within the window, exactly at its edge too', async () => {
    await push(subject(), put({ clock: 1 }))
    pass(1)
    await push(subject(), put({ clock: 2 }))
    pass(30 * day)
    await seen(subject(), 9)
    await collect(subject())
    expect(await logVersions()).toEqual([2])
  })

  it('ends at the first entry that has to stay, when the clock went back', async () => {
    await push(subject(), put({ clock: 1 }))
    pass(10 * day)
    await push(subject(), put({ clock: 2 }))
    pass(-10 * day)
    await push(subject(), put({ clock: 3 }))
    pass(31 * day)
    await seen(subject(), 9)
    await collect(subject())
    expect(await logVersions()).toEqual([2, 3])
    pass(10 * day)
    await seen(subject(), 9)
    await collect(subject())
    expect(await logVersions()).toEqual([])
  })

  it('does not let a cursor hold it back that was not reported within the window, and removes it', async () => {
    await push(subject(), put({ clock: 1 }), put({ clock: 2 }))
    await seen(subject(), 0, 'lost')
    pass(31 * day)
    await seen(subject(), 2, 'alive')
    await collect(subject())
    const view = await subject().view('w1')
    expect(view.cursors).toEqual([{ deviceId: 'alive', version: 2 }])
    expect(view.logVersions).toEqual([2])
  })

  it('keeps the log of a workspace whose last cursor went stale', async () => {
    await push(subject(), put({ clock: 1 }), put({ clock: 2 }))
    await seen(subject(), 2)
    pass(31 * day)
    await collect(subject())
    expect(await subject().view('w1')).toMatchObject({ cursors: [], logVersions: [1, 2] })
  })

  it('counts a report of an old version as a sign of life', async () => {
    await push(subject(), put({ clock: 1 }), put({ clock: 2 }))
    await seen(subject(), 2)
    pass(31 * day)
    await seen(subject(), 1)
    await collect(subject())
    expect(await logVersions()).toEqual([2])
  })

  it('leaves other workspaces alone', async () => {
    await subject().push({ ...scope('w2'), ops: [put({ clock: 1 }), put({ clock: 2 })] })
    await subject().updateCursor({ ...scope('w2'), deviceId: 'd1', version: 2 })
    await push(subject(), put())
    pass(31 * day)
    await seen(subject(), 1)
    await collect(subject())
    expect((await subject().view('w2')).logVersions).toEqual([1, 2])
    expect((await subject().view('w2')).cursors).toHaveLength(1)
  })

  it('is idempotent, and goes on counting versions where it was', async () => {
    await push(subject(), put({ clock: 1 }), put({ clock: 2 }))
    pass(31 * day)
    await seen(subject(), 100)
    await collect(subject())
    const after = await subject().view('w1')
    await collect(subject())
    expect(await subject().view('w1')).toEqual(after)
    expect(after).toMatchObject({ version: 2, floor: 2, logVersions: [] })
    expect(await push(subject(), put({ clock: 3 }))).toMatchObject([{ version: 3 }])
  })

  it('works through more than one step', async () => {
    for (const part of [0, 1, 2]) {
      await push(
        subject(),
        ...Array.from({ length: 800 }, (_, index) => put({ pk: `m${part}-${index}`, payload: {} })),
      )
    }
    pass(31 * day)
    await seen(subject(), 2_000)
    await collect(subject())
    expect(await floor()).toBe(1_999)
    expect(await logVersions()).toHaveLength(401)
    expect(await pullAll(subject(), 300)).toHaveLength(2_400)
  })
})

suite('idempotency after trimming', (subject) => {
  const trimmed = async () => {
    const ops = [put({ id: 'a', clock: 1 }), put({ id: 'b', clock: 2 })]
    await push(subject(), ...ops)
    pass(31 * day)
    await seen(subject(), 100)
    await collect(subject())
    expect((await subject().view('w1')).logVersions).toEqual([])
    return ops
  }

  it('recognises a replay of a trimmed op, with its first version', async () => {
    const ops = await trimmed()
    const before = await subject().view('w1')
    expect(await push(subject(), ...ops)).toEqual([
      { kind: 'replay', opId: opId('a'), version: 1 },
      { kind: 'replay', opId: opId('b'), version: 2 },
    ])
    expect(await subject().view('w1')).toEqual(before)
  })

  it('recognises other content under a trimmed op id as a conflict', async () => {
    await trimmed()
    expect(await push(subject(), put({ id: 'a', clock: 7 }))).toEqual([{ kind: 'conflict', opId: opId('a') }])
  })

  it('ignores the order of keys in a trimmed op', async () => {
    await push(subject(), put({ id: 'k', payload: { id: 'm1', x: 1, y: { p: 1, q: 2 } } }))
    pass(31 * day)
    await seen(subject(), 100)
    await collect(subject())
    expect(
      await push(subject(), put({ id: 'k', payload: { y: { q: 2, p: 1 }, x: 1, id: 'm1' } })),
    ).toMatchObject([{ kind: 'replay' }])
  })

  it('remembers it for a whole window, however old the entry was', async () => {
    const ops = [put({ id: 'a', clock: 1 })]
    await push(subject(), ...ops)
    pass(365 * day)
    await seen(subject(), 100)
    await collect(subject())
    expect(await push(subject(), ...ops)).toEqual([{ kind: 'replay', opId: opId('a'), version: 1 }])
    pass(29 * day)
    await collect(subject())
    expect(await push(subject(), ...ops)).toEqual([{ kind: 'replay', opId: opId('a'), version: 1 }])
  })

  it('forgets it one window later; a replay is then logged again and changes no row, unless that stands by it', async () => {
    const ops = await trimmed()
    pass(30 * day + 1)
    await seen(subject(), 100)
    await collect(subject())
    const { rows } = await subject().view('w1')
    expect(await push(subject(), ...ops)).toMatchObject([
      { kind: 'superseded', version: 3 },
      { kind: 'replay', version: 2 },
    ])
    expect((await subject().view('w1')).rows).toEqual(rows)
    // No page has an op id twice: a host would refuse it.
    const { changes } = await subject().pull({ ...scope(), cursor: 0 })
    expect(changes.map(({ serverVersion }) => serverVersion)).toEqual([2, 3])
  })

  it('recognises what a row stands by ever after, and other content under its id as a conflict', async () => {
    const ops = [put({ id: 'a' }), del({ id: 'b', pk: 'm2', payload: { id: 'm2' } })]
    await push(subject(), ...ops)
    for (let time = 0; time < 3; time++) {
      pass(31 * day)
      await seen(subject(), 100)
      await collect(subject())
      await subject().gcTombstones({ ...scope(), retentionSeconds: 30 * day })
    }
    expect(await subject().view('w1')).toMatchObject({ logVersions: [], tombstones: [] })
    expect(await push(subject(), ...ops)).toEqual([
      { kind: 'replay', opId: opId('a'), version: 1 },
      { kind: 'replay', opId: opId('b'), version: 2 },
    ])
    expect(
      await push(
        subject(),
        put({ id: 'a', payload: { id: 'm1', other: true } }),
        put({ id: 'a', device: 'another' }),
        del({ id: 'a' }),
        put({ id: 'b', pk: 'm2' }),
        put({ id: 'a', clock: 2 }),
      ),
    ).toMatchObject([
      { kind: 'conflict' },
      { kind: 'conflict' },
      { kind: 'conflict' },
      { kind: 'conflict' },
      { kind: 'applied', version: 3 },
    ])
    expect((await subject().view('w1')).logVersions).toEqual([3])
  })
})

suite('gcTombstones', (subject) => {
  it('collects tombstones below every cursor and older than the window, and erases their payload', async () => {
    await push(
      subject(),
      put({ pk: 'a', payload: { id: 'a', secret: 1 } }),
      del({ pk: 'a', clock: 2, id: 'da', hlc: hlc(5), payload: { id: 'a', why: 'x' } }),
      del({ pk: 'b', clock: 1 }),
      put({ pk: 'c', payload: { id: 'c' } }),
    )
    pass(31 * day)
    await seen(subject(), 3)
    await subject().gcTombstones({ ...scope(), retentionSeconds: 30 * day })
    const view = await subject().view('w1')
    expect(view.tombstones).toMatchObject([{ pk: 'b', version: 3 }])
    expect(view.rows[0]).toMatchObject({
      pk: 'a',
      deleted: true,
      clock: 2,
      hlc: hlc(5),
      opId: opId('da'),
      payload: undefined,
    })
    expect(view.rows[2]).toMatchObject({ pk: 'c', deleted: false, payload: { id: 'c' } })
  })

  it('does so in every table', async () => {
    const ops = syncedTables.map((table, index) =>
      del({ table, pk: table, id: `d${index}`, payload: { why: 'x' } }),
    )
    expect((await push(subject(), ...ops)).map(({ kind }) => kind)).toEqual(ops.map(() => 'applied'))
    expect((await subject().view('w1')).rows.map(({ payload }) => payload)).toEqual(
      ops.map(() => ({ why: 'x' })),
    )
    pass(31 * day)
    await seen(subject(), ops.length + 1)
    await subject().gcTombstones({ ...scope(), retentionSeconds: 30 * day })
    const { rows, tombstones } = await subject().view('w1')
    expect(tombstones).toEqual([])
    expect(rows.map(({ payload, deleted }) => [payload, deleted])).toEqual(ops.map(() => [undefined, true]))
  })

  it('collects nothing without a cursor, nor within the window', async () => {
    await push(subject(), del())
    pass(31 * day)
    await collect(subject())
    expect((await subject().view('w1')).tombstones).toHaveLength(1)
    await push(subject(), del({ pk: 'young' }))
    await seen(subject(), 100)
    await collect(subject())
    expect((await subject().view('w1')).tombstones).toMatchObject([{ pk: 'young' }])
  })

  it('keeps the mark, so that a stale put cannot bring the row back', async () => {
    await push(subject(), del({ clock: 5 }))
    pass(31 * day)
    await seen(subject(), 100)
    await collect(subject())
    expect(await push(subject(), put({ clock: 4 }))).toMatchObject([
      { kind: 'superseded', payload: undefined },
    ])
    expect((await subject().view('w1')).rows[0]).toMatchObject({ deleted: true })
    expect(await push(subject(), put({ clock: 6 }))).toMatchObject([{ kind: 'applied' }])
    expect((await subject().view('w1')).rows[0]).toMatchObject({ deleted: false })
  })

  it('works through more than one step', async () => {
    for (const part of [0, 1]) {
      await push(subject(), ...Array.from({ length: 900 }, (_, index) => del({ pk: `m${part}-${index}` })))
    }
    pass(31 * day)
    await seen(subject(), 1_500)
    await collect(subject())
    expect((await subject().view('w1')).tombstones.map(({ version }) => version)).toEqual(
      Array.from({ length: 301 }, (_, index) => 1_500 + index),
    )
  })
})

suite('pull after trimming', (subject) => {
  /** Three records with histories; everything up to version 6 is trimmed. */
  const trim = async () => {
    await push(
      subject(),
      put({ pk: 'a', clock: 1, payload: { id: 'a', n: 1 } }),
      put({ pk: 'b', clock: 1, payload: { id: 'b', n: 1 } }),
      put({ table: 'threads', pk: 't', clock: 1, payload: { id: 't' } }),
      put({ pk: 'a', clock: 2, id: 'a2', payload: { id: 'a', n: 2 } }),
      del({ pk: 'b', clock: 2, id: 'b2' }),
      put({ pk: 'a', clock: 1, hlc: '!', id: 'loser', payload: { id: 'a', n: 0 } }),
    )
    pass(31 * day)
    await seen(subject(), 100)
    await collect(subject())
    await push(subject(), put({ pk: 'c', clock: 1, id: 'c1', payload: { id: 'c' } }))
    expect(await subject().view('w1')).toMatchObject({ floor: 6, logVersions: [7] })
  }

  it('serves each row once, with its own version and stamp, and then the log', async () => {
    await trim()
    const changes = await pullAll(subject())
    expect(changes.map(({ serverVersion, op, pk, stamp }) => [serverVersion, op, pk, stamp.opId])).toEqual([
      [3, 'put', 't', expect.any(String)],
      [4, 'put', 'a', opId('a2')],
      [5, 'delete', 'b', opId('b2')],
      [7, 'put', 'c', opId('c1')],
    ])
    expect(changes[1]?.payload).toEqual({ id: 'a', n: 2 })
  })

  it.each([1, 2, 3])('pages it by %i like the rest', async (limit) => {
    await trim()
    const changes = await pullAll(subject(), limit)
    expect(changes.map(({ serverVersion }) => serverVersion)).toEqual([3, 4, 5, 7])
  })

  it('starts above the cursor also below the floor, and filters by table', async () => {
    await trim()
    const page = await subject().pull({ ...scope(), cursor: 3, tables: ['messages'], limit: 2 })
    expect(page.changes.map(({ serverVersion }) => serverVersion)).toEqual([4, 5])
    expect(page).toMatchObject({ nextCursor: 5, hasMore: true })
    const threads = await subject().pull({ ...scope(), cursor: 0, tables: ['threads', 'kv'] })
    expect(threads).toMatchObject({ nextCursor: 7, hasMore: false })
    expect(threads.changes).toHaveLength(1)
  })

  it('shows a row that changed after the trimming by its new entry only', async () => {
    await trim()
    await push(subject(), put({ pk: 'a', clock: 9, id: 'a9' }))
    const changes = await pullAll(subject())
    expect(changes.filter(({ pk }) => pk === 'a').map(({ stamp }) => stamp.opId)).toEqual([opId('a9')])
  })

  it("hides other users' notifications there too", async () => {
    const note = (pk: string, parts: object = {}) =>
      put({ table: 'notifications', pk, payload: { id: pk }, ...parts })
    const caller = (userId: string): Caller => ({ userId, workspaceId: 'w1' })
    await subject().push({ ...scope(), caller: caller('ann'), ops: [note('n1'), note('n2')] })
    await subject().push({
      ...scope(),
      caller: caller('bob'),
      ops: [note('n3'), del({ table: 'notifications', pk: 'n4' })],
    })
    await subject().push({
      ...scope(),
      caller: caller('ann'),
      ops: [del({ table: 'notifications', pk: 'n2', clock: 2 })],
    })
    pass(31 * day)
    await seen(subject(), 100)
    await collect(subject())
    expect((await subject().view('w1')).logVersions).toEqual([])
    expect((await pullAll(subject(), 1, caller('ann'))).map(({ pk }) => pk)).toEqual(['n1', 'n2'])
    expect((await pullAll(subject(), 1, caller('bob'))).map(({ pk }) => pk)).toEqual(['n3', 'n4'])
    expect(await pullAll(subject())).toHaveLength(4)
  })
})

describe.each(selectedSubjects().filter((name) => name === 'sqlite file' || name === 'adapters'))(
  'erasure on %s',
  (name) => {
    it('leaves nothing of a deleted payload in the tables after GC, nor in the file after VACUUM', () =>
      withSubject(name, async (subject) => {
        const secret = 'the-secret-that-was-deleted'
        const file = subject.file!
        for (const table of syncedTables) {
          const payload = { ...(put({ table, pk: 'x' }).payload as object), secret }
          await push(subject, put({ table, pk: 'x', payload }), del({ table, pk: 'x', clock: 2, payload }))
        }
        expect((await subject.view('w1')).tombstones).toHaveLength(syncedTables.length)
        await push(subject, put({ pk: 'keep', payload: { id: 'keep', text: 'kept-text' } }))
        pass(31 * day)
        await seen(subject, 100)
        await collect(subject)
        const database = new Sqlite(file)
        database.pragma('wal_checkpoint(TRUNCATE)')
        const inTables = (text: string) =>
          (
            database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all() as Array<{
              name: string
            }>
          ).some((table) =>
            JSON.stringify(database.prepare(`SELECT * FROM "${table.name}"`).all()).includes(text),
          )
        expect(inTables('kept-text')).toBe(true)
        expect(inTables(secret)).toBe(false)
        database.exec('VACUUM')
        database.pragma('wal_checkpoint(TRUNCATE)')
        database.close()
        const bytes = readFileSync(file)
        expect(bytes.includes('kept-text')).toBe(true)
        expect(bytes.includes(secret)).toBe(false)
      }))
  },
)
