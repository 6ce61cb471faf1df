/**
 * One legacy database with everything that its writers could leave behind.
 *
 * The log of `w1` is trimmed up to version 29; what is older stands in rows alone.
 */
import { type LegacyDatabase, legacyTime } from './legacyDatabase.js'

const people = (legacy: LegacyDatabase) => {
  legacy.user('ann', { active_workspace_id: 'w1' })
  legacy.user('bob', { active_workspace_id: 'removed', email: null })
  legacy.account('lost')
  legacy.workspace('w1', 'ann')
  legacy.workspace('removed', 'bob', { deleted: 1, deleted_at: legacyTime })
  legacy.workspace('unowned', 'nobody')
  legacy.member('w1', 'ann', 'owner')
  legacy.member('w1', 'bob', 'member')
  legacy.member('removed', 'bob', 'owner')
  legacy.member('unowned', 'ann', 'viewer')
  legacy.member('w1', 'nobody', 'editor')
  legacy.member('nowhere', 'ann', 'editor')
}

/** What a writer of shape 17 adds; of no use in shape 3. */
const opIds = { plain: 'op-plain', revived: 'op-revived', tied: 'op-tied-b' }

const logged = (legacy: LegacyDatabase) => {
  // The usual: row and entry agree.
  legacy.entry({ version: 30, pk: 'plain', payload: { text: 'plain' }, hlc: 'h30', id: opIds.plain })
  legacy.row({ pk: 'plain', payload: { text: 'plain' }, hlc: 'h30', id: opIds.plain })
  // 31 was taken by a rejected op. An op that lost.
  legacy.entry({ version: 32, pk: 'plain', payload: { text: 'late' }, clock: 0, hlc: 'h32' })
  // Deleted, and the payload kept.
  legacy.entry({ version: 33, pk: 'deleted', payload: { text: 'secret' }, hlc: 'h33' })
  legacy.entry({ version: 34, pk: 'deleted', op: 'delete', clock: 2, hlc: 'h34' })
  legacy.row({ pk: 'deleted', payload: { text: 'secret' }, clock: 2, hlc: 'h34', deleted: true })
  legacy.tombstone({ pk: 'deleted', version: 34, clock: 2, at: legacyTime + 34 })
  // Deleted and come back; the tombstone stayed.
  legacy.entry({ version: 35, pk: 'revived', op: 'delete', clock: 2, hlc: 'h35' })
  legacy.tombstone({ pk: 'revived', version: 35, clock: 2 })
  legacy.entry({
    version: 37,
    pk: 'revived',
    payload: { text: 'back' },
    clock: 3,
    hlc: 'h37',
    id: opIds.revived,
  })
  legacy.row({ pk: 'revived', payload: { text: 'back' }, clock: 3, hlc: 'h37', id: opIds.revived })
  // One version twice, without a gap behind it.
  legacy.entry({ version: 38, pk: 'twice-a', payload: { text: 'a' }, hlc: 'h38a', table: 'threads' })
  legacy.row({ pk: 'twice-a', payload: { text: 'a' }, hlc: 'h38a', table: 'threads' })
  legacy.entry({ version: 38, pk: 'twice-b', payload: { text: 'b' }, hlc: 'h38b', table: 'threads' })
  legacy.row({ pk: 'twice-b', payload: { text: 'b' }, hlc: 'h38b', table: 'threads' })
  legacy.entry({
    version: 39,
    pk: 'hash',
    payload: { hash: 'hash', size: 1 },
    hlc: 'h39',
    table: 'file_meta',
  })
  legacy.row({ pk: 'hash', payload: { hash: 'hash', size: 1 }, hlc: 'h39', table: 'file_meta' })
  // The log knows better than the row; or there is no row at all.
  legacy.entry({ version: 41, pk: 'behind', payload: { text: 'new' }, clock: 5, hlc: 'h41', table: 'kv' })
  legacy.row({ pk: 'behind', payload: { text: 'old' }, clock: 4, hlc: 'h40', table: 'kv' })
  legacy.entry({ version: 42, pk: 'log-only', payload: { text: 'log' }, hlc: 'h42', table: 'posts' })
}

const trimmed = (legacy: LegacyDatabase) => {
  for (let index = 1; index <= 20; index++) {
    const id = index % 3 === 0 ? `legacy:${index}` : `op-trimmed-${index}`
    legacy.row({
      pk: `trimmed-${index}`,
      payload: { n: index },
      hlc: `h${index}`,
      at: legacyTime - 100 + index,
      id,
    })
  }
  legacy.row({ pk: 'trimmed-deleted', payload: { text: 'secret' }, clock: 3, hlc: 'h5', deleted: true })
  legacy.tombstone({ pk: 'trimmed-deleted', version: 5, clock: 3 })
  // A deleted row without tombstone, a tombstone without row, and one of a table that is not synced.
  legacy.row({ pk: 'collected', payload: { text: 'secret' }, hlc: 'h6', deleted: true, table: 'projects' })
  legacy.tombstone({ pk: 'row-lost', version: 7, clock: 4 })
  legacy.tombstone({ pk: 'what', version: 8, table: 'sessions' })
}

const notifications = (legacy: LegacyDatabase) => {
  const table = 'notifications'
  const of = (user_id: string) => ({ user_id, text: 'psst' })
  legacy.entry({ version: 50, table, pk: 'ann-live', payload: of('ann'), hlc: 'n50' })
  legacy.row({ table, pk: 'ann-live', payload: of('ann'), hlc: 'n50' })
  legacy.entry({ version: 51, table, pk: 'bob-live', payload: of('bob'), hlc: 'n51' })
  legacy.row({ table, pk: 'bob-live', payload: of('bob'), hlc: 'n51' })
  legacy.entry({ version: 52, table, pk: 'ann-deleted', op: 'delete', clock: 2, hlc: 'n52' })
  legacy.row({ table, pk: 'ann-deleted', payload: of('ann'), clock: 2, hlc: 'n52', deleted: true })
  legacy.row({ table, pk: 'ann-trimmed', payload: of('ann'), hlc: 'n1', deleted: true, at: legacyTime - 200 })
  legacy.entry({ version: 53, table, pk: 'ann-log-only', payload: of('ann'), hlc: 'n53' })
  legacy.entry({ version: 54, table, pk: 'ann-log-only', op: 'delete', clock: 2, hlc: 'n54' })
  legacy.row({ table, pk: 'ann-log-only', clock: 2, hlc: 'n54', deleted: true })
  legacy.entry({ version: 55, table, pk: 'anyones', payload: { text: 'all' }, hlc: 'n55' })
  legacy.row({ table, pk: 'anyones', payload: { text: 'all' }, hlc: 'n55' })
}

const otherFeatures = (legacy: LegacyDatabase) => {
  legacy.insert('auth_invites', {
    id: 'i1',
    workspace_id: 'w1',
    email: 'x@y',
    invited_by: 'ann',
    token_hash: 't',
  })
  legacy.insert('auth_invites', {
    id: 'i2',
    workspace_id: 'removed',
    email: 'x@y',
    invited_by: null,
    token_hash: 'u',
  })
  legacy.insert('admin_users', { user_id: 'ann', granted_at: 1 })
  legacy.insert('admin_workspace_settings', { workspace_id: 'w1', settings_json: '{"a":[1]}' })
  legacy.insert('connect_links', { id: 'link', user_id: 'ann' })
}

export const leftovers = (legacy: LegacyDatabase) => {
  people(legacy)
  logged(legacy)
  trimmed(legacy)
  notifications(legacy)
  legacy.counter(57)
  legacy.entry({ version: 3, pk: 'elsewhere', payload: { text: 'w2' }, workspace: 'w2' })
  legacy.row({ pk: 'elsewhere', payload: { text: 'w2' }, workspace: 'w2' })
  legacy.counter(3, 'w2')
  legacy.cursor('d1', 57)
  legacy.cursor('d2', 30)
  legacy.cursor('d1', 2, { workspace_id: 'w2' })
  if (legacy.shape === 17) otherFeatures(legacy)
}
