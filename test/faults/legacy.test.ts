/**
 * Issue 7, point 8: opening a database of the earlier package adopts what is in it, and leaves other features' tables alone.
 *
 * Here: people, whole databases with everything their writers could leave behind, and the life after. How revisions,
 * versions and odd values are treated is in `legacyRevisions.test.ts`, failures and large ones in `legacyFailures.test.ts`.
 */
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { allRows, brokenRules, inspect, formerQuery, makeLegacy, opened, query } from '../support/adoption.js'
import { foreignTables, legacyTime } from '../support/legacyDatabase.js'
import { leftovers } from '../support/legacyLeftovers.js'
import { del, hlc, put, scope } from '../support/ops.js'
import { Device, deviceFrom, liveOnServer } from '../support/simulatedDevice.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `legacy-${++files}.db`)

const shapes = [3, 17] as const

describe.each(shapes)('people of a database of version %i', (shape) => {
  it('keep their accounts, workspaces and roles', async () => {
    const path = makeLegacy(newFile(), shape, (legacy) => {
      legacy.user('ann', { active_workspace_id: 'w1' })
      legacy.user('bob', { email: null, display_name: 'Bøb 😀' })
      legacy.account('bob', { provider: 'clerk', provider_user_id: 'bob@clerk' })
      legacy.workspace('w1', 'ann', { description: 'ours' })
      legacy.workspace('gone', 'bob', { deleted: 1, deleted_at: legacyTime + 9 })
      legacy.member('w1', 'ann', 'owner')
      legacy.member('w1', 'bob', 'editor', legacyTime + 1)
      legacy.member('gone', 'bob', 'owner')
    })
    await opened(path, async ({ store }) => {
      const ann = await store.getOrCreateUser({ provider: 'basic-auth', providerUserId: 'ann@basic' })
      const bob = await store.getOrCreateUser({ provider: 'clerk', providerUserId: 'bob@clerk' })
      expect([ann.userId, bob.userId]).toEqual(['ann', 'bob'])
      expect(await store.listUserWorkspaces('ann')).toEqual([
        { id: 'w1', name: 'w1', description: 'ours', role: 'owner', createdAt: legacyTime, isActive: true },
      ])
      expect(await store.getWorkspaceRole({ userId: 'bob', workspaceId: 'w1' })).toBe('editor')
      expect(await store.getWorkspaceRole({ userId: 'bob', workspaceId: 'gone' })).toBeNull()
    })
    expect(query(path, 'SELECT * FROM users ORDER BY id')).toEqual([
      {
        id: 'ann',
        email: 'ann@example.org',
        folded_email: 'ann@example.org',
        display_name: 'ann',
        active_workspace_id: 'w1',
        created_at: legacyTime,
        erased_at: null,
        emptied_at: null,
      },
      {
        id: 'bob',
        email: null,
        folded_email: null,
        display_name: 'Bøb 😀',
        active_workspace_id: null,
        created_at: legacyTime,
        erased_at: null,
        emptied_at: null,
      },
    ])
    expect(query(path, `SELECT * FROM workspaces WHERE id = 'gone'`)).toMatchObject([
      { deleted: 1, deleted_at: legacyTime + 9 },
    ])
    expect(query(path, `SELECT * FROM workspace_members WHERE workspace_id = 'gone'`)).toHaveLength(1)
    expect(brokenRules(path)).toEqual({})
  })

  it('are restored from an account whose user is gone; who has neither is left out', async () => {
    const path = makeLegacy(newFile(), shape, (legacy) => {
      legacy.account('lost', { created_at: 5 })
      legacy.user('ann')
      legacy.workspace('w1', 'lost')
      legacy.member('w1', 'lost', 'owner')
      legacy.member('w1', 'nobody', 'owner')
      legacy.member('nowhere', 'ann', 'owner')
    })
    await opened(path, async ({ store }) => {
      expect(await store.getOrCreateUser({ provider: 'basic-auth', providerUserId: 'lost@basic' })).toEqual({
        userId: 'lost',
      })
      expect(await store.getWorkspaceRole({ userId: 'lost', workspaceId: 'w1' })).toBe('owner')
    })
    expect(query(path, 'SELECT workspace_id, user_id FROM workspace_members')).toEqual([
      { workspace_id: 'w1', user_id: 'lost' },
    ])
    expect(query(path, `SELECT created_at FROM users WHERE id = 'lost'`)).toEqual([{ created_at: 5 }])
    expect(brokenRules(path)).toEqual({})
  })

  it('have a role that there is, and each live workspace an owner', () => {
    const path = makeLegacy(newFile(), shape, (legacy) => {
      for (const user of ['ann', 'bob', 'cem']) legacy.user(user)
      legacy.workspace('odd-role', 'ann')
      legacy.member('odd-role', 'ann', 'owner')
      legacy.member('odd-role', 'bob', 'Admin')
      legacy.workspace('creator-only', 'ann')
      legacy.workspace('creator-demoted', 'ann')
      legacy.member('creator-demoted', 'bob', 'editor')
      legacy.member('creator-demoted', 'ann', 'viewer', legacyTime + 1)
      legacy.workspace('creator-replaced', 'ann')
      legacy.member('creator-replaced', 'bob', 'owner')
      legacy.workspace('creator-gone', 'nobody')
      legacy.member('creator-gone', 'cem', 'editor', legacyTime + 2)
      legacy.member('creator-gone', 'bob', 'viewer', legacyTime + 1)
      legacy.workspace('of-nobody', 'nobody')
    })
    return opened(path, () => {
      const members = query<{ workspace_id: string; who: string }>(
        path,
        `SELECT workspace_id, group_concat(user_id || ' ' || role, ', ' ORDER BY user_id) AS who
         FROM workspace_members GROUP BY workspace_id`,
      )
      expect(Object.fromEntries(members.map(({ workspace_id, who }) => [workspace_id, who]))).toEqual({
        'odd-role': 'ann owner, bob viewer',
        'creator-only': 'ann owner',
        'creator-demoted': 'ann owner, bob editor',
        // Whoever was removed by the present owners does not come back.
        'creator-replaced': 'bob owner',
        'creator-gone': 'bob owner, cem editor',
      })
      expect(query(path, `SELECT id FROM workspaces WHERE id = 'of-nobody'`)).toHaveLength(1)
      expect(brokenRules(path)).toEqual({})
    })
  })

  it('have an active workspace that they are a member of, or none', async () => {
    const path = makeLegacy(newFile(), shape, (legacy) => {
      legacy.workspace('live', 'ann')
      legacy.workspace('gone', 'ann', { deleted: 1, deleted_at: 1 })
      for (const [user, active] of Object.entries({
        ann: 'live',
        bob: 'gone',
        cem: 'nowhere',
        dan: 'live',
      })) {
        legacy.user(user, { active_workspace_id: active })
        if (user !== 'dan') for (const id of ['live', 'gone']) legacy.member(id, user, 'owner')
      }
    })
    await opened(path, async ({ store }) => {
      expect(query(path, 'SELECT id, active_workspace_id AS active FROM users ORDER BY id')).toEqual([
        { id: 'ann', active: 'live' },
        { id: 'bob', active: null },
        { id: 'cem', active: null },
        { id: 'dan', active: null },
      ])
      expect((await store.getOrCreateDefaultWorkspace('bob')).workspaceId).toBe('live')
    })
    expect(brokenRules(path)).toEqual({})
  })
})

/** Its ledger has an entry of ours afterwards, and copies of pages of snapshots are gone, payloads and all. */
const untouched = foreignTables.filter(
  (name) => !['kysely_migration', 'sync_snapshots', 'sync_snapshot_items'].includes(name),
)

/** Every row and the schema of the tables of other features. */
const foreignContent = (path: string) =>
  inspect(path, (database) => {
    const present = database
      .prepare<[], { name: string }>(
        `SELECT * FROM sqlite_schema WHERE tbl_name IN ('${untouched.join("', '")}')
           OR (type IN ('view', 'trigger') AND tbl_name <> 'change_log')`,
      )
      .all()
      .map(({ name, ...rest }) => ({ name, ...rest, rootpage: 0 }))
    const tables = untouched.filter((name) => present.some((entry) => entry.name === name))
    return {
      schema: present,
      rows: tables.map((name) => [name, database.prepare(`SELECT * FROM "${name}"`).safeIntegers().all()]),
    }
  })

const cursors = 'SELECT workspace_id, device_id, last_seen_version, updated_at FROM device_cursors'

describe.each(shapes)('a database of version %i with every leftover', (shape) => {
  const path = makeLegacy(newFile(), shape, leftovers)
  const foreignBefore = foreignContent(path)
  const before = {
    log: query<{ op_id: string }>(
      path,
      'SELECT * FROM change_log ORDER BY workspace_id, server_version, rowid',
    ),
    cursors: query(path, cursors),
  }

  it('is adopted under the rules', async () => {
    await opened(path, () => {})
    expect(brokenRules(path)).toEqual({})
  })

  it('leaves the tables of other features untouched, and their foreign keys pointing at ours', () => {
    expect(foreignContent(path)).toEqual(foreignBefore)
    expect(foreignBefore.rows.length).toBe(shape === 3 ? 1 : untouched.length)
    if (shape === 3) return
    const targets = query(
      path,
      `SELECT "table" FROM pragma_foreign_key_list('auth_invites') ORDER BY "table"`,
    )
    expect(targets).toEqual([{ table: 'users' }, { table: 'workspaces' }])
    expect(query(path, 'SELECT * FROM connect_names')).toEqual([{ id: 'link', display_name: 'ann' }])
  })

  it('has the schema of a new database beside them', async () => {
    const fresh = newFile()
    await opened(fresh, () => {})
    const own = `SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL ORDER BY name`
    const foreignNames = new Set(['kysely_migration', ...foreignBefore.schema.map(({ name }) => name)])
    const schema = query<{ name: string }>(path, own).filter(({ name }) => !foreignNames.has(name))
    expect(schema.filter(({ name }) => name !== 'sqlite_sequence')).toEqual(query(fresh, own))
  })

  it('keeps every op of the log in order, and every cursor', () => {
    const after = formerQuery<{ op_id: string; server_version: number }>(
      path,
      'SELECT * FROM change_log ORDER BY workspace_id, server_version',
    )
    const known = new Set(before.log.map(({ op_id }) => op_id))
    expect(after.filter(({ op_id }) => known.has(op_id)).map(({ op_id }) => op_id)).toEqual(
      before.log.map(({ op_id }) => op_id),
    )
    expect(query(path, cursors)).toEqual(before.cursors)
  })

  it('gives every device the same live rows, by any page size', () =>
    opened(path, async (subject) => {
      const expected = await liveOnServer(subject)
      expect(Object.keys(expected).length).toBeGreaterThan(5)
      for (let limit = 1; limit <= 60; limit++) {
        expect((await deviceFrom(subject, 0, limit)).live()).toEqual(expected)
      }
    }))

  it('changes nothing when it is opened again', async () => {
    const content = () => [
      query(path, allRows),
      query(path, 'SELECT * FROM change_log'),
      foreignContent(path),
    ]
    const first = content()
    await opened(path, () => {})
    expect(content()).toEqual(first)
  })
})

describe.each(shapes)('after the adoption of a database of version %i', (shape) => {
  it('pushes, replays, conflicts and stale ops have the outcomes of the rules', () => {
    const path = makeLegacy(newFile(), shape, leftovers)
    return opened(path, async (subject) => {
      const { version, rows } = await subject.view('w1')
      const row = rows.find(({ pk }) => pk === 'plain')!
      const logged = { id: row.opId, pk: 'plain', clock: row.clock, hlc: row.hlc, device: row.deviceId }
      const outcome = async (op: ReturnType<typeof put>) => {
        const { verdicts } = await subject.push({ ...scope(), ops: [op] })
        return verdicts[0]
      }
      expect(await outcome(put({ ...logged, payload: row.payload }))).toEqual({
        kind: 'replay',
        opId: row.opId,
        version: row.version,
      })
      expect(await outcome(put({ ...logged, payload: { other: 1 } }))).toMatchObject({ kind: 'conflict' })
      expect(await outcome(put({ pk: 'plain', clock: 0, payload: {} }))).toMatchObject({
        kind: 'superseded',
        version: version + 1,
        payload: row.payload,
      })
      expect(await outcome(put({ pk: 'trimmed-deleted', clock: 1, hlc: '0' }))).toMatchObject({
        kind: 'superseded',
        version: version + 2,
      })
      expect(await outcome(put({ pk: 'trimmed-deleted', clock: 9 }))).toMatchObject({ kind: 'applied' })
      expect(await outcome(del({ pk: 'plain', clock: row.clock + 1 }))).toMatchObject({
        kind: 'applied',
        version: version + 4,
      })
      expect(brokenRules(path)).toEqual({})
    })
  })

  it('garbage collection works, and a device that comes later misses nothing', () => {
    const path = makeLegacy(newFile(), shape, leftovers)
    return opened(path, async (subject) => {
      const device = new Device('new-device')
      await device.synchronise(subject)
      device.edit('messages', 'plain', 'put', 'edited')
      device.edit('threads', 'fresh', 'delete', '')
      await device.synchronise(subject)
      await subject.gcTombstones({ ...scope(), retentionSeconds: 60 })
      await subject.gcChangeLog({ ...scope(), retentionSeconds: 60 })
      const { floor, version } = await subject.view('w1')
      expect(floor).toBeGreaterThan(30)
      expect(floor).toBeLessThan(version)
      const late = await deviceFrom(subject, 0, 3)
      expect(late.live()).toEqual(await liveOnServer(subject))
      expect(device.live()).toEqual(late.live())
      expect(late.live()['messages/plain']).toMatchObject({ text: 'edited' })
    })
  })

  it('shows each user their own notifications only, deletions included', () => {
    const path = makeLegacy(newFile(), shape, leftovers)
    return opened(path, async (subject) => {
      const seenBy = async (userId: string) => {
        const caller = { userId, workspaceId: 'w1' }
        const { changes } = await subject.pull({
          ...scope(),
          cursor: 0,
          limit: 1_000,
          tables: ['notifications'],
          caller,
        })
        return [...new Set(changes.map(({ pk }) => pk))].sort()
      }
      expect(await seenBy('ann')).toEqual([
        'ann-deleted',
        'ann-live',
        'ann-log-only',
        'ann-trimmed',
        'anyones',
      ])
      expect(await seenBy('bob')).toEqual(['anyones', 'bob-live'])
      const op = del({ table: 'notifications', pk: 'ann-deleted', clock: 9, hlc: hlc(9) })
      const { verdicts } = await subject.push({
        ...scope(),
        caller: { userId: 'bob', workspaceId: 'w1' },
        ops: [op],
      })
      expect(verdicts[0]?.kind).toBe('forbidden')
    })
  })
})
