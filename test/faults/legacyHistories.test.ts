/**
 * Issue 7, point 8, with random histories: whatever the earlier package was given to store, after the adoption every record
 * is what its last writer made it, and every device that was on its way gets there.
 *
 * The expectation comes from the history itself, not from what the database still knows of it.
 */
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { brokenRules, makeLegacy, opened } from '../support/adoption.js'
import { type LegacyDatabase, type LegacyEntry, legacyTime } from '../support/legacyDatabase.js'
import { scope } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import { Device, liveOnServer } from '../support/simulatedDevice.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

/** Keys as the earlier package stored them; two that read alike end in half an emoji. */
const keys = ['a', 'b', 'c', 'd', 'e\ud83d', 'e\ud83c']

/** A key as everybody reads it. */
const readAs = (pk: string) => pk.replace(/\p{Surrogate}/gu, '\ufffd\ufffd\ufffd')

const device = fc.nat(2)

const event = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('push' as const),
      table: fc.constantFrom('messages', 'threads'),
      pk: fc.constantFrom(...keys),
      op: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
      clock: fc.nat(3),
      backwards: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reject' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('repeat' as const) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('pull' as const), device }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('collect' as const) }) },
)

type Event = typeof event extends fc.Arbitrary<infer A> ? A : never
type Entry = Required<
  Pick<LegacyEntry, 'version' | 'table' | 'pk' | 'op' | 'clock' | 'hlc' | 'id' | 'at'>
> & {
  readonly payload?: unknown
}
type Loaded = { readonly entry: Entry; readonly payload: unknown }

const key = ({ table, pk }: { readonly table: string; readonly pk: string }) => `${table}/${pk}`
const wins = (a: Entry, b: Entry) => a.clock > b.clock || (a.clock === b.clock && a.hlc > b.hlc)

/** The earlier package, as far as it matters: what it was given, and what it kept of it. */
class History {
  readonly pushed: Array<Entry> = []
  log: Array<Entry> = []
  readonly rows = new Map<string, Loaded>()
  readonly tombstones = new Map<string, Entry>()
  readonly devices: ReadonlyArray<Device>
  counter = 0
  private collected = false

  constructor(readonly workspace: string) {
    this.devices = Array.from({ length: 3 }, (_, index) => this.device(`d${index}`))
  }

  device(id: string) {
    return new Device(id, this.workspace)
  }

  play(given: Event) {
    switch (given.type) {
      case 'push':
        return this.push(given, ++this.counter)
      case 'reject':
        return void this.counter++
      case 'repeat':
        // A version twice; a device might have missed the second one for good, once it is trimmed.
        if (this.log.at(-1)?.version !== this.counter || this.collected) return
        return this.push({ table: 'messages', pk: 'a', op: 'put', clock: 1, backwards: false }, this.counter)
      case 'pull':
        return this.pull(this.devices[given.device]!)
      case 'collect':
        this.collected = this.log.every(({ version }, index) => version > (this.log[index - 1]?.version ?? 0))
        if (!this.collected) return
        this.log = this.log.filter(({ version }) => version >= Math.min(...this.devices.map((d) => d.cursor)))
    }
  }

  private push(
    { backwards, ...op }: Pick<Entry, 'table' | 'pk' | 'op' | 'clock'> & { readonly backwards: boolean },
    version: number,
  ) {
    const n = this.pushed.length + 1
    const reading = backwards ? 5_000 - n : 5_000 + n
    const entry = {
      ...op,
      version,
      hlc: `${reading}`,
      id: `${this.workspace}-op-${(n * 7919) % 1000}`,
      at: legacyTime + n,
      ...(op.op === 'put' ? { payload: { n, of: this.workspace } } : {}),
    }
    this.pushed.push(entry)
    this.log.push(entry)
    const known = this.rows.get(key(entry))
    if (known !== undefined && !wins(entry, known.entry)) return
    // A delete left the payload where it was; a put left the tombstone.
    this.rows.set(key(entry), { entry, payload: entry.op === 'put' ? entry.payload : known?.payload })
    if (entry.op === 'delete') this.tombstones.set(key(entry), entry)
  }

  private pull(device: Device) {
    for (const entry of this.log) if (entry.version > device.cursor) device.receive([changeOf(entry)])
    device.cursor = this.counter
  }

  write(legacy: LegacyDatabase) {
    const { workspace } = this
    for (const entry of this.log) legacy.entry({ ...entry, workspace })
    for (const [index, { entry, payload }] of [...this.rows.values()].entries()) {
      // Rows older than the column were given what could be found.
      const id = [entry.id, '', 'legacy:backfilled'][index % 3]!
      legacy.row({ ...entry, workspace, payload, deleted: entry.op === 'delete', id })
    }
    for (const entry of this.tombstones.values()) legacy.tombstone({ ...entry, workspace, hlc: '', id: '' })
    for (const { id, cursor } of this.devices) legacy.cursor(id, cursor, { workspace_id: workspace })
    legacy.counter(this.counter, workspace)
  }

  /** The live records after all that was pushed, each with its key as it is read. */
  expected() {
    const winners = new Map<string, Entry>()
    for (const entry of this.pushed) {
      const known = winners.get(key(entry))
      if (known === undefined || wins(entry, known)) winners.set(key(entry), entry)
    }
    return inOrder(
      [...winners].filter(([, { op }]) => op === 'put').map(([name, { payload }]) => [readAs(name), payload]),
    )
  }
}

/** Each on a line of its own: keys that read alike stay two records. */
const inOrder = (records: ReadonlyArray<readonly [key: string, payload: unknown]>) =>
  records.map((record) => JSON.stringify(record)).sort()

/** With keys as they were read before the adoption gave some a name of their own. */
const asBefore = (records: Readonly<Record<string, unknown>>) =>
  inOrder(Object.entries(records).map(([name, payload]) => [name.replace(/~[0-9a-f]{16}$/, ''), payload]))

const changeOf = ({ version, table, pk, op, payload, clock, hlc, id }: Entry) => ({
  serverVersion: version,
  tableName: table as 'messages',
  pk: readAs(pk),
  op,
  payload,
  stamp: { clock, hlc, opId: id, deviceId: 'd' },
})

describe.each([3, 17] as const)('random histories in version %i', (shape) => {
  let files = 0
  it(
    'end in the same records on the server and on every device',
    () =>
      fc.assert(
        fc.asyncProperty(
          // Several workspaces in one file: an adoption takes far longer than what is asked of one of them.
          fc.array(fc.array(event, { maxLength: 60, size: 'max' }), {
            minLength: 1,
            maxLength: 8,
            size: 'max',
          }),
          fc.integer({ min: 1, max: 5 }),
          async (lists, limit) => {
            const histories = lists.map((events, index) => {
              const history = new History(`w${index + 1}`)
              for (const given of events) history.play(given)
              return history
            })
            const path = makeLegacy(join(folder, `history-${shape}-${++files}.db`), shape, (legacy) => {
              for (const history of histories) history.write(legacy)
            })
            await opened(path, async (subject) => {
              expect(brokenRules(path)).toEqual({})
              for (const history of histories) {
                const live = await liveOnServer(subject, history.workspace)
                expect(asBefore(live)).toEqual(history.expected())
                for (const each of [...history.devices, history.device('fresh')]) {
                  await each.pullAll(subject, limit)
                  expect(each.live()).toEqual(live)
                }
                // Whatever is left of the log is recognised.
                const left = history.log.filter(({ pk }) => pk.isWellFormed()).slice(0, 20)
                const { verdicts } = await subject.push({
                  ...scope(history.workspace),
                  ops: left.map((entry) => ({
                    tableName: entry.table,
                    operation: entry.op,
                    pk: entry.pk,
                    payload: entry.payload,
                    stamp: { deviceId: 'd1', opId: entry.id, hlc: entry.hlc, clock: entry.clock },
                  })),
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
})
