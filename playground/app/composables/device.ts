/**
 * A device of a user: its own copy of the workspace under the rules of the host's client.
 *
 * Edits take effect at once in the copy and wait in an outbox; what the server accepted leaves it. Pulled changes replace a
 * local row where their revision is greater. The copy outlives a reload of the tab, as the client's does.
 */
import { onScopeDispose, reactive, ref, watch } from 'vue'
import type { Revision } from '../../shared/view'
import { messageOf, post, RequestError } from '../utils/api'
import type { Bootstrap } from '../utils/decisions'
import { randomLetters, uuid } from '../utils/ids'
import {
  permanentErrors,
  type PendingOp,
  type Pulled,
  type Pushed,
  type SnapshotPage,
} from '../utils/protocol'
import { type HlcState, nextHlc, seeHlc, wins } from '../utils/revisions'

interface LocalRow extends Revision {
  readonly pk: string
  readonly table: string
  readonly deleted: boolean
  readonly payload: unknown
}

interface Copy {
  readonly deviceId: string
  readonly node: string
  readonly hlc: HlcState
  online: boolean
  cursor: number
  rows: Record<string, LocalRow>
  outbox: Array<PendingOp>
  /** What the device began with, if that was a snapshot. */
  bootstrap?: Bootstrap
}

/** The synced table that the page's notes are kept in. */
export const notesTable = 'posts'

const batchSize = 50
const pageSize = 100
const maxAttempts = 5

const emptyCopy = (name: string): Copy => ({
  deviceId: `${name}-${randomLetters(4)}`,
  node: (name + randomLetters(8)).slice(0, 8),
  hlc: { millis: 0, counter: 0 },
  online: true,
  cursor: 0,
  rows: {},
  outbox: [],
})

/** Per tab, else two tabs would be one device with two copies. */
const kept = (key: string): Copy | undefined => {
  const text = sessionStorage.getItem(key)
  return text === null ? undefined : (JSON.parse(text) as Copy)
}

export interface DeviceOptions {
  readonly name: 'laptop' | 'phone' | 'tablet'
  readonly userId: string
  readonly workspaceId: string
  readonly push: (ops: ReadonlyArray<PendingOp>) => Promise<Pushed>
}

export const useDevice = ({ name, userId, workspaceId, push }: DeviceOptions) => {
  const key = `or3-playground/${userId}/${workspaceId}/${name}`
  const copy = reactive(kept(key) ?? emptyCopy(name))
  watch(copy, () => sessionStorage.setItem(key, JSON.stringify(copy)), { deep: true, flush: 'sync' })

  const trouble = ref('')
  const scope = { workspaceId }
  const keyOf = (table: string, pk: string) => `${table}/${pk}`

  const take = (row: LocalRow) => {
    const current = copy.rows[keyOf(row.table, row.pk)]
    if (current === undefined || wins(row, current)) copy.rows[keyOf(row.table, row.pk)] = row
  }

  /** What a snapshot asks of a post. Its times are epoch seconds. */
  const note = (pk: string, text: string) => {
    const current = copy.rows[keyOf(notesTable, pk)]
    const now = Math.floor(Date.now() / 1_000)
    const { created_at = now } = (current?.payload ?? {}) as { readonly created_at?: number }
    return {
      id: pk,
      title: pk,
      content: text,
      post_type: 'note',
      deleted: false,
      created_at,
      updated_at: now,
      clock: (current?.clock ?? 0) + 1,
    }
  }

  const write = (pk: string, operation: 'put' | 'delete', payload?: unknown): PendingOp => {
    const stamp = {
      deviceId: copy.deviceId,
      opId: uuid(),
      hlc: nextHlc(copy.hlc, copy.node),
      clock: (copy.rows[keyOf(notesTable, pk)]?.clock ?? 0) + 1,
    }
    const { clock, hlc, opId } = stamp
    take({
      table: notesTable,
      pk,
      clock,
      hlc,
      opId,
      deleted: operation === 'delete',
      payload: payload ?? null,
    })
    const op: PendingOp = {
      id: stamp.opId,
      tableName: notesTable,
      operation,
      pk,
      ...(payload === undefined ? {} : { payload }),
      stamp,
      createdAt: Date.now(),
      attempts: 0,
      status: 'pending',
    }
    copy.outbox.push(op)
    return op
  }

  /** Sends a batch; false when something is left to be tried again later. */
  const pushBatch = async (batch: ReadonlyArray<PendingOp>): Promise<boolean> => {
    const failed = (op: PendingOp, error: string, forGood: boolean) => {
      op.attempts += 1
      op.error = error
      if (forGood || op.attempts >= maxAttempts) op.status = 'failed'
    }
    try {
      const { results } = await push(batch)
      const byId = new Map(results.map((result) => [result.opId, result]))
      for (const op of batch) {
        const result = byId.get(op.stamp.opId)
        if (result?.success === true) copy.outbox = copy.outbox.filter(({ id }) => id !== op.id)
        else failed(op, result?.errorCode ?? 'no answer', permanentErrors.includes(result?.errorCode ?? ''))
      }
      return batch.every(({ id }) => !copy.outbox.some((op) => op.id === id && op.status === 'pending'))
    } catch (error) {
      for (const op of batch) failed(op, messageOf(error), false)
      throw error
    }
  }

  const waiting = () => copy.outbox.filter(({ status }) => status === 'pending')

  const pushAll = async () => {
    while (waiting().length > 0) {
      if (!(await pushBatch(waiting().slice(0, batchSize)))) throw new Error('The server refused a change')
    }
  }

  const pullAll = async (): Promise<number> => {
    let changes = 0
    for (let hasMore = true; hasMore;) {
      const page = await post<Pulled>('/api/sync/pull', { scope, cursor: copy.cursor, limit: pageSize })
      for (const { tableName, pk, op, payload, stamp } of page.changes) {
        seeHlc(copy.hlc, stamp.hlc)
        const { clock, hlc, opId } = stamp
        take({ table: tableName, pk, clock, hlc, opId, deleted: op === 'delete', payload: payload ?? null })
      }
      if (page.hasMore && page.nextCursor <= copy.cursor) throw new Error('A page with more did not advance')
      copy.cursor = page.nextCursor
      hasMore = page.hasMore
      changes += page.changes.length
    }
    await reportCursor()
    return changes
  }

  /** All pages of a snapshot. `between` runs after the first one, before there is any other. */
  const readSnapshot = async (pageSize: number, between: () => Promise<void>) => {
    const pages: Array<SnapshotPage> = []
    for (let pageToken: string | null | undefined; pageToken !== null;) {
      const page: SnapshotPage = await post('/api/sync/snapshot', { scope, pageSize, pageToken })
      pages.push(page)
      if (pages.length === 1) await between()
      pageToken = page.nextPageToken
    }
    return pages
  }

  /** Takes the place of the whole copy, all at once. */
  const install = (pages: ReadonlyArray<SnapshotPage>): Bootstrap => {
    const items = pages.flatMap((page) => page.items)
    copy.rows = {}
    for (const item of items) {
      const { tableName: table, pk, kind, revision } = item
      seeHlc(copy.hlc, revision.hlc)
      take({
        table,
        pk,
        ...revision,
        deleted: kind === 'tombstone',
        payload: kind === 'row' ? item.payload : null,
      })
    }
    const { highWatermark: watermark } = pages[0]!
    copy.cursor = watermark
    const tombstones = items.filter(({ kind }) => kind === 'tombstone').length
    copy.bootstrap = { pages: pages.length, records: items.length - tombstones, tombstones, watermark }
    return copy.bootstrap
  }

  /** As a device that has nothing: by a snapshot, and a pull of what came after it. A chain that is gone is begun again. */
  const bootstrapAll = async (pageSize: number, between: () => Promise<void>) => {
    copy.outbox = []
    const pages = await readSnapshot(pageSize, between).catch((error: unknown) => {
      if (error instanceof RequestError && error.status === 410) return readSnapshot(pageSize, async () => {})
      throw error
    })
    const bootstrap = install(pages)
    return { bootstrap, pulled: await pullAll() }
  }

  const reportCursor = () =>
    post('/api/sync/update-cursor', { scope, deviceId: copy.deviceId, version: copy.cursor })

  /** One exchange at a time: a second push would send what the first is still waiting for. */
  let running: Promise<unknown> = Promise.resolve()
  let retry: ReturnType<typeof setTimeout> | undefined
  const exchange = (work: () => Promise<unknown>): Promise<void> => {
    const next = running.then(async () => {
      clearTimeout(retry)
      if (!copy.online) return
      try {
        await work()
        trouble.value = ''
      } catch (error) {
        trouble.value = messageOf(error)
        const attempts = Math.min(...waiting().map((op) => op.attempts))
        if (Number.isFinite(attempts)) retry = setTimeout(() => void synchronise(), 500 * 2 ** attempts)
      }
    })
    running = next
    return next
  }
  onScopeDispose(() => clearTimeout(retry))

  const pull = () => exchange(pullAll)
  const synchronise = () =>
    exchange(async () => {
      await pushAll()
      await pullAll()
    })

  return {
    name,
    copy,
    trouble,
    pull,
    synchronise,
    /** Begins anew as a device that has nothing. Fails where that fails. */
    bootstrap: async (pageSize: number, between: () => Promise<void>) => {
      let came: Awaited<ReturnType<typeof bootstrapAll>> | undefined
      await exchange(async () => {
        came = await bootstrapAll(pageSize, between)
      })
      if (came === undefined) throw new Error(trouble.value)
      return came
    },
    /** An optimistic write: in the copy at once, on its way when there is a network. */
    put: (pk: string, text: string) => {
      const op = write(pk, 'put', note(pk, text))
      return { op, sent: synchronise() }
    },
    remove: (pk: string) => {
      const op = write(pk, 'delete')
      return { op, sent: synchronise() }
    },
    setOnline: (online: boolean): Promise<void> => {
      copy.online = online
      return online ? synchronise() : Promise.resolve()
    },
    /** As after a lost acknowledgement, or at a person's wish for a parked one: in the outbox once more. */
    pushAgain: (op: PendingOp): Promise<void> => {
      copy.outbox = copy.outbox.filter(({ id }) => id !== op.id)
      copy.outbox.push({ ...op, attempts: 0, status: 'pending' })
      return synchronise()
    },
  }
}

export type Device = ReturnType<typeof useDevice>
