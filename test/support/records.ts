/**
 * Payloads that a client can install, and whole snapshots.
 */
import { checkSnapshotAnswer } from '../../src/nuxt/snapshotChecks.js'
import type { HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import {
  primaryKeyField,
  type SnapshotItem,
  type SnapshotRequest,
  type SyncedTable,
} from '../../src/services/index.js'
import { put } from './ops.js'
import type { Subject } from './subjectType.js'

const times = { created_at: 1_700_000_000, updated_at: 1_700_000_000, clock: 1 }

/** The required fields of each table beside its key. */
export const requiredFields: Record<SyncedTable, Readonly<Record<string, unknown>>> = {
  threads: { status: 'ready', deleted: false, pinned: false, ...times },
  messages: { thread_id: 't1', role: 'user', index: 0, order_key: 'a0', deleted: false, ...times },
  projects: { name: 'Home', deleted: false, ...times },
  posts: { title: 'One', content: '', post_type: 'markdown', deleted: false, ...times },
  kv: { name: 'theme', ...times },
  file_meta: { deleted: false, ...times },
  notifications: { user_id: 'ann', type: 'news', title: 'New', deleted: false, ...times },
}

/** A payload that has all it needs. */
export const whole = (table: SyncedTable, pk: string, more: Readonly<Record<string, unknown>> = {}) => ({
  [primaryKeyField(table)]: pk,
  ...requiredFields[table],
  ...more,
})

/** A put of such a payload. */
export const putWhole = (
  table: SyncedTable,
  pk: string,
  parts: Omit<Parameters<typeof put>[0] & object, 'payload' | 'pk' | 'table'> & {
    readonly more?: Readonly<Record<string, unknown>>
  } = {},
) => {
  const { more, ...rest } = parts
  return put({ table, pk, payload: whole(table, pk, more), ...rest })
}

/** The pages of a chain, each checked against the one before; more of one begins where it ends. */
export async function* pagesOf(
  subject: Pick<Subject, 'snapshot'>,
  request: SnapshotRequest,
): AsyncGenerator<HostSnapshotPage> {
  let previous: HostSnapshotPage | undefined
  let { pageToken } = request
  for (;;) {
    const page: HostSnapshotPage = await subject.snapshot({ ...request, pageToken })
    checkSnapshotAnswer(request, page, previous)
    yield page
    if (page.nextPageToken === null) return
    if (page.items.length === 0) throw new Error('a page with a successor is empty')
    previous = page
    pageToken = page.nextPageToken
  }
}

/** A whole chain, read without a pause. */
export const wholeChain = async (subject: Pick<Subject, 'snapshot'>, request: SnapshotRequest) => {
  const items: Array<SnapshotItem> = []
  let pages = 0
  let highWatermark = -1
  for await (const page of pagesOf(subject, request)) {
    items.push(...page.items)
    pages++
    highWatermark = page.highWatermark
  }
  return { items, pages, highWatermark }
}
