/**
 * Issue 14, point 2: what an answer tells of each op besides its version, on every layer; and what an adapter's host is told.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { toPullAnswer } from '../../src/nuxt/answers.js'
import { checkPullAnswer } from '../../src/nuxt/hostChecks.js'
import type { Caller, PendingOp } from '../../src/services/index.js'
import { del, hlc, opId, put, scope } from '../support/ops.js'
import { isOfHost, type Subject } from '../support/subjectType.js'
import type { Detail } from '../support/verdicts.js'
import { suite } from '../support/suite.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

const month = 30 * 86_400

/** A month passes, and all that every device has seen is collected. */
const collectAll = async (subject: Subject) => {
  vi.setSystemTime(Date.now() + (month + 1) * 1_000)
  await subject.updateCursor({ ...scope(), deviceId: 'd', version: 1_000 })
  await subject.gcTombstones({ ...scope(), retentionSeconds: month })
  await subject.gcChangeLog({ ...scope(), retentionSeconds: month })
}

const caller = (userId: string): Caller => ({ userId, workspaceId: 'w1' })

suite('what a push tells', (subject) => {
  const push = async (...ops: ReadonlyArray<PendingOp>): Promise<ReadonlyArray<Detail>> =>
    (await subject().push({ ...scope(), ops })).details

  it.each(['messages', 'file_meta', 'notifications'])(
    'tells of %s whether the record had a row',
    async (table) => {
      const of = (parts: object) => ({ table, ...parts })
      expect(await push(put(of({ clock: 1 })), put(of({ clock: 2 })), put(of({ clock: 3 })))).toEqual([
        { applied: true, wasExisting: false },
        { applied: true, wasExisting: true },
        { applied: true, wasExisting: true },
      ])
      // Whatever the clock says: it is the device's count, not ours.
      expect(await push(put(of({ pk: 'n', clock: 7 })), put(of({ pk: 'o', clock: 0 })))).toEqual([
        { applied: true, wasExisting: false },
        { applied: true, wasExisting: false },
      ])
      expect(await push(del(of({ clock: 8 })), put(of({ clock: 9 })), del(of({ pk: 'p' })))).toEqual([
        { applied: true, wasExisting: true },
        { applied: true, wasExisting: true },
        { applied: true, wasExisting: false },
      ])
      expect(await push(put(of({ pk: 'n', clock: 1, hlc: '2' })))).toMatchObject([
        { applied: false, wasExisting: true },
      ])
    },
  )

  it('names the put that a superseded op lost to', async () => {
    const payload = { id: 'm1', text: 'winner', nested: [1, { a: null }] }
    await push(put({ id: 'w', clock: 3, hlc: hlc(9), payload }))
    expect(await push(put({ clock: 2 }), del({ clock: 3, hlc: hlc(8) }))).toEqual(
      Array.from({ length: 2 }, () => ({
        applied: false,
        wasExisting: true,
        winner: { kind: 'put', payload, revision: { clock: 3, hlc: hlc(9), opId: opId('w') } },
      })),
    )
  })

  it('names the delete that a superseded op lost to, and when it came', async () => {
    const before = Math.floor(Date.now() / 1_000)
    await push(put({ clock: 1 }), del({ id: 'd', clock: 3, payload: { id: 'm1', last: 'words' } }))
    const after = Math.floor(Date.now() / 1_000)
    const { verdicts, details } = await subject().push({ ...scope(), ops: [put({ clock: 2 })] })
    expect(details).toEqual([
      {
        applied: false,
        wasExisting: true,
        winner: {
          kind: 'delete',
          revision: { clock: 3, hlc: hlc(1), opId: opId('d') },
          serverDeletedAt: expect.any(Number),
        },
      },
    ])
    const { winner } = details[0]!
    const at = winner?.kind === 'delete' ? winner.serverDeletedAt! : 0
    expect(at).toBeGreaterThanOrEqual(before)
    expect(at).toBeLessThanOrEqual(after)
    // For clients that know no winner.
    expect(verdicts).toMatchObject([{ kind: 'superseded', payload: { id: 'm1', last: 'words' } }])
  })

  it('says of a replay whether the record still stands by it, and else by what', async () => {
    const ops = [put({ id: 'a', clock: 1 }), put({ id: 'b', clock: 2 })]
    await push(...ops)
    const stands = { applied: true, wasExisting: true }
    expect((await push(...ops))[1]).toEqual(stands)
    expect((await push(ops[0]!))[0]).toMatchObject({
      applied: false,
      winner: { kind: 'put', payload: { id: 'm1' }, revision: { clock: 2, opId: opId('b') } },
    })
    await push(del({ id: 'c', clock: 3 }))
    for (const detail of await push(...ops)) {
      expect(detail).toMatchObject({
        applied: false,
        winner: { kind: 'delete', revision: { opId: opId('c') } },
      })
    }
    // As of its place in the batch.
    const later = put({ id: 'e', clock: 9 })
    expect(await push(put({ id: 'd', clock: 8 }), later, later)).toEqual([
      { applied: true, wasExisting: true },
      { applied: true, wasExisting: true },
      stands,
    ])
  })

  it('says so of a trimmed op as well', async () => {
    const ops = [put({ id: 'a', clock: 1 }), del({ id: 'b', clock: 2 }), put({ id: 'c', pk: 'm2' })]
    await push(...ops)
    await collectAll(subject())
    expect((await subject().view('w1')).logVersions).toEqual([])
    const deleted = { kind: 'delete', revision: { opId: opId('b') }, serverDeletedAt: expect.any(Number) }
    expect(await push(...ops)).toMatchObject([
      { applied: false, winner: deleted },
      { applied: true, wasExisting: true },
      { applied: true, wasExisting: true },
    ])
  })

  it('tells nothing of an op that was refused', async () => {
    await push(put({ id: 'a' }))
    expect(await push(put({ id: 'a', clock: 2 }), put({ pk: '' }))).toEqual([{}, {}])
  })

  it("never shows somebody else's notification: for its former owner it is gone", async () => {
    const note = (parts: object, user: string) =>
      put({ table: 'notifications', payload: { id: 'm1', user_id: user, secret: user }, ...parts })
    const as = (userId: string, op: PendingOp) =>
      subject().push({ ...scope(), caller: caller(userId), ops: [op] })
    await as('ann', note({ id: 'a', clock: 1 }, 'ann'))
    await push(note({ id: 'b', clock: 2 }, 'bob'))
    const { verdicts, details } = await as('ann', note({ id: 'a', clock: 1 }, 'ann'))
    expect(verdicts).toMatchObject([{ kind: 'replay', version: 1 }])
    expect(details).toEqual([
      {
        applied: false,
        wasExisting: true,
        winner: { kind: 'delete', revision: { clock: 2, hlc: hlc(1), opId: opId('b') } },
      },
    ])
    expect(JSON.stringify({ verdicts, details })).not.toContain('bob')
  })
})

suite('keys and readings of the greatest lengths', (subject) => {
  const devices: ReadonlyArray<readonly [string, (subject: Subject) => Promise<void>]> = [
    [
      'pk',
      async (subject) => {
        const keys = ['p'.repeat(1_024), '🦊'.repeat(512), '\ue000'.repeat(1_024)]
        await subject.push({ ...scope(), ops: keys.map((pk) => put({ pk, payload: { id: pk } })) })
        const { changes } = await subject.pull({ ...scope(), cursor: 0 })
        expect(changes.map(({ pk }) => pk)).toEqual(keys)
      },
    ],
    [
      'hlc',
      async (subject) => {
        const [less, more] = [`${'h'.repeat(511)}a`, `${'h'.repeat(511)}b`]
        const { verdicts } = await subject.push({
          ...scope(),
          ops: [put({ hlc: more, id: 'z' }), put({ hlc: less, id: 'zz' })],
        })
        expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'superseded'])
      },
    ],
  ]
  it.each(devices)('%s', (_field, use) => use(subject()))
})

suite('an op id that is no UUID', (subject) => {
  const odd = ['op-1', '0', 'x'.repeat(256), '{"a":1}', '6BA7B810-9DAD-01D1-80B4-00C04FD430C8']
  beforeEach(async () => {
    await subject().push({ ...scope(), ops: odd.map((id, n) => put({ odd: id, pk: `m${n}`, clock: 2 })) })
  })

  it('is kept as it is, recognised, and stops nobody', async () => {
    expect((await subject().view('w1')).rows.map((row) => row.opId)).toEqual(odd)
    const { verdicts } = await subject().push({ ...scope(), ops: [put({ odd: 'op-1', pk: 'm0', clock: 2 })] })
    expect(verdicts).toEqual([{ kind: 'replay', opId: 'op-1', version: 1 }])
    const { changes } = await subject().pull({ ...scope(), cursor: 0 })
    expect(changes).toHaveLength(odd.length)
    if (!isOfHost(subject())) expect(changes.map(({ stamp }) => stamp.opId)).toEqual(odd)
  })

  describe('for a host', () => {
    const served = async (workspaceId = 'w1') =>
      (await subject().pull({ ...scope(workspaceId), cursor: 0 })).changes.map(({ stamp }) => stamp.opId)

    it('is the same UUID in every answer, each once', async () => {
      if (!isOfHost(subject())) return
      const first = await served()
      expect(new Set(first).size).toBe(odd.length)
      expect(await served()).toEqual(first)
      const { details } = await subject().push({
        ...scope(),
        ops: odd.map((_id, n) => put({ pk: `m${n}`, clock: 1 })),
      })
      expect(details.map(({ winner }) => winner?.revision.opId)).toEqual(first)
      await collectAll(subject())
      expect((await served()).slice(0, odd.length)).toEqual(first)
    })

    it('is another one in another workspace, and a device id of blanks gets a name', async () => {
      if (!isOfHost(subject())) return
      const ops = [put({ odd: 'op-1', pk: 'm0', clock: 2, device: '  ' })]
      await subject().push({ ...scope('w2'), ops })
      const { changes } = await subject().pull({ ...scope('w2'), cursor: 0 })
      expect(await served()).not.toContain(changes[0]!.stamp.opId)
      expect(changes[0]!.stamp.deviceId).toBe('unknown')
    })
  })
})

suite('an op id that was forgotten, and is used again for another record', (subject) => {
  /** A page as a host is given it, which passes the host's checks; of each change its record and op id. */
  const served = async (cursor = 0) => {
    const answer = toPullAnswer('w1', await subject().pull({ ...scope(), cursor, limit: 100 }))
    checkPullAnswer({ cursor }, answer)
    return answer.changes.map(({ pk, stamp }) => [pk, stamp.opId] as const)
  }

  it.each([opId('x'), 'no-uuid'])('stops nobody: %s is told once in a page', async (odd) => {
    for (const pk of ['a', 'b', 'c']) {
      await subject().push({
        ...scope(),
        ops: [put({ odd, pk }), put({ id: `other-${pk}`, pk: `other-${pk}` })],
      })
      await collectAll(subject())
      await collectAll(subject())
    }
    // The log has it as well, for the record that stands by it in another revision.
    await subject().push({ ...scope(), ops: [put({ odd, pk: 'a', clock: 0 })] })
    expect((await subject().view('w1')).rows.filter((row) => row.opId === odd)).toHaveLength(3)
    const page = await served()
    expect(page.map(([pk]) => pk)).toEqual(['a', 'other-a', 'b', 'other-b', 'c', 'other-c', 'a'])
    expect(await served()).toEqual(page)
    if (odd === opId('x')) expect(page[0]![1]).toBe(odd)
  })
})
