/**
 * Issue 3, point 6: no statement that serves pushes, pulls or garbage collection reads a whole table or a whole workspace, or
 * sorts, whatever SQLite knows about the data.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger } from 'effect'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pullBatchSql } from '../../src/layers/batch/pull.js'
import type { statement } from '../../src/layers/sql/batch.js'
import { pullSql } from '../../src/layers/sql/pullSql.js'
import { SyncGateway, syncedTables } from '../../src/services/index.js'
import { del, put, scope } from '../support/ops.js'
import { sqlLayer } from '../support/layerSubjects.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

type Statement = readonly [name: string, sql: string, params: (value: number) => ReadonlyArray<unknown>]

/** The values count, since SQLite looks at them when it has statistics. */
const paramsOf =
  (sql: string) =>
  (value: number): ReadonlyArray<unknown> => {
    const names = [...sql.matchAll(/:(\w+)/g)].map(([, name]) => name!)
    const named = Object.fromEntries(names.map((name) => [name, name === 'workspaceId' ? 'w0' : value]))
    const positional = [...sql.matchAll(/\?/g)].map((_mark, index) => (index === 0 ? 'w0' : value))
    return names.length > 0 ? [named] : positional
  }

const plain = (name: string, sql: string): Statement => [name, sql, paramsOf(sql)]

/** Of a batch: lists of one element, with the value wherever an element has something. */
const ofBatch = (name: string, bind: ReturnType<typeof statement>): Statement => {
  const given = (value: number) =>
    new Proxy<Record<string, string | number>>(
      {},
      {
        get: (_none, param) => (param === 'workspaceId' ? 'w0' : value),
      },
    )
  return [name, bind.sql, (value) => bind(given(value)).params]
}

/** Statements that are no matter of this test, and why. */
const notHere: Record<string, string> = {
  workspaceSql: 'the tests of the store look at its plans',
  invitesSql: 'as workspaceSql',
  administrationSql: 'as workspaceSql',
  maintenanceSql: 'reads the counters and cursors of all workspaces, and no log',
  upkeepSql: 'as maintenanceSql, and of each log the first entry',
  leapSql: 'moves whole workspaces, once per restored backup',
}

/** Every choice of at least one table. */
const choices = Array.from({ length: 2 ** syncedTables.length - 1 }, (_, index) =>
  syncedTables.filter((_table, bit) => ((index + 1) >> bit) % 2 === 1),
)

const pages = choices.flatMap((tables) =>
  [true, false].map((belowFloor): Statement => {
    const which = tables.length === syncedTables.length ? 'all' : tables.join(', ')
    return plain(
      `pullSql.page of ${which}${belowFloor ? ', below the floor' : ''}`,
      pullSql.page(tables, belowFloor),
    )
  }),
)

/** All texts among some statements, which may be grouped by table. What it does not know is an error. */
const textsOf = (name: string, value: unknown): ReadonlyArray<Statement> => {
  if (typeof value === 'string') return [plain(name, value)]
  if (value === pullSql.page) return pages
  // Of its branches; whole it is in `pullBatchSql.page`.
  if (value === pullSql.wholePage) return []
  if (value === pullBatchSql.page) {
    return choices.map((tables) => ofBatch(`${name} of ${tables.join()}`, pullBatchSql.page(tables)))
  }
  if (typeof value === 'function' && 'sql' in value) return [ofBatch(name, value as never)]
  if (typeof value !== 'object' || value === null) throw new Error(`${name} is no statement`)
  return Object.entries(value).flatMap(([key, member]) => textsOf(`${name}.${key}`, member))
}

const layers = fileURLToPath(new URL('../../src/layers', import.meta.url))

/** The statements that any layer exports, in objects named `…Sql`, so that none can be forgotten here. */
const exportedStatements = async () => {
  const files = readdirSync(layers, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  const modules = await Promise.all(
    files.map((file) => import(join(layers, file)) as Promise<Record<string, unknown>>),
  )
  return modules
    .flatMap((module, index) =>
      Object.entries(module).map(
        ([name, value]) => [files[index]!.startsWith('batch/') ? `batch/${name}` : name, value] as const,
      ),
    )
    .filter(([name]) => name.endsWith('Sql') && !Object.hasOwn(notHere, name))
}

/** What a statement may do although it looks expensive, by its name and the step of its plan. */
const exceptions: ReadonlyArray<{
  readonly name: RegExp
  readonly step: RegExp
  readonly why: string
}> = [
  {
    name: /^pushSql\.hasTombstones$/,
    step: /^SEARCH tombstones USING COVERING INDEX tombstones_by_version \(workspace_id=\?\)$/,
    why: 'looks at the first entry only (LIMIT 1)',
  },
  {
    name: /^fileIndexSql\.hasReferences$/,
    step: /^SEARCH file_references USING COVERING INDEX file_references_by_source \(workspace_id=\?\)$/,
    why: 'looks at the first entry only (LIMIT 1)',
  },
  {
    name: /^rateLimitSql\.last$/,
    step: /^SCAN \(subquery-\d\)$/,
    why: 'the last of some windows in the order of their rows (LIMIT)',
  },
  {
    name: /^uploadIntentsSql\.(room|reserve)$/,
    step: /^(USE TEMP B-TREE FOR GROUP BY|SCAN \(subquery-\d\)|SCAN room|SCAN CONSTANT ROW)$/,
    why: 'sorts the intents that have not expired: as many as there are uploads under way',
  },
  {
    name: /^backgroundJobsSql\./,
    step: /^SCAN (jobs USING INDEX jobs_streaming|live)$/,
    why: 'the index holds streaming jobs alone: as many as there may be at once',
  },
  {
    name: /^backgroundJobsSql\.dropExpired/,
    step: /^SCAN \(subquery-\d\)$/,
    why: 'adds up what an index gave, as many rows as a step has',
  },
  {
    name: /^webhooksSql\.(deliveries\.\w+|endedDeliveries|cancelDue|claim|\w+\.take)$/,
    step: /^SCAN (\(subquery-\d\)|d)$/,
    why: 'adds up what an index gave, as many rows as a list, a claim or a step has',
  },
  {
    name: /^webhooksSql\.create$/,
    step: /^SCAN CONSTANT ROW$/,
    why: 'the one row that is inserted',
  },
  {
    name: /^purgeSql\.(drop\.|waiting$|webhooks$)/,
    step: /^(SCAN \(subquery-\d\)|SEARCH \w+ USING (COVERING )?INDEX \w+ \(workspace_id=\?\))$/,
    why: 'takes the first of what an index gives, as many rows as a step has (LIMIT)',
  },
  {
    name: /^purgeSql\.count\./,
    step: /^SEARCH \w+ USING (COVERING )?INDEX \w+ \(workspace_id=\?\)$/,
    why: 'counts what a workspace has, before it is purged',
  },
  {
    name: /^purgeSql\.closed$/,
    step: /^SCAN CONSTANT ROW$/,
    why: 'the one row that is told',
  },
  {
    name: /^eraseSql\.(user|mark)$/,
    step: /^SCAN deployment_admins USING COVERING INDEX sqlite_autoindex_deployment_admins_1$/,
    why: 'up to the first other one of the few there are',
  },
  {
    name: /^eraseSql\./,
    step: /^SEARCH o (EXISTS )?USING (COVERING )?INDEX sqlite_autoindex_workspace_members_1 \(workspace_id=\?\)$/,
    why: 'up to the first other member of a workspace that the user is in',
  },
  {
    name: /^eraseSql\.(left|count\.invites)$/,
    step: /^(USE TEMP B-TREE FOR ORDER BY|SCAN \(subquery-\d\))$/,
    why: 'the workspaces of one user, and the invites',
  },
  {
    name: /^webhooksSql\.activeHooks$/,
    step: /^SCAN h USING COVERING INDEX webhook_hooks_by_hook$/,
    why: 'lists all custom hooks there are, in the order of their index',
  },
  {
    name: /^retentionSql\./,
    step: /^SEARCH (device_cursors|d) USING INDEX sqlite_autoindex_device_cursors_1 \(workspace_id=\?\)$/,
    why: 'a workspace has as many cursors as devices, and stale ones are removed',
  },
  {
    name: /^(batch\/|retentionSql\.)/,
    step: /^(SCAN c LEFT-JOIN|SCAN CONSTANT ROW|SEARCH c USING INDEX sqlite_autoindex_server_version_counter_1 \(workspace_id=\?\))$/,
    why: 'the counter of a workspace is one row',
  },
  {
    name: /^(batch\/pushSql\.(log|raiseWatermark)|retentionSql\.front)$/,
    step: /^SEARCH change_log USING (COVERING )?INDEX change_log_by_version \(workspace_id=\?\)$/,
    why: 'looks at the first or last entry only (LIMIT 1)',
  },
  {
    name: /^(batch\/|fileReferencesSql\.(live|retained)\.whole|retentionSql\.front)/,
    step: /^SCAN (\(subquery-\d+\)|l)$/,
    why: 'adds up what an index gave, as many rows as a page or a push has',
  },
  {
    name: /^batch\/(pullBatchSql|snapshotSql)\./,
    step: /^USE TEMP B-TREE FOR ORDER BY$/,
    why: 'sorts a page of each table, since some engines would sort all of each',
  },
  {
    name: /^batch\/pushSql\.(log|materialize)/,
    step: /^USE TEMP B-TREE FOR ORDER BY$/,
    why: 'sorts the ops of a push',
  },
]

const isExpected = (statement: string, step: string) =>
  exceptions.some(({ name, step: expected }) => name.test(statement) && expected.test(step))

/** Their key is the workspace alone, so that this finds one row. */
const onlyRow =
  /^SEARCH (server_version_counter|file_usage) USING (?:COVERING )?INDEX sqlite_autoindex_\1_1 \(workspace_id=\?\)$/

const isCostly = (step: string): boolean =>
  // A list that came as a parameter is read as a whole.
  (step.startsWith('SCAN') && !step.includes('VIRTUAL TABLE')) ||
  // What `max` of an unindexed column is called.
  (step.startsWith('SEARCH') && !step.includes(' USING ')) ||
  step.includes('TEMP B-TREE') ||
  step.includes('AUTOMATIC') ||
  (step.endsWith('(workspace_id=?)') && !onlyRow.test(step))

const planOf = (
  database: Sqlite.Database,
  [, sql, params]: Statement,
  value: number,
): ReadonlyArray<string> =>
  database
    .prepare<Array<unknown>, { readonly detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
    .all(...params(value))
    .map(({ detail }) => detail)

const { folder, remove } = temporaryFolder()
afterAll(remove)

/** A database with workspaces of a size: mostly messages, every table used, some trimmed ops, tombstones and cursors. */
const fill = (file: string, workspaces: number, ops: number) =>
  Effect.gen(function* () {
    const gateway = yield* SyncGateway
    for (let workspace = 0; workspace < workspaces; workspace++) {
      const own = scope(`w${workspace}`)
      for (let at = 0; at < ops; at += 1_000) {
        const batch = Array.from({ length: Math.min(1_000, ops - at) }, (_, index) => {
          const table = index % 4 === 0 ? syncedTables[index % syncedTables.length]! : 'messages'
          const payload = { file_hashes: [`hash${index % 50}`, `own${index}`], size_bytes: index }
          return (index % 9 === 0 ? del : put)({ table, pk: `pk${index}`, payload, clock: at })
        })
        yield* gateway.push({ ...own, ops: batch })
      }
      for (const deviceId of ['d1', 'd2']) yield* gateway.updateCursor({ ...own, deviceId, version: ops })
    }
  }).pipe(
    Effect.provide(Layer.provide(sqlLayer(file), Logger.remove(Logger.defaultLogger))),
    Effect.runPromise,
  )

describe.each([
  { shape: 'nothing', workspaces: 0, ops: 0 },
  // An `ANALYZE` that ran early says for a long time that the tables are tiny.
  { shape: 'one entry', workspaces: 1, ops: 1 },
  { shape: 'one large workspace', workspaces: 1, ops: 6_000 },
  { shape: 'many small workspaces', workspaces: 50, ops: 100 },
])('with $shape in the database', ({ shape, workspaces, ops }) => {
  let database: Sqlite.Database
  beforeAll(async () => {
    const file = join(folder, `${shape}.db`)
    await fill(file, workspaces, ops)
    database = new Sqlite(file)
    database.exec(`
      INSERT INTO trimmed_ops
      SELECT workspace_id, 'trimmed-' || op_id, server_version, zeroblob(32), created_at FROM change_log;
      INSERT INTO jobs (id, user_id, thread_id, message_id, model, status, content_length, piece_count, chunks_received,
        started_at, last_activity_at, completed_at, has_execution, attempts)
      SELECT workspace_id || op_id, pk, pk, pk, pk, iif(rowid % 9, 'complete', 'streaming'), 1, 1, 1, rowid, rowid,
        iif(rowid % 9, rowid, NULL), 1, 0 FROM change_log;
      INSERT INTO job_chunks SELECT id, 0, 'x' FROM jobs;
      INSERT INTO job_documents SELECT id, 'execution', '1' FROM jobs`)
  })
  afterAll(() => database.close())

  it.each(['without statistics', 'after ANALYZE'])('every statement goes by an index, %s', async (when) => {
    if (when === 'after ANALYZE') database.exec('ANALYZE')
    const objects = await exportedStatements()
    const names = objects.map(([name]) => name)
    expect(names).toEqual(
      expect.arrayContaining([
        'pushSql',
        'pullSql',
        'batch/pushSql',
        'batch/snapshotSql',
        'uploadIntentsSql',
        'backgroundJobsSql',
        'webhooksSql',
      ]),
    )
    const costly = objects
      .flatMap(([name, statements]) => textsOf(name, statements))
      .flatMap((statement) =>
        [0, Math.floor(ops / 2), ops].flatMap((value) =>
          planOf(database, statement, value)
            .filter((step) => isCostly(step) && !isExpected(statement[0], step))
            .map((step) => `${statement[0]}: ${step}`),
        ),
      )
    expect([...new Set(costly)]).toEqual([])
  })

  it('a page of some tables reads no log entries of the others', () => {
    const some = pages.filter(([name]) => !name.startsWith('pullSql.page of all'))
    expect(some).toHaveLength(2 * (choices.length - 1))
    for (const statement of some) {
      const reads = planOf(database, statement, 0).filter((step) => step.startsWith('SEARCH change_log'))
      const expected =
        'SEARCH change_log USING INDEX change_log_by_table (workspace_id=? AND table_name=? AND server_version>?)'
      expect(new Set(reads)).toEqual(new Set([expected]))
    }
  })
})
