/**
 * Whose the deleted notifications of an earlier database are, and that nobody else learns what they said: adopted by this release,
 * or by 0.1 and mended by this one.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, describe, expect, it } from 'vitest'
import { brokenRules, makeLegacy, opened, query } from '../support/adoption.js'
import { migrateUpTo } from '../support/earlierRelease.js'
import type { LegacyDatabase, Shape } from '../support/legacyDatabase.js'
import { put, scope } from '../support/ops.js'
import { whole, wholeChain } from '../support/records.js'
import type { Subject } from '../support/subjectType.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `notifications-${++files}.db`)

const table = 'notifications'
const users = ['ada', 'bob']

/** A payload that only its user may read. */
const said = (user_id?: unknown) => ({ title: 'secret', ...(user_id === undefined ? {} : { user_id }) })

/** All that a user is given: by a pull, by a snapshot, and in answer to an edit that comes too late. */
const seenBy = async (subject: Subject, userId: string) => {
  const call = { ...scope(), caller: { userId, workspaceId: 'w1' } }
  const { changes } = await subject.pull({ ...call, cursor: 0, limit: 1_000 })
  const { items } = await wholeChain(subject, { ...call, pageSize: 100 })
  const keys = [...new Set(changes.map(({ pk }) => pk))].sort()
  expect(items.map(({ pk }) => pk)).toEqual(keys)
  const late = keys.map((pk) =>
    put({ table, pk, clock: 0, payload: whole(table, pk, { user_id: userId, title: 'late' }) }),
  )
  const { verdicts, details } = await subject.push({ ...call, ops: late })
  expect(JSON.stringify([changes, items, verdicts, details])).not.toContain('secret')
  return keys
}

/** The file as this release, or release 0.1 and then this one, adopts it. */
const ways: ReadonlyArray<readonly [string, Shape, (path: string) => Promise<void>]> = [
  ['this release', 17, () => Promise.resolve()],
  ['this release', 3, () => Promise.resolve()],
  ['0.1', 17, (path) => migrateUpTo(path, 3)],
]

describe.each(ways)('deleted notifications that %s adopts of version %i', (_who, shape, adopt) => {
  const adopted = async (
    fill: (legacy: LegacyDatabase) => void,
    meanwhile: (path: string) => void = () => {},
  ) => {
    const path = makeLegacy(newFile(), shape, (legacy) => {
      users.forEach((user) => legacy.user(user))
      legacy.workspace('w1', 'ada')
      users.forEach((user) => legacy.member('w1', user, 'owner'))
      legacy.counter(20)
      fill(legacy)
    })
    await adopt(path)
    meanwhile(path)
    await opened(path, () => {})
    expect(brokenRules(path)).toEqual({})
    return path
  }

  const seen = (path: string) =>
    opened(path, async (subject) => ({
      ada: await seenBy(subject, 'ada'),
      bob: await seenBy(subject, 'bob'),
    }))

  it('are their users’, whom only the delete names', async () => {
    const path = await adopted((legacy) => {
      const op = { table, op: 'delete', clock: 2 } as const
      legacy.entry({ ...op, version: 5, pk: 'with row', payload: said('ada') })
      legacy.row({ table, pk: 'with row', deleted: true, clock: 2 })
      legacy.entry({ ...op, version: 6, pk: 'log only', payload: said('ada') })
      legacy.entry({ ...op, version: 7, pk: 'twice', payload: said('bob') })
      legacy.entry({ ...op, version: 8, pk: 'twice', clock: 3, payload: said('ada') })
      legacy.entry({ ...op, version: 9, pk: 'overtaken', payload: said('ada') })
      legacy.tombstone({ table, pk: 'overtaken', version: 10, clock: 3 })
    })
    expect(await seen(path)).toEqual({ ada: ['log only', 'overtaken', 'twice', 'with row'], bob: [] })
    expect(query(path, "SELECT count(payload_json) AS n FROM change_log WHERE op = 'delete'")).toEqual([
      { n: 0 },
    ])
    expect(query(path, 'SELECT count(data_json) AS n FROM s_notifications WHERE deleted')).toEqual([{ n: 0 }])
  })

  it('are whom a put or the row names, whatever the delete says', async () => {
    const path = await adopted((legacy) => {
      legacy.entry({ table, version: 5, pk: 'put', payload: said('ada') })
      legacy.entry({ table, version: 6, pk: 'put', op: 'delete', clock: 2, payload: said('bob') })
      legacy.entry({ table, version: 7, pk: 'row', op: 'delete', clock: 2, payload: said('bob') })
      legacy.row({ table, pk: 'row', deleted: true, clock: 1, payload: said('ada') })
    })
    expect(query(path, 'SELECT pk, user_id FROM s_notifications ORDER BY pk')).toEqual([
      { pk: 'put', user_id: 'ada' },
      { pk: 'row', user_id: 'ada' },
    ])
  })

  it('stay everybody’s where a put says so, or nothing says anything, but are told without their payload', async () => {
    const path = await adopted((legacy) => {
      legacy.entry({ table, version: 5, pk: 'for all', payload: { title: 'hello' } })
      legacy.entry({ table, version: 6, pk: 'for all', op: 'delete', clock: 2, payload: said('ada') })
      legacy.entry({ table, version: 7, pk: 'unknown', op: 'delete', clock: 2, payload: said() })
      legacy.entry({ table, version: 8, pk: 'odd', op: 'delete', clock: 2, payload: said(7) })
    })
    const keys = ['for all', 'odd', 'unknown']
    expect(await seen(path)).toEqual({ ada: keys, bob: keys })
  })

  it('say nothing of their payload when they are somebody else’s by now', async () => {
    const path = await adopted((legacy) => {
      legacy.entry({ table, version: 5, pk: 'n', op: 'delete', clock: 2, payload: said('ada') })
      const payload = whole(table, 'n', { user_id: 'bob' })
      legacy.entry({ table, version: 6, pk: 'n', clock: 3, payload })
      legacy.row({ table, pk: 'n', clock: 3, payload })
      // Of other tables it is told, as ever.
      legacy.entry({ version: 7, pk: 'm', op: 'delete', clock: 2, payload: { why: 'spam' } })
    })
    await opened(path, async (subject) => {
      const { changes } = await subject.pull({ ...scope(), cursor: 0, limit: 10 })
      expect(JSON.stringify(changes)).not.toContain('secret')
      expect(changes.find(({ pk }) => pk === 'm')?.payload).toEqual({ why: 'spam' })
    })
  })

  if (_who !== '0.1') return

  it('are their users’ when 0.1 has trimmed the log', async () => {
    const path = await adopted(
      (legacy) => legacy.entry({ table, version: 5, pk: 'n', op: 'delete', clock: 2, payload: said('ada') }),
      (file) => {
        const database = new Sqlite(file)
        database.exec('DELETE FROM change_log; UPDATE server_version_counter SET trimmed_version = value')
        database.close()
      },
    )
    expect(await seen(path)).toEqual({ ada: ['n'], bob: [] })
  })
})
