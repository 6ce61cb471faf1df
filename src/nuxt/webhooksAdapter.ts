/**
 * Webhooks as the host's promises, under the names that it has for their fields.
 */
import type {
  Delivery,
  DeliveryDraft,
  DeliveryPatch,
  Webhook,
  WebhookDraft,
  WebhookPatch,
} from '../services/Webhooks.js'
import type { Run } from './calls.js'
import type { HostDelivery, HostWebhook, WebhookStore } from './hostWebhooks.js'

/** The host's names, by ours. */
type Names<Ours, Theirs> = { readonly [Field in keyof Ours]: keyof Theirs & string }

const webhookNames: Names<Webhook, HostWebhook> = {
  id: 'id',
  scope: 'scope',
  userId: 'user_id',
  workspaceId: 'workspace_id',
  url: 'url',
  label: 'label',
  events: 'events',
  customHooks: 'custom_hooks',
  signingSecretEnc: 'signing_secret_enc',
  enabled: 'enabled',
  health: 'health',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
}

const deliveryNames: Names<Delivery, HostDelivery> = {
  id: 'id',
  webhookId: 'webhook_id',
  eventId: 'event_id',
  eventType: 'event_type',
  attempt: 'attempt',
  status: 'status',
  claimedBy: 'claimed_by',
  claimedAt: 'claimed_at',
  httpStatus: 'http_status',
  errorMessage: 'error_message',
  requestPayload: 'request_payload',
  responseBody: 'response_body',
  durationMs: 'duration_ms',
  nextRetryAt: 'next_retry_at',
  createdAt: 'created_at',
}

const toHost =
  <Ours extends object, Theirs>(names: Names<Ours, Theirs>) =>
  (value: Ours): Theirs =>
    Object.fromEntries(
      Object.entries<string>(names).map(([ours, theirs]) => [theirs, value[ours as keyof Ours]]),
    ) as Theirs

/** What is no object, or cannot be read, the service refuses. */
const fromHost = <Input>(names: Names<any, any>, value: unknown): Input => {
  if (typeof value !== 'object' || value === null) return undefined as Input
  try {
    return Object.fromEntries(
      Object.entries(names).map(([ours, theirs]) => [ours, (value as Record<string, unknown>)[theirs]]),
    ) as Input
  } catch {
    return undefined as Input
  }
}

const webhook = toHost<Webhook, HostWebhook>(webhookNames)
const delivery = toHost<Delivery, HostDelivery>(deliveryNames)

/** There may be many deliveries to go through. */
const takesLong = { takesLong: true }

export const webhooksAdapter = (run: Run): Omit<WebhookStore, 'id'> => ({
  createWebhook: async (registration) =>
    webhook(
      await run(({ webhooks }) => webhooks.createWebhook(fromHost<WebhookDraft>(webhookNames, registration))),
    ),
  updateWebhook: async (webhookId, patch) =>
    webhook(
      await run(({ webhooks }) =>
        webhooks.updateWebhook({ webhookId, patch: fromHost<WebhookPatch>(webhookNames, patch) }),
      ),
    ),
  deleteWebhook: async (id) => run(({ webhooks }) => webhooks.deleteWebhook(id), takesLong),
  getWebhook: async (id) => {
    const found = await run(({ webhooks }) => webhooks.getWebhook(id))
    return found === null ? null : webhook(found)
  },
  listWebhooks: async (userId, workspaceId) =>
    (await run(({ webhooks }) => webhooks.listWebhooks({ userId, workspaceId }))).map(webhook),
  listAdminWebhooks: async () => (await run(({ webhooks }) => webhooks.listAdminWebhooks)).map(webhook),
  listWebhooksByEvent: async (eventType, scope, workspaceId) =>
    (await run(({ webhooks }) => webhooks.listWebhooksByEvent({ eventType, scope, workspaceId }))).map(
      webhook,
    ),
  listWebhooksByCustomHook: async (hook) =>
    (await run(({ webhooks }) => webhooks.listWebhooksByCustomHook(hook))).map(webhook),
  listActiveCustomHookNames: async () => run(({ webhooks }) => webhooks.listActiveCustomHookNames),
  updateWebhookHealth: async (webhookId, health) =>
    run(({ webhooks }) => webhooks.updateWebhookHealth({ webhookId, health })),
  disableAllWebhooks: async (userId, workspaceId) =>
    run(({ webhooks }) => webhooks.disableAllWebhooks({ userId, workspaceId })),

  createDeliveryLog: async (log) =>
    delivery(
      await run(({ webhooks }) => webhooks.createDelivery(fromHost<DeliveryDraft>(deliveryNames, log))),
    ),
  updateDeliveryLog: async (deliveryId, patch) =>
    run(({ webhooks }) =>
      webhooks.updateDelivery({ deliveryId, patch: fromHost<DeliveryPatch>(deliveryNames, patch) }),
    ),
  getDeliveryLogs: async (webhookId, since) =>
    (await run(({ webhooks }) => webhooks.listDeliveries({ webhookId, since }))).map(delivery),
  getRecentTerminalDeliveries: async (webhookId, limit) =>
    (await run(({ webhooks }) => webhooks.listEndedDeliveries({ webhookId, limit }))).map(delivery),
  claimPendingDeliveries: async (workerId, limit) =>
    (await run(({ webhooks }) => webhooks.claimDeliveries({ workerId, limit }))).map(delivery),
  resetStaleInFlightDeliveries: async (olderThanMs) =>
    run(({ webhooks }) => webhooks.resetStaleDeliveries({ olderThanMs }), takesLong),
  cancelDeliveriesByWebhook: async (id) => run(({ webhooks }) => webhooks.cancelDeliveries(id), takesLong),
  deleteDeliveryLogsByWebhook: async (id) => run(({ webhooks }) => webhooks.deleteDeliveries(id), takesLong),
  purgeExpiredLogs: async (before) => run(({ webhooks }) => webhooks.purgeDeliveries({ before }), takesLong),
})
