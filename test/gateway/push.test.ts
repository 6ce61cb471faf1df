/**
 * The rules of a push: outcomes, versions, idempotency, last writer wins, rows and tombstones.
 */
import { expect, it } from 'vitest'
import { del, hlc, put, scope, opId } from '../support/ops.js'
import type { Subject } from '../support/subjectType.js'
import type { Verdict } from '../support/verdicts.js'
import { suite } from '../support/suite.js'

const push = async (subject: Subject, ...ops: Parameters<Subject['push']>[0]['ops']) =>
  (await subject.push({ ...scope(), ops })).verdicts

const kinds = (verdicts: ReadonlyArray<Verdict>) => verdicts.map(({ kind }) => kind)

const row = async (subject: Subject, pk = 'm1') =>
  (await subject.view('w1')).rows.find((candidate) => candidate.pk === pk)

suite('push', (subject) => {
  it('accepts a new op, gives it version 1 and makes it the row', async () => {
    const verdicts = await push(subject(), put({ id: 'a', payload: { id: 'm1', text: 'hi' } }))
    expect(verdicts).toEqual([{ kind: 'applied', opId: opId('a'), version: 1 }])
    expect(await row(subject())).toEqual({
      table: 'messages',
      pk: 'm1',
      payload: { id: 'm1', text: 'hi' },
      clock: 1,
      hlc: hlc(1),
      opId: opId('a'),
      deviceId: 'device-a',
      version: 1,
      deleted: false,
    })
  })

  it('gives one outcome per op, in the order of the batch', async () => {
    await push(subject(), put({ id: 'known' }))
    const verdicts = await push(
      subject(),
      put({ id: 'bad', pk: '' }),
      put({ id: 'known' }),
      put({ id: 'new', pk: 'm2' }),
      put({ id: 'known', clock: 9 }),
      put({ id: 'big', payload: { id: 'm1', text: 'x'.repeat(300_000) } }),
    )
    expect(verdicts).toEqual([
      { kind: 'invalid', opId: opId('bad') },
      { kind: 'replay', opId: opId('known'), version: 1 },
      { kind: 'applied', opId: opId('new'), version: 2 },
      { kind: 'conflict', opId: opId('known') },
      { kind: 'oversized', opId: opId('big') },
    ])
  })

  it('tells the high watermark after the push, also for an empty batch', async () => {
    expect((await subject().push({ ...scope(), ops: [] })).serverVersion).toBe(0)
    expect((await subject().push({ ...scope(), ops: [put(), put({ clock: 2 })] })).serverVersion).toBe(2)
    expect((await subject().push({ ...scope(), ops: [] })).serverVersion).toBe(2)
    expect((await subject().push({ ...scope(), ops: [put({ pk: '' })] })).serverVersion).toBe(2)
  })

  it('counts versions per workspace from 1, without gap, passing over refused ops', async () => {
    await push(subject(), put({ pk: 'a' }), put({ pk: '' }), put({ pk: 'b' }))
    await subject().push({ ...scope('w2'), ops: [put()] })
    await push(subject(), put({ pk: 'c' }))
    expect((await subject().view('w1')).logVersions).toEqual([1, 2, 3])
    expect((await subject().view('w2')).logVersions).toEqual([1])
  })

  it('replays an op with its first version and changes nothing', async () => {
    await push(subject(), put({ id: 'a', clock: 1 }), put({ id: 'b', clock: 2 }))
    const before = await subject().view('w1')
    expect(await push(subject(), put({ id: 'a', clock: 1 }))).toEqual([
      { kind: 'replay', opId: opId('a'), version: 1 },
    ])
    expect(await subject().view('w1')).toEqual(before)
  })

  it('ignores the order of keys when it compares content', async () => {
    await push(subject(), put({ id: 'a', payload: { id: 'm1', x: { p: 1, q: [1, 2] } } }))
    const verdicts = await push(
      subject(),
      put({ id: 'a', payload: { x: { q: [1, 2], p: 1 }, id: 'm1' } }),
      put({ id: 'a', payload: { x: { q: [2, 1], p: 1 }, id: 'm1' } }),
    )
    expect(kinds(verdicts)).toEqual(['replay', 'conflict'])
  })

  it.each<[string, Parameters<typeof put>[0]]>([
    ['table', { table: 'threads' }],
    ['pk', { pk: 'm2' }],
    ['payload', { payload: { id: 'm1', x: 1 } }],
    ['clock', { clock: 2 }],
    ['hlc', { hlc: hlc(2) }],
    ['device', { device: 'device-b' }],
  ])('takes an op id with another %s for a conflict', async (_field, other) => {
    await push(subject(), put({ id: 'a' }))
    expect(kinds(await push(subject(), put({ id: 'a', ...other })))).toEqual(['conflict'])
    expect((await subject().view('w1')).version).toBe(1)
  })

  it('takes an op id with another operation for a conflict', async () => {
    await push(subject(), put({ id: 'a' }))
    expect(kinds(await push(subject(), del({ id: 'a', payload: { id: 'm1' } })))).toEqual(['conflict'])
  })

  it.each(['say "hi"', 'back\\slash', 'sl/ash'])('knows the op id %j again, of a tool', async (odd) => {
    expect(kinds(await push(subject(), put({ odd }), put({ odd: `${odd}2`, pk: 'm2' })))).toEqual([
      'applied',
      'applied',
    ])
    expect(kinds(await push(subject(), put({ odd })))).toEqual(['replay'])
    expect(kinds(await push(subject(), put({ odd, pk: 'm2' })))).toEqual(['conflict'])
  })

  it('treats ops that share an id within a batch as pushed one by one', async () => {
    const verdicts = await push(subject(), put({ id: 'a' }), put({ id: 'a' }), put({ id: 'a', clock: 2 }))
    expect(verdicts).toEqual([
      { kind: 'applied', opId: opId('a'), version: 1 },
      { kind: 'replay', opId: opId('a'), version: 1 },
      { kind: 'conflict', opId: opId('a') },
    ])
  })

  it('does not count an invalid op as the holder of its id', async () => {
    expect(kinds(await push(subject(), put({ id: 'a', pk: '' }), put({ id: 'a' })))).toEqual([
      'invalid',
      'applied',
    ])
  })

  it('keeps op ids per workspace', async () => {
    await push(subject(), put({ id: 'a' }))
    const { verdicts } = await subject().push({ ...scope('w2'), ops: [put({ id: 'a', clock: 5 })] })
    expect(verdicts).toEqual([{ kind: 'applied', opId: opId('a'), version: 1 }])
  })

  it.each<[string, Parameters<typeof put>[0], boolean]>([
    ['a higher clock wins, whatever the hlc', { clock: 6, hlc: hlc(1) }, true],
    ['a lower clock loses, whatever the hlc', { clock: 4, hlc: hlc(9) }, false],
    ['with equal clocks a greater hlc wins', { clock: 5, hlc: hlc(6) }, true],
    ['with equal clocks a lesser hlc loses', { clock: 5, hlc: hlc(4) }, false],
    ['with equal clock and hlc a greater op id wins', { id: 'n', clock: 5, hlc: hlc(5) }, true],
    ['with equal clock and hlc a lesser op id loses', { id: 'k', clock: 5, hlc: hlc(5) }, false],
    ['clocks are compared as numbers', { clock: 10, hlc: hlc(1) }, true],
    ['hlc is compared by code unit: lower case after upper case', { clock: 5, hlc: 'a' }, true],
  ])('last writer wins: %s', async (_rule, incoming, wins) => {
    await push(subject(), put({ id: 'm', clock: 5, hlc: hlc(5), payload: { id: 'm1', by: 'first' } }))
    const verdicts = await push(subject(), put({ payload: { id: 'm1', by: 'second' }, ...incoming }))
    expect(kinds(verdicts)).toEqual([wins ? 'applied' : 'superseded'])
    expect((await row(subject()))?.payload).toEqual({ id: 'm1', by: wins ? 'second' : 'first' })
  })

  it('compares hlc by code unit, not by locale', async () => {
    // By any locale "a" comes before "B"; by code unit after it.
    await push(subject(), put({ id: 'x', hlc: 'B' }))
    expect(kinds(await push(subject(), put({ id: 'y', hlc: 'a' })))).toEqual(['applied'])
    expect(kinds(await push(subject(), put({ id: 'z', hlc: 'C' })))).toEqual(['superseded'])
  })

  it('replaces the row as a whole', async () => {
    await push(subject(), put({ payload: { id: 'm1', a: 1, b: 2 } }))
    await push(subject(), put({ clock: 2, payload: { id: 'm1', b: 3 } }))
    expect((await row(subject()))?.payload).toEqual({ id: 'm1', b: 3 })
  })

  it('logs a superseded op all the same, and returns the winning payload', async () => {
    await push(subject(), put({ id: 'w', clock: 2, payload: { id: 'm1', text: 'winner' } }))
    const verdicts = await push(subject(), put({ id: 'l', clock: 1, payload: { id: 'm1', text: 'loser' } }))
    expect(verdicts).toEqual([
      { kind: 'superseded', opId: opId('l'), version: 2, payload: { id: 'm1', text: 'winner' } },
    ])
    const { changes } = await subject().pull({ ...scope(), cursor: 1 })
    expect(changes.map(({ stamp, payload }) => [stamp.opId, payload])).toEqual([
      [opId('l'), { id: 'm1', text: 'loser' }],
    ])
    expect(
      kinds(await push(subject(), put({ id: 'l', clock: 1, payload: { id: 'm1', text: 'loser' } }))),
    ).toEqual(['replay'])
  })

  it('returns no payload when the winner is a delete', async () => {
    await push(subject(), del({ clock: 3 }))
    expect(await push(subject(), put({ id: 'l' }))).toEqual([
      { kind: 'superseded', opId: opId('l'), version: 2, payload: undefined },
    ])
  })

  it('names the payload that won at that place of the batch, not a later one', async () => {
    await push(subject(), put({ clock: 5, payload: { id: 'm1', n: 5 } }))
    const verdicts = await push(
      subject(),
      put({ id: 'l1', clock: 1, payload: { id: 'm1', n: 1 } }),
      put({ id: 'w', clock: 9, payload: { id: 'm1', n: 9 } }),
      put({ id: 'l2', clock: 2, payload: { id: 'm1', n: 2 } }),
    )
    expect(verdicts).toEqual([
      { kind: 'superseded', opId: opId('l1'), version: 2, payload: { id: 'm1', n: 5 } },
      { kind: 'applied', opId: opId('w'), version: 3 },
      { kind: 'superseded', opId: opId('l2'), version: 4, payload: { id: 'm1', n: 9 } },
    ])
  })

  it('deletes with a tombstone of the same revision and keeps the row marked', async () => {
    await push(subject(), put({ id: 'p' }), del({ id: 'd', clock: 2, hlc: hlc(7) }))
    const view = await subject().view('w1')
    expect(view.tombstones).toEqual([
      { table: 'messages', pk: 'm1', clock: 2, hlc: hlc(7), opId: opId('d'), version: 2 },
    ])
    expect(view.rows[0]).toMatchObject({ deleted: true, opId: opId('d'), version: 2, payload: undefined })
  })

  it('writes no tombstone for a delete that loses', async () => {
    await push(subject(), put({ clock: 5 }), del({ clock: 2 }))
    const view = await subject().view('w1')
    expect(view.tombstones).toEqual([])
    expect(view.rows[0]).toMatchObject({ deleted: false })
  })

  it('brings a deleted row back by a greater put and removes its tombstone', async () => {
    await push(subject(), put(), del({ clock: 2 }))
    await push(subject(), put({ id: 'back', clock: 3 }))
    const view = await subject().view('w1')
    expect(view.tombstones).toEqual([])
    expect(view.rows[0]).toMatchObject({ deleted: false, opId: opId('back') })
  })

  it('leaves the tombstone alone when the put loses', async () => {
    await push(subject(), del({ id: 'd', clock: 5 }), put({ clock: 4 }))
    expect((await subject().view('w1')).tombstones).toMatchObject([{ opId: opId('d') }])
  })

  it('moves a tombstone to the revision of a greater delete', async () => {
    await push(
      subject(),
      del({ id: 'd1', clock: 1 }),
      del({ id: 'd2', clock: 2 }),
      del({ id: 'd0', clock: 0 }),
    )
    expect((await subject().view('w1')).tombstones).toMatchObject([
      { opId: opId('d2'), clock: 2, version: 2 },
    ])
  })

  it('deletes what was never put', async () => {
    expect(kinds(await push(subject(), del({ pk: 'ghost' })))).toEqual(['applied'])
    expect(await row(subject(), 'ghost')).toMatchObject({ deleted: true })
  })

  it('keeps one row per table and key', async () => {
    await push(
      subject(),
      put({ table: 'threads', pk: 'same' }),
      put({ table: 'file_meta', pk: 'same' }),
      put({ table: 'kv', pk: 'same' }),
      del({ table: 'kv', pk: 'same', clock: 2 }),
    )
    const { rows } = await subject().view('w1')
    expect(rows.map(({ table, deleted }) => [table, deleted])).toEqual([
      ['file_meta', false],
      ['kv', true],
      ['threads', false],
    ])
  })

  it('keeps workspaces apart', async () => {
    await push(subject(), put({ payload: { id: 'm1', of: 'w1' }, clock: 9 }))
    const { verdicts } = await subject().push({
      ...scope('w2'),
      ops: [put({ payload: { id: 'm1', of: 'w2' }, clock: 1 })],
    })
    expect(kinds(verdicts)).toEqual(['applied'])
    expect((await row(subject()))?.payload).toEqual({ id: 'm1', of: 'w1' })
    expect((await subject().view('w2')).rows[0]?.payload).toEqual({ id: 'm1', of: 'w2' })
  })

  it('takes a batch of 1,000 and refuses one of 1,001', async () => {
    const ops = Array.from({ length: 1_001 }, (_, index) =>
      put({ pk: `m${index}`, payload: { id: `m${index}` } }),
    )
    await expect(subject().push({ ...scope(), ops })).rejects.toMatchObject({ status: 400 })
    expect((await subject().view('w1')).version).toBe(0)
    const { verdicts, serverVersion } = await subject().push({ ...scope(), ops: ops.slice(1) })
    expect(serverVersion).toBe(1_000)
    expect(verdicts.every(({ kind }) => kind === 'applied')).toBe(true)
    expect((await subject().view('w1')).logVersions).toEqual(
      Array.from({ length: 1_000 }, (_, index) => index + 1),
    )
  })
})
