/**
 * Claims and look-ups go by their indexes, whatever SQLite knows about the data: a claim by the index of what is due, in its order.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { statement } from '../../src/layers/sql/batch.js'
import { webhooksSql } from '../../src/layers/sql/webhooksSql.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

/** Half of the registrations are told of one event, all over the workspaces; some deliveries of each status. */
const fill = async (registrations: number, deliveries: number): Promise<Sqlite.Database> => {
  const file = join(folder, `plans-${registrations}-${deliveries}.db`)
  await openProvider({ env: { OR3_SQLITE_DB_PATH: file } }).close()
  const database = new Sqlite(file)
  database.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ${registrations} > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${registrations})
    INSERT INTO webhooks SELECT 'h' || i, iif(i % 9 = 0, 'admin', 'user'), 'u' || (i % 50), 'w' || (i % 20), 'http://a.b', '',
      '["e"]', '[]', '', i % 3 > 0, 'unknown', i, i FROM n;
    INSERT INTO webhook_events SELECT id, iif(rowid % 2, 'e', 'f'), scope, workspace_id FROM webhooks;
    INSERT INTO webhook_hooks SELECT id, 'k' || (rowid % 7) FROM webhooks;
    WITH RECURSIVE n (i) AS (SELECT 1 WHERE ${deliveries} > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${deliveries})
    INSERT INTO hook_deliveries SELECT 'd' || i, 'h' || (i % 30), 'i', 'e', 1, iif(i % 4 = 0, 'pending', iif(i % 4 = 1, 'in_flight', 'success')),
      i % 4 > 1, NULL, iif(i % 4 = 1, i, NULL), i, NULL, i, NULL, NULL, NULL, NULL, NULL, i FROM n`)
  return database
}

type Bound = ReturnType<typeof statement>

const planOf = (database: Sqlite.Database, bind: Bound, params: Parameters<Bound>[0]) => {
  const { sql, params: values } = bind(params)
  return (
    database
      .prepare<Array<unknown>, { readonly detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...values)
      .map(({ detail }) => detail.replace(/ SUBQUERY \d+/, ' SUBQUERY'))
      // What runs beside each other, and goes through what the other gives.
      .filter((step) => !/^(?:CO-ROUTINE|SCAN) \(subquery-\d+\)$/.test(step))
  )
}

const owner = { userId: 'u1', workspaceId: 'w1' }
const byEvent = { eventType: 'e', scope: 'admin', workspaceId: 'w1', orWorkspaceId: '' }
const byKey = 'SEARCH w USING INDEX sqlite_autoindex_webhooks_1 (id=?)'
const ofDelivery = 'SEARCH hook_deliveries USING COVERING INDEX sqlite_autoindex_hook_deliveries_1 (id=?)'
const wholeDelivery = ofDelivery.replace('COVERING ', '')
const list = 'LIST SUBQUERY'

/** Whether a registration counts. */
const counts = [
  'CORRELATED SCALAR SUBQUERY',
  'SEARCH o USING INDEX sqlite_autoindex_workspaces_1 (id=?)',
  'CORRELATED SCALAR SUBQUERY',
  'SEARCH m USING COVERING INDEX sqlite_autoindex_workspace_members_1 (workspace_id=? AND user_id=?)',
]

/** What each does, step by step. What leads to many holds all that is asked of them, so that no payload is passed on the way. */
const plans: ReadonlyArray<readonly [string, Bound, Parameters<Bound>[0], ReadonlyArray<string>]> = [
  [
    'a claim',
    webhooksSql.claim,
    { workerId: 'me', now: 1e9, limit: 10 },
    [
      ...[ofDelivery, list, 'SEARCH d USING COVERING INDEX hook_deliveries_pending (due_at<?)'],
      ...['SEARCH w EXISTS USING INDEX sqlite_autoindex_webhooks_1 (id=?)', ...counts],
    ],
  ],
  [
    'what a claim cancels',
    webhooksSql.cancelDue,
    { now: 1e9 },
    [
      ...[
        ofDelivery,
        list,
        'CO-ROUTINE d',
        'SEARCH d USING COVERING INDEX hook_deliveries_pending (due_at<?)',
      ],
      ...['SCAN d', 'CORRELATED SCALAR SUBQUERY'],
      ...['SEARCH w USING INDEX sqlite_autoindex_webhooks_1 (id=?)', ...counts],
    ],
  ],
  [
    'the look-up of an event',
    webhooksSql.byEvent,
    byEvent,
    [
      'SEARCH e USING COVERING INDEX webhook_events_by_event (event=? AND scope=? AND workspace_id=?)',
      byKey,
      ...counts,
    ],
  ],
  [
    'the look-up of a hook',
    webhooksSql.byHook,
    { hook: 'k1' },
    ['SEARCH h USING COVERING INDEX webhook_hooks_by_hook (hook=?)', byKey, ...counts],
  ],
  [
    'those of a user',
    webhooksSql.ofOwner,
    owner,
    ['SEARCH w USING INDEX webhooks_by_owner (scope=? AND user_id=? AND workspace_id=?)'],
  ],
  [
    'what has ended',
    webhooksSql.endedDeliveries,
    { webhookId: 'h1', limit: 10 },
    [
      ...[wholeDelivery, list],
      'SEARCH hook_deliveries USING COVERING INDEX hook_deliveries_by_webhook (webhook_id=? AND ended=?)',
    ],
  ],
  [
    'a log',
    webhooksSql.deliveries.open,
    { webhookId: 'h1', since: 5 },
    [
      ...[wholeDelivery, list],
      'SEARCH hook_deliveries USING COVERING INDEX hook_deliveries_by_webhook (webhook_id=? AND ended=? AND created_at>?)',
    ],
  ],
  [
    'what was left of many',
    webhooksSql.dropDeliveries.left,
    { webhookId: 'h1' },
    ['SEARCH hook_deliveries USING COVERING INDEX hook_deliveries_by_webhook (webhook_id=?)'],
  ],
  [
    'what was left',
    webhooksSql.resetStale.take,
    { cutoff: 1e9 },
    [
      ofDelivery,
      list,
      'SEARCH hook_deliveries USING COVERING INDEX hook_deliveries_in_flight (claimed_at<?)',
    ],
  ],
  [
    'purging',
    webhooksSql.purge.take,
    { before: 1e9 },
    [ofDelivery, list, 'SEARCH hook_deliveries USING COVERING INDEX hook_deliveries_ended (created_at<?)'],
  ],
  [
    'cancelling',
    webhooksSql.cancel.take,
    { webhookId: 'h1' },
    [
      ofDelivery,
      list,
      'SEARCH hook_deliveries USING COVERING INDEX hook_deliveries_by_webhook (webhook_id=? AND ended=?)',
    ],
  ],
]

describe.each([
  { shape: 'nothing', registrations: 0, deliveries: 0 },
  { shape: 'one of each', registrations: 1, deliveries: 1 },
  { shape: 'many', registrations: 2_000, deliveries: 10_000 },
])('with $shape in the database', ({ registrations, deliveries }) => {
  let database: Sqlite.Database
  beforeAll(async () => {
    database = await fill(registrations, deliveries)
  })
  afterAll(() => database.close())

  it.each(['without statistics', 'after ANALYZE'])('every step goes by its index, %s', (when) => {
    if (when === 'after ANALYZE') database.exec('ANALYZE')
    for (const [name, bind, params, steps] of plans) {
      expect([name, planOf(database, bind, params)]).toEqual([name, steps])
    }
  })
})
