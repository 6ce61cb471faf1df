/**
 * Snapshots: what a device that begins is given, page by page, and what a token may do.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeToken, encodeToken } from '../../src/services/snapshotToken.js'
import { type Caller, limits, primaryKeyField, syncedTables } from '../../src/services/index.js'
import { del, put, scope } from '../support/ops.js'
import { pagesOf, putWhole, requiredFields, whole, wholeChain } from '../support/records.js'
import { suite } from '../support/suite.js'

const ann: Caller = { userId: 'ann', workspaceId: 'w1' }
const bob: Caller = { userId: 'bob', workspaceId: 'w1' }
const now = 1_700_000_000
const day = 86_400

suite('snapshot', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: now * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const later = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000)
  const push = (...ops: ReadonlyArray<ReturnType<typeof put>>) => subject().push({ ...scope(), ops })
  const first = (pageSize = 1_000) => subject().snapshot({ ...scope(), pageSize })
  const chain = (
    more: { readonly caller?: Caller; readonly tables?: ReadonlyArray<string> } = {},
    size = 2,
  ) => wholeChain(subject(), { ...scope(), pageSize: size, ...more })
  const places = async (...args: Parameters<typeof chain>) =>
    (await chain(...args)).items.map(({ tableName, pk, kind }) => `${kind} ${tableName}/${pk}`)

  it('of an empty workspace is one empty page', async () => {
    expect(await first()).toEqual({
      workspaceId: 'w1',
      snapshotId: expect.any(String),
      highWatermark: 0,
      items: [],
      nextPageToken: null,
    })
  })

  it('has live records with their payloads and deleted ones as tombstones, with their revisions', async () => {
    const thread = putWhole('threads', 't1', {
      clock: 3,
      hlc: 'h3',
      more: { title: null, extra: { a: [1] } },
    })
    await push(thread, putWhole('messages', 'm1'))
    later(60)
    const bury = del({ table: 'messages', pk: 'm1', clock: 2, hlc: 'h2', payload: { id: 'm1' } })
    await push(bury)
    expect(await first()).toMatchObject({
      highWatermark: 3,
      nextPageToken: null,
      items: [
        {
          kind: 'tombstone',
          tableName: 'messages',
          pk: 'm1',
          revision: { clock: 2, hlc: 'h2', opId: bury.stamp.opId },
          serverDeletedAt: now + 60,
        },
        {
          kind: 'row',
          tableName: 'threads',
          pk: 't1',
          payload: whole('threads', 't1', { title: null, extra: { a: [1] } }),
          revision: { clock: 3, hlc: 'h3', opId: thread.stamp.opId },
        },
      ],
    })
  })

  it('tells an op id that is no UUID as one, the same each time and whatever is beside it', async () => {
    await push(putWhole('kv', 'a', { odd: 'odd id' }), putWhole('kv', 'b', { odd: 'odd id 2' }))
    const ids = async () => (await first()).items.map(({ revision }) => revision.opId)
    const [a, b] = await ids()
    for (const id of [a, b]) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(a).not.toBe(b)
    await push(putWhole('kv', '0'))
    expect((await ids()).slice(1)).toEqual([a, b])
  })

  it('keeps saying when a record was deleted after its tombstone was collected', async () => {
    await push(putWhole('kv', 'a'), del({ table: 'kv', pk: 'b', clock: 1, payload: { name: 'secret' } }))
    await push(putWhole('kv', 'c'))
    later(40 * day)
    await subject().updateCursor({ ...scope(), deviceId: 'd1', version: 3 })
    await subject().gcTombstones({ ...scope(), retentionSeconds: 30 * day })
    expect((await subject().view('w1')).tombstones).toEqual([])
    const { items } = await first()
    expect(items.map(({ kind, pk }) => `${kind} ${pk}`)).toEqual(['row a', 'tombstone b', 'row c'])
    expect(items[1]).toMatchObject({ serverDeletedAt: now })
    expect(JSON.stringify(items)).not.toContain('secret')
  })

  it('goes through tables and keys in the order of strings, across pages of any size', async () => {
    const keys = ['B', 'a', 'b', 'ab', 'é', 'e\u0301', '\uffff', '\ue000', '\u{10000}', '\u{1f600}', '\ud7ff']
    await push(...syncedTables.flatMap((table) => keys.map((pk) => putWhole(table, pk))))
    const expected = [...syncedTables]
      .sort()
      .flatMap((table) => [...keys].sort().map((pk) => `row ${table}/${pk}`))
    for (const size of [1, 2, 5, 11, 12, 1_000]) expect(await places({}, size)).toEqual(expected)
  })

  it('takes keys of 1,024 characters of any script through its tokens', async () => {
    const scripts = ['a', '\u0001', 'ü', '字', '\uffff', '\u{1f600}']
    const keys = scripts.map((character) => character.repeat(limits.pkLength / character.length))
    await push(...keys.map((pk) => putWhole('messages', pk)))
    const { items, pages } = await chain({}, 1)
    expect(items.map(({ pk }) => pk)).toEqual([...keys].sort())
    expect(pages).toBe(keys.length)
  })

  it('has one token fewer than pages: a page that holds the last items is the last', async () => {
    await push(...['a', 'b', 'c', 'd'].map((pk) => putWhole('kv', pk)))
    expect((await chain({}, 2)).pages).toBe(2)
    expect((await chain({}, 3)).pages).toBe(2)
    expect((await chain({}, 4)).pages).toBe(1)
  })

  it('ends a page at the limit of bytes, but holds one item at least', async () => {
    const big = { text: 'x'.repeat(limits.payloadBytes - 1_000) }
    for (let at = 0; at < 40; at += 10) {
      await push(
        ...Array.from({ length: 10 }, (_, index) => putWhole('messages', `m${at + index}`, { more: big })),
      )
    }
    const { items, nextPageToken } = await first()
    const bytes = (list: typeof items) =>
      list.reduce((sum, item) => sum + JSON.stringify(item.kind === 'row' ? item.payload : null).length, 0)
    expect(nextPageToken).not.toBeNull()
    expect(bytes(items)).toBeLessThanOrEqual(limits.pageBytes)
    expect(bytes(items)).toBeGreaterThan(limits.pageBytes - limits.payloadBytes)
    expect((await chain({}, 1_000)).items).toHaveLength(40)
  })

  it('fixes id and watermark of a chain at its first page; another chain has others', async () => {
    await push(...['a', 'b', 'c'].map((pk) => putWhole('kv', pk)))
    const ids = new Set<string>()
    const watermarks: Array<number> = []
    for await (const page of pagesOf(subject(), { ...scope(), pageSize: 1 })) {
      ids.add(page.snapshotId)
      watermarks.push(page.highWatermark)
      await push(putWhole('threads', `t${watermarks.length}`))
    }
    expect(ids.size).toBe(1)
    expect(new Set(watermarks)).toEqual(new Set([3]))
    const next = await first()
    expect(next.highWatermark).toBe(watermarks.length + 3)
    expect(ids).not.toContain(next.snapshotId)
  })

  it('shows later pages as they are when they are asked for', async () => {
    await push(...['a', 'b', 'c'].map((pk) => putWhole('kv', pk)))
    const { nextPageToken, highWatermark } = await first(1)
    await push(
      putWhole('kv', 'c', { clock: 2, more: { name: 'new' } }),
      del({ table: 'kv', pk: 'b', clock: 2 }),
    )
    await push(putWhole('kv', 'bb'))
    const rest = await subject().snapshot({ ...scope(), pageSize: 10, pageToken: nextPageToken! })
    expect(rest.highWatermark).toBe(highWatermark)
    expect(rest.items.map(({ kind, pk }) => `${kind} ${pk}`)).toEqual(['tombstone b', 'row bb', 'row c'])
    expect(rest.items.at(-1)).toMatchObject({ payload: { name: 'new' } })
  })

  it('goes on after a record that was deleted meanwhile', async () => {
    await push(...['a', 'b', 'c'].map((pk) => putWhole('kv', pk)))
    const { nextPageToken } = await first(2)
    await push(del({ table: 'kv', pk: 'b', clock: 2 }))
    const rest = await subject().snapshot({ ...scope(), pageSize: 2, pageToken: nextPageToken! })
    expect(rest.items.map(({ pk }) => pk)).toEqual(['c'])
  })

  describe('of some tables', () => {
    beforeEach(() => push(...syncedTables.map((table) => putWhole(table, 'x'))))

    it('has only those; unknown names match nothing; none means all', async () => {
      expect(await places({ tables: ['threads', 'kv', 'unknown'] })).toEqual(['row kv/x', 'row threads/x'])
      expect(await places({ tables: ['unknown'] })).toEqual([])
      expect(await places({ tables: [] })).toHaveLength(7)
    })

    it('goes on with those it began with, and refuses others', async () => {
      const tables = ['threads', 'kv', 'posts']
      const { nextPageToken } = await subject().snapshot({ ...scope(), pageSize: 1, tables })
      const next = (tables?: ReadonlyArray<string>) =>
        subject().snapshot({ ...scope(), pageSize: 5, pageToken: nextPageToken!, tables })
      expect((await next(['posts', 'kv', 'threads', 'kv', 'nothing'])).items).toHaveLength(2)
      expect((await next()).items.map(({ tableName }) => tableName)).toEqual(['posts', 'threads'])
      for (const others of [[], ['kv', 'posts'], [...tables, 'messages'], ['nothing']]) {
        await expect(next(others)).rejects.toMatchObject({ status: 400 })
      }
    })
  })

  describe('for a caller', () => {
    const note = (pk: string, user?: string) =>
      putWhole('notifications', pk, user === undefined ? {} : { more: { user_id: user } })

    beforeEach(async () => {
      await push(note('n1', 'ann'), note('n2', 'bob'), note('n3', 'bob'), note('n4', 'ann'))
      await push(del({ table: 'notifications', pk: 'n2', clock: 2 }))
      await push(putWhole('projects', 'p1'), putWhole('kv', 'k1'))
    })

    it("has none of other users' notifications, live or deleted", async () => {
      const rest = ['row kv/k1', 'row projects/p1']
      const [kv, project] = rest
      for (const size of [1, 2, 3, 100]) {
        expect(await places({ caller: ann }, size)).toEqual([
          kv,
          'row notifications/n1',
          'row notifications/n4',
          project,
        ])
        expect(await places({ caller: bob }, size)).toEqual([
          kv,
          'tombstone notifications/n2',
          'row notifications/n3',
          project,
        ])
      }
      expect(await places()).toHaveLength(6)
      const eve = { userId: 'eve', workspaceId: 'w1' }
      expect(await places({ caller: eve, tables: ['notifications'] })).toEqual([])
    })

    it('leaves it to the caller of each page, whoever began the chain', async () => {
      const begun = await subject().snapshot({ ...scope(), pageSize: 2, caller: ann })
      expect(begun.items.map(({ pk }) => pk)).toEqual(['k1', 'n1'])
      const pageToken = begun.nextPageToken!
      const as = async (caller: Caller | undefined) =>
        (await subject().snapshot({ ...scope(), pageSize: 10, pageToken, caller })).items.map(({ pk }) => pk)
      expect(await as(bob)).toEqual(['n2', 'n3', 'p1'])
      expect(await as(ann)).toEqual(['n4', 'p1'])
      expect(await as(undefined)).toEqual(['n2', 'n3', 'n4', 'p1'])
    })

    it('gives a tombstone of an unseen notification to whoever deleted it, after its collection too', async () => {
      await subject().push({
        ...scope(),
        caller: ann,
        ops: [del({ table: 'notifications', pk: 'n9', clock: 1 })],
      })
      const seen = async (caller: Caller) => (await places({ caller })).filter((it) => it.includes('n9'))
      expect(await seen(ann)).toHaveLength(1)
      expect(await seen(bob)).toEqual([])
      later(40 * day)
      await push(putWhole('kv', 'late'))
      await subject().updateCursor({ ...scope(), deviceId: 'd', version: 100 })
      await subject().gcTombstones({ ...scope(), retentionSeconds: day })
      expect((await subject().view('w1')).tombstones).toEqual([])
      expect(await seen(ann)).toHaveLength(1)
      expect(await seen(bob)).toEqual([])
    })

    it('passes over thousands of notifications of others to what is behind them', async () => {
      for (let at = 0; at < 2_500; at += 500) {
        await push(...Array.from({ length: 500 }, (_, index) => note(`o${at + index}`, 'bob')))
      }
      expect(await places({ caller: ann }, 2)).toEqual([
        'row kv/k1',
        'row notifications/n1',
        'row notifications/n4',
        'row projects/p1',
      ])
      // Nothing behind them: no token either.
      const { nextPageToken } = await subject().snapshot({
        ...scope(),
        pageSize: 2,
        caller: ann,
        tables: ['notifications'],
      })
      expect(nextPageToken).toBeNull()
    })
  })

  it('leaves out what a client could not install, wherever it stands', async () => {
    const broken = (pk: string) => put({ table: 'kv', pk })
    await push(broken('a'), putWhole('kv', 'b'), broken('c'), broken('d'), putWhole('kv', 'e'), broken('f'))
    for (const size of [1, 2, 10]) expect(await places({}, size)).toEqual(['row kv/b', 'row kv/e'])
    expect((await chain({}, 1)).pages).toBe(2)
    // Deleted, it is a tombstone like any other; written again, it is there.
    await push(del({ table: 'kv', pk: 'a', clock: 2 }), putWhole('kv', 'c', { clock: 2 }))
    expect(await places()).toEqual(['tombstone kv/a', 'row kv/b', 'row kv/c', 'row kv/e'])
  })

  it('of nothing but what no client could install is empty, however much that is', async () => {
    for (let at = 0; at < 2_500; at += 500) {
      await push(...Array.from({ length: 500 }, (_, index) => put({ table: 'kv', pk: `k${at + index}` })))
    }
    expect(await first(1)).toMatchObject({ items: [], nextPageToken: null, highWatermark: 2_500 })
  })

  describe('required fields', () => {
    it.each(syncedTables)('of %s, each of them, of the right type', async (table) => {
      const key = primaryKeyField(table)
      const fields: Record<string, unknown> = requiredFields[table]
      const harmed = Object.entries(fields).flatMap(([field, value]) => {
        const { [field]: _, ...rest } = fields
        const wrong = [null, String(value), 1, 0, true, [value], { value }].filter(
          (other) => typeof other !== typeof value,
        )
        return [rest, ...wrong.map((other) => ({ ...rest, [field]: other }))]
      })
      const putAs = (pk: string, payload: object) =>
        put({ table, pk, id: pk, payload: { ...payload, [key]: pk } })
      await push(
        putWhole(table, 'good'),
        // A wrong key would not be accepted.
        put({ table, pk: 'keyless', id: 'keyless', payload: fields }),
        ...harmed.map((payload, index) => putAs(`h${index}`, payload)),
      )
      expect(await places()).toEqual([`row ${table}/good`])
      await push(putAs('x', { ...fields, more: [null], index2: {} }))
      expect(await places()).toHaveLength(2)
    })

    it('takes the title of a thread that is null, absent or a string, and a camelCase post type', async () => {
      const { post_type, ...post } = requiredFields.posts
      await push(
        putWhole('threads', 'a', { more: { title: null } }),
        putWhole('threads', 'b', { more: { title: 'B' } }),
        putWhole('threads', 'c', { more: { title: 3 } }),
        put({ table: 'posts', pk: 'a', payload: { id: 'a', ...post, postType: post_type } }),
        put({ table: 'posts', pk: 'b', payload: { id: 'b', ...post, postType: 1 } }),
        put({ table: 'posts', pk: 'c', payload: { id: 'c', ...post, postType: 'x', post_type: null } }),
        putWhole('messages', 'a', { more: { index: 1.5 } }),
      )
      expect(await places()).toEqual(['row messages/a', 'row posts/a', 'row threads/a', 'row threads/b'])
    })
  })

  describe('requests', () => {
    const ask = (fields: Readonly<Record<string, unknown>>) =>
      subject().snapshot({ ...scope(), pageSize: 1, ...fields } as never)

    it.each([undefined, null, 0, -1, 1_001, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '10', 10n])(
      'refuses %s as pageSize',
      async (pageSize) => {
        await expect(ask({ pageSize })).rejects.toMatchObject({ status: 400 })
      },
    )

    it('refuses tables and tokens that are none', async () => {
      for (const tables of ['kv', [1], { 0: 'kv' }, null]) {
        await expect(ask({ tables })).rejects.toMatchObject({ status: 400 })
      }
      for (const pageToken of [null, 1, '', 'x', {}, 'x'.repeat(5_000)]) {
        await expect(ask({ pageToken })).rejects.toMatchObject({ status: 400 })
      }
    })

    it('confines a caller to the workspace of their session', async () => {
      for (const workspaceId of ['w2', null]) {
        await expect(ask({ caller: { userId: 'ann', workspaceId } })).rejects.toMatchObject({ status: 403 })
      }
    })
  })

  describe('tokens', () => {
    const begin = async (workspaceId = 'w1') => {
      await subject().push({ ...scope(workspaceId), ops: ['a', 'b', 'c'].map((pk) => putWhole('kv', pk)) })
      return (await subject().snapshot({ ...scope(workspaceId), pageSize: 1 })).nextPageToken!
    }
    const goOn = (pageToken: string, workspaceId = 'w1') =>
      subject().snapshot({ ...scope(workspaceId), pageSize: 10, pageToken })

    it('can be used again, and never expire', async () => {
      const token = await begin()
      const page = await goOn(token)
      later(1_000 * day)
      expect(await goOn(token)).toEqual(page)
    })

    it('of another workspace are forbidden', async () => {
      const token = await begin('w2')
      await begin('w1')
      await expect(goOn(token)).rejects.toMatchObject({ status: 403 })
    })

    it('that are broken in any way are refused', async () => {
      const token = await begin()
      const broken = [
        token.slice(1),
        token.slice(0, -1),
        `${token}A`,
        `${token}=`,
        ` ${token}`,
        token.toUpperCase(),
        token.replace(/^./, '-'),
        `${token}\0`,
      ]
      for (const each of broken) await expect(goOn(each), each).rejects.toMatchObject({ status: 400 })
    })

    it('say what they say in one way only', async () => {
      const good = decodeToken(await begin())!
      const odd: ReadonlyArray<Partial<Record<keyof typeof good, unknown>>> = [
        { snapshotId: '' },
        { snapshotId: 'a\0b' },
        { workspaceId: '' },
        { workspaceId: 'x'.repeat(257) },
        { highWatermark: -1 },
        { highWatermark: 1.5 },
        { highWatermark: 2 ** 53 },
        { highWatermark: '007' },
        { highWatermark: '' },
        { tables: [] },
        { tables: ['threads', 'kv'] },
        { tables: ['kv', 'kv'] },
        { tables: ['kv', 'users'] },
        { tables: ['threads'] },
        { after: { tableName: 'users', pk: 'a' } },
        { after: { tableName: 'kv', pk: '' } },
        { after: { tableName: 'kv', pk: 'x'.repeat(1_025) } },
        { after: { tableName: 'kv', pk: '\ud800' } },
      ]
      for (const fields of odd) {
        const token = encodeToken({ ...good, ...fields } as never)
        await expect(goOn(token), JSON.stringify(fields)).rejects.toMatchObject({ status: 400 })
      }
    })

    it('that are forged skip rows, but show none of another workspace or user', async () => {
      const good = decodeToken(await begin())!
      await subject().push({ ...scope('w2'), ops: [putWhole('kv', 'secret')] })
      await push(putWhole('notifications', 'n1', { more: { user_id: 'bob' } }))
      const forged = encodeToken({ ...good, after: { tableName: 'kv', pk: 'b' }, highWatermark: 1 })
      const page = await subject().snapshot({ ...scope(), pageSize: 10, pageToken: forged, caller: ann })
      expect(page.items.map(({ pk }) => pk)).toEqual(['c'])
      const foreign = encodeToken({ ...good, workspaceId: 'w2' })
      await expect(goOn(foreign)).rejects.toMatchObject({ status: 403 })
    })

    it('from before a leap are gone', async () => {
      const token = await begin()
      await subject().pull({ ...scope(), cursor: 1_000 })
      const { version } = await subject().view('w1')
      expect(version).toBeGreaterThan(2 ** 32)
      await expect(goOn(token)).rejects.toMatchObject({ status: 410 })
      const again = await wholeChain(subject(), { ...scope(), pageSize: 1 })
      expect(again.items).toHaveLength(3)
      expect(again.highWatermark).toBe(version)
    })

    it('with a watermark that the workspace does not have yet are gone', async () => {
      const good = decodeToken(await begin())!
      await expect(goOn(encodeToken({ ...good, highWatermark: 4 }))).rejects.toMatchObject({ status: 410 })
      expect((await goOn(encodeToken({ ...good, highWatermark: 3 }))).items).toHaveLength(2)
    })
  })
})
