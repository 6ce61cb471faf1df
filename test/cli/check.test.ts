/**
 * `check`: nothing to say about a good database, whatever it went through; and each rule that is broken is found.
 */
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { invariants } from '../../src/layers/operating/invariants.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeLargeLegacy, makeLegacy } from '../support/adoption.js'
import { damageIndex, makeCommand, makeWorkspace, newestMigration } from '../support/command.js'
import { syncedTables } from '../../src/services/index.js'
import { del, put, scope, opId } from '../support/ops.js'
import { putWhole } from '../support/records.js'

const { folder, run, pushTo } = makeCommand()

const good = join(folder, 'good.db')

/** Rows, a delete with and one without payload, a losing op, a notification, a trimmed part, collected tombstones, an heir. */
const fill = async (database: string) => {
  const workspaceId = await makeWorkspace(database)
  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  const own = scope(workspaceId)
  const push = (ops: ReadonlyArray<unknown>) => syncGateway.push(undefined, { ...own, ops } as never)
  const bury = (pk: string, payload?: unknown) => del({ pk, clock: 2, ...(payload ? { payload } : {}) })
  await push([1, 2, 3, 4, 5, 6].map((n) => put({ id: `old${n}`, pk: `old${n}`, payload: { n } })))
  await push([bury('old1', { gone: true }), bury('old2')])
  const sqlite = new Sqlite(database)
  sqlite.exec('UPDATE change_log SET created_at = created_at - 7300; UPDATE tombstones SET deleted_at = 0')
  sqlite.close()
  await syncGateway.updateCursor(undefined, { ...own, deviceId: 'd1', version: 9 })
  await syncGateway.gcTombstones(undefined, { ...own, retentionSeconds: 3_600 })
  await syncGateway.gcChangeLog(undefined, { ...own, retentionSeconds: 3_600 })
  await push([
    ...[1, 2, 3, 4].map((n) => put({ id: `new${n}`, pk: `new${n}`, payload: { n } })),
    put({ id: 'k', table: 'kv', pk: 'k' }),
    put({ id: 'n', table: 'notifications', pk: 'n', payload: { id: 'n', user_id: 'ada' } }),
    put({ id: 'loser', pk: 'new4', clock: 0, payload: {} }),
    bury('new1', { gone: true }),
    bury('new2'),
    put({ id: 'naming', pk: 'naming', payload: { file_hashes: '["sha256:A","nul\\u0000é",5]' } }),
    put({ id: 'post', table: 'posts', pk: 'post', payload: { file_hashes: ['a', 'b'] } }),
    put({ id: 'file', table: 'file_meta', pk: 'MD5:A', payload: { size_bytes: 7 } }),
    put({ id: 'sizeless', table: 'file_meta', pk: 'b', payload: {} }),
    del({ id: 'gone', table: 'file_meta', pk: 'gone', payload: { size_bytes: 5 } }),
  ])
  for (const intentId of ['open', 'consumed', 'cancelled']) {
    const intent = { workspaceId, intentId, hash: 'A', mimeType: 'image/png', sizeBytes: 7 }
    await syncGateway.reserveUploadIntent(undefined, { ...intent, expiresAt: 1e10 })
    if (intentId === 'consumed') {
      await syncGateway.consumeUploadIntent(undefined, { ...intent, storageId: 's' })
    }
    if (intentId === 'cancelled') await syncGateway.cancelUploadIntent(undefined, intent)
  }
  await close()
}

beforeAll(() => fill(good))

/** The database with damage done to it, as no code of ours would. */
const damaged = (name: string, harm: string | ((path: string) => void)) => {
  const path = join(folder, `${name}.db`)
  rmSync(path, { force: true })
  copyFileSync(good, path)
  if (typeof harm === 'string') {
    const sqlite = new Sqlite(path)
    sqlite.pragma('foreign_keys = OFF')
    sqlite.pragma('ignore_check_constraints = ON')
    // A statement that damages nothing would prove nothing.
    const before = sqlite.pragma('data_version')
    sqlite.exec(harm)
    expect(sqlite.prepare('SELECT total_changes() AS n').get(), String(before)).not.toEqual({ n: 0 })
    sqlite.close()
  } else harm(path)
  return path
}

const id = '(SELECT workspace_id FROM server_version_counter LIMIT 1)'

/** What is done, and the rule that tells. */
const damages: ReadonlyArray<readonly [what: string, harm: string | ((path: string) => void), rule: string]> =
  [
    ['an index page overwritten', damageIndex, 'the file is sound'],
    [
      'an index dropped',
      'DROP INDEX change_log_by_table; UPDATE users SET id = id',
      'the schema is what the migrations made',
    ],
    [
      'a member who is no user',
      `INSERT INTO workspace_members VALUES (${id}, 'nobody', 'viewer', 0)`,
      'foreign keys lead to a row',
    ],
    [
      'a floor above the watermark',
      'UPDATE server_version_counter SET trimmed_version = value + 1',
      'a counter holds a high watermark, a floor below it and whole epochs of versions and clocks',
    ],
    [
      'a clock base within an epoch',
      'UPDATE server_version_counter SET clock_base = 7',
      'a counter holds a high watermark, a floor below it and whole epochs of versions and clocks',
    ],
    [
      'an offset within an epoch',
      'UPDATE server_version_counter SET version_offset = 7',
      'a counter holds a high watermark, a floor below it and whole epochs of versions and clocks',
    ],
    [
      'clocks that rise further than the base of those that devices send',
      'UPDATE server_version_counter SET clock_offset = clock_base + 4294967296',
      'a counter holds a high watermark, a floor below it and whole epochs of versions and clocks',
    ],
    [
      'a row of a workspace without counter',
      `INSERT INTO s_kv VALUES ('ghost', 'k', '{}', 1, 'h', 'o', 'd', 1, 0, 0, 0)`,
      'what is synced belongs to a workspace with a counter',
    ],
    [
      'an entry missing within the log',
      `DROP TRIGGER change_log_keeps_what_pulls_need; DELETE FROM change_log WHERE op_id = '${opId('new3')}'`,
      'the log is without gap from above the floor up to the high watermark',
    ],
    [
      'a watermark above the log',
      'UPDATE server_version_counter SET value = value + 1',
      'the log is without gap from above the floor up to the high watermark',
    ],
    [
      'an entry above the watermark',
      'UPDATE server_version_counter SET value = value - 1',
      'the log is without gap from above the floor up to the high watermark',
    ],
    [
      'an entry below the floor',
      'UPDATE server_version_counter SET trimmed_version = trimmed_version + 1',
      'the log below the floor is gone, unless the workspace leapt',
    ],
    [
      'a payload in the log that is no JSON',
      `UPDATE change_log SET payload_json = '{' WHERE op_id = '${opId('k')}'`,
      'a log entry is a valid op, and a put has a payload',
    ],
    [
      'a put without payload',
      `UPDATE change_log SET payload_json = NULL WHERE op_id = '${opId('loser')}'`,
      'a log entry is a valid op, and a put has a payload',
    ],
    [
      'an entry of an unknown table',
      `UPDATE change_log SET table_name = 'users' WHERE op_id = '${opId('loser')}'`,
      'a log entry is a valid op, and a put has a payload',
    ],
    [
      'a stamp that compares unlike here and there',
      `UPDATE change_log SET hlc = 'é' WHERE op_id = '${opId('loser')}'`,
      'a log entry is a valid op, and a put has a payload',
    ],
    [
      'a row of a lesser revision than its log',
      `UPDATE s_messages SET clock = 0 WHERE pk = 'new3'`,
      'no log entry is greater than the revision of its row',
    ],
    [
      'a row missing',
      `DELETE FROM s_messages WHERE pk = 'new3'`,
      'no log entry is greater than the revision of its row',
    ],
    [
      'a row of the loser',
      `UPDATE s_messages SET data_json = '{"another":1}' WHERE pk = 'new4'`,
      'a row above the floor is what its log entry says',
    ],
    [
      'a row of a revision that nobody pushed',
      `UPDATE s_messages SET clock = 9 WHERE pk = 'new3'`,
      'a row above the floor is what its log entry says',
    ],
    [
      'a row above the watermark',
      `UPDATE s_kv SET server_version = 1000`,
      'a row has a version of its own, up to the high watermark',
    ],
    [
      'two rows of one version',
      `UPDATE s_kv SET server_version = (SELECT server_version FROM s_messages WHERE pk = 'old4')`,
      'a row has a version of its own, up to the high watermark',
    ],
    [
      'a live row without payload',
      `UPDATE s_messages SET data_json = NULL WHERE pk = 'old3'`,
      'a row has a valid revision, and a live one a payload',
    ],
    [
      'a row of an invalid revision',
      `UPDATE s_messages SET op_id = '' WHERE pk = 'old3'`,
      'a row has a valid revision, and a live one a payload',
    ],
    [
      'a tombstone of another revision',
      `UPDATE tombstones SET clock = clock + 1 WHERE pk = 'new2'`,
      'a tombstone has a deleted row of the same revision',
    ],
    [
      'a tombstone of a live row',
      `UPDATE tombstones SET pk = 'new3' WHERE pk = 'new2'`,
      'a tombstone has a deleted row of the same revision',
    ],
    [
      'a deleted row that came back with its tombstone',
      `UPDATE s_messages SET deleted = 0, data_json = '{}' WHERE pk = 'new2'`,
      'a tombstone has a deleted row of the same revision',
    ],
    [
      'a tombstone lost',
      `DELETE FROM tombstones WHERE pk = 'new1'`,
      'a deleted row without a tombstone has no payload left',
    ],
    [
      'a payload left behind',
      `UPDATE s_messages SET data_json = '{}' WHERE pk = 'old1'`,
      'a deleted row without a tombstone has no payload left',
    ],
    [
      'a notification of another user',
      `UPDATE s_notifications SET user_id = 'eve'`,
      'a notification belongs to the user its payload names',
    ],
    [
      'a trimmed op that is in the log',
      `UPDATE trimmed_ops SET op_id = '${opId('new3')}' WHERE op_id = '${opId('old3')}'`,
      'a trimmed op lies below the floor and is not in the log',
    ],
    [
      'a trimmed op above the floor',
      `UPDATE trimmed_ops SET server_version = 12 WHERE op_id = '${opId('old3')}'`,
      'a trimmed op lies below the floor and is not in the log',
    ],
    [
      'a renamed op without a UUID',
      `INSERT INTO renamed_ops VALUES ('w1', 'old', 'messages', 'm1', 'new')`,
      'an adopted op that was renamed has a UUID of its own, and had none',
    ],
    [
      'two renamed ops with one UUID',
      `INSERT INTO renamed_ops SELECT 'w1', value, 'messages', value, '0000000a-0000-8000-8000-000000000000'
       FROM json_each('["a","b"]')`,
      'an adopted op that was renamed has a UUID of its own, and had none',
    ],
    [
      'a cursor that is no version',
      `UPDATE device_cursors SET last_seen_version = 'nine'`,
      'a device cursor is of a valid device, at a version, and of a user if anybody',
    ],
    [
      'a cursor of nobody',
      `UPDATE device_cursors SET device_id = ''`,
      'a device cursor is of a valid device, at a version, and of a user if anybody',
    ],
    [
      'a device of a user without name',
      `UPDATE device_cursors SET owner_user_id = ''`,
      'a device cursor is of a valid device, at a version, and of a user if anybody',
    ],
    [
      'a workspace without owner',
      `UPDATE workspace_members SET role = 'editor'`,
      'a live workspace with members has an owner',
    ],
    [
      'an active workspace without membership',
      `INSERT INTO workspaces VALUES ('w2', 'Two', NULL, 0, 0, NULL); UPDATE users SET active_workspace_id = 'w2'`,
      "a user's active workspace is a live membership",
    ],
    [
      'a reference lost',
      `DELETE FROM file_references WHERE source_table = 'posts' AND hash = 'b'`,
      'every file that a live record names is known to be referred to',
    ],
    [
      'a message that came to name a file behind our back',
      `UPDATE s_messages SET data_json = '{"file\\u005fhashes":["x"]}' WHERE pk = 'new2'; UPDATE s_messages SET deleted = 0 WHERE pk = 'new2'`,
      'every file that a live record names is known to be referred to',
    ],
    [
      'a reference of a record that names no file',
      `UPDATE file_references SET source_id = 'new3' WHERE source_table = 'posts' AND hash = 'b'`,
      'no file is thought to be referred to that no live record names',
    ],
    [
      'a reference of a deleted record',
      `UPDATE s_posts SET deleted = 1`,
      'no file is thought to be referred to that no live record names',
    ],
    ['a file unknown', `DELETE FROM file_records WHERE pk = 'b'`, 'a file is known by what its row says'],
    [
      'a file without row',
      `DELETE FROM s_file_meta WHERE pk = 'gone'`,
      'a file is known by what its row says',
    ],
    ['a file of another hash', `UPDATE file_records SET hash = 'z'`, 'a file is known by what its row says'],
    [
      'a file of another size',
      `UPDATE file_records SET size_bytes = 8 WHERE size_bytes = 7`,
      'a file is known by what its row says',
    ],
    [
      'a deleted file that is thought to live',
      `UPDATE file_records SET deleted = 0`,
      'a file is known by what its row says',
    ],
    [
      'bytes used by no file',
      `UPDATE file_usage SET used_bytes = 8`,
      'the bytes a workspace uses are those of its files',
    ],
    ['bytes forgotten', `DELETE FROM file_usage`, 'the bytes a workspace uses are those of its files'],
    [
      'an intent for a hash that nobody finds',
      `UPDATE upload_reservations SET hash = 'A'`,
      'an upload intent is of a file, and has a place only when it is settled',
    ],
    [
      'an active intent that was consumed',
      `UPDATE upload_reservations SET settled_at = NULL WHERE id = 'consumed'`,
      'an upload intent is of a file, and has a place only when it is settled',
    ],
  ]

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
    const at = (table: string, pk: string) => `  ${JSON.stringify({ workspaceId, table, pk })}`
    const notes = await expectGood(database)
    expect(notes).toEqual([
      expect.stringContaining('left out of snapshots: 4 records '),
      at('threads', 'bad'),
      at('kv', 'a'),
      at('kv', 'b'),
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
    const database = damaged(
      'migrator',
      `CREATE TABLE other (migration_id INTEGER PRIMARY KEY, created_at TEXT, name TEXT NOT NULL);
       INSERT INTO other SELECT migration_id, created_at, name FROM effect_sql_migrations;
       DROP TABLE effect_sql_migrations; ALTER TABLE other RENAME TO effect_sql_migrations`,
    )
    await expectGood(database)
  })
})

describe('a damaged database', () => {
  it('is known in every way there is a rule for', () => {
    expect(new Set(damages.map(([, , rule]) => rule))).toEqual(
      new Set(['the schema is what the migrations made', ...invariants.map(([rule]) => rule)]),
    )
  })

  it.each(damages)('%s', async (what, harm, rule) => {
    const { code, stdout, errors } = await run(damaged(what, harm), ['check'])
    expect(stdout.split('\n')).toContain(`broken: ${rule}`)
    expect(stdout).toMatch(/^ {2}\S/m)
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
    expect(errors[0]).toContain(` of ${invariants.length + 1} rules broken; `)
  })

  it('says how many there are only as far as that is of use', async () => {
    const { stdout } = await run(damaged('many', `UPDATE s_messages SET hlc = ''`), ['check'])
    const lines = stdout.split('\n')
    const from = lines.indexOf('broken: a row has a valid revision, and a live one a payload')
    expect(lines.slice(from + 1, from + 5).map((line) => line.slice(0, 13))).toEqual([
      '  workspace_i',
      '  workspace_i',
      '  workspace_i',
      '  and more',
    ])
  })

  it('is asked for all it can tell, unless a table is missing', async () => {
    const other = damaged(
      'column',
      `ALTER TABLE users ADD COLUMN more; UPDATE server_version_counter SET value = value + 1`,
    )
    expect((await run(other, ['check'])).stdout.match(/^broken: .*$/gm)).toEqual([
      'broken: the schema is what the migrations made',
      'broken: the log is without gap from above the floor up to the high watermark',
    ])
    const missing = damaged('missing', `UPDATE users SET id = id; DROP TABLE tombstones`)
    expect((await run(missing, ['check'])).stdout.match(/^broken: .*$/gm)).toEqual([
      'broken: the schema is what the migrations made',
    ])
  })

  it('with a pending migration is told to migrate first', async () => {
    const path = damaged(
      'pending',
      `DELETE FROM effect_sql_migrations WHERE migration_id = ${Number.parseInt(newestMigration, 10)}`,
    )
    const { code, errors } = await run(path, ['check'])
    expect(code).toBe(1)
    expect(errors).toEqual([expect.stringContaining(`lacks ${newestMigration}: run \`or3-sqlite migrate\``)])
  })
})
