/**
 * Devices that lag behind, whatever the earlier package's clock did and whatever is left of its log: after the adoption each
 * ends in the same records, from every cursor it can have had.
 */
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { syncedTables } from '../../src/services/index.js'
import { brokenRules, makeLegacy, opened } from '../support/adoption.js'
import { type LegacyDatabase, legacyTime, type Shape } from '../support/legacyDatabase.js'
import { scope } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import { Device } from '../support/simulatedDevice.js'
import type { Subject } from '../support/subjectType.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)
let files = 0

const tables = ['messages', 'threads', 'kv', 'posts'] as const

interface Given {
  readonly table: number
  readonly pk: number
  readonly op: 'put' | 'delete'
  readonly clock: number
  /** Above or below all readings so far. */
  readonly later: boolean
  /** Whether the entry is gone, and what has become of the tombstone. */
  readonly trimmed: boolean
  readonly tombstone: 'none' | 'as it was' | 'without a reading'
  /** Versions lost to refused ops before it. */
  readonly refused: number
}

const given: fc.Arbitrary<Given> = fc.record({
  table: fc.nat(tables.length - 1),
  pk: fc.nat(4),
  op: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
  clock: fc.nat(3),
  later: fc.boolean(),
  trimmed: fc.boolean(),
  tombstone: fc.constantFrom('none' as const, 'as it was' as const, 'without a reading' as const),
  refused: fc.nat({ max: 1 }),
})

/** The server's clock: stands still, is missing, goes back, goes on. */
const times = {
  equal: () => legacyTime,
  missing: () => 0,
  decreasing: (n: number) => legacyTime - n,
  increasing: (n: number) => legacyTime + n,
  jumping: (n: number) => legacyTime + ((n * 7) % 11),
} as const
type Time = keyof typeof times
const clocks = Object.keys(times) as ReadonlyArray<Time>

interface Op extends Given {
  readonly version: number
  readonly hlc: string
  readonly at: number
  readonly id: string
}

const keyOf = ({ table, pk }: Given) => `${tables[table]}/p${pk}`
const wins = (a: Op, b: Op) => a.clock > b.clock || (a.clock === b.clock && a.hlc > b.hlc)

const historyOf = (ops: ReadonlyArray<Given>, time: Time, place = 1) => {
  let version = 0
  const history = ops.map((op, index): Op => {
    version += 1 + op.refused
    return {
      ...op,
      version,
      hlc: `${op.later ? 5_000 + index : 5_000 - index - 1}`,
      at: times[time](index),
      id: `00000000-0000-4000-8000-${place}${String(index).padStart(11, '0')}`,
    }
  })
  const rows = new Map<string, Op>()
  for (const op of history) {
    const row = rows.get(keyOf(op))
    if (row === undefined || wins(op, row)) rows.set(keyOf(op), op)
  }
  return { history, rows, version, workspace: `w${place}` }
}

type History = ReturnType<typeof historyOf>

const payloadOf = ({ version, id }: Op) => ({ version, of: id })

const write = (legacy: LegacyDatabase, { history, rows, version, workspace }: History, shape: Shape) => {
  const last = new Map<string, Op>()
  for (const op of history) {
    const place = { workspace, table: tables[op.table]!, pk: `p${op.pk}` }
    if (!op.trimmed) legacy.entry({ ...op, ...place, ...(op.op === 'put' ? { payload: payloadOf(op) } : {}) })
    if (op.op === 'delete' && rowAt(history, op) === op) last.set(keyOf(op), op)
  }
  for (const op of last.values()) {
    if (op.tombstone === 'none') continue
    // Release 006 filled it in where the entry was gone.
    const filled = op.tombstone === 'without a reading' && shape === 17
    const stamp = filled
      ? { hlc: 'legacy:0', id: `legacy:tombstone:${keyOf(op)}:${op.clock}` }
      : op.tombstone === 'as it was'
        ? { hlc: op.hlc, id: op.id }
        : { hlc: '', id: '' }
    legacy.tombstone({ ...op, workspace, table: tables[op.table]!, pk: `p${op.pk}`, ...stamp })
  }
  for (const op of rows.values()) {
    legacy.row({
      ...op,
      workspace,
      table: tables[op.table]!,
      pk: `p${op.pk}`,
      payload: payloadOf(op),
      deleted: op.op === 'delete',
      id: ['', op.id, `legacy:${tables[op.table]}:p${op.pk}:${op.clock}:${op.hlc}`][op.version % 3]!,
    })
  }
  legacy.counter(version, workspace)
}

/** What stood as the record's row right after an op was pushed. */
const rowAt = (history: ReadonlyArray<Op>, at: Op) =>
  history
    .filter((op) => keyOf(op) === keyOf(at) && op.version <= at.version)
    .reduce((row, op) => (row === op || wins(op, row) ? op : row))

const changeOf = (op: Op) => ({
  serverVersion: op.version,
  tableName: tables[op.table]!,
  pk: `p${op.pk}`,
  op: op.op,
  payload: op.op === 'put' ? payloadOf(op) : undefined,
  stamp: { clock: op.clock, hlc: op.hlc, opId: op.id, deviceId: 'd' },
})

const expectedOf = ({ rows }: History) =>
  Object.fromEntries(
    [...rows]
      .filter(([, { op }]) => op === 'put')
      .map(([key, op]): [string, unknown] => [key, payloadOf(op)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )

/** A device that had seen everything up to a version, and nothing since. */
const deviceAt = ({ history, workspace }: History, cursor: number) => {
  const device = new Device(`at-${cursor}`, workspace)
  device.receive(history.filter(({ version }) => version <= cursor).map(changeOf))
  device.cursor = cursor
  return device
}

const expectAllArrive = async (subject: Subject, all: History, limit: number) => {
  const expected = expectedOf(all)
  for (let cursor = 0; cursor <= all.version; cursor++) {
    const device = deviceAt(all, cursor)
    await device.pullAll(subject, limit)
    expect(device.live(), `from ${cursor}`).toEqual(expected)
  }
}

/** Of one workspace, or of several beside each other. */
const adopt = async (
  shape: Shape,
  all: History | ReadonlyArray<History>,
  body: (subject: Subject) => Promise<void>,
) => {
  const path = makeLegacy(join(folder, `lagging-${++files}.db`), shape, (legacy) => {
    for (const one of [all].flat()) write(legacy, one, shape)
  })
  await opened(path, async (subject) => {
    expect(brokenRules(path)).toEqual({})
    await body(subject)
  })
}

describe.each([3, 17] as const)('after the adoption of version %i', (shape) => {
  it(
    'every device arrives, from every cursor, whatever was trimmed and however the clock went',
    () =>
      fc.assert(
        fc.asyncProperty(
          // Several workspaces in one file: an adoption takes far longer than what is asked of one of them.
          fc.array(fc.tuple(fc.array(given, { maxLength: 20, size: 'max' }), fc.constantFrom(...clocks)), {
            minLength: 1,
            maxLength: 8,
            size: 'max',
          }),
          fc.integer({ min: 1, max: 5 }),
          (histories, limit) => {
            const workspaces = histories.map(([ops, time], index) => historyOf(ops, time, index + 1))
            return adopt(shape, workspaces, async (subject) => {
              for (const all of workspaces) {
                await expectAllArrive(subject, all, limit)
                const left = all.history.filter(({ trimmed }) => !trimmed)
                const { verdicts } = await subject.push({
                  ...scope(all.workspace),
                  ops: left.map((op) => {
                    const { tableName, pk, payload, stamp } = changeOf(op)
                    return { tableName, pk, operation: op.op, payload, stamp: { ...stamp, deviceId: 'd1' } }
                  }),
                })
                expect(verdicts.map(({ kind }) => kind)).toEqual(left.map(() => 'replay'))
              }
            })
          },
        ),
        cases(8),
      ),
    patience(120_000),
  )

  /** Each is a record of its own; `trimmed` says which of them have lost their entry. */
  const records = (count: number, trimmed: (n: number) => boolean) =>
    Array.from({ length: count }, (_, n): Given => ({
      table: n % tables.length,
      pk: n,
      op: 'put',
      clock: 1,
      later: true,
      trimmed: trimmed(n),
      tombstone: 'none',
      refused: 0,
    }))

  it('a device that stopped in the midst of one second misses none of its 300 records', async () => {
    const all = historyOf(
      records(300, () => true),
      'equal',
    )
    await adopt(shape, all, async (subject) => {
      const device = deviceAt(all, 150)
      await device.pullAll(subject, 100)
      expect(device.live()).toEqual(expectedOf(all))
    })
  })

  it('nor does one from before the server’s clock went back', async () => {
    const all = historyOf(
      records(21, () => true),
      'decreasing',
    )
    await adopt(shape, all, (subject) => expectAllArrive(subject, all, 100))
  })

  it('an entry trimmed from the midst of the log is missed by nobody', async () => {
    const all = historyOf(
      records(9, (n) => n === 5),
      'decreasing',
    )
    await adopt(shape, all, (subject) => expectAllArrive(subject, all, 100))
  })

  it('a workspace whose rows all have their entries keeps its versions: nobody pulls anything twice', async () => {
    const all = historyOf(
      records(9, () => false),
      'equal',
    )
    await adopt(shape, all, async (subject) => {
      const cursor = all.version
      expect(await subject.pull({ ...scope(), cursor })).toMatchObject({ changes: [], nextCursor: cursor })
    })
  })

  it('cursors that devices reported lie below what they have to pull, also those ahead of the watermark', async () => {
    const all = historyOf(
      records(8, () => true),
      'equal',
    )
    const path = makeLegacy(join(folder, `lagging-${++files}.db`), shape, (legacy) => {
      write(legacy, all, shape)
      legacy.cursor('ahead', 2 ** 33)
      legacy.cursor('unbelievable', Number.MAX_SAFE_INTEGER)
    })
    await opened(path, async (subject) => {
      const { version } = await subject.view('w1')
      expect(version).toBeGreaterThan(2 ** 33)
      expect(version).toBeLessThan(2 ** 40)
      const page = await subject.pull({ ...scope(), cursor: 2 ** 33, tables: [...syncedTables] })
      expect(page.changes).toHaveLength(8)
    })
  })
})
