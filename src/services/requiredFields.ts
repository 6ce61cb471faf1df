/**
 * What a live record's payload must have, or a device that bootstraps by a snapshot refuses the whole of it.
 *
 * The lists are the host's. They are exact about types, and say nothing about further fields. A push does not ask for them:
 * the host has checked the puts that come through it, and a pull of a broken record is skipped by its clients.
 */
import { type SyncedTable } from './SyncDomain.js'

type Fields = Record<string, unknown>
type Kind = 'string' | 'number' | 'boolean'

const everywhere = { created_at: 'number', updated_at: 'number', clock: 'number' } as const

const required: Record<SyncedTable, Readonly<Record<string, Kind>>> = {
  threads: { id: 'string', status: 'string', deleted: 'boolean', pinned: 'boolean' },
  messages: {
    id: 'string',
    thread_id: 'string',
    role: 'string',
    index: 'number',
    order_key: 'string',
    deleted: 'boolean',
  },
  projects: { id: 'string', name: 'string', deleted: 'boolean' },
  posts: { id: 'string', title: 'string', content: 'string', deleted: 'boolean' },
  kv: { id: 'string', name: 'string' },
  file_meta: { hash: 'string', deleted: 'boolean' },
  notifications: { id: 'string', user_id: 'string', type: 'string', title: 'string', deleted: 'boolean' },
}

/** As pairs: walking an object's keys costs as much as all the comparisons. */
const listOf = (table: SyncedTable): ReadonlyArray<readonly [field: string, kind: Kind]> =>
  Object.entries({ ...required[table], ...everywhere }).map(([field, kind]) => [field, kind])

const lists = Object.fromEntries(
  Object.keys(required).map((table) => [table, listOf(table as SyncedTable)]),
) as Record<SyncedTable, ReturnType<typeof listOf>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

/** Where a list of types does not say it all. */
const isFit: Partial<Record<SyncedTable, (payload: Fields) => boolean>> = {
  threads: ({ title }) => title === undefined || title === null || typeof title === 'string',
  // Earlier clients wrote it in camelCase.
  posts: ({ post_type, postType }) => typeof (post_type === undefined ? postType : post_type) === 'string',
}

/** Whether a client can install a record with this payload, which is a JSON value. */
export const isInstallable = (table: SyncedTable, payload: unknown): boolean => {
  if (!isFields(payload)) return false
  for (const [field, kind] of lists[table]) if (typeof payload[field] !== kind) return false
  return isFit[table]?.(payload) ?? true
}

/** What a payload lacks first, for people to read; undefined for one that is installable. */
export const lackOf = (table: SyncedTable, payload: unknown): string | undefined => {
  if (!isFields(payload)) return 'fields'
  const field = lists[table].find(([field, kind]) => typeof payload[field] !== kind)
  if (field !== undefined) return `${field[0]}, a ${field[1]}`
  if (isInstallable(table, payload)) return undefined
  return table === 'threads' ? 'title, a string or null' : 'post_type, a string'
}
