/**
 * Claims of deliveries and look-ups of registrations, beside hand-written statements on a copy of the file; and a claim from many
 * deliveries that are due beside one from few.
 */
import { copyFileSync } from 'node:fs'
import { Sqlite } from './sqlite.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'

const event = 'db.messages.create:action:after'
const workspaces = 2_000

/** So many numbers, from 0 on, as the table `n`. */
const numbers = (count) =>
  `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${count})`

const payload = JSON.stringify({ id: 'message-1', content: 'x'.repeat(400), workspace_id: 'w1' })

/** A file with registrations, five to a workspace, and deliveries of theirs that are due. */
const fill = async (file, registrations, deliveries) => {
  await openProvider({ env: { OR3_SQLITE_DB_PATH: file } }).close()
  const database = new Sqlite(file)
  database.exec(`
    ${numbers(registrations)} INSERT INTO webhooks
    SELECT 'webhook-' || i, 'user', 'user-' || (i % ${workspaces}), 'w' || (i % ${workspaces}), 'https://example.org/' || i, 'Hook',
      '["${event}"]', '[]', 'enc:0123456789', 1, 'healthy', i, i FROM n;
    INSERT INTO webhook_events SELECT id, '${event}', scope, workspace_id FROM webhooks`)
  database
    .prepare(
      `${numbers(deliveries)} INSERT INTO hook_deliveries
       SELECT lower(hex(randomblob(16))), 'webhook-' || (i % ${registrations}), 'event-' || i, '${event}', 1, 'pending', 0, NULL, NULL,
         i, NULL, i, NULL, NULL, NULL, NULL, ?, ? FROM n`,
    )
    .run(payload, Buffer.byteLength(payload))
  database.close()
}

/** The same answers by prepared statements. */
const openFloor = (file) => {
  const database = new Sqlite(file)
  database.pragma('synchronous = NORMAL')
  database.pragma('cache_size = -65536')
  const claiming = database.prepare(
    `UPDATE hook_deliveries SET status = 'in_flight', claimed_by = ?, claimed_at = ?
     WHERE id IN (SELECT id FROM hook_deliveries WHERE status = 'pending' AND due_at <= ? ORDER BY due_at, id LIMIT ?)
     RETURNING *`,
  )
  const giving = database.prepare(
    `UPDATE hook_deliveries SET status = 'pending', claimed_by = NULL, claimed_at = NULL WHERE status = 'in_flight'`,
  )
  const finding = database.prepare(
    `SELECT w.* FROM webhook_events AS e JOIN webhooks AS w ON w.id = e.webhook_id
     WHERE e.event = ? AND e.scope = 'user' AND e.workspace_id = ? AND w.enabled = 1 ORDER BY w.created_at DESC, w.id DESC`,
  )
  const value = (json) => (json === null ? null : JSON.parse(json))
  return {
    claim: (worker, limit) => {
      const now = Date.now()
      return claiming
        .all(worker, now, now, limit)
        .map(
          ({
            request_json: request,
            response_json: response,
            due_at: due,
            ended: _ended,
            size_bytes: _size,
            ...row
          }) => ({
            due,
            delivery: { ...row, request_payload: value(request), response_body: value(response) },
          }),
        )
        .sort((a, b) => a.due - b.due || (a.delivery.id < b.delivery.id ? -1 : 1))
        .map(({ delivery }) => delivery)
    },
    giveBack: () => giving.run(),
    byEvent: (workspaceId) =>
      finding.all(event, workspaceId).map(({ events_json: events, custom_hooks_json: hooks, ...row }) => ({
        ...row,
        events: JSON.parse(events),
        custom_hooks: JSON.parse(hooks),
        enabled: row.enabled === 1,
      })),
    close: () => database.close(),
  }
}

/** What both tell, whatever the order of its fields. */
const asTold = (list) =>
  JSON.stringify(
    list.map((item) => Object.entries({ ...item, claimed_at: 0 }).sort(([a], [b]) => (a < b ? -1 : 1))),
  )

export const openWebhooks = async (file, quick) => {
  const registrations = 10_000
  const [few, many] = [1_000, quick ? 20_000 : 100_000]
  const fewFile = `${file}-few`
  const copy = `${file}-copy`
  await fill(file, registrations, many)
  await fill(fewFile, registrations, few)
  copyFileSync(file, copy)
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  const fewProvider = openProvider({ env: { OR3_SQLITE_DB_PATH: fewFile } })
  const floor = openFloor(copy)
  const [{ webhookStore }, { webhookStore: fewStore }] = [provider, fewProvider]

  /** Whatever was claimed is due again. */
  const fresh = async () => {
    await webhookStore.resetStaleInFlightDeliveries(0)
    await fewStore.resetStaleInFlightDeliveries(0)
    floor.giveBack()
    return 10
  }
  const name = (count) => count.toLocaleString('en')
  const workloads = [
    {
      name: `webhooks: claim 10 of ${name(many)} that are due`,
      target: 2,
      rounds: 3_000,
      input: fresh,
      ours: (_both, limit) => webhookStore.claimPendingDeliveries('worker', limit),
      floor: (_both, limit) => floor.claim('worker', limit),
    },
    {
      name: `webhooks: claim 10 of ${name(many)} (ours) against of ${name(few)} (floor)`,
      target: 1.2,
      rounds: 3_000,
      input: fresh,
      ours: (_both, limit) => webhookStore.claimPendingDeliveries('worker', limit),
      floor: (_both, limit) => fewStore.claimPendingDeliveries('worker', limit),
    },
    {
      name: `webhooks: those to tell of an event, ${name(registrations)} registrations`,
      target: 2,
      rounds: 3_000,
      input: () => `w${Math.floor(Math.random() * workspaces)}`,
      ours: (_both, workspaceId) => webhookStore.listWebhooksByEvent(event, 'user', workspaceId),
      floor: (_both, workspaceId) => floor.byEvent(workspaceId),
    },
  ]
  // Else there would be nothing to measure.
  const [claimed, byHand] = [
    await webhookStore.claimPendingDeliveries('worker', 10),
    floor.claim('worker', 10),
  ]
  const [found, foundByHand] = [
    await webhookStore.listWebhooksByEvent(event, 'user', 'w7'),
    floor.byEvent('w7'),
  ]
  if (claimed.length !== 10 || found.length !== registrations / workspaces)
    throw new Error('nothing to measure')
  if (asTold(claimed) !== asTold(byHand) || asTold(found) !== asTold(foundByHand)) {
    throw new Error('the floor answers otherwise than the package')
  }
  return {
    workloads,
    close: async () => {
      floor.close()
      await provider.close()
      await fewProvider.close()
    },
  }
}
