/**
 * A simulated device: its own copy of the records under the client's rules, an outbox, a cursor, and a bad network.
 */
import { checkSnapshotAnswer } from '../../src/nuxt/snapshotChecks.js'
import type { HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import type { PendingOp, SnapshotItem, SyncChange, SyncedTable } from '../../src/services/index.js'
import { hlc, opId, scope } from './ops.js'
import { whole } from './records.js'
import type { Subject } from './subjectType.js'
import { Refused } from './verdicts.js'

interface LocalRow {
  readonly clock: number
  readonly hlc: string
  readonly deleted: boolean
  readonly payload: unknown
}

export class Device {
  readonly rows = new Map<string, LocalRow>()
  outbox: Array<PendingOp> = []
  cursor = 0
  private ticks = 0
  private ops = 0

  constructor(
    readonly id: string,
    readonly workspaceId = 'w1',
  ) {}

  /** The client's last writer wins: higher clock, then greater hlc. */
  private apply(key: string, row: LocalRow) {
    const current = this.rows.get(key)
    if (
      current === undefined ||
      row.clock > current.clock ||
      (row.clock === current.clock && row.hlc > current.hlc)
    ) {
      this.rows.set(key, row)
    }
  }

  /** A user's edit: applied at once, and kept in the outbox until it is acknowledged. */
  edit(tableName: string, pk: string, operation: 'put' | 'delete', text: string) {
    const key = `${tableName}/${pk}`
    const stamp = {
      deviceId: this.id,
      opId: opId(`${this.id}-${++this.ops}`),
      hlc: hlc(Math.max(0, Date.now()) * 10 + ++this.ticks, this.id.padEnd(8, '0')),
      clock: (this.rows.get(key)?.clock ?? 0) + 1,
    }
    const payload = operation === 'put' ? whole(tableName as SyncedTable, pk, { text }) : undefined
    this.apply(key, { ...stamp, deleted: operation === 'delete', payload })
    this.outbox.push({ tableName, operation, pk, ...(payload === undefined ? {} : { payload }), stamp })
  }

  /** Pushes the front of the outbox; when the acknowledgement is lost, the ops stay there and are pushed again later. */
  async push(subject: Subject, count: number, acknowledged: boolean) {
    const ops = this.outbox.slice(0, count)
    const { verdicts } = await subject.push({ ...scope(this.workspaceId), ops })
    if (!acknowledged) return
    const accepted = new Set(
      verdicts
        .filter(({ kind }) => ['applied', 'superseded', 'replay'].includes(kind))
        .map(({ opId }) => opId),
    )
    this.outbox = this.outbox.filter(({ stamp }) => !accepted.has(stamp.opId))
  }

  receive(changes: ReadonlyArray<SyncChange>) {
    for (const { tableName, pk, op, payload, stamp } of changes) {
      this.apply(`${tableName}/${pk}`, {
        clock: stamp.clock,
        hlc: stamp.hlc,
        deleted: op === 'delete',
        payload,
      })
    }
  }

  /** Pulls one page; a crash comes after the changes are applied and before the cursor is stored. */
  async pull(subject: Subject, limit: number, crash = false): Promise<boolean> {
    const page = await subject.pull({ ...scope(this.workspaceId), cursor: this.cursor, limit })
    this.receive(page.changes)
    if (page.hasMore && page.nextCursor <= this.cursor) throw new Error('a page with more did not advance')
    if (!crash) this.cursor = page.nextCursor
    return page.hasMore
  }

  async pullAll(subject: Subject, limit: number) {
    while (await this.pull(subject, limit));
  }

  /** The pages of a snapshot that is not installed yet. */
  private staged: Array<SnapshotItem> | undefined
  private lastPage: HostSnapshotPage | undefined

  /** Whether it has begun a snapshot and not installed it yet. */
  get isBeginning(): boolean {
    return this.staged !== undefined
  }

  /** From now on it waits for a snapshot, one that a client would install as a whole. */
  begin() {
    this.staged = []
    this.lastPage = undefined
  }

  /** The next page; with the last one the snapshot is installed. A chain that is gone is begun again. */
  async readPage(subject: Subject, pageSize: number) {
    const { staged, lastPage, workspaceId } = this
    if (staged === undefined) return
    const request = { ...scope(workspaceId), pageSize, pageToken: lastPage?.nextPageToken ?? undefined }
    let page: HostSnapshotPage
    try {
      page = await subject.snapshot(request)
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 410) throw error
      return this.begin()
    }
    checkSnapshotAnswer(request, page, lastPage)
    staged.push(...page.items)
    this.lastPage = page
    if (page.nextPageToken === null) this.install(staged, page.highWatermark)
  }

  private install(items: ReadonlyArray<SnapshotItem>, highWatermark: number) {
    this.rows.clear()
    for (const item of items) {
      const { clock, hlc } = item.revision
      const content =
        item.kind === 'row'
          ? { deleted: false, payload: item.payload }
          : { deleted: true, payload: undefined }
      this.apply(`${item.tableName}/${item.pk}`, { clock, hlc, ...content })
    }
    this.cursor = highWatermark
    this.staged = undefined
    this.lastPage = undefined
  }

  reportCursor(subject: Subject) {
    return subject.updateCursor({ ...scope(this.workspaceId), deviceId: this.id, version: this.cursor })
  }

  /** Online at last: everything out, everything in. */
  async synchronise(subject: Subject) {
    while (this.isBeginning) await this.readPage(subject, 2)
    while (this.outbox.length > 0) await this.push(subject, 100, true)
    await this.pullAll(subject, 3)
    await this.reportCursor(subject)
  }

  /** The live records, as its user sees them. */
  live(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.rows]
        .filter(([, row]) => !row.deleted)
        .map(([key, row]): [string, unknown] => [key, row.payload])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    )
  }
}

/** A device that had nothing but a cursor, after it pulled from there to the end. */
export const deviceFrom = async (subject: Subject, cursor: number, limit: number): Promise<Device> => {
  const device = new Device(`from-${cursor}`)
  device.cursor = cursor
  await device.pullAll(subject, limit)
  return device
}

/** The live records of the server. */
export const liveOnServer = async (
  subject: Subject,
  workspaceId = 'w1',
): Promise<Record<string, unknown>> => {
  const { rows } = await subject.view(workspaceId)
  return Object.fromEntries(
    rows
      .filter(({ deleted }) => !deleted)
      .map(({ table, pk, payload }): [string, unknown] => [`${table}/${pk}`, payload])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
