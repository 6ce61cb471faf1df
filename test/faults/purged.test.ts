/**
 * Of a purged workspace, and of an erased user, no byte is left in the file, once it is vacuumed; and what an interruption left, upkeep
 * takes.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger, Option } from 'effect'
import { expect, it } from 'vitest'
import { layerWithConfig } from '../../src/layers/index.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import { eraseSql } from '../../src/layers/sql/eraseSql.js'
import { requiredTables } from '../../src/layers/sql/schemaVersion.js'
import { Erasure, Upkeep } from '../../src/services/index.js'
import { makeCommand } from '../support/command.js'
import { migratedFile } from '../support/migratedFile.js'

const { folder, run } = makeCommand()

const workspaceId = 'the-workspace'

/** Of people and of the server: what a workspace does not hold. */
const ofOthers = ['users', 'auth_accounts', 'deployment_admins', 'rate_limit_windows']

const sentinel = (table: string, column: string) => `<<${table}.${column}>>`

/** What a column has to be for its row to be one, by table and column or by column alone. */
const given: Readonly<Record<string, string | number | null>> = {
  workspace_id: workspaceId,
  table_name: 'messages',
  op: 'put',
  deleted: 0,
  role: 'viewer',
  'server_version_counter.value': 20,
  version_offset: 0,
  clock_offset: 0,
  clock_base: 0,
  'workspaces.id': workspaceId,
  'workspaces.deleted': 1,
  'workspaces.purged_at': null,
  'workspaces.emptied_at': null,
  'workspace_invites.status': 'revoked',
  'jobs.status': 'complete',
  'jobs.thread_id': sentinel('s_threads', 'pk'),
  'job_documents.name': 'execution',
  job_id: sentinel('jobs', 'id'),
  webhook_id: sentinel('webhooks', 'id'),
  'webhooks.scope': 'user',
  'webhooks.health': 'healthy',
  'hook_deliveries.status': 'pending',
  'hook_deliveries.ended': 0,
  ended: 0,
  enabled: 1,
  has_execution: 1,
}

interface Column {
  readonly name: string
  readonly type: string
}

const columnsOf = (database: Sqlite.Database, table: string) =>
  database.prepare<[], Column>(`SELECT name, type FROM pragma_table_info('${table}')`).all()

const valueOf = (table: string, { name, type }: Column) => {
  const own = given[`${table}.${name}`] ?? given[name]
  if (`${table}.${name}` in given || own !== undefined) return own
  if (type === 'TEXT') return sentinel(table, name)
  return type === 'BLOB' ? Buffer.from(sentinel(table, name)) : 1
}

/** A row in every table that a workspace has rows in; gives the sentinels in it. */
const fillAll = (file: string) => {
  const database = new Sqlite(file)
  database.pragma('foreign_keys = OFF')
  const sentinels = new Set<string>()
  for (const table of requiredTables) {
    if (ofOthers.includes(table)) continue
    const columns = columnsOf(database, table)
    const values = columns.map((column) => valueOf(table, column))
    database.prepare(`INSERT INTO ${table} VALUES (${columns.map(() => '?').join()})`).run(...values)
    for (const value of values) if (String(value).startsWith('<<')) sentinels.add(String(value))
  }
  database.close()
  return [...sentinels]
}

/** What of some texts stands in the file or beside it. */
const foundIn = (file: string, texts: ReadonlyArray<string>) => {
  const parts = ['', '-wal', '-shm'].map((suffix) => `${file}${suffix}`).filter((part) => existsSync(part))
  const bytes = Buffer.concat(parts.map((part) => readFileSync(part)))
  return texts.filter((text) => bytes.includes(text))
}

const withServices = <A, E>(file: string, body: Effect.Effect<A, E, Erasure | Upkeep>) =>
  body.pipe(
    Effect.provide(
      Layer.provide(layerWithConfig, Config.layerOf({ dbPath: file, gcInterval: Option.none() })),
    ),
    Effect.provide(Logger.remove(Logger.defaultLogger)),
    Effect.runPromise,
  )

const rowsLeft = (file: string) => {
  const database = new Sqlite(file, { readonly: true })
  const left = requiredTables.filter(
    (table) => !ofOthers.includes(table) && database.prepare(`SELECT 1 FROM ${table}`).get() !== undefined,
  )
  database.close()
  return left
}

/** The mark, and how far its versions are. */
const mark = ['workspaces', 'server_version_counter']

it('a purge and a vacuum leave no byte of what a workspace held, in whichever table', async () => {
  const file = await migratedFile(join(folder, 'bytes.db'))
  const sentinels = fillAll(file)
  expect(sentinels.length).toBeGreaterThan(90)
  expect(foundIn(file, sentinels)).toEqual(sentinels)
  await withServices(
    file,
    Effect.flatMap(Erasure, (erasure) => erasure.purgeWorkspace({ workspaceId })),
  )
  expect(rowsLeft(file).sort()).toEqual([...mark].sort())
  expect((await run(file, ['vacuum'])).code).toBe(0)
  expect(foundIn(file, [...sentinels, workspaceId])).toEqual([workspaceId])
  expect((await run(file, ['check'])).code).toBe(0)
})

it('upkeep takes what an interruption left of a purge', async () => {
  const file = await migratedFile(join(folder, 'interrupted.db'))
  fillAll(file)
  const database = new Sqlite(file)
  database.exec(`UPDATE workspaces SET purged_at = 1, name = '', description = NULL`)
  database.close()
  await withServices(
    file,
    Effect.flatMap(Upkeep, ({ collect }) => collect({ retention: '1 day' })),
  )
  expect(rowsLeft(file).sort()).toEqual([...mark].sort())
})

const userId = 'the-user'

/** What makes a row one of the user's, who is in a workspace that others share; as `given`. */
const givenToUser: Readonly<Record<string, string | number | null>> = {
  ...given,
  workspace_id: 'shared',
  table_name: 'notifications',
  user_id: userId,
  owner_user_id: userId,
  accepted_user_id: userId,
  'users.id': userId,
  'users.erased_at': null,
  'users.emptied_at': null,
  'users.active_workspace_id': 'shared',
  'workspaces.id': 'shared',
  'workspaces.deleted': 0,
  'change_log.server_version': 21,
  'change_log.pk': 'note',
  'change_log.op_id': '00000000-0000-8000-8000-000000000001',
  'change_log.device_id': 'device',
  'change_log.hlc': 'hlc',
  'change_log.payload_json': JSON.stringify({
    user_id: userId,
    text: sentinel('change_log', 'payload_json'),
  }),
  's_notifications.server_version': 20,
  's_notifications.pk': 'note',
  's_notifications.op_id': '00000000-0000-8000-8000-000000000002',
  's_notifications.device_id': 'device',
  's_notifications.hlc': 'hlc2',
  's_notifications.clock': 2,
  's_notifications.data_json': JSON.stringify({
    user_id: userId,
    text: sentinel('s_notifications', 'data_json'),
  }),
  'workspace_invites.email': sentinel('users', 'folded_email'),
}

/** Tables that hold nothing of a user, and why; of the others each text and blob is a sentinel, or named above. */
const exempt: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['workspaces', 'server_version_counter', 'workspace_settings'].map((table) => [
      table,
      "a workspace's own",
    ]),
  ),
  ...Object.fromEntries(
    ['threads', 'messages', 'projects', 'posts', 'kv', 'file_meta'].map((table) => [
      `s_${table}`,
      'content of a workspace that others share',
    ]),
  ),
  ...Object.fromEntries(
    ['file_references', 'file_records', 'file_usage', 'upload_reservations'].map((table) => [
      table,
      'of files of such a workspace, and names no user',
    ]),
  ),
  ...Object.fromEntries(
    ['tombstones', 'trimmed_ops', 'renamed_ops'].map((table) => [
      table,
      'keys, revisions and hashes of content',
    ]),
  ),
  rate_limit_windows: "keys are the host's, and go when their windows end",
}

/** A row of the user in every table that has such; gives the sentinels in it. */
const fillUser = (file: string) => {
  const database = new Sqlite(file)
  database.pragma('foreign_keys = OFF')
  const sentinels = new Set<string>()
  database.exec(`
    INSERT INTO users (id, created_at) VALUES ('other', 0);
    INSERT INTO workspaces (id, name, created_at) VALUES ('shared', 'Shared', 0);
    INSERT INTO server_version_counter (workspace_id, value, trimmed_version) VALUES ('shared', 21, 19);
    INSERT INTO deployment_admins (user_id, created_at) VALUES ('other', 0);
    INSERT INTO workspace_members VALUES ('shared', 'other', 'owner', 0)`)
  for (const table of requiredTables) {
    if (table in exempt) continue
    const columns = columnsOf(database, table)
    const values = columns.map(({ name, type }) => {
      const key = `${table}.${name}`
      if (key in givenToUser) return givenToUser[key]
      if (name in givenToUser) return givenToUser[name]
      return valueOf(table, { name, type })
    })
    database.prepare(`INSERT INTO ${table} VALUES (${columns.map(() => '?').join()})`).run(...values)
    for (const value of values) {
      for (const [text] of String(value).matchAll(/<<[\w.]+>>/g)) sentinels.add(text)
    }
  }
  database.exec(`
    INSERT INTO change_log SELECT workspace_id, server_version, 'notifications', pk, 'put', data_json, clock, hlc, device_id, op_id, 0
    FROM s_notifications;
    UPDATE users SET active_workspace_id = 'shared'`)
  database.close()
  return [...sentinels]
}

it('erasing a user and a vacuum leave no byte of what was known of them, in whichever table', async () => {
  const file = await migratedFile(join(folder, 'user.db'))
  const sentinels = fillUser(file)
  expect(sentinels.length).toBeGreaterThan(35)
  expect(foundIn(file, sentinels)).toEqual(sentinels)
  const report = await withServices(
    file,
    Effect.flatMap(Erasure, (erasure) => erasure.eraseUser({ userId })),
  )
  expect(Object.entries(report).filter(([, total]) => total === 0)).toEqual([['workspaces', 0]])
  expect((await run(file, ['vacuum'])).code).toBe(0)
  expect(foundIn(file, [...sentinels, userId])).toEqual([userId])
  expect((await run(file, ['check'])).stdout).toContain('all hold')
})

it.each(['upkeep', 'gc'])('%s takes what an interruption left of erasing a user', async (by) => {
  const file = await migratedFile(join(folder, `half-${by}.db`))
  const sentinels = fillUser(file)
  const database = new Sqlite(file)
  database.exec(`
    UPDATE users SET erased_at = 1, email = NULL, folded_email = NULL, display_name = NULL, active_workspace_id = NULL WHERE id = '${userId}';
    DELETE FROM auth_accounts;
    DELETE FROM workspace_invites;
    DELETE FROM deployment_admins WHERE user_id = '${userId}';
    DELETE FROM workspace_members WHERE user_id = '${userId}'`)
  database.close()
  if (by === 'gc') expect(await run(file, ['gc'])).toMatchObject({ code: 0 })
  else
    await withServices(
      file,
      Effect.flatMap(Upkeep, ({ collect }) => collect({ retention: '1 day' })),
    )
  expect((await run(file, ['vacuum'])).code).toBe(0)
  expect(foundIn(file, sentinels)).toEqual([])
  expect((await run(file, ['check'])).stdout).toContain('all hold')
})

it('what a row stands by is not taken from the log alone, lest the two differ', async () => {
  const file = await migratedFile(join(folder, 'apart.db'))
  fillUser(file)
  const database = new Sqlite(file)
  const { sql, params } = eraseSql.emptyEntries({ userId, workspaceId: 'shared' })
  database.prepare(sql).all(...params)
  const entries = database.prepare('SELECT server_version AS version, op FROM change_log ORDER BY 1').all()
  database.close()
  expect(entries).toEqual([
    { version: 20, op: 'put' },
    { version: 21, op: 'delete' },
  ])
})
