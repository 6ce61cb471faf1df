/**
 * A device over HTTP with a copy of its own, under the rules of the host's client: it bootstraps by a snapshot, as today's does,
 * or by pulling from the start, as February's.
 */
import { randomUUID } from 'node:crypto'
import type { Operation, PendingOp, SyncChange } from '../../src/services/index.js'
import { type Answer, type Device, signIn } from './httpDevice.js'

interface Revision {
  readonly clock: number
  readonly hlc: string
  readonly opId: string
}

interface LocalRow extends Revision {
  readonly deleted: boolean
  readonly payload: unknown
}

type Item = { readonly tableName: string; readonly pk: string; readonly revision: Revision } & (
  | { readonly kind: 'row'; readonly payload: unknown }
  | { readonly kind: 'tombstone'; readonly serverDeletedAt: number }
)

export interface SnapshotAnswer {
  readonly workspaceId: string
  readonly snapshotId: string
  readonly highWatermark: number
  readonly items: ReadonlyArray<Item>
  readonly nextPageToken: string | null
}

export const tables = ['file_meta', 'kv', 'messages', 'notifications', 'posts', 'projects', 'threads']

/** What a table's records must have, lest a client stop at them. */
const required: Record<string, (pk: string, userId: string) => object> = {
  threads: (id) => ({ id, status: 'ready', deleted: false, pinned: false }),
  messages: (id) => ({ id, thread_id: 't1', role: 'user', index: 1, order_key: 'a0', deleted: false }),
  projects: (id) => ({ id, name: 'A project', deleted: false }),
  posts: (id) => ({ id, title: 'A post', content: '', post_type: 'note', deleted: false }),
  file_meta: (hash) => ({ hash, deleted: false }),
  kv: (id) => ({ id, name: 'A key' }),
  notifications: (id, user_id) => ({ id, user_id, type: 'note', title: 'A notification', deleted: false }),
}

const wins = (one: Revision, other: Revision) =>
  one.clock !== other.clock
    ? one.clock > other.clock
    : one.hlc !== other.hlc
      ? one.hlc > other.hlc
      : one.opId > other.opId

let ticks = 0
const base36 = (value: number, length: number) => value.toString(36).padStart(length, '0')

export class SyncingDevice {
  readonly rows = new Map<string, LocalRow>()
  cursor = 0
  private outbox: Array<PendingOp> = []

  private constructor(
    readonly id: string,
    readonly http: Device,
  ) {}

  static async signIn(url: string, user: string, id: string): Promise<SyncingDevice> {
    return new SyncingDevice(id, await signIn(url, user))
  }

  get scope() {
    return { workspaceId: this.http.session.workspace.id }
  }

  private take(key: string, row: LocalRow) {
    const current = this.rows.get(key)
    if (current === undefined || wins(row, current)) this.rows.set(key, row)
  }

  private write(tableName: string, pk: string, operation: Operation, payload?: unknown) {
    const stamp = {
      deviceId: this.id,
      opId: randomUUID(),
      hlc: `${base36(Date.now(), 9)}:${base36(++ticks, 3)}:${this.id.padEnd(8, '0')}`,
      clock: (this.rows.get(`${tableName}/${pk}`)?.clock ?? 0) + 1,
    }
    this.take(`${tableName}/${pk}`, { ...stamp, deleted: operation === 'delete', payload })
    this.outbox.push({ tableName, operation, pk, ...(payload === undefined ? {} : { payload }), stamp })
  }

  /** A user's edit: in the copy at once, and in the outbox. */
  put(tableName: string, pk: string, fields: object = {}) {
    const clock = (this.rows.get(`${tableName}/${pk}`)?.clock ?? 0) + 1
    const times = { created_at: 1_790_000_000, updated_at: 1_790_000_000 + ++ticks, clock }
    this.write(tableName, pk, 'put', {
      ...required[tableName]?.(pk, this.http.session.user.id),
      ...times,
      by: this.id,
      ...fields,
    })
  }

  remove(tableName: string, pk: string) {
    this.write(tableName, pk, 'delete')
  }

  async push() {
    while (this.outbox.length > 0) {
      const batch = this.outbox.splice(0, 100)
      const { results } = good(await this.http.push(...batch))
      const refused = results.filter(({ success }) => !success)
      if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`)
    }
  }

  private receive(changes: ReadonlyArray<SyncChange>) {
    for (const { tableName, pk, op, payload, stamp } of changes) {
      this.take(`${tableName}/${pk}`, { ...stamp, deleted: op === 'delete', payload })
    }
  }

  /** All pages above the cursor. `between` runs after each page while there are more. */
  async pull({
    limit = 100,
    between = async () => {},
  }: { limit?: number; between?: () => Promise<void> } = {}) {
    for (let hasMore = true; hasMore;) {
      const page = good(await this.http.pull(this.cursor, limit))
      if (page.hasMore && page.nextCursor <= this.cursor) throw new Error('a page with more did not advance')
      this.receive(page.changes)
      this.cursor = page.nextCursor
      hasMore = page.hasMore
      if (hasMore) await between()
    }
  }

  /** Installs a whole chain of pages at once, and stands at its watermark then. Gives the pages. */
  async bootstrap(pageSize: number, between: () => Promise<void> = async () => {}) {
    const pages: Array<SnapshotAnswer> = []
    const tokens = new Set<string>()
    for (let pageToken: string | null | undefined; pageToken !== null;) {
      const body = { scope: this.scope, pageSize, tables, ...(pageToken === undefined ? {} : { pageToken }) }
      const page: SnapshotAnswer = good(await this.http.call('POST', '/api/sync/snapshot', body))
      pages.push(page)
      pageToken = page.nextPageToken
      if (pageToken === null) continue
      if (tokens.has(pageToken)) throw new Error('a token came again')
      tokens.add(pageToken)
      await between()
    }
    const [first] = pages
    const items = pages.flatMap((page) => page.items)
    const isOneChain = pages.every(
      ({ snapshotId, highWatermark }) =>
        snapshotId === first?.snapshotId && highWatermark === first.highWatermark,
    )
    const isOrdered = items.every((item, index) => {
      const before = items[index - 1]
      if (before === undefined || before.tableName < item.tableName) return true
      return before.tableName === item.tableName && before.pk < item.pk
    })
    if (!isOneChain || !isOrdered) throw new Error('the pages are no chain')
    this.rows.clear()
    for (const item of items) {
      const deleted = item.kind === 'tombstone'
      const payload = item.kind === 'row' ? item.payload : undefined
      this.rows.set(`${item.tableName}/${item.pk}`, { ...item.revision, deleted, payload })
    }
    this.cursor = first!.highWatermark
    return pages
  }

  async report() {
    const body = { scope: this.scope, deviceId: this.id, version: this.cursor }
    good(await this.http.call('POST', '/api/sync/update-cursor', body))
  }

  async synchronise() {
    await this.push()
    await this.pull()
    await this.report()
  }

  /** The live records with their revisions, as the device has them. */
  live(): Record<string, unknown> {
    const live = [...this.rows].filter(([, row]) => !row.deleted)
    return Object.fromEntries(
      live
        .map(([key, { clock, payload }]): [string, unknown] => [key, { clock, payload }])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    )
  }
}

const good = <A>({ status, body }: Answer<A>): A => {
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return body
}
