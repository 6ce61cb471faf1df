/**
 * `check` has nothing to say about a good database, whatever it went through.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { invariants } from '../../src/layers/operating/invariants.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { syncedTables } from '../../src/services/index.js'
import { makeLargeLegacy, makeLegacy } from '../support/adoption.js'
import { makeCommand, makeWorkspace } from '../support/command.js'
import { damagedCopy, fill } from '../support/filledDatabase.js'
import { del, put, scope } from '../support/ops.js'
import { putWhole } from '../support/records.js'

const { folder, run, pushTo } = makeCommand()

const good = join(folder, 'good.db')
beforeAll(() => fill(good))

describe('a good database', () => {
  const expectGood = async (database: string) => {
    const { code, stdout, stderr } = await run(database, ['check'])
    const [verdict, ...notes] = stdout.trimEnd().split('\n')
    expect({ code, stderr, verdict }).toEqual({
      code: 0,
      stderr: '',
      verdict: `${database}: ${invariants.length + 1} rules checked, all hold`,
    })
    return notes
  }

  it('with all kinds of things in it has no fault', async () => {
    await expectGood(good)
  })

  it('lists the records that are left out of snapshots, and what can be done', async () => {
    const database = join(folder, 'left-out.db')
    const workspaceId = await makeWorkspace(database)
    const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
    const push = (ops: ReadonlyArray<ReturnType<typeof put>>) =>
      syncGateway.push(undefined, { ...scope(workspaceId), ops })
    await push([...syncedTables.map((table) => putWhole(table, 'good')), del({ pk: 'gone', payload: {} })])
    expect(await expectGood(database)).toEqual([])
    await push([
      putWhole('threads', 'bad', { more: { pinned: 0 } }),
      ...['a', 'b', 'c'].map((pk) => put({ table: 'kv', pk })),
    ])
    await close()
    const at = (table: string, pk: string, lacks: string) =>
      `  ${JSON.stringify({ workspaceId, table, pk, lacks })}`
    const notes = await expectGood(database)
    expect(notes).toEqual([
      expect.stringContaining('left out of snapshots: 4 records '),
      at('threads', 'bad', 'pinned, a boolean'),
      at('kv', 'a', 'name, a string'),
      at('kv', 'b', 'name, a string'),
      '  and more',
      expect.stringContaining('save it again on a device that shows it'),
    ])
    // A key that no client takes.
    const sqlite = new Sqlite(database)
    sqlite.prepare(`UPDATE s_kv SET pk = ? WHERE pk = 'good'`).run('x'.repeat(1_025))
    sqlite.close()
    expect((await run(database, ['check'])).stdout).toContain('left out of snapshots: 5 records ')
  })

  it.each(['WAL', 'DELETE'])('has none while others push, in mode %s', async (mode) => {
    const database = join(folder, `busy-${mode}.db`)
    const pushers = [await pushTo(database, 'a', { mode }), await pushTo(database, 'b', { mode })]
    await expectGood(database)
    await expectGood(database)
    for (const each of pushers) await each.end()
  })

  it('has none after it leapt over a restored backup, and went on', async () => {
    const database = join(folder, 'leapt.db')
    copyFileSync(good, database)
    const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
    const sqlite = new Sqlite(database, { readonly: true })
    const { workspace_id: workspaceId } = sqlite
      .prepare<[], { workspace_id: string }>(
        `SELECT workspace_id FROM server_version_counter WHERE workspace_id <> ''`,
      )
      .get()!
    sqlite.close()
    const ops = [put({ id: 'later', pk: 'new1', clock: 3 }), del({ pk: 'old5', clock: 9 })]
    await syncGateway.push(undefined, { ...scope(workspaceId), ops } as never)
    await syncGateway.push(undefined, { ...scope('born'), ops } as never)
    // A device from before leaps once more.
    await syncGateway.pull(undefined, { ...scope('born'), cursor: 3 * 2 ** 32, limit: 1 })
    await close()
    await expectGood(database)
  })

  it('has none after the adoption of an older one', async () => {
    const database = join(folder, 'adopted.db')
    makeLargeLegacy(database, 17, 3_000)
    expect((await run(database, ['migrate'])).code).toBe(0)
    await expectGood(database)
  })

  it('has none after the adoption of one with gaps, a counter ahead and broken references elsewhere', async () => {
    const database = join(folder, 'adopted-gaps.db')
    makeLegacy(database, 17, (legacy) => {
      legacy.user('ada')
      legacy.workspace('w1', 'ada')
      for (const version of [2, 3, 7]) {
        legacy.entry({ version, pk: `m${version}`, id: `op${version}`, payload: { version } })
        legacy.row({ pk: `m${version}`, id: `op${version}`, payload: { version } })
      }
      legacy.counter(20)
      legacy.sqlite.exec(`
        insert into auth_invites values ('i', 'gone', 'a@example.org', 'nobody', 'hash');
        create table plugin_notes ("id" text, "of" text references "rate_limits" ("hits"));
        insert into plugin_notes values ('p', 'q')`)
    })
    expect((await run(database, ['migrate'])).code).toBe(0)
    await expectGood(database)
    const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
    await syncGateway.push(undefined, { ...scope('w1'), ops: [put({ pk: 'after' })] } as never)
    await close()
    await expectGood(database)
    const copy = join(folder, 'adopted-gaps-copy.db')
    expect(await run(database, ['backup', copy])).toMatchObject({ code: 0, stderr: '' })

    const sqlite = new Sqlite(database)
    sqlite.exec('UPDATE server_version_counter SET value = 20')
    sqlite.close()
    expect((await run(database, ['check'])).stdout).toContain('broken: the log is without gap')
  })

  it('has none with a device that claims to have seen more than there is', async () => {
    const database = join(folder, 'boastful.db')
    const workspaceId = await makeWorkspace(database)
    const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
    const version = Number.MAX_SAFE_INTEGER
    await syncGateway.updateCursor(undefined, { ...scope(workspaceId), deviceId: 'd1', version })
    await close()
    await expectGood(database)
  })

  it("has none when a later release of Effect's migrator describes its own table otherwise", async () => {
    const database = damagedCopy(
      good,
      'migrator',
      `CREATE TABLE other (migration_id INTEGER PRIMARY KEY, created_at TEXT, name TEXT NOT NULL);
       INSERT INTO other SELECT migration_id, created_at, name FROM effect_sql_migrations;
       DROP TABLE effect_sql_migrations; ALTER TABLE other RENAME TO effect_sql_migrations`,
    )
    await expectGood(database)
  })
})
