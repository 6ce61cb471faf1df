/**
 * Issue 7, point 8: which revision of a record an adoption takes for the truth, the versions it gives, and what becomes of
 * values that our rules do not allow.
 */
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { brokenRules, formerQuery, makeLegacy, opened, query } from '../support/adoption.js'
import { type LegacyDatabase, legacyTime, type Shape } from '../support/legacyDatabase.js'
import { deviceFrom, liveOnServer } from '../support/simulatedDevice.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0

interface Row {
  readonly pk: string
  readonly data_json: string | null
  readonly clock: number
  readonly hlc: string
  readonly op_id: string
  readonly device_id: string
  readonly server_version: number
  readonly deleted: number
  readonly created_at: number
  readonly updated_at: number
}

/** Adopts, checks the rules, and gives what there is then. */
const adopt = async (shape: Shape, fill: (legacy: LegacyDatabase) => void) => {
  const path = makeLegacy(join(folder, `revisions-${++files}.db`), shape, fill)
  await opened(path, () => {})
  expect(brokenRules(path)).toEqual({})
  const rows = formerQuery<Row>(path, 'SELECT * FROM s_messages ORDER BY pk')
  return {
    path,
    rows: Object.fromEntries(rows.map((row) => [row.pk, row])),
    log: formerQuery<{
      server_version: number
      pk: string
      op_id: string
      hlc: string
      payload_json: string | null
    }>(path, 'SELECT * FROM change_log ORDER BY workspace_id, server_version'),
    tombstones: formerQuery(path, 'SELECT * FROM tombstones ORDER BY table_name, pk'),
    counter: query(path, `SELECT value, trimmed_version AS floor FROM server_version_counter`)[0],
  }
}

const shapes = [3, 17] as const

describe.each(shapes)('the revision of a row of version %i', (shape) => {
  it('is completed from the log entry with its clock and hlc, the greatest op id of several', async () => {
    const { rows } = await adopt(shape, (legacy) => {
      legacy.entry({ version: 1, pk: 'a', payload: { n: 1 }, hlc: 'x', id: 'op-1' })
      legacy.entry({ version: 2, pk: 'a', payload: { n: 2 }, hlc: 'x', id: 'op-3' })
      legacy.entry({ version: 3, pk: 'a', payload: { n: 3 }, hlc: 'x', id: 'op-2' })
      // The earlier package let the first one stand.
      legacy.row({ pk: 'a', payload: { n: 1 }, hlc: 'x', id: 'op-1', at: 77 })
    })
    expect(rows.a).toMatchObject({
      op_id: 'op-3',
      server_version: 2,
      data_json: '{"n":2}',
      created_at: 77,
      updated_at: 77,
    })
  })

  it('gives way to a greater one in the log, by clock first and then by hlc', async () => {
    const { rows } = await adopt(shape, (legacy) => {
      legacy.entry({ version: 1, pk: 'clock', payload: { n: 'log' }, clock: 10, hlc: 'a', id: 'c' })
      legacy.row({ pk: 'clock', payload: { n: 'row' }, clock: 9, hlc: 'z', id: 'z' })
      legacy.entry({ version: 2, pk: 'hlc', payload: { n: 'log' }, hlc: 'a', id: 'h' })
      legacy.row({ pk: 'hlc', payload: { n: 'row' }, hlc: 'B', id: 'z' })
      legacy.entry({ version: 3, pk: 'gone', op: 'delete', clock: 2, id: 'g' })
      legacy.row({ pk: 'gone', payload: { n: 'row' }, clock: 1 })
    })
    expect(rows.clock).toMatchObject({ data_json: '{"n":"log"}', clock: 10, op_id: 'c', server_version: 1 })
    expect(rows.hlc).toMatchObject({ data_json: '{"n":"log"}', hlc: 'a', op_id: 'h', server_version: 2 })
    expect(rows.gone).toMatchObject({ data_json: null, deleted: 1, op_id: 'g', server_version: 3 })
  })

  it('stays when only lesser ones are left in the log', async () => {
    const { rows, log } = await adopt(shape, (legacy) => {
      legacy.entry({ version: 8, pk: 'a', payload: { n: 'old' }, clock: 3, hlc: 'z', id: 'lost' })
      legacy.row({ pk: 'a', payload: { n: 'row' }, clock: 4, hlc: 'a' })
      legacy.counter(9)
    })
    expect(rows.a).toMatchObject({ data_json: '{"n":"row"}', clock: 4, hlc: 'a', op_id: 'legacy:messages:a' })
    // The trimmed range ends below 8.
    expect(rows.a!.server_version).toBe(7)
    expect(log.map((entry) => entry.server_version)).toEqual([8])
  })
})

describe('the op id of a row of version 17', () => {
  it('decides between equal clocks and hlcs when it was pushed; where its entry is trimmed, the row stays as it is', async () => {
    const { rows } = await adopt(17, (legacy) => {
      for (const [pk, id] of Object.entries({ real: 'op-9', filled: 'legacy:x', empty: '', odd: 'ö' })) {
        legacy.entry({ version: 5, pk, payload: { from: 'log' }, id: `op-5-${pk}` })
        legacy.row({ pk, payload: { from: 'row' }, id })
      }
      legacy.row({ pk: 'trimmed', payload: {}, id: 'op-trimmed' })
      legacy.row({ pk: 'trimmed-filled', payload: {}, id: 'legacy:same' })
      legacy.row({ pk: 'trimmed-filled-too', payload: {}, id: 'legacy:same' })
      legacy.row({ pk: 'taken', payload: {}, clock: 9, id: 'op-5-empty' })
    })
    expect(rows.real).toMatchObject({ op_id: 'op-9', data_json: '{"from":"row"}' })
    for (const pk of ['filled', 'empty', 'odd']) {
      expect(rows[pk]).toMatchObject({ op_id: `~legacy:messages:${pk}`, data_json: '{"from":"row"}' })
    }
    expect(rows.trimmed?.op_id).toBe('op-trimmed')
    expect(rows['trimmed-filled']?.op_id).toBe('legacy:messages:trimmed-filled')
    expect(rows['trimmed-filled-too']?.op_id).toBe('legacy:messages:trimmed-filled-too')
    // One id is one op.
    expect(rows.taken?.op_id).toBe('legacy:messages:taken')
  })
})

describe.each(shapes)('versions from version %i', (shape) => {
  const entries = (versions: ReadonlyArray<number>) => (legacy: LegacyDatabase) =>
    versions.forEach((version, index) => {
      legacy.entry({ version, pk: `p${index}`, payload: { index }, id: `op-${index}` })
      legacy.row({ pk: `p${index}`, payload: { index }, id: `op-${index}` })
    })

  it.each([
    { what: 'without fault stay, gaps included', given: [2, 3, 7], kept: [2, 3, 7] },
    { what: 'that stand twice move up, and those behind them', given: [1, 2, 2, 3], kept: [1, 2, 3, 4] },
    { what: 'that stand twice move into a gap', given: [1, 2, 2, 2, 6], kept: [1, 2, 3, 4, 6] },
    { what: 'below 1 move up', given: [0, 0, 1, 9], kept: [1, 2, 3, 9] },
  ])('in the log $what', async ({ given, kept }) => {
    const { log, rows, counter } = await adopt(shape, entries(given))
    expect(log.map(({ server_version, op_id }) => [op_id, server_version])).toEqual(
      kept.map((version, index) => [`op-${index}`, version]),
    )
    expect(Object.values(rows).map((row) => row.server_version)).toEqual(kept)
    expect(counter).toEqual({ value: kept.at(-1), floor: kept[0]! - 1 })
  })

  it('that stood twice are seen by a device that had been given only one of them', async () => {
    const path = makeLegacy(join(folder, `revisions-${++files}.db`), shape, entries([1, 2, 2, 3, 4]))
    await opened(path, async (subject) => {
      // The second one may have come after a device had seen all that stood behind it.
      for (const cursor of [2, 3, 4]) {
        const device = await deviceFrom(subject, cursor, 2)
        expect(Object.keys(device.live()), `from ${cursor}`).toEqual(
          [0, 1, 2, 3, 4].map((n) => `messages/p${n}`),
        )
      }
    })
  })

  it('of rows without an entry fill the trimmed range from above, the last change on top', async () => {
    const { rows, counter } = await adopt(shape, (legacy) => {
      legacy.entry({ version: 11, pk: 'logged', payload: {} })
      legacy.row({ pk: 'third', payload: {}, at: 30 })
      legacy.row({ pk: 'first', payload: {}, at: 10 })
      legacy.row({ pk: 'second', deleted: true, at: 20 })
      legacy.row({ table: 'kv', pk: 'fourth', payload: {}, at: 40 })
      legacy.counter(20)
    })
    const versions = Object.entries(rows).map(([pk, row]) => [pk, row.server_version])
    expect(Object.fromEntries(versions)).toEqual({ first: 7, second: 8, third: 9, logged: 11 })
    expect(counter).toEqual({ value: 20, floor: 10 })
  })

  it('of rows without an entry go on above the watermark where the range is too small, with an entry', async () => {
    const { path, rows, log, counter } = await adopt(shape, (legacy) => {
      legacy.entry({ version: 3, pk: 'logged', payload: {} })
      for (let at = 1; at <= 5; at++) legacy.row({ pk: `r${at}`, payload: { at }, at, deleted: at === 2 })
      legacy.counter(9)
    })
    const versions = Object.entries(rows).map(([pk, row]) => [pk, row.server_version])
    expect(Object.fromEntries(versions)).toEqual({ logged: 3, r1: 10, r2: 11, r3: 12, r4: 1, r5: 2 })
    expect(log.map((entry) => entry.server_version)).toEqual([3, 10, 11, 12])
    expect(counter).toEqual({ value: 12, floor: 2 })
    await opened(path, async (subject) => {
      const ahead = await deviceFrom(subject, 9, 1)
      // Nobody knows which versions the rows had that lie below the floor, so every device pulls all of it again.
      expect(Object.keys(ahead.live())).toEqual([
        ...['messages/logged', 'messages/r1', 'messages/r3', 'messages/r4', 'messages/r5'],
      ])
    })
  })

  it('of an emptied log make the watermark the floor', async () => {
    const { path, rows, counter } = await adopt(shape, (legacy) => {
      legacy.row({ pk: 'a', payload: { n: 1 } })
      legacy.tombstone({ pk: 'b', version: 12, clock: 2 })
      legacy.counter(10)
    })
    expect(counter).toEqual({ value: 12, floor: 12 })
    expect([rows.a, rows.b].map((row) => row?.server_version).sort()).toEqual([11, 12])
    await opened(path, async (subject) => {
      expect((await deviceFrom(subject, 0, 1)).live()).toEqual(await liveOnServer(subject))
    })
  })
})

describe('tombstones', () => {
  it.each(shapes)('of version %i are those of the deleted rows, with their revisions', async (shape) => {
    const { rows, tombstones } = await adopt(shape, (legacy) => {
      legacy.entry({ version: 5, pk: 'back', payload: {}, clock: 3, hlc: 'h5' })
      legacy.row({ pk: 'back', payload: {}, clock: 3, hlc: 'h5' })
      legacy.tombstone({ pk: 'back', version: 4, clock: 2, hlc: 'h4' })
      legacy.entry({ version: 6, pk: 'gone', op: 'delete', clock: 3, hlc: 'h6', id: 'op-6' })
      legacy.row({ pk: 'gone', payload: { secret: 1 }, clock: 3, hlc: 'h6', deleted: true })
      legacy.tombstone({ pk: 'gone', version: 6, clock: 3, hlc: 'h6', at: legacyTime + 6 })
      legacy.row({ pk: 'unburied', payload: { secret: 1 }, deleted: true, at: legacyTime + 1 })
      legacy.tombstone({ pk: 'rowless', version: 2, clock: 7, at: legacyTime + 2 })
      legacy.row({ pk: 'overdue', payload: { secret: 1 }, clock: 1 })
      legacy.tombstone({ pk: 'overdue', version: 3, clock: 2, at: legacyTime + 3 })
    })
    expect(tombstones).toMatchObject([
      { pk: 'gone', clock: 3, hlc: 'h6', op_id: 'op-6', server_version: 6, deleted_at: legacyTime + 6 },
      { pk: 'overdue', clock: 2, deleted_at: legacyTime + 3 },
      { pk: 'rowless', clock: 7, deleted_at: legacyTime + 2 },
      { pk: 'unburied', clock: 1, deleted_at: legacyTime + 1 },
    ])
    for (const pk of ['gone', 'unburied', 'rowless', 'overdue']) {
      expect(rows[pk]).toMatchObject({ deleted: 1, data_json: null })
    }
    // A reading of the time of the deletion, in the clients' form: their own clocks are set by what they receive.
    const reading = ((legacyTime + 2) * 1_000 + 999).toString(36).padStart(9, '0')
    expect(rows.rowless?.hlc).toBe(`${reading}:zzz:zzzzzzzz`)
  })

  it('of version 17 win by hlc and op id too', async () => {
    const { rows } = await adopt(17, (legacy) => {
      legacy.entry({ version: 5, pk: 'by-hlc', payload: {}, hlc: 'h5' })
      legacy.tombstone({ pk: 'by-hlc', version: 4, hlc: 'h6', id: 'op' })
      legacy.entry({ version: 6, pk: 'by-op', payload: {}, hlc: 'h5', id: 'op-a' })
      legacy.tombstone({ pk: 'by-op', version: 4, hlc: 'h5', id: 'op-b' })
      legacy.entry({ version: 7, pk: 'not', payload: {}, hlc: 'h5', id: 'op-c' })
      legacy.tombstone({ pk: 'not', version: 4, hlc: 'h5', id: 'op-b1' })
      legacy.entry({ version: 8, pk: 'unknown', payload: {}, hlc: '0', id: 'op-d' })
      legacy.tombstone({ pk: 'unknown', version: 4 })
    })
    expect(rows['by-hlc']).toMatchObject({ deleted: 1, hlc: 'h6', op_id: 'op' })
    expect(rows['by-op']).toMatchObject({ deleted: 1, op_id: 'op-b' })
    expect(rows.not).toMatchObject({ deleted: 0, op_id: 'op-c' })
    expect(rows.unknown).toMatchObject({ deleted: 0, op_id: 'op-d' })
  })
})
