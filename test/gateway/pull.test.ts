/**
 * The rules of a pull: order, paging, filters, cursors.
 */
import { expect, it } from 'vitest'
import { syncedTables } from '../../src/services/index.js'
import { del, hlc, put, scope, opId } from '../support/ops.js'
import type { Subject } from '../support/subjectType.js'
import { suite } from '../support/suite.js'

const pull = (subject: Subject, request: Partial<Parameters<Subject['pull']>[0]> = {}) =>
  subject.pull({ ...scope(), cursor: 0, ...request })

const fill = async (subject: Subject, count: number, table = 'messages', workspaceId = 'w1') => {
  const ops = Array.from({ length: count }, (_, index) =>
    put({ table, pk: `${table}-${index}`, payload: { n: index } }),
  )
  for (let start = 0; start < count; start += 1_000) {
    await subject.push({ ...scope(workspaceId), ops: ops.slice(start, start + 1_000) })
  }
}

const versions = (page: Awaited<ReturnType<Subject['pull']>>) =>
  page.changes.map(({ serverVersion }) => serverVersion)

suite('pull', (subject) => {
  it('gives an empty page of an unknown workspace', async () => {
    expect(await pull(subject())).toEqual({ changes: [], nextCursor: 0, hasMore: false })
  })

  it('gives a change with all it was pushed with', async () => {
    const payload = { id: 'm1', index: 3, order_key: 'a0', nested: { list: [1, null, 'x'] }, text: 'ü😀' }
    await subject().push({
      ...scope(),
      ops: [
        put({ id: 'a', device: 'd1', clock: 4, hlc: hlc(9), payload }),
        del({ id: 'b', device: 'd2', clock: 5, hlc: hlc(10) }),
      ],
    })
    expect((await pull(subject())).changes).toEqual([
      {
        serverVersion: 1,
        tableName: 'messages',
        pk: 'm1',
        op: 'put',
        payload,
        stamp: { deviceId: 'd1', opId: opId('a'), hlc: hlc(9), clock: 4 },
      },
      {
        serverVersion: 2,
        tableName: 'messages',
        pk: 'm1',
        op: 'delete',
        stamp: { deviceId: 'd2', opId: opId('b'), hlc: hlc(10), clock: 5 },
      },
    ])
  })

  it.each([
    ['numbers', { a: 0.1, b: 1e21, c: -5, d: 123456789012345680000, e: 5e-324, f: 1.7976931348623157e308 }],
    [
      'odd keys',
      JSON.parse('{"__proto__": {"x": 1}, "constructor": 2, "": 3, "$.t": 4, "a\\"b": 5, "10": 6, "2": 7}'),
    ],
    ['lone surrogates and NUL in text', { text: '\ud800 \0 \udc00', '\ud800': 1 }],
    ['escapes', { text: '"\\/\b\f\n\r\t\u2028\u2029<script>' }],
    ['emptiness', { a: {}, b: [], c: '', d: null, e: [[]], f: false }],
    ['duplicates of our own names', { p: { t: 'x' }, t: 1, k: 2, i: 3, workspace_id: 'w1' }],
  ])('returns a payload as it was pushed: %s', async (_what, payload) => {
    await subject().push({ ...scope(), ops: [put({ payload })] })
    const [change] = (await pull(subject())).changes
    expect(JSON.stringify(change?.payload)).toBe(JSON.stringify(payload))
    expect(change?.payload).toEqual(payload)
  })

  it('orders by version and starts above the cursor', async () => {
    await fill(subject(), 5)
    expect(versions(await pull(subject(), { cursor: 2 }))).toEqual([3, 4, 5])
  })

  it('says hasMore exactly when more changes match', async () => {
    await fill(subject(), 4)
    expect(await pull(subject(), { limit: 3 })).toMatchObject({ nextCursor: 3, hasMore: true })
    expect(await pull(subject(), { limit: 4 })).toMatchObject({ nextCursor: 4, hasMore: false })
    expect(await pull(subject(), { limit: 5 })).toMatchObject({ nextCursor: 4, hasMore: false })
    expect(await pull(subject(), { cursor: 3, limit: 1 })).toMatchObject({ nextCursor: 4, hasMore: false })
  })

  it('takes 100 changes when no limit is given, and clamps to 1..1,000', async () => {
    await fill(subject(), 1_001)
    expect((await pull(subject())).changes).toHaveLength(100)
    expect((await pull(subject(), { limit: 5_000 })).changes).toHaveLength(1_000)
    expect((await pull(subject(), { limit: Number.POSITIVE_INFINITY })).changes).toHaveLength(1_000)
    expect((await pull(subject(), { limit: 0 })).changes).toHaveLength(1)
    expect((await pull(subject(), { limit: -3 })).changes).toHaveLength(1)
    expect((await pull(subject(), { limit: 2.9 })).changes).toHaveLength(2)
  })

  it('gives only the tables asked for, and moves the cursor past the others', async () => {
    await fill(subject(), 3, 'threads')
    await fill(subject(), 3, 'messages')
    await fill(subject(), 3, 'kv')
    const page = await pull(subject(), { tables: ['kv', 'threads'], limit: 4 })
    expect(versions(page)).toEqual([1, 2, 3, 7])
    expect(page).toMatchObject({ nextCursor: 7, hasMore: true })
    const rest = await pull(subject(), { tables: ['threads'], cursor: 3 })
    expect(rest).toEqual({ changes: [], nextCursor: 9, hasMore: false })
  })

  it('gives all tables when none is named, or all are', async () => {
    for (const table of syncedTables) await fill(subject(), 1, table)
    const expected = syncedTables.map((_table, index) => index + 1)
    expect(versions(await pull(subject()))).toEqual(expected)
    expect(versions(await pull(subject(), { tables: [] }))).toEqual(expected)
    expect(versions(await pull(subject(), { tables: [...syncedTables].reverse() }))).toEqual(expected)
  })

  it('lets unknown table names match nothing', async () => {
    await fill(subject(), 2)
    expect(await pull(subject(), { tables: ['users', 's_messages', '__proto__'] })).toEqual({
      changes: [],
      nextCursor: 2,
      hasMore: false,
    })
    expect(versions(await pull(subject(), { tables: ['users', 'messages', 'messages'] }))).toEqual([1, 2])
  })

  it('never moves a cursor back that is beyond the high watermark', async () => {
    await fill(subject(), 2)
    expect(await pull(subject(), { cursor: 50 })).toEqual({ changes: [], nextCursor: 50, hasMore: false })
    expect(await pull(subject(), { cursor: 2 ** 40, tables: ['kv'] })).toMatchObject({ nextCursor: 2 ** 40 })
  })

  it('shows nothing of another workspace', async () => {
    await fill(subject(), 3, 'messages', 'w2')
    expect(await pull(subject())).toEqual({ changes: [], nextCursor: 0, hasMore: false })
    await fill(subject(), 2, 'threads')
    expect((await pull(subject())).changes.map(({ tableName }) => tableName)).toEqual(['threads', 'threads'])
    expect((await pull(subject(), { tables: ['messages'] })).changes).toEqual([])
  })

  it('ends a page early when its payloads grow too large to hold', async () => {
    const text = 'x'.repeat(250_000)
    for (let part = 0; part < 4; part++) {
      const ops = Array.from({ length: 20 }, (_, index) =>
        put({ pk: `m${part}-${index}`, payload: { text } }),
      )
      await subject().push({ ...scope(), ops })
    }
    const seen: Array<number> = []
    for (let cursor = 0, hasMore = true; hasMore;) {
      const page = await pull(subject(), { cursor, limit: 1_000 })
      expect(page.changes.length).toBeLessThan(35)
      expect(page.nextCursor).toBeGreaterThan(cursor)
      seen.push(...versions(page))
      ;({ nextCursor: cursor, hasMore } = page)
    }
    expect(seen).toEqual(Array.from({ length: 80 }, (_, index) => index + 1))
  })

  it('reaches the end by any page size, seeing every version once', async () => {
    await fill(subject(), 23)
    for (const limit of [1, 2, 7, 22, 23, 24]) {
      const seen: Array<number> = []
      let cursor = 0
      for (let hasMore = true; hasMore;) {
        const page = await pull(subject(), { cursor, limit })
        seen.push(...versions(page))
        expect(page.nextCursor).toBeGreaterThan(cursor)
        ;({ nextCursor: cursor, hasMore } = page)
      }
      expect(seen).toEqual(Array.from({ length: 23 }, (_, index) => index + 1))
    }
  })
})

suite('cursors', (subject) => {
  const report = (deviceId: string, version: number) =>
    subject().updateCursor({ ...scope(), deviceId, version })
  const cursors = async () => (await subject().view('w1')).cursors

  it('keeps one per device, and only ever moves it forward', async () => {
    await report('a', 5)
    await report('b', 2)
    await report('a', 3)
    expect(await cursors()).toEqual([
      { deviceId: 'a', version: 5 },
      { deviceId: 'b', version: 2 },
    ])
    await report('a', 6)
    expect((await cursors())[0]).toEqual({ deviceId: 'a', version: 6 })
  })

  it('keeps them per workspace', async () => {
    await subject().updateCursor({ ...scope('w2'), deviceId: 'a', version: 9 })
    await report('a', 1)
    expect(await cursors()).toEqual([{ deviceId: 'a', version: 1 }])
  })

  it('takes version 0 and the greatest safe integer', async () => {
    await report('a', 0)
    await report('b', Number.MAX_SAFE_INTEGER)
    expect(await cursors()).toEqual([
      { deviceId: 'a', version: 0 },
      { deviceId: 'b', version: Number.MAX_SAFE_INTEGER },
    ])
  })
})

suite('a cursor from before a restored backup', (subject) => {
  it('keeps its place, and the workspace leaps over it: the next pulls bring every row', async () => {
    await fill(subject(), 3)
    const [, , last] = (await pull(subject())).changes
    expect(await pull(subject(), { cursor: 50 })).toEqual({ changes: [], nextCursor: 50, hasMore: false })
    const page = await pull(subject(), { cursor: 50, limit: 2 })
    expect(page.changes).toHaveLength(2)
    expect(page.nextCursor).toBeGreaterThan(50)
    const rest = await pull(subject(), { cursor: page.nextCursor, limit: 2 })
    expect(rest.changes).toEqual([{ ...last, serverVersion: rest.nextCursor }])
    expect(rest.hasMore).toBe(false)
  })

  it('gives later changes later versions, without a gap, and still recognises replays', async () => {
    await subject().push({ ...scope(), ops: [put({ id: 'old', payload: {} })] })
    await pull(subject(), { cursor: 50 })
    const { serverVersion } = await subject().push({ ...scope(), ops: [] })
    expect(serverVersion).toBeGreaterThan(50)
    const { verdicts } = await subject().push({
      ...scope(),
      ops: [put({ id: 'old', payload: {} }), put({ id: 'new', clock: 2 }), del({ id: 'newer', clock: 3 })],
    })
    expect(verdicts).toEqual([
      { kind: 'replay', opId: opId('old'), version: serverVersion },
      { kind: 'applied', opId: opId('new'), version: serverVersion + 1 },
      { kind: 'applied', opId: opId('newer'), version: serverVersion + 2 },
    ])
    expect((await subject().view('w1')).tombstones).toMatchObject([{ version: serverVersion + 2 }])
  })

  it('makes a workspace leap once a day, however often it comes', async () => {
    await fill(subject(), 1)
    await pull(subject(), { cursor: 50 })
    const { version } = await subject().view('w1')
    await pull(subject(), { cursor: version + 1 })
    expect((await subject().view('w1')).version).toBe(version)
  })
})
