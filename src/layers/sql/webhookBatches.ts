/**
 * The calls of webhooks as batches. Lists are sorted here: they are short, and the indexes lead with what finds them.
 */
import { Either } from 'effect'
import {
  bytesOf,
  type CheckedDeliveryPatch,
  deliveryOf,
  firstFitting,
  longestDueFirst,
  mostListed,
  sizeOf,
  type StoredDelivery,
} from '../../services/deliveryRules.js'
import {
  agreeing,
  type CheckedEventQuery,
  type CheckedWebhook,
  type CheckedWebhookPatch,
  type Fixed,
  newestFirst,
  ofPurged,
} from '../../services/webhookRules.js'
import type { InvalidInput } from '../../services/InvalidInput.js'
import { ofErased } from '../../services/inputRules.js'
import {
  type Delivery,
  type Webhook,
  type WebhookHealth,
  WebhookNotFound,
  type WebhookOwnerKey,
} from '../../services/Webhooks.js'
import { type Batch, firstOf, type Row, type Statement, type statement } from './batch.js'
import { purgeSql } from './purgeSql.js'
import { webhooksSql } from './webhooksSql.js'

const webhookIn = (row: Row): Webhook => ({
  id: row.id,
  scope: row.scope,
  userId: row.userId,
  workspaceId: row.workspaceId,
  url: row.url,
  label: row.label,
  events: JSON.parse(row.eventsJson),
  customHooks: JSON.parse(row.customHooksJson),
  signingSecretEnc: row.signingSecretEnc,
  enabled: row.enabled === 1,
  health: row.health,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
})

const deliveryIn = (row: Row): Delivery => deliveryOf(row as unknown as StoredDelivery)

const listOf = (values: ReadonlyArray<string>) => JSON.stringify(values.map((value) => [value]))
const jsonOf = (values: ReadonlyArray<string> | undefined) =>
  values === undefined ? null : JSON.stringify(values)
const flagOf = (flag: boolean | undefined) => (flag === undefined ? null : Number(flag))

/** Registrations, newest first. */
const webhooks = (found: Statement): Batch<ReadonlyArray<Webhook>> => ({
  statements: [found],
  read: ([rows]) => Either.right(rows!.map(webhookIn).sort(newestFirst)),
})

/** A change that nothing need be known of. */
const change = (...statements: ReadonlyArray<Statement>): Batch<void> => ({
  statements,
  read: () => Either.void,
})

/** What a step of a change to many took, and whether there is something left to do. */
export interface WebhookStep {
  readonly taken: number
  readonly isLast: boolean
}

type Step = { readonly [Name in 'take' | 'left']: ReturnType<typeof statement> }

const step = (
  { take, left }: Step,
  params: Parameters<Step['take']>[0],
  ...after: ReadonlyArray<Statement>
): Batch<WebhookStep> => ({
  statements: [take(params), left(params), ...after],
  read: ([taken, left]) => Either.right({ taken: taken!.length, isLast: left!.length === 0 }),
})

/** `now` in epoch milliseconds, as everywhere here. */
export const create = (id: string, draft: CheckedWebhook, now: number): Batch<Webhook, InvalidInput> => {
  const { events, customHooks, ...rest } = draft
  return {
    statements: [
      webhooksSql.create({
        ...rest,
        webhookId: id,
        eventsJson: JSON.stringify(events),
        customHooksJson: JSON.stringify(customHooks),
        enabled: Number(draft.enabled),
        now,
      }),
      webhooksSql.addEvents({ webhookId: id, events: listOf(events) }),
      webhooksSql.addHooks({ webhookId: id, customHooks: listOf(customHooks) }),
      purgeSql.purged({ workspaceId: draft.workspaceId }),
    ],
    read: (results) => {
      if (firstOf(results, 3) !== undefined) return ofPurged()
      return firstOf(results, 0) === undefined
        ? ofErased()
        : Either.right({ ...draft, id, health: 'unknown', createdAt: now, updatedAt: now })
    },
  }
}

export const update = (
  patch: CheckedWebhookPatch,
  now: number,
): Batch<Webhook, InvalidInput | WebhookNotFound> => {
  const { webhookId, changes, fixed } = patch
  const { events, customHooks } = changes
  const agreed = {
    webhookId,
    id: fixed.id ?? null,
    scope: fixed.scope ?? null,
    saysUser: Number(fixed.userId !== undefined),
    userId: fixed.userId ?? null,
    saysWorkspace: Number(fixed.workspaceId !== undefined),
    workspaceId: fixed.workspaceId ?? null,
    createdAt: fixed.createdAt ?? null,
  }
  const replaceEvents = (names: ReadonlyArray<string>) => [
    webhooksSql.dropEvents(agreed),
    webhooksSql.replaceEvents({ ...agreed, events: listOf(names) }),
  ]
  const replaceHooks = (names: ReadonlyArray<string>) => [
    webhooksSql.dropHooks(agreed),
    webhooksSql.replaceHooks({ ...agreed, customHooks: listOf(names) }),
  ]
  return {
    statements: [
      webhooksSql.update({
        ...agreed,
        url: changes.url ?? null,
        label: changes.label ?? null,
        eventsJson: jsonOf(events),
        customHooksJson: jsonOf(customHooks),
        signingSecretEnc: changes.signingSecretEnc ?? null,
        enabled: flagOf(changes.enabled),
        health: changes.health ?? null,
        now,
      }),
      webhooksSql.get({ webhookId }),
      ...(events === undefined ? [] : replaceEvents(events)),
      ...(customHooks === undefined ? [] : replaceHooks(customHooks)),
    ],
    read: (results) => {
      const [updated, stored] = [firstOf(results, 0), firstOf(results, 1)]
      if (updated !== undefined) return Either.right(webhookIn(updated))
      if (stored === undefined) return Either.left(new WebhookNotFound({}))
      const agreement = agreeing(stored as Fixed, patch)
      if (Either.isLeft(agreement)) return Either.left(agreement.left)
      throw new Error('a statement refused what the rules allow')
    },
  }
}

/** One step of a removal. */
export const dropStep = (webhookId: string) =>
  step(
    webhooksSql.dropDeliveries,
    { webhookId },
    webhooksSql.drop({ webhookId }),
    webhooksSql.dropOldEvents({ webhookId }),
    webhooksSql.dropOldHooks({ webhookId }),
  )

export const get = (webhookId: string): Batch<Webhook | null> => ({
  statements: [webhooksSql.get({ webhookId })],
  read: ([rows]) => Either.right(rows![0] === undefined ? null : webhookIn(rows![0])),
})

export const ofOwner = ({ userId, workspaceId }: WebhookOwnerKey) =>
  webhooks(webhooksSql.ofOwner({ userId, workspaceId }))

export const ofAdmins = webhooks(webhooksSql.ofAdmins({}))

/** A workspace's, and of the operators' those of all workspaces. No id is empty. */
export const byEvent = ({ eventType, scope, workspaceId }: CheckedEventQuery) => {
  const own = workspaceId ?? ''
  return webhooks(
    webhooksSql.byEvent({
      eventType,
      scope,
      workspaceId: own,
      orWorkspaceId: scope === 'admin' ? '' : own,
    }),
  )
}

export const byHook = (hook: string) => webhooks(webhooksSql.byHook({ hook }))

export const activeHooks: Batch<ReadonlyArray<string>> = {
  statements: [webhooksSql.activeHooks({})],
  read: ([rows]) => Either.right(rows!.map(({ hook }): string => hook).sort()),
}

export const setHealth = (request: { readonly webhookId: string; readonly health: WebhookHealth }) =>
  change(webhooksSql.setHealth(request))

export const disableAll = ({ userId, workspaceId }: WebhookOwnerKey, now: number): Batch<number> => ({
  statements: [webhooksSql.disableAll({ userId, workspaceId, now })],
  read: ([disabled]) => Either.right(disabled!.length),
})

export const createDelivery = (delivery: StoredDelivery): Batch<Delivery, WebhookNotFound> => ({
  statements: [webhooksSql.createDelivery({ ...delivery, sizeBytes: sizeOf(delivery) })],
  read: (results) =>
    firstOf(results, 0) === undefined
      ? Either.left(new WebhookNotFound({}))
      : Either.right(deliveryOf(delivery)),
})

export const updateDelivery = (
  { deliveryId, attempt, status, outcomes }: CheckedDeliveryPatch,
  now: number,
): Batch<void> => {
  const says = (value: unknown) => Number(value !== undefined)
  return change(
    webhooksSql.updateDelivery({
      deliveryId,
      attempt: attempt ?? null,
      status: status ?? null,
      saysClaimedBy: says(outcomes.claimedBy),
      claimedBy: outcomes.claimedBy ?? null,
      saysClaimedAt: says(outcomes.claimedAt),
      claimedAt: outcomes.claimedAt ?? null,
      saysNextRetryAt: says(outcomes.nextRetryAt),
      nextRetryAt: outcomes.nextRetryAt ?? null,
      saysHttpStatus: says(outcomes.httpStatus),
      httpStatus: outcomes.httpStatus ?? null,
      saysDurationMs: says(outcomes.durationMs),
      durationMs: outcomes.durationMs ?? null,
      saysErrorMessage: says(outcomes.errorMessage),
      errorMessage: outcomes.errorMessage ?? null,
      saysResponseJson: says(outcomes.responseJson),
      responseJson: outcomes.responseJson ?? null,
      saysRequestJson: says(outcomes.requestJson),
      requestJson: outcomes.requestJson ?? null,
      requestBytes: bytesOf(outcomes.requestJson ?? null),
      responseBytes: bytesOf(outcomes.responseJson ?? null),
      now,
    }),
  )
}

/** Each statement gives what fits by itself, so the first of all that fit are among them. */
const listed = (rows: ReadonlyArray<Row>, limit: number) =>
  Either.right(
    firstFitting([...(rows as unknown as ReadonlyArray<StoredDelivery>)].sort(newestFirst), limit).map(
      deliveryOf,
    ),
  )

export const deliveries = (query: {
  readonly webhookId: string
  readonly since: number
}): Batch<ReadonlyArray<Delivery>> => ({
  statements: [webhooksSql.deliveries.open(query), webhooksSql.deliveries.ended(query)],
  read: (results) => listed(results.flat(), mostListed),
})

export const endedDeliveries = (query: {
  readonly webhookId: string
  readonly limit: number
}): Batch<ReadonlyArray<Delivery>> => ({
  statements: [webhooksSql.endedDeliveries(query)],
  read: ([rows]) => listed(rows!, query.limit),
})

export const claim = (
  request: { readonly workerId: string; readonly limit: number },
  now: number,
): Batch<ReadonlyArray<Delivery>> => ({
  statements: [webhooksSql.cancelDue({ now }), webhooksSql.claim({ ...request, now })],
  read: ([, claimed]) => Either.right(claimed!.map(deliveryIn).sort(longestDueFirst)),
})

export const resetStaleStep = (cutoff: number) => step(webhooksSql.resetStale, { cutoff })

export const cancelStep = (webhookId: string) => step(webhooksSql.cancel, { webhookId })

export const deleteStep = (webhookId: string) => step(webhooksSql.dropDeliveries, { webhookId })

export const purgeStep = (before: number) => step(webhooksSql.purge, { before })
