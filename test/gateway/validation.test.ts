/**
 * What makes an op invalid, oversized or forbidden, and what fails a call as a whole.
 */
import { expect, it } from 'vitest'
import type { PendingOp } from '../../src/services/index.js'
import { del, put, scope, opId } from '../support/ops.js'
import { suite } from '../support/suite.js'

const nested = (depth: number): unknown => (depth === 1 ? {} : { x: nested(depth - 1) })

/** A payload of exactly so many bytes of JSON. */
const sized = (bytes: number, filler = 'x') => {
  const frame = JSON.stringify({ id: 'm1', text: '' }).length
  const width = Buffer.byteLength(filler)
  return { id: 'm1', text: filler.repeat((bytes - frame) / width) }
}

const cyclic: Record<string, unknown> = { id: 'm1' }
cyclic.self = cyclic

const stamped = (stamp: object): PendingOp => {
  const op = put()
  return { ...op, stamp: { ...op.stamp, ...stamp } }
}

const raw = (value: unknown) => value as PendingOp

const long = 'x'.repeat(257)

const invalid: ReadonlyArray<readonly [rule: string, op: PendingOp]> = [
  ['a table that is not synced', raw({ ...put(), tableName: 'users' })],
  ['a table named like an object member', raw({ ...put(), tableName: '__proto__' })],
  ['an operation that is neither put nor delete', raw({ ...put(), operation: 'patch' })],
  ['an empty pk', put({ pk: '' })],
  ['a pk over 1,024 characters', put({ pk: 'x'.repeat(1_025) })],
  ['a pk with NUL', put({ pk: 'a\0b' })],
  ['a pk with a lone high surrogate', put({ pk: 'a\ud83d' })],
  ['a pk with a lone low surrogate', put({ pk: '\ude00a' })],
  ['a pk that is no string', raw({ ...put(), pk: 5 })],
  ['an empty op id', stamped({ opId: '' })],
  ['an op id over 256 characters', stamped({ opId: long })],
  ['an op id beyond ASCII', stamped({ opId: opId('opé') })],
  ['an op id with a line break', stamped({ opId: opId('op\n1') })],
  ['an op id that ends with a line break', stamped({ opId: opId('op1\n') })],
  ['an op id with a control character', stamped({ opId: opId('op\x7f') })],
  ['an empty hlc', stamped({ hlc: '' })],
  ['an hlc over 512 characters', stamped({ hlc: 'x'.repeat(513) })],
  ['an hlc beyond ASCII', stamped({ hlc: 'ü' })],
  ['an empty device id', stamped({ deviceId: '' })],
  ['a device id over 256 characters', stamped({ deviceId: long })],
  ['a device id beyond ASCII', stamped({ deviceId: 'gerät' })],
  ['a negative clock', stamped({ clock: -1 })],
  ['a fractional clock', stamped({ clock: 1.5 })],
  ['a clock beyond the safe integers', stamped({ clock: 2 ** 53 })],
  ['a clock that is NaN', stamped({ clock: Number.NaN })],
  ['a clock that is a string', stamped({ clock: '1' })],
  ['a put without payload', raw({ ...put(), payload: undefined })],
  ['a put with a null payload', raw({ ...put(), payload: null })],
  ['a payload that is an array', put({ payload: [] })],
  ['a payload that is a string', put({ payload: 'x' })],
  ['a payload that is a Date', put({ payload: new Date(0) })],
  ['a payload that is a Map', put({ payload: new Map() })],
  ['a payload with a bigint', put({ payload: { id: 'm1', n: 1n } })],
  ['a payload with a function', put({ payload: { id: 'm1', f: () => 1 } })],
  ['a payload with NaN', put({ payload: { id: 'm1', n: Number.NaN } })],
  ['a payload with Infinity', put({ payload: { id: 'm1', n: Number.POSITIVE_INFINITY } })],
  ['a payload with a hole in an array', put({ payload: { id: 'm1', list: [1, , 3] } })],
  ['a payload with a Date inside', put({ payload: { id: 'm1', at: new Date(0) } })],
  ['a payload with its own toJSON', put({ payload: { id: 'm1', toJSON: () => ({}) } })],
  ['a cyclic payload', put({ payload: cyclic })],
  ['a payload nested deeper than 200', put({ payload: { id: 'm1', x: nested(200) } })],
  ['a payload whose id differs from pk', put({ payload: { id: 'm2' } })],
  ['a payload whose id is null', put({ payload: { id: null } })],
  ['a file_meta payload whose hash differs from pk', put({ table: 'file_meta', payload: { hash: 'm2' } })],
  ['a payload with _id', put({ payload: { id: 'm1', _id: 'x' } })],
  ['a payload of another workspace', put({ payload: { id: 'm1', workspace_id: 'w2' } })],
  ['a delete with a bad payload', del({ payload: { id: 'm2' } })],
  ['an op that is null', raw(null)],
  ['an op that is a number', raw(7)],
  ['an op without stamp', raw({ ...put(), stamp: undefined })],
  [
    'an op that throws when read',
    raw({
      get stamp() {
        throw new Error('hostile')
      },
    }),
  ],
  [
    'a payload that throws when read',
    put({
      payload: {
        get id() {
          throw new Error('hostile')
        },
      },
    }),
  ],
]

const valid: ReadonlyArray<readonly [rule: string, op: PendingOp]> = [
  [
    'ids of the greatest lengths',
    put({ pk: 'p'.repeat(1_024), id: 'i'.repeat(256), device: 'd'.repeat(256), hlc: 'h'.repeat(512) }),
  ],
  ['ids of printable ASCII', put({ id: ' !"~', hlc: '~', device: 'a b' })],
  ['a pk of any script', put({ pk: 'ключ-😀-\'"%_' })],
  ['clock 0', put({ clock: 0 })],
  ['the greatest safe clock', put({ clock: Number.MAX_SAFE_INTEGER })],
  ['a payload nested 200 deep', put({ payload: { id: 'm1', x: nested(199) } })],
  ['a payload of exactly 256 KiB', put({ payload: sized(256 * 1024) })],
  ['a payload without its own key', put({ payload: {} })],
  [
    'a file_meta payload whose id is something else',
    put({ table: 'file_meta', payload: { hash: 'm1', id: 'other' } }),
  ],
  ['a payload that names its workspace', put({ payload: { id: 'm1', workspace_id: 'w1' } })],
  ['a payload without prototype', put({ payload: Object.assign(Object.create(null), { id: 'm1' }) })],
  ['an undefined field', put({ payload: { id: 'm1', x: undefined } })],
  ['a delete without payload', del()],
  ['a delete with payload', del({ payload: { id: 'm1', why: 'x' } })],
  ['fields of the host', raw({ ...put(), id: 'row', attempts: 3, createdAt: 1, status: 'pending' })],
]

suite('validation', (subject) => {
  it.each(invalid)('an op is invalid: %s', async (_rule, op) => {
    const neighbours = [put({ pk: 'before' }), put({ pk: 'after' })]
    const { verdicts, serverVersion } = await subject().push({
      ...scope(),
      ops: [neighbours[0]!, op, neighbours[1]!],
    })
    expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'invalid', 'applied'])
    expect(serverVersion).toBe(2)
    expect((await subject().view('w1')).rows).toHaveLength(2)
  })

  it('a place of a batch that has no op is an invalid op', async () => {
    // Found by `properties/junk` with seed -1287102489: not all that goes through a list goes through its holes.
    // prettier-ignore
    const { verdicts } = await subject().push({ ...scope(), ops: [put({ pk: 'before' }), , put({ pk: 'after' })] as never })
    expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'invalid', 'applied'])
  })

  it.each(valid)('an op is valid: %s', async (_rule, op) => {
    const { verdicts } = await subject().push({ ...scope(), ops: [op] })
    expect(verdicts.map(({ kind }) => kind)).toEqual(['applied'])
    expect((await subject().view('w1')).rows).toMatchObject([{ pk: op.pk, opId: op.stamp.opId }])
  })

  it.each([
    ['one byte over 256 KiB', sized(256 * 1024 + 1)],
    ['over 256 KiB in bytes though not in characters', sized(256 * 1024 + 2, 'ü')],
    ['of a million values', { id: 'm1', list: Array.from({ length: 1_000_000 }, () => 0) }],
  ])('an op is oversized: a payload %s', async (_rule, payload) => {
    const { verdicts } = await subject().push({ ...scope(), ops: [put({ payload })] })
    expect(verdicts.map(({ kind }) => kind)).toEqual(['oversized'])
    expect((await subject().view('w1')).version).toBe(0)
  })

  it('is not kept busy by a payload that refers to the same object again and again', async () => {
    let payload: object = {}
    for (let level = 0; level < 150; level++) payload = { a: payload, b: payload }
    const { verdicts } = await subject().push({ ...scope(), ops: [put({ payload })] })
    expect(verdicts.map(({ kind }) => kind)).toEqual(['oversized'])
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['no scope', { ops: [] }],
    ['an empty workspace id', { scope: { workspaceId: '' }, ops: [] }],
    ['a workspace id over 256 characters', { scope: { workspaceId: long }, ops: [] }],
    ['a workspace id with NUL', { scope: { workspaceId: 'a\0' }, ops: [] }],
    ['a workspace id that is no string', { scope: { workspaceId: 5 }, ops: [] }],
    ['ops that are no array', { scope: { workspaceId: 'w1' }, ops: { length: 1 } }],
  ])('a push fails as a whole: %s', async (_rule, request) => {
    await expect(subject().push((request ?? {}) as never)).rejects.toMatchObject({ status: 400 })
  })

  it.each<[string, object]>([
    ['a negative cursor', { cursor: -1 }],
    ['a fractional cursor', { cursor: 0.5 }],
    ['no cursor', {}],
    ['a cursor beyond the safe integers', { cursor: 2 ** 53 }],
    ['a limit that is no number', { cursor: 0, limit: '5' }],
    ['a limit that is NaN', { cursor: 0, limit: Number.NaN }],
    ['tables that are no array', { cursor: 0, tables: 'messages' }],
    ['a table name that is no string', { cursor: 0, tables: [1] }],
    ['an empty workspace id', { cursor: 0, scope: { workspaceId: '' } }],
  ])('a pull fails as a whole: %s', async (_rule, request) => {
    await expect(subject().pull({ ...scope(), ...request } as never)).rejects.toMatchObject({ status: 400 })
  })

  it.each<[string, object]>([
    ['an empty device id', { deviceId: '', version: 0 }],
    ['a device id over 256 characters', { deviceId: long, version: 0 }],
    ['a device id beyond ASCII', { deviceId: 'ü', version: 0 }],
    ['a negative version', { deviceId: 'd', version: -1 }],
    ['a fractional version', { deviceId: 'd', version: 1.5 }],
    ['a version beyond the safe integers', { deviceId: 'd', version: 2 ** 53 }],
    ['no version', { deviceId: 'd' }],
  ])('a cursor is refused: %s', async (_rule, request) => {
    await expect(subject().updateCursor({ ...scope(), ...request } as never)).rejects.toMatchObject({
      status: 400,
    })
    expect((await subject().view('w1')).cursors).toEqual([])
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', undefined])(
    'a retention of %s is refused',
    async (retentionSeconds) => {
      const request = { ...scope(), retentionSeconds } as never
      await expect(subject().gcChangeLog(request)).rejects.toMatchObject({ status: 400 })
      await expect(subject().gcTombstones(request)).rejects.toMatchObject({ status: 400 })
    },
  )

  it('confines a caller to the workspace of their session', async () => {
    const caller = { userId: 'u1', workspaceId: 'w2' }
    const foreign = { ...scope('w1'), caller }
    await expect(subject().push({ ...foreign, ops: [put()] })).rejects.toMatchObject({ status: 403 })
    await expect(subject().pull({ ...foreign, cursor: 0 })).rejects.toMatchObject({ status: 403 })
    await expect(subject().updateCursor({ ...foreign, deviceId: 'd', version: 1 })).rejects.toMatchObject({
      status: 403,
    })
    await expect(subject().gcChangeLog({ ...foreign, retentionSeconds: 3_600 })).rejects.toMatchObject({
      status: 403,
    })
    await expect(subject().gcTombstones({ ...foreign, retentionSeconds: 3_600 })).rejects.toMatchObject({
      status: 403,
    })
    expect(await subject().view('w1')).toMatchObject({ version: 0, cursors: [] })
    await subject().push({ ...scope('w2'), caller, ops: [put()] })
    expect((await subject().view('w2')).version).toBe(1)
  })

  it('refuses a caller whose session has no workspace', async () => {
    const caller = { userId: 'u1', workspaceId: null }
    await expect(subject().pull({ ...scope(), caller, cursor: 0 })).rejects.toMatchObject({ status: 403 })
  })
})
