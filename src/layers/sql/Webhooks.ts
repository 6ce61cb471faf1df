/**
 * Webhooks on any engine. What may be about many deliveries goes step by step, so that others write in between; it may stop anywhere,
 * and run beside itself.
 */
import { Clock, Effect, Layer } from 'effect'
import {
  checkClaim,
  checkDelivery,
  type CheckedDeliveryPatch,
  checkDeliveryPatch,
  checkDeliveryQuery,
  checkEndedQuery,
  checkPurge,
  checkStale,
  newDelivery,
  withoutResponse,
} from '../../services/deliveryRules.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import { observeService } from '../../services/telemetry.js'
import {
  checkEventQuery,
  checkHealth,
  checkOwner,
  checkWebhook,
  checkWebhookPatch,
  hookIn,
  webhookIdIn,
} from '../../services/webhookRules.js'
import { Webhooks } from '../../services/Webhooks.js'
import { letOthersWrite } from '../time.js'
import type { Batch } from './batch.js'
import { Batches } from './Batches.js'
import * as batches from './webhookBatches.js'

const now = Clock.currentTimeMillis

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  const { next: nextId } = yield* IdGenerator

  /** Repeats a step until one leaves nothing; gives how much all of them took. */
  const inSteps = (operation: string, step: Batch<batches.WebhookStep>) =>
    Effect.gen(function* () {
      for (let total = 0; ; yield* letOthersWrite) {
        const { taken, isLast } = yield* write(operation, step)
        total += taken
        if (isLast) return total
      }
    })

  return observeService('Webhooks', {
    createWebhook: (request) =>
      Effect.gen(function* () {
        const draft = yield* checkWebhook(request)
        return yield* write('create webhook', batches.create(yield* nextId, draft, yield* now))
      }),

    updateWebhook: (request) =>
      Effect.gen(function* () {
        const patch = yield* checkWebhookPatch(request)
        return yield* write('update webhook', batches.update(patch, yield* now))
      }),

    deleteWebhook: (request) =>
      Effect.flatMap(webhookIdIn(request), (id) =>
        Effect.asVoid(inSteps('delete webhook', batches.dropStep(id))),
      ),

    getWebhook: (request) =>
      Effect.flatMap(webhookIdIn(request), (id) => read('get webhook', batches.get(id))),

    listWebhooks: (request) =>
      Effect.flatMap(checkOwner(request), (owner) => read('list webhooks', batches.ofOwner(owner))),

    listAdminWebhooks: read('list admin webhooks', batches.ofAdmins),

    listWebhooksByEvent: (request) =>
      Effect.flatMap(checkEventQuery(request), (query) => read('webhooks by event', batches.byEvent(query))),

    listWebhooksByCustomHook: (request) =>
      Effect.flatMap(hookIn(request), (hook) => read('webhooks by hook', batches.byHook(hook))),

    listActiveCustomHookNames: read('active hooks', batches.activeHooks),

    updateWebhookHealth: (request) =>
      Effect.flatMap(checkHealth(request), (health) => write('webhook health', batches.setHealth(health))),

    disableAllWebhooks: (request) =>
      Effect.gen(function* () {
        const owner = yield* checkOwner(request)
        return yield* write('disable webhooks', batches.disableAll(owner, yield* now))
      }),

    createDelivery: (request) =>
      Effect.gen(function* () {
        const checked = yield* checkDelivery(request)
        const delivery = newDelivery(yield* nextId, checked, yield* now)
        return yield* write('create delivery', batches.createDelivery(delivery))
      }),

    updateDelivery: (request) =>
      Effect.gen(function* () {
        const patch = yield* checkDeliveryPatch(request)
        const at = yield* now
        const note = (patch: CheckedDeliveryPatch) =>
          write('update delivery', batches.updateDelivery(patch, at))
        yield* note(patch).pipe(
          Effect.catchTag('StorageError', (error) =>
            // What is not noted is sent again.
            error.reason === 'tooLarge' && typeof patch.outcomes.responseJson === 'string'
              ? note(withoutResponse(patch))
              : Effect.fail(error),
          ),
        )
      }),

    listDeliveries: (request) =>
      Effect.flatMap(checkDeliveryQuery(request), (query) =>
        read('list deliveries', batches.deliveries(query)),
      ),

    listEndedDeliveries: (request) =>
      Effect.flatMap(checkEndedQuery(request), (query) =>
        read('list ended deliveries', batches.endedDeliveries(query)),
      ),

    claimDeliveries: (request) =>
      Effect.gen(function* () {
        const claim = yield* checkClaim(request)
        return yield* write('claim deliveries', batches.claim(claim, yield* now))
      }),

    resetStaleDeliveries: (request) =>
      Effect.gen(function* () {
        const { olderThanMs } = yield* checkStale(request)
        return yield* inSteps('reset deliveries', batches.resetStaleStep((yield* now) - olderThanMs))
      }),

    cancelDeliveries: (request) =>
      Effect.flatMap(webhookIdIn(request), (id) => inSteps('cancel deliveries', batches.cancelStep(id))),

    deleteDeliveries: (request) =>
      Effect.flatMap(webhookIdIn(request), (id) => inSteps('delete deliveries', batches.deleteStep(id))),

    purgeDeliveries: (request) =>
      Effect.flatMap(checkPurge(request), ({ before }) =>
        inSteps('purge deliveries', batches.purgeStep(before)),
      ),
  } satisfies Webhooks['Type'])
})

/** Registrations and deliveries, in tables of their own. */
export const layer: Layer.Layer<Webhooks, never, Batches | IdGenerator> = Layer.effect(Webhooks, make)
