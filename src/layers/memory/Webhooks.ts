/**
 * Webhooks in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Clock, Effect, Either, Layer } from 'effect'
import {
  checkClaim,
  checkDelivery,
  checkDeliveryPatch,
  checkDeliveryQuery,
  checkEndedQuery,
  checkPurge,
  checkStale,
  deliveryOf,
  dueAt,
  firstFitting,
  hasEnded,
  longestDueFirst,
  mostListed,
  newDelivery,
  patchedDelivery,
  type StoredDelivery,
} from '../../services/deliveryRules.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import { observeService } from '../../services/telemetry.js'
import { ofErased } from '../../services/inputRules.js'
import {
  agreeing,
  checkEventQuery,
  checkHealth,
  checkOwner,
  checkWebhook,
  checkWebhookPatch,
  hookIn,
  newestFirst,
  ofPurged,
  webhookIdIn,
} from '../../services/webhookRules.js'
import { type Webhook, WebhookNotFound, type WebhookOwnerKey, Webhooks } from '../../services/Webhooks.js'
import { StoreState } from './StoreState.js'

/** At this time, in epoch milliseconds, as one step. */
const atNow = <A, E>(step: (now: number) => Either.Either<A, E>) =>
  Effect.flatMap(Clock.currentTimeMillis, step)

const make = Effect.gen(function* () {
  const { next: nextId } = yield* IdGenerator
  const { workspaces, erased, webhooks, deliveries } = yield* StoreState

  /** Copies: nobody gets at what is remembered. */
  const copyOf = (webhook: Webhook): Webhook => structuredClone(webhook)
  const webhooksThat = (holds: (webhook: Webhook) => boolean) =>
    [...webhooks.values()].filter(holds).sort(newestFirst).map(copyOf)
  /** A user's while its owner is a member of its live workspace. Of one that another provider keeps, nothing is known. */
  const counts = ({ scope, userId, workspaceId }: Webhook) => {
    const workspace = scope === 'user' ? workspaces.get(workspaceId!) : undefined
    return workspace === undefined || (workspace.removedAt === null && workspace.members.has(userId!))
  }
  const active = (holds: (webhook: Webhook) => boolean) =>
    webhooksThat((webhook) => webhook.enabled && holds(webhook) && counts(webhook))
  const known = (webhookId: string) =>
    Either.fromNullable(webhooks.get(webhookId), () => new WebhookNotFound({}))
  const ownedBy =
    ({ userId, workspaceId }: WebhookOwnerKey) =>
    (webhook: Webhook) =>
      webhook.scope === 'user' && webhook.userId === userId && webhook.workspaceId === workspaceId

  const deliveriesThat = (holds: (delivery: StoredDelivery) => boolean) =>
    [...deliveries.values()].filter(holds)
  const given = (found: ReadonlyArray<StoredDelivery>, most: number) =>
    firstFitting([...found].sort(newestFirst), most).map(deliveryOf)
  const remove = (holds: (delivery: StoredDelivery) => boolean) => {
    const found = deliveriesThat(holds)
    for (const { id } of found) deliveries.delete(id)
    return found.length
  }
  const settle = (status: 'pending' | 'cancelled', holds: (delivery: StoredDelivery) => boolean) => {
    const found = deliveriesThat(holds)
    for (const delivery of found) {
      deliveries.set(delivery.id, { ...delivery, status, claimedBy: null, claimedAt: null })
    }
    return found.length
  }

  return observeService('Webhooks', {
    createWebhook: (request) =>
      Effect.flatMap(nextId, (id) =>
        atNow((now) =>
          Either.flatMap(checkWebhook(request), (draft) => {
            if (draft.workspaceId !== null && workspaces.get(draft.workspaceId)?.isPurged === true) {
              return ofPurged()
            }
            if (draft.userId !== null && erased.has(draft.userId)) return ofErased()
            const webhook: Webhook = { ...draft, id, health: 'unknown', createdAt: now, updatedAt: now }
            webhooks.set(id, webhook)
            return Either.right(copyOf(webhook))
          }),
        ),
      ),

    updateWebhook: (request) =>
      atNow((now) =>
        Either.gen(function* () {
          const checked = yield* checkWebhookPatch(request)
          const webhook = yield* known(checked.webhookId)
          yield* agreeing(webhook, checked)
          const { changes } = checked
          const changed: Webhook = {
            ...webhook,
            url: changes.url ?? webhook.url,
            label: changes.label ?? webhook.label,
            events: changes.events ?? webhook.events,
            customHooks: changes.customHooks ?? webhook.customHooks,
            signingSecretEnc: changes.signingSecretEnc ?? webhook.signingSecretEnc,
            enabled: changes.enabled ?? webhook.enabled,
            health: changes.health ?? webhook.health,
            updatedAt: now,
          }
          webhooks.set(webhook.id, changed)
          return copyOf(changed)
        }),
      ),

    deleteWebhook: (request) =>
      Effect.suspend(() =>
        Either.map(webhookIdIn(request), (id) => {
          webhooks.delete(id)
          remove(({ webhookId }) => webhookId === id)
        }),
      ),

    getWebhook: (request) =>
      Effect.suspend(() =>
        Either.map(webhookIdIn(request), (id) => {
          const webhook = webhooks.get(id)
          return webhook === undefined ? null : copyOf(webhook)
        }),
      ),

    listWebhooks: (request) =>
      Effect.suspend(() => Either.map(checkOwner(request), (owner) => webhooksThat(ownedBy(owner)))),

    listAdminWebhooks: Effect.sync(() => webhooksThat(({ scope }) => scope === 'admin')),

    listWebhooksByEvent: (request) =>
      Effect.suspend(() =>
        Either.map(checkEventQuery(request), ({ eventType, scope, workspaceId }) =>
          active(
            (webhook) =>
              webhook.scope === scope &&
              webhook.events.includes(eventType) &&
              // Only one of the operators' has no workspace; it is for all of them.
              (webhook.workspaceId === null || webhook.workspaceId === workspaceId),
          ),
        ),
      ),

    listWebhooksByCustomHook: (request) =>
      Effect.suspend(() =>
        Either.map(hookIn(request), (hook) => active(({ customHooks }) => customHooks.includes(hook))),
      ),

    listActiveCustomHookNames: Effect.sync(() =>
      [...new Set(active(() => true).flatMap(({ customHooks }) => customHooks))].sort(),
    ),

    updateWebhookHealth: (request) =>
      Effect.suspend(() =>
        Either.map(checkHealth(request), ({ webhookId, health }) => {
          const webhook = webhooks.get(webhookId)
          if (webhook !== undefined) webhooks.set(webhookId, { ...webhook, health })
        }),
      ),

    disableAllWebhooks: (request) =>
      atNow((now) =>
        Either.map(checkOwner(request), (owner) => {
          const isOwned = ownedBy(owner)
          const found = [...webhooks.values()].filter((webhook) => webhook.enabled && isOwned(webhook))
          for (const webhook of found)
            webhooks.set(webhook.id, { ...webhook, enabled: false, updatedAt: now })
          return found.length
        }),
      ),

    createDelivery: (request) =>
      Effect.flatMap(nextId, (id) =>
        atNow((now) =>
          Either.gen(function* () {
            const checked = yield* checkDelivery(request)
            yield* known(checked.webhookId)
            const delivery = newDelivery(id, checked, now)
            deliveries.set(id, delivery)
            return deliveryOf(delivery)
          }),
        ),
      ),

    updateDelivery: (request) =>
      atNow((now) =>
        Either.map(checkDeliveryPatch(request), (checked) => {
          const stored = deliveries.get(checked.deliveryId)
          if (stored !== undefined) deliveries.set(stored.id, patchedDelivery(stored, checked, now))
        }),
      ),

    listDeliveries: (request) =>
      Effect.suspend(() =>
        Either.map(checkDeliveryQuery(request), ({ webhookId, since }) =>
          given(
            deliveriesThat((delivery) => delivery.webhookId === webhookId && delivery.createdAt >= since),
            mostListed,
          ),
        ),
      ),

    listEndedDeliveries: (request) =>
      Effect.suspend(() =>
        Either.map(checkEndedQuery(request), ({ webhookId, limit }) =>
          given(
            deliveriesThat((delivery) => delivery.webhookId === webhookId && hasEnded(delivery)),
            limit,
          ),
        ),
      ),

    claimDeliveries: (request) =>
      atNow((now) =>
        Either.map(checkClaim(request), ({ workerId, limit }) => {
          const isDue = (delivery: StoredDelivery) => delivery.status === 'pending' && dueAt(delivery) <= now
          settle('cancelled', (delivery) => isDue(delivery) && !counts(webhooks.get(delivery.webhookId)!))
          const claimed = firstFitting([...deliveriesThat(isDue)].sort(longestDueFirst), limit).map(
            (delivery) => ({
              ...delivery,
              status: 'in_flight' as const,
              claimedBy: workerId,
              claimedAt: now,
            }),
          )
          for (const delivery of claimed) deliveries.set(delivery.id, delivery)
          return claimed.map(deliveryOf)
        }),
      ),

    resetStaleDeliveries: (request) =>
      atNow((now) =>
        Either.map(checkStale(request), ({ olderThanMs }) =>
          settle(
            'pending',
            ({ status, claimedAt }) => status === 'in_flight' && claimedAt! <= now - olderThanMs,
          ),
        ),
      ),

    cancelDeliveries: (request) =>
      Effect.suspend(() =>
        Either.map(webhookIdIn(request), (id) =>
          settle('cancelled', (delivery) => delivery.webhookId === id && !hasEnded(delivery)),
        ),
      ),

    deleteDeliveries: (request) =>
      Effect.suspend(() =>
        Either.map(webhookIdIn(request), (id) => remove(({ webhookId }) => webhookId === id)),
      ),

    purgeDeliveries: (request) =>
      Effect.suspend(() =>
        Either.map(checkPurge(request), ({ before }) =>
          remove((delivery) => hasEnded(delivery) && delivery.createdAt < before),
        ),
      ),
  } satisfies Webhooks['Type'])
})

/** On the users and workspaces of the in-memory store. Registrations and deliveries are gone with the layer's scope. */
export const layer: Layer.Layer<Webhooks, never, StoreState | IdGenerator> = Layer.effect(Webhooks, make)
