/**
 * What is known about files: the four kinds of questions, in pages, over every layer.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { StorageItem, StorageQuery } from '../../src/services/index.js'
import { del, put, scope } from '../support/ops.js'
import { refusal } from '../support/people.js'
import { asRead } from '../support/subjectType.js'
import { suite } from '../support/suite.js'

const start = 1_700_000_000

suite('files', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const push = (...ops: ReadonlyArray<ReturnType<typeof put>>) => subject().push({ ...scope(), ops })
  const file = (pk: string, fields: object = {}, parts: Parameters<typeof put>[0] = {}) =>
    put({ table: 'file_meta', pk, payload: { hash: pk, ...fields }, ...parts })
  const message = (pk: string, fileHashes: unknown, parts: Parameters<typeof put>[0] = {}) =>
    put({ pk, payload: { id: pk, file_hashes: fileHashes }, ...parts })
  const ask = (kind: StorageQuery['kind'], rest: Partial<StorageQuery> = {}) =>
    subject().files.query({ ...scope(), kind, ...rest })
  const itemsOf = async (kind: StorageQuery['kind'], rest: Partial<StorageQuery> = {}) =>
    (await ask(kind, rest)).items
  const edges = async (rest: Partial<StorageQuery> = {}) =>
    (await itemsOf('reference_edges', rest)).map((item) =>
      item.kind === 'reference' ? `${item.hash} < ${item.sourceTable}/${item.sourceId}` : item,
    )

  /** All pages of a kind, each of which is full but for the last. */
  const pages = async (kind: StorageQuery['kind'], limit: number, hash?: string) => {
    const items: Array<StorageItem> = []
    for (let cursor: string | undefined; ;) {
      const page = await ask(kind, { limit, cursor, hash })
      items.push(...page.items)
      expect(page.nextCursor === undefined).toBe(!page.hasMore)
      if (!page.hasMore) return items
      expect(page.items).toHaveLength(limit)
      cursor = page.nextCursor
    }
  }

  describe('live metadata', () => {
    it('tells what the record tells, in either spelling', async () => {
      await push(
        file('sha256:AA', {
          size_bytes: 7,
          storage_id: 's1',
          mime_type: 'image/png',
          name: 'n',
          kind: 'image',
        }),
        file('bb', { sizeBytes: 0, storageId: 's2', mimeType: 'application/pdf' }),
      )
      const updatedAt = start
      expect(await itemsOf('live_metadata')).toEqual([
        {
          kind: 'metadata',
          hash: 'bb',
          sizeBytes: 0,
          storageId: 's2',
          updatedAt,
          mimeType: 'application/pdf',
        },
        {
          kind: 'metadata',
          hash: 'aa',
          sizeBytes: 7,
          storageId: 's1',
          updatedAt,
          mimeType: 'image/png',
          name: 'n',
          fileKind: 'image',
        },
      ])
    })

    it('takes a broken value for none, and the other spelling instead', async () => {
      await push(
        file('a', { size_bytes: '7', sizeBytes: 8, storage_id: null, storageId: 's' }),
        file('b', { size_bytes: -1, storage_id: '', name: 5, kind: ['image'] }),
        file('c', { size_bytes: 2 ** 40 + 1, sizeBytes: 1.5 }),
      )
      const updatedAt = start
      expect(await itemsOf('live_metadata')).toEqual([
        { kind: 'metadata', hash: 'a', sizeBytes: 8, storageId: 's', updatedAt },
        { kind: 'metadata', hash: 'b', sizeBytes: 0, updatedAt },
        { kind: 'metadata', hash: 'c', sizeBytes: 0, updatedAt },
      ])
    })

    it('is the winning revision, with the time when the server took it', async () => {
      await push(file('a', { size_bytes: 1 }, { clock: 2 }))
      vi.setSystemTime((start + 60) * 1_000)
      await push(file('a', { size_bytes: 2 }))
      expect(await itemsOf('live_metadata')).toMatchObject([{ sizeBytes: 1, updatedAt: start }])
      await push(file('a', { size_bytes: 3 }, { clock: 3 }))
      expect(await itemsOf('live_metadata')).toMatchObject([{ sizeBytes: 3, updatedAt: start + 60 }])
    })

    it('has no deleted record, and one that came back', async () => {
      await push(file('a'), del({ table: 'file_meta', pk: 'a', clock: 2 }))
      expect(await itemsOf('live_metadata')).toEqual([])
      await push(file('a', {}, { clock: 3 }))
      expect(await itemsOf('live_metadata')).toMatchObject([{ hash: 'a' }])
      expect(await itemsOf('retained_metadata')).toEqual([])
    })

    it('finds a file by its hash, however that is spelled on either side', async () => {
      await push(file('SHA256:Ab'), file('ab'), file('abc'))
      for (const hash of ['ab', ' AB ', 'md5:aB', 'x:y: ab']) {
        expect(await itemsOf('live_metadata', { hash })).toMatchObject([{ hash: 'ab' }, { hash: 'ab' }])
      }
    })
  })

  describe('retained metadata', () => {
    it('is of deleted records, an unknown size being absent and never 0', async () => {
      await push(
        file('a', { size_bytes: 5, storage_id: 's' }),
        file('b'),
        file('c'),
        del({ table: 'file_meta', pk: 'a', clock: 2 }),
        del({
          table: 'file_meta',
          pk: 'b',
          clock: 2,
          payload: { hash: 'b', size_bytes: 5, storage_id: 's' },
        }),
      )
      expect(await itemsOf('retained_metadata')).toEqual([
        { kind: 'retained_metadata', hash: 'a' },
        { kind: 'retained_metadata', hash: 'b', sizeBytes: 5, storageId: 's' },
      ])
      expect(await itemsOf('retained_metadata', { hash: 'x:B' })).toMatchObject([{ hash: 'b' }])
    })

    it('is still known when the tombstone is collected, but for what was erased', async () => {
      const payload = { hash: 'b', size_bytes: 5 }
      await push(file('b'), del({ table: 'file_meta', pk: 'b', clock: 2, payload }), put())
      vi.setSystemTime((start + 100) * 1_000)
      await subject().updateCursor({ ...scope(), deviceId: 'd', version: 3 })
      await subject().gcTombstones({ ...scope(), retentionSeconds: 10 })
      expect(await itemsOf('retained_metadata')).toEqual([{ kind: 'retained_metadata', hash: 'b' }])
    })
  })

  describe('neither kind of metadata', () => {
    const nameless = ['sha256:', ' ', 'a: ']

    it('has a record whose key names no file, whose bytes count all the same', async () => {
      await push(
        ...nameless.map((pk) => file(pk, { size_bytes: 5 })),
        file('b', { size_bytes: 1 }),
        file('c', {}),
      )
      expect(await pages('live_metadata', 1)).toMatchObject([{ hash: 'b' }, { hash: 'c' }])
      expect((await subject().view('w1')).files.index.usedBytes).toBe(16)
      await push(
        ...[...nameless, 'b', 'c'].map((pk) =>
          del({ table: 'file_meta', pk, clock: 2, payload: { hash: pk } }),
        ),
      )
      expect(await itemsOf('live_metadata')).toEqual([])
      expect(await pages('retained_metadata', 1)).toMatchObject([{ hash: 'b' }, { hash: 'c' }])
    })
  })

  describe('a deleted record of a file', () => {
    const deleted = (pk: string, clock = 2) => del({ table: 'file_meta', pk, clock })
    const retained = async (rest: Partial<StorageQuery> = {}) =>
      (await itemsOf('retained_metadata', rest)).map(({ hash }) => hash)

    it('is not told while another spelling of it lives: its bytes must stay', async () => {
      await push(file('sha256:AB'), file('ab'), file('md5:ab'), file('cd'), file('ef'))
      await push(deleted('ab'), deleted('cd'), deleted('md5:ab'))
      expect(await retained()).toEqual(['cd'])
      expect(await pages('retained_metadata', 1)).toHaveLength(1)
      expect(await retained({ hash: 'ab' })).toEqual([])
      expect(await itemsOf('live_metadata', { hash: 'ab' })).toHaveLength(1)
      await push(deleted('sha256:AB'))
      expect(await retained()).toEqual(['ab', 'cd', 'ab', 'ab'])
      expect(await retained({ hash: 'ab' })).toEqual(['ab', 'ab', 'ab'])
      await push(file('sha256:AB', {}, { clock: 3 }))
      expect(await retained()).toEqual(['cd'])
    })

    it('is told although it lives in another workspace', async () => {
      await push(file('ab'))
      await subject().push({ ...scope('w2'), ops: [file('sha256:AB')] })
      await push(deleted('ab'))
      expect(await retained()).toEqual(['ab'])
    })
  })

  describe('references', () => {
    it('are one per file that a live message or post names', async () => {
      await push(
        message('m1', ['sha256:A', 'b', 'B']),
        message('m2', JSON.stringify(['a', 'c'])),
        message('p1', ['a'], { table: 'posts' }),
        message('t1', ['a'], { table: 'threads' }),
        message('k1', ['a'], { table: 'kv' }),
      )
      expect(await edges()).toEqual([
        'a < messages/m1',
        'a < messages/m2',
        'a < posts/p1',
        'b < messages/m1',
        'c < messages/m2',
      ])
      expect(await edges({ hash: ' X:A' })).toEqual(['a < messages/m1', 'a < messages/m2', 'a < posts/p1'])
    })

    it.each<readonly [string, unknown, ReadonlyArray<string>]>([
      ['entries that are no strings', [1, null, 'a', { b: 1 }, ['c'], true, 'd'], ['a', 'd']],
      ['entries that are empty', ['', ' ', 'sha256:', ':', 'a'], ['a']],
      ['a list within a text with blanks', ' [ "a" , "b" ] ', ['a', 'b']],
      ['a text that is no list', 'a', []],
      ['a text that is cut off', '["a","b"', []],
      ['a text that holds a text', JSON.stringify(JSON.stringify(['a'])), []],
      ['an object', { 0: 'a' }, []],
      ['null', null, []],
      ['a hash beyond the basic plane', ['😀', '\u{e000}'], ['\u{e000}', '😀']],
      ['a lone surrogate', ['\ud800', 'a'], ['a', '\ufffd']],
      ['a NUL', ['a\0b', 'a'], ['a', 'a\0b']],
      ['blanks that only Unicode knows', ['\u00a0a\ufeff'], ['a']],
      ['letters that only Unicode lowers', ['É'], ['é']],
      ['a hash longer than one that can be asked for', ['x'.repeat(3_000)], ['x'.repeat(3_000)]],
    ])('are there for every usable one of %s', async (_what, fileHashes, expected) => {
      await push(message('m', fileHashes))
      expect(await edges()).toEqual(expected.map((hash) => `${asRead(subject(), hash)} < messages/m`))
    })

    it('follow the winning revision, also within a batch', async () => {
      await push(message('m', ['a', 'b'], { clock: 2 }))
      await push(message('m', ['c']))
      expect(await edges()).toEqual(['a < messages/m', 'b < messages/m'])
      await push(
        message('m', ['x'], { clock: 3 }),
        message('m', ['b', 'c'], { clock: 5 }),
        message('m', ['y'], { clock: 4 }),
      )
      expect(await edges()).toEqual(['b < messages/m', 'c < messages/m'])
      await push(put({ clock: 6, pk: 'm', payload: { id: 'm' } }))
      expect(await edges()).toEqual([])
    })

    it('go with a delete and come back with the record', async () => {
      await push(
        message('m', ['a']),
        message('n', ['a']),
        del({ pk: 'm', clock: 2, payload: { file_hashes: ['z'] } }),
      )
      expect(await edges()).toEqual(['a < messages/n'])
      await push(message('m', ['b'], { clock: 3 }), message('o', ['b']), del({ pk: 'o', clock: 2 }))
      expect(await edges()).toEqual(['a < messages/n', 'b < messages/m'])
    })

    it('stay when the log is trimmed', async () => {
      await push(message('m', ['a']), put({ pk: 'n' }))
      vi.setSystemTime((start + 100) * 1_000)
      await subject().updateCursor({ ...scope(), deviceId: 'd', version: 2 })
      await subject().gcChangeLog({ ...scope(), retentionSeconds: 10 })
      expect((await subject().view('w1')).logVersions).toEqual([2])
      expect(await edges()).toEqual(['a < messages/m'])
    })

    it('are of one workspace', async () => {
      await push(message('m', ['a']))
      await subject().push({ ...scope('w2'), ops: [message('other', ['a']), file('a')] })
      expect(await edges()).toEqual(['a < messages/m'])
      expect(await itemsOf('live_metadata')).toEqual([])
    })
  })

  describe('reservations', () => {
    const reserve = (intentId: string, hash: string, seconds: number) =>
      subject().files.reserve({
        ...scope(),
        intentId,
        hash,
        mimeType: 'image/png',
        sizeBytes: 3,
        expiresAt: start + seconds,
      })

    it('are active until they expire, are consumed or cancelled', async () => {
      await reserve('i2', 'MD5:B', 10)
      await reserve('i1', 'b', 20)
      await reserve('i3', 'a', 30)
      await reserve('i4', 'a', 30)
      await subject().files.cancel({ ...scope(), intentId: 'i4' })
      const item = (reservationId: string, hash: string, seconds: number) => ({
        kind: 'reservation',
        reservationId,
        hash,
        sizeBytes: 3,
        expiresAt: start + seconds,
      })
      expect(await itemsOf('active_reservations')).toEqual([
        item('i3', 'a', 30),
        item('i1', 'b', 20),
        item('i2', 'b', 10),
      ])
      expect(await itemsOf('active_reservations', { hash: 'X:b' })).toHaveLength(2)
      expect(await itemsOf('active_reservations', { now: start + 10 })).toEqual([
        item('i3', 'a', 30),
        item('i1', 'b', 20),
      ])
      vi.setSystemTime((start + 20) * 1_000)
      expect(await itemsOf('active_reservations')).toEqual([item('i3', 'a', 30)])
      expect(await itemsOf('active_reservations', { now: start })).toHaveLength(3)
    })
  })

  describe('pages', () => {
    const names = ['', 'a', 'a\u0001', 'A', 'é', 'e\u0301', '\u{e000}', '\u{ffff}', '😀', '𝄞', 'b'].map(
      (n) => `k${n}`,
    )

    it('of files are complete and free of repeats, whatever the keys and the size', async () => {
      await push(...names.map((name) => file(name)))
      const expected = await itemsOf('live_metadata')
      expect(expected).toHaveLength(names.length)
      for (const limit of [1, 2, 3, 10, 11]) expect(await pages('live_metadata', limit)).toEqual(expected)
    })

    it('of references are complete and free of repeats, with and without a hash', async () => {
      await push(
        ...names.map((name) => message(name, ['same', name])),
        ...names.map((name) => message(name, ['same'], { table: 'posts' })),
      )
      const all = await itemsOf('reference_edges')
      const same = all.filter((item) => item.hash === 'same')
      // `kA` is `ka`: two messages name one file.
      expect([all.length, same.length]).toEqual([3 * names.length, 2 * names.length])
      for (const limit of [1, 4, 7, 22]) {
        expect(await pages('reference_edges', limit)).toEqual(all)
        expect(await pages('reference_edges', limit, 'SAME')).toEqual(same)
      }
    })

    it('of reservations are complete and free of repeats', async () => {
      for (const name of names) {
        const rest = { mimeType: 'a/b', sizeBytes: 1, expiresAt: start + 9 }
        await subject().files.reserve({ ...scope(), intentId: name, hash: 'h', ...rest })
      }
      const all = await itemsOf('active_reservations')
      expect(all).toHaveLength(names.length)
      for (const limit of [1, 4]) {
        expect(await pages('active_reservations', limit)).toEqual(all)
        expect(await pages('active_reservations', limit, 'h')).toEqual(all)
      }
    })

    it('skip and repeat nothing of what stays while others come and go', async () => {
      await push(...['b', 'd', 'f', 'h'].map((name) => file(name)))
      const first = await ask('live_metadata', { limit: 2 })
      await push(file('a'), file('e'), del({ table: 'file_meta', pk: 'd', clock: 2 }))
      const rest = await itemsOf('live_metadata', { cursor: first.nextCursor })
      expect([...first.items, ...rest].map(({ hash }) => hash)).toEqual(['b', 'd', 'e', 'f', 'h'])
    })

    it('end at 8 MiB of payload', async () => {
      const text = 'x'.repeat(250 * 1_024)
      await push(...Array.from({ length: 40 }, (_, n) => file(`f${10 + n}`, { text })))
      const first = await ask('live_metadata', { limit: 1_000 })
      expect(first.items.length).toBe(32)
      expect((await ask('live_metadata', { limit: 1_000, cursor: first.nextCursor })).items.length).toBe(8)
    })

    it.each([
      [undefined, 100],
      [null, 100],
      [0, 1],
      [-5, 1],
      [2.9, 2],
      [1e9, 105],
      [Infinity, 105],
    ])('clamp a limit of %s', async (limit, length) => {
      await push(...Array.from({ length: 105 }, (_, n) => file(`f${n}`)))
      expect((await ask('live_metadata', { limit: limit as number })).items).toHaveLength(length)
    })

    it('hold 1,000 at most', async () => {
      await push(
        message(
          'm',
          Array.from({ length: 1_001 }, (_, n) => `h${n}`),
        ),
      )
      expect(await ask('reference_edges', { limit: 5_000 })).toMatchObject({ hasMore: true })
      expect((await ask('reference_edges', { limit: 5_000 })).items).toHaveLength(1_000)
    })
  })

  describe('is refused with 400', () => {
    it.each<readonly [string, object]>([
      ['an unknown kind', { kind: 'everything' }],
      ['no kind', { kind: undefined }],
      ['a limit that is no number', { limit: '5' }],
      ['a limit that is not a number', { limit: Number.NaN }],
      ['a hash that is no text', { hash: 5 }],
      ['a hash of nothing', { hash: 'sha256: ' }],
      ['a hash that is too long', { hash: 'x'.repeat(1_025) }],
      ['a hash with a NUL', { hash: 'a\0' }],
      ['a time that is no number', { now: '1' }],
      ['a time without end', { now: Infinity }],
      ['a cursor that is no text', { cursor: 5 }],
      ['an empty cursor', { cursor: '' }],
      ['a cursor of nothing', { cursor: 'bnVsbA' }],
      ['an empty workspace', { scope: { workspaceId: '' } }],
      ['no scope', { scope: undefined }],
    ])('%s', async (_what, rest) => {
      const call = subject().files.query({ ...scope(), kind: 'live_metadata', ...rest } as never)
      expect((await refusal(call)).status).toBe(400)
    })

    it('a cursor of another kind or hash, or a changed one', async () => {
      await push(
        ...['a', 'b', 'c'].map((name) => file(name)),
        message('m', ['a', 'b', 'c']),
        message('n', ['a', 'b']),
      )
      const cursor = (await ask('live_metadata', { limit: 1 })).nextCursor!
      const ofHash = (await ask('reference_edges', { limit: 1, hash: 'a' })).nextCursor!
      const calls = [
        ask('retained_metadata', { cursor }),
        ask('reference_edges', { cursor }),
        ask('live_metadata', { cursor, hash: 'a' }),
        ask('reference_edges', { cursor: ofHash }),
        ask('reference_edges', { cursor: ofHash, hash: 'b' }),
        ask('live_metadata', { cursor: cursor.slice(0, -3) }),
        ask('live_metadata', { cursor: `${cursor}*` }),
        ask('live_metadata', { cursor: Buffer.from('["live_metadata",null,5]').toString('base64url') }),
        ask('live_metadata', { cursor: Buffer.from('["live_metadata",null]').toString('base64url') }),
      ]
      for (const call of calls) expect(await refusal(call)).toMatchObject({ status: 400 })
      expect(await itemsOf('reference_edges', { cursor: ofHash, hash: 'SHA256:A' })).toHaveLength(1)
    })
  })

  it('are for callers of the workspace only', async () => {
    await push(file('a'))
    const caller = (workspaceId: string | null) => ({ userId: 'ann', workspaceId })
    expect(await itemsOf('live_metadata', { caller: caller('w1') })).toHaveLength(1)
    for (const workspaceId of ['w2', null]) {
      const call = ask('live_metadata', { caller: caller(workspaceId) })
      expect((await refusal(call)).status).toBe(403)
    }
  })
})
