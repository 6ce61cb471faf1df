/**
 * What an adoption leaves behind: readings that are none, the way back, copies of payloads; and what 0.1 left of it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import { Kysely, Migrator, SqliteDialect } from 'kysely'
import { afterAll, describe, expect, it } from 'vitest'
import { findFaults } from '../../src/layers/operating/invariants.js'
import { expectedObjects } from '../../src/layers/operating/schemaState.js'
import { brokenRules, makeLegacy, opened, query } from '../support/adoption.js'
import { migrateUpTo } from '../support/earlierRelease.js'
import { type LegacyDatabase, legacyTime, type Shape } from '../support/legacyDatabase.js'
import { leftovers } from '../support/legacyLeftovers.js'
import { hlc, put, scope } from '../support/ops.js'
import { deviceFrom, liveOnServer } from '../support/simulatedDevice.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)
let files = 0
const newFile = () => join(folder, `aftermath-${++files}.db`)
const shapes = [3, 17] as const

const edit = <A>(path: string, body: (database: Sqlite.Database) => A): A => {
  const database = new Sqlite(path)
  try {
    return body(database)
  } finally {
    database.close()
  }
}

const rowOf = (path: string, pk: string) =>
  query(path, 'SELECT * FROM s_messages').find((row) => row.pk === pk)

describe('a reading that release 006 made up', () => {
  const madeUp = (pk: string, version: number) => ({
    ...{ pk, version, clock: 2, hlc: 'legacy:0' },
    id: `legacy:tombstone:messages:${pk}:2`,
  })

  it('does not bury the live record of its clock', async () => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      // Device A deleted at clock 2, device B put at clock 2 with a later reading and won; the entries are trimmed since.
      legacy.row({ pk: 'a', payload: { by: 'B' }, clock: 2, hlc: hlc(20), id: 'legacy:messages:a:2:x' })
      legacy.tombstone(madeUp('a', 2))
      legacy.counter(3)
    })
    await opened(path, async (subject) => {
      expect(await liveOnServer(subject)).toEqual({ 'messages/a': { by: 'B' } })
    })
    expect(brokenRules(path)).toEqual({})
  })

  it('lets an edit of the same clock win over a deleted record', async () => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      legacy.row({ pk: 'a', clock: 2, hlc: hlc(10), deleted: true })
      legacy.tombstone(madeUp('a', 2))
      // And a record of which only the tombstone is left.
      legacy.tombstone(madeUp('b', 3))
      legacy.counter(3)
    })
    await opened(path, async (subject) => {
      const later = hlc((legacyTime + 60) * 1_000)
      const { verdicts } = await subject.push({
        ...scope(),
        ops: ['a', 'b'].map((pk) => put({ pk, clock: 2, hlc: later, payload: {} })),
      })
      expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'applied'])
    })
  })

  it.each(['a row', 'a log entry'])('is the least there is in %s too', async (where) => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      if (where === 'a row') legacy.row({ pk: 'a', payload: {}, hlc: 'legacy:0' })
      else legacy.entry({ version: 1, pk: 'a', payload: {}, hlc: 'legacy:x' })
      legacy.counter(1)
    })
    await opened(path, () => {})
    expect(rowOf(path, 'a')).toMatchObject({ hlc: '000000000:000:00000000' })
  })
})

describe('a full tie across a trimmed range', () => {
  it.each(shapes)('keeps what the row of version %i shows, for every device', async (shape) => {
    const path = makeLegacy(newFile(), shape, (legacy) => {
      legacy.entry({ version: 4, pk: 'put', payload: { shown: false }, hlc: 'x', id: 'op-late' })
      legacy.row({ pk: 'put', payload: { shown: true }, hlc: 'x', id: 'op-first' })
      legacy.entry({ version: 5, pk: 'gone', payload: { shown: false }, hlc: 'x', id: 'op-late-too' })
      legacy.row({ pk: 'gone', payload: { shown: true }, hlc: 'x', deleted: true })
      // All of this tie is in the log, so its greatest op id decides; the row's own entry comes last.
      legacy.entry({ version: 6, pk: 'logged', payload: { n: 6 }, hlc: 'x', id: 'op-c' })
      legacy.entry({ version: 7, pk: 'logged', payload: { n: 7 }, hlc: 'x', id: 'op-b' })
      legacy.row({ pk: 'logged', payload: { n: 7 }, hlc: 'x' })
      legacy.counter(7)
    })
    await opened(path, async (subject) => {
      const expected = { 'messages/logged': { n: 6 }, 'messages/put': { shown: true } }
      expect(await liveOnServer(subject)).toEqual(expected)
      const { version } = await subject.view('w1')
      const fresh = await subject.pull({ ...scope(), cursor: 0, limit: 1_000 })
      const last = new Map(fresh.changes.map((change) => [change.pk, change]))
      expect(last.get('put')?.stamp).toMatchObject({ clock: 1, hlc: 'x' })
      expect(fresh.nextCursor).toBe(version)
    })
    expect(brokenRules(path)).toEqual({})
  })
})

describe('the earlier package', () => {
  /** The real one's migrator, as far as its ledger goes. */
  const startEarlier = (path: string, count: number) => {
    const names = query<{ name: string }>(path, 'SELECT name FROM kysely_migration ORDER BY name')
      .map(({ name }) => name)
      .filter((name) => /^\d/.test(name))
    expect(names).toHaveLength(count)
    const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: new Sqlite(path) }) })
    const provider = {
      getMigrations: () =>
        Promise.resolve(Object.fromEntries(names.map((name) => [name, { up: () => Promise.resolve() }]))),
    }
    return new Migrator({ db, provider }).migrateToLatest().finally(() => db.destroy())
  }

  it.each(Array.from({ length: 15 }, (_, index) => index + 3))(
    'of release %i starts on its own file, and not on one that was adopted',
    async (release) => {
      const path = makeLegacy(newFile(), release < 17 ? 3 : 17, (legacy) => {
        legacy.sqlite.exec('DELETE FROM kysely_migration')
        for (let id = 1; id <= release; id++) {
          const name = id === 1 ? '001_init' : `${String(id).padStart(3, '0')}_later`
          legacy.insert('kysely_migration', { name, timestamp: `2026-01-01T00:00:${10 + id}.000Z` })
        }
      })
      expect((await startEarlier(path, release)).error).toBeUndefined()
      await opened(path, () => {})
      const { error } = await startEarlier(path, release)
      expect(String(error)).toMatch(/adopted by or3-provider-sqlite; to go back, restore the copy.* missing/)
    },
  )

  const fill = (legacy: LegacyDatabase) => {
    for (let n = 1; n <= 20; n++) {
      legacy.entry({ version: n, pk: `p${n}`, payload: { n }, id: `op-${n}` })
      legacy.row({ pk: `p${n}`, payload: { n }, id: `op-${n}` })
    }
    legacy.cursor('d1', 20)
    legacy.counter(20)
  }

  /** What its `gcChangeLog` runs. */
  const theirGc = `DELETE FROM change_log WHERE workspace_id = 'w1' AND server_version < 15 AND created_at < 9999999999`

  it.each(shapes)(
    'that still runs on a file of version %i cannot trim the log behind our back',
    async (shape) => {
      const path = makeLegacy(newFile(), shape, fill)
      const running = new Sqlite(path)
      await opened(path, async (subject) => {
        expect(() => running.exec(theirGc)).toThrow('above the floor are still needed')
        expect(Object.keys((await deviceFrom(subject, 0, 100)).live())).toHaveLength(20)
        // We ourselves still can.
        await subject.updateCursor({ ...scope(), deviceId: 'd1', version: 20 })
        await subject.gcChangeLog({ ...scope(), retentionSeconds: 1 })
        expect((await subject.view('w1')).logVersions).toEqual([20])
      })
      running.close()
    },
  )

  it('may have trimmed the log all the same: the start notices it, and the rows are served', async () => {
    const path = makeLegacy(newFile(), 17, fill)
    await opened(path, () => {})
    edit(path, (database) => database.exec(`DROP TRIGGER change_log_keeps_what_pulls_need; ${theirGc}`))
    expect(query(path, 'SELECT count(*) AS n FROM change_log')).toEqual([{ n: 6 }])
    const expected = Effect.runSync(expectedObjects)
    const faults = edit(path, (database) => Effect.runSync(findFaults(database, expected)).faults)
    expect(faults.map(({ rule }) => rule)).toContain('a row above the floor is what its log entry says')
    await opened(path, async (subject) => {
      expect(Object.keys((await deviceFrom(subject, 0, 100)).live())).toHaveLength(20)
      // Devices may have passed what was not served.
      expect(Object.keys((await deviceFrom(subject, 20, 100)).live())).toHaveLength(20)
      const { verdicts } = await subject.push({
        ...scope(),
        ops: [put({ odd: 'op-18', pk: 'p18', payload: { n: 18 }, hlc: 'a', device: 'd1' })],
      })
      expect(verdicts).toMatchObject([{ kind: 'replay' }])
    })
    const counters = () => query(path, 'SELECT * FROM server_version_counter')
    // A mended log hides no restore.
    const note = `${path}-seen`
    const before = readFileSync(note, 'utf8')
    writeFileSync(note, `40 ${before.split(' ')[1]} 0\n`)
    edit(path, (database) => database.exec('DELETE FROM change_log'))
    await opened(path, async (subject) => {
      expect((await subject.view('w1')).rows.every(({ clock }) => clock > 2 ** 32)).toBe(true)
    })
    const mended = counters()
    await opened(path, () => {})
    expect(counters()).toEqual(mended)
  })
})

describe('copies of payloads for pages of snapshots', () => {
  it('are gone with the adoption, so that what is erased later is erased', async () => {
    const secret = 'the-secret-of-a-deleted-record'
    const path = makeLegacy(newFile(), 17, (legacy) => {
      legacy.entry({ version: 1, pk: 'a', payload: { secret }, id: 'op-1', at: 1 })
      legacy.row({ pk: 'a', payload: { secret }, id: 'op-1' })
      legacy.insert('sync_snapshot_items', {
        snapshot_id: 'snapshot',
        position: 9,
        payload_json: JSON.stringify({ secret }),
      })
      legacy.counter(1)
    })
    await opened(path, async (subject) => {
      await subject.push({
        ...scope(),
        ops: [{ ...put({ pk: 'a', clock: 2 }), operation: 'delete', payload: undefined }],
      })
      await subject.updateCursor({ ...scope(), deviceId: 'd', version: 2 ** 40 })
    })
    // A second later, both are older than the window of the collections.
    edit(path, (database) =>
      database.exec('UPDATE change_log SET created_at = 1; UPDATE tombstones SET deleted_at = 1'),
    )
    await opened(path, async (subject) => {
      await subject.gcTombstones({ ...scope(), retentionSeconds: 60 })
      await subject.gcChangeLog({ ...scope(), retentionSeconds: 60 })
    })
    edit(path, (database) => {
      database.exec('VACUUM')
      database.pragma('wal_checkpoint(TRUNCATE)')
    })
    expect(readFileSync(path).includes(secret)).toBe(false)
  })
})

describe('a file that 0.1 adopted', () => {
  const adoptedBy01 = async (shape: Shape, fill: (legacy: LegacyDatabase) => void) => {
    const path = makeLegacy(newFile(), shape, fill)
    await migrateUpTo(path, 3)
    // It noted beside each file how many versions that had.
    writeFileSync(`${path}-seen`, '0 0 0\n')
    expect(query(path, 'SELECT count(*) AS n FROM kysely_migration')).toEqual([{ n: shape }])
    return path
  }

  it.each(shapes)(
    'of version %i comes to the same as one that is adopted now, and loses nothing',
    async (shape) => {
      const now = makeLegacy(newFile(), shape, leftovers)
      await opened(now, () => {})
      const before = await adoptedBy01(shape, leftovers)
      await opened(before, async (subject) => {
        expect(await liveOnServer(subject)).toEqual(await opened(now, liveOnServer))
      })
      expect(brokenRules(before)).toEqual({})
      const counters = 'SELECT * FROM server_version_counter ORDER BY workspace_id'
      expect(query(before, counters)).toEqual(query(now, counters))
      expect(query(before, `SELECT name FROM sqlite_schema WHERE name LIKE 'sync_snapshot%'`)).toEqual([])
    },
  )

  it('and that was restored since is recognised, although one of its workspaces leaps at the upgrade', async () => {
    const path = await adoptedBy01(17, (legacy) => {
      for (let n = 1; n <= 3; n++) legacy.row({ pk: `p${n}`, payload: { n } })
      legacy.counter(3)
      for (let n = 1; n <= 5; n++) {
        legacy.entry({ version: n, pk: `p${n}`, payload: { n }, id: `op-w2-${n}`, workspace: 'w2' })
        legacy.row({ pk: `p${n}`, payload: { n }, id: `op-w2-${n}`, workspace: 'w2' })
      }
      legacy.counter(5, 'w2')
    })
    writeFileSync(`${path}-seen`, '23 20 0\n')
    await opened(path, async (subject) => {
      for (const id of ['w1', 'w2']) {
        const { version, rows } = await subject.view(id)
        expect(version, id).toBeGreaterThan(2 ** 32)
        expect(rows.every(({ clock }) => clock > 2 ** 32)).toBe(true)
      }
    })
  })

  it('whose devices may have missed rows gives each of them all of them, once', async () => {
    const path = await adoptedBy01(17, (legacy) => {
      for (let n = 1; n <= 8; n++) legacy.row({ pk: `p${n}`, payload: { n } })
      legacy.counter(8)
    })
    await opened(path, async (subject) => {
      const device = await deviceFrom(subject, 8, 3)
      expect(Object.keys(device.live())).toHaveLength(8)
      expect(await subject.pull({ ...scope(), cursor: device.cursor })).toMatchObject({ changes: [] })
    })
  })

  it('and whose log the earlier package emptied since is served again', async () => {
    const path = await adoptedBy01(17, (legacy) => {
      for (let n = 1; n <= 8; n++) {
        legacy.entry({ version: n, pk: `p${n}`, payload: { n }, id: `op-${n}` })
        legacy.row({ pk: `p${n}`, payload: { n }, id: `op-${n}` })
      }
      legacy.counter(8)
    })
    // From the midst as well, as where its clock had gone back.
    edit(path, (database) => database.exec('DELETE FROM change_log WHERE server_version IN (1, 2, 5)'))
    await opened(path, async (subject) => {
      for (const cursor of [0, 3, 8]) {
        expect(Object.keys((await deviceFrom(subject, cursor, 3)).live())).toHaveLength(8)
      }
      const { verdicts } = await subject.push({
        ...scope(),
        ops: [put({ odd: 'op-3', pk: 'p3', payload: { n: 3 }, hlc: 'a', device: 'd1' })],
      })
      expect(verdicts).toMatchObject([{ kind: 'replay' }])
    })
  })
})
