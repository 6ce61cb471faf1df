/**
 * Whatever the methods about webhooks are given, they answer or refuse as the caller's mistake, and a refusal changes nothing.
 */
import { describe, expect, it } from 'vitest'
import type { WebhookStore } from '../../src/nuxt/hostWebhooks.js'
import { casesOn, fc, patience } from '../support/property.js'
import { propertySubjects, withSubject } from '../support/subjects.js'
import { logOf, ofAdmin, ofUser, statusOf } from '../support/webhooks.js'

const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new Error('hostile')
    },
    ownKeys: () => {
      throw new Error('hostile')
    },
  },
)

/** An array that throws behind its first element. */
const hostileList = new Proxy(['a', 'b'], {
  get: (list, key) => {
    if (key === '1') throw new Error('hostile')
    return Reflect.get(list, key) as unknown
  },
})

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

const constants: ReadonlyArray<unknown> = [
  '',
  'a\0',
  '\ud800',
  'x'.repeat(300),
  "'; DROP TABLE webhooks; --",
  '__proto__',
  'user',
  'admin',
  'e',
  'https://example.org',
  Number.NaN,
  -0,
  -1,
  0.5,
  1e300,
  2 ** 53,
  2 ** 53 - 1,
  Infinity,
  -Infinity,
  1n,
  Symbol('s'),
  () => 1,
  null,
  undefined,
  true,
  [],
  new Array(3),
  new Date(0),
  new Date(Number.NaN),
  JSON.parse('{"__proto__": {"polluted": true}}'),
  hostile,
  hostileList,
  cyclic,
]

const nasty: fc.Arbitrary<any> = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
  }),
  fc.constantFrom(...constants),
)

/** Something valid with some of its fields replaced by anything. */
const spoilt = (valid: object, fields: ReadonlyArray<string>): fc.Arbitrary<any> =>
  fc
    .array(fc.tuple(fc.constantFrom(...fields), nasty), { minLength: 1, maxLength: 3 })
    .map((spoils) => ({ ...valid, ...Object.fromEntries(spoils) }))

const patchOfWebhook = { label: 'new', events: ['new'], custom_hooks: ['new'] }
const patchOfDelivery = { status: 'failed', error_message: 'm' }
const fieldsOfWebhook = [...Object.keys(ofUser()), 'id', 'health', 'created_at', 'updated_at']
const fieldsOfDelivery = [
  ...Object.keys(logOf('w')),
  ...['status', 'claimed_by', 'claimed_at', 'http_status', 'error_message', 'request_payload'],
  ...['response_body', 'duration_ms', 'next_retry_at', 'created_at'],
]

/** Every method, by the ids of a registration and of a delivery that are there. */
const calls = (
  store: WebhookStore,
  webhook: string,
  delivery: string,
): ReadonlyArray<readonly [string, fc.Arbitrary<any>, (input: any, other: any) => Promise<unknown>]> => [
  ['createWebhook', fc.oneof(nasty, spoilt(ofUser(), fieldsOfWebhook)), (x) => store.createWebhook(x)],
  ['createWebhook', spoilt(ofAdmin(), fieldsOfWebhook), (x) => store.createWebhook(x)],
  [
    'updateWebhook',
    fc.oneof(nasty, spoilt(patchOfWebhook, fieldsOfWebhook)),
    (x) => store.updateWebhook(webhook, x),
  ],
  ['updateWebhook', nasty, (x, y) => store.updateWebhook(x, y)],
  ['deleteWebhook', nasty, (x) => store.deleteWebhook(x)],
  ['getWebhook', nasty, (x) => store.getWebhook(x)],
  ['listWebhooks', nasty, (x, y) => store.listWebhooks(x, y)],
  ['listWebhooksByEvent', nasty, (x, y) => store.listWebhooksByEvent('e', x, y)],
  ['listWebhooksByEvent', nasty, (x, y) => store.listWebhooksByEvent(x, 'user', y)],
  ['listWebhooksByCustomHook', nasty, (x) => store.listWebhooksByCustomHook(x)],
  ['updateWebhookHealth', nasty, (x) => store.updateWebhookHealth(webhook, x)],
  ['updateWebhookHealth', nasty, (x, y) => store.updateWebhookHealth(x, y)],
  ['disableAllWebhooks', nasty, (x, y) => store.disableAllWebhooks(x, y)],
  [
    'createDeliveryLog',
    fc.oneof(nasty, spoilt(logOf(webhook), fieldsOfDelivery)),
    (x) => store.createDeliveryLog(x),
  ],
  [
    'updateDeliveryLog',
    fc.oneof(nasty, spoilt(patchOfDelivery, fieldsOfDelivery)),
    (x) => store.updateDeliveryLog(delivery, x),
  ],
  ['updateDeliveryLog', nasty, (x, y) => store.updateDeliveryLog(x, y)],
  ['getDeliveryLogs', nasty, (x, y) => store.getDeliveryLogs(x, y)],
  ['getDeliveryLogs', nasty, (x) => store.getDeliveryLogs(webhook, x)],
  ['getRecentTerminalDeliveries', nasty, (x) => store.getRecentTerminalDeliveries(webhook, x)],
  ['claimPendingDeliveries', nasty, (x, y) => store.claimPendingDeliveries(x, y)],
  ['claimPendingDeliveries', nasty, (x) => store.claimPendingDeliveries('me', x)],
  ['resetStaleInFlightDeliveries', nasty, (x) => store.resetStaleInFlightDeliveries(x)],
  ['cancelDeliveriesByWebhook', nasty, (x) => store.cancelDeliveriesByWebhook(x)],
  ['deleteDeliveryLogsByWebhook', nasty, (x) => store.deleteDeliveryLogsByWebhook(x)],
  ['purgeExpiredLogs', nasty, (x) => store.purgeExpiredLogs(x)],
]

describe.each(propertySubjects())('webhooks on %s', (name) => {
  it(
    'take anything: an answer or a refusal, which changes nothing',
    () =>
      withSubject(name, async ({ host: { webhookStore: store } }) => {
        const { id: webhook } = await store.createWebhook(ofUser({ events: ['e'] }))
        const { id: delivery } = await store.createDeliveryLog(logOf(webhook, { status: 'success' }))
        const view = async () => [
          await store.listWebhooks('ann', 'w1'),
          await store.listAdminWebhooks(),
          await store.listWebhooksByEvent('e', 'user', 'w1'),
          await store.listActiveCustomHookNames(),
          await store.getDeliveryLogs(webhook, 0),
        ]
        for (const [method, input, call] of calls(store, webhook, delivery)) {
          await fc.assert(
            fc.asyncProperty(input, nasty, async (x, y) => {
              const before = await view()
              const status = await statusOf(() => call(x, y))
              expect([200, 400, 404], method).toContain(status)
              if (status !== 200) expect(await view()).toEqual(before)
            }),
            {
              ...(casesOn(name, 25) as fc.Parameters<[unknown, unknown]>),
              examples: constants.map((constant): [unknown, unknown] => [constant, constant]),
            },
          )
        }
        expect((await store.getWebhook(webhook))!.user_id).toBe('ann')
      }),
    patience(180_000),
  )
})
