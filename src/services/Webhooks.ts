/**
 * Webhooks: who is to be told of what, and the deliveries that are to be made or were made.
 *
 * These calls are trusted: a host decides first who may use them. Where a call names an owner, it shows and changes that owner's
 * registrations alone. Workers of several processes share the deliveries: each is claimed by one of them at a time.
 *
 * A `user` registration counts while its owner is a member of its workspace, in whatever role, and that is live. One that does not
 * count is found by no event and no hook, and what waits for it is cancelled when it is due; its owner may still look at it and remove
 * it. Of a workspace that another provider keeps, no members are known, and all registrations count. So do all of the scope `admin`.
 */
import { Context, type Effect, Schema } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'

/** There is no such registration. Nothing was changed. */
export class WebhookNotFound extends Schema.TaggedError<WebhookNotFound>(
  'or3-provider-sqlite/WebhookNotFound',
)('WebhookNotFound', {}) {
  override get message() {
    return 'There is no such webhook.'
  }
}

/** Whose registrations are meant: `user` ones belong to a user in a workspace, `admin` ones to the operators. */
export const webhookScopes = ['user', 'admin'] as const
/** One of `webhookScopes`. */
export type WebhookScope = (typeof webhookScopes)[number]

/** How the deliveries of a registration go, as the host sees it. */
export const webhookHealths = ['healthy', 'failing', 'unknown'] as const
/** One of `webhookHealths`. */
export type WebhookHealth = (typeof webhookHealths)[number]

/** A delivery ends as `success`, `failed` or `cancelled`; `cancelled` is final. */
export const deliveryStatuses = ['pending', 'in_flight', 'success', 'failed', 'cancelled'] as const
/** One of `deliveryStatuses`. */
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** Whose a registration is; it never changes. */
interface WebhookOwner {
  /** A `user` registration has a user and a workspace; an `admin` one without a workspace is for all of them. */
  readonly scope: WebhookScope
  /** 1..256 characters. */
  readonly userId: string | null
  /** 1..256 characters. */
  readonly workspaceId: string | null
}

/** What may change of a registration. */
interface WebhookSettings {
  /** An `http` or `https` URL of 1..4,096 characters, kept as given. */
  readonly url: string
  /** For people: up to 1,000 characters. */
  readonly label: string
  /** At most 200 names of 1..256 characters, each once. */
  readonly events: ReadonlyArray<string>
  /** As `events`. */
  readonly customHooks: ReadonlyArray<string>
  /** As the host has encrypted it: up to 4,096 characters. Never in logs, spans or messages. */
  readonly signingSecretEnc: string
  /** One that is disabled is found by no event and no hook. */
  readonly enabled: boolean
}

/** A registration that is to be made. */
export interface WebhookDraft extends WebhookOwner, WebhookSettings {}

/** A registration. */
export interface Webhook extends WebhookDraft {
  /** Given by the service. */
  readonly id: string
  /** `unknown` at first. */
  readonly health: WebhookHealth
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds of the last change of its settings. */
  readonly updatedAt: number
}

type Said<A> = { readonly [Field in keyof A]?: A[Field] | undefined }

/**
 * What to change of a registration; what is absent stays. The other fields may be among them as they are stored, for programs that
 * hand in whole registrations; a last change is never compared.
 */
export interface WebhookPatch extends Said<Webhook> {}

/** Whose registrations. */
export interface WebhookOwnerKey {
  /** 1..256 characters. */
  readonly userId: string
  /** 1..256 characters. */
  readonly workspaceId: string
}

/** What of a delivery is set by whoever makes the attempts. */
interface DeliveryOutcome {
  /** An integer >= 0. */
  readonly attempt: number
  /** While it is claimed. */
  readonly status: DeliveryStatus
  /** Which worker has it: 1..256 characters; null unless it is `in_flight`. */
  readonly claimedBy: string | null
  /** Since when: epoch milliseconds; null unless it is `in_flight`. */
  readonly claimedAt: number | null
  /** An integer >= 0. */
  readonly httpStatus: number | null
  /** What is longer than 10,000 characters is cut there. */
  readonly errorMessage: string | null
  /** Text or another JSON value, of up to 1,048,576 characters, given back in kind. */
  readonly requestPayload: unknown
  /**
   * As `requestPayload`; text that is longer is cut there, since it is a stranger's. An update whose database does not take it beside
   * the payload, as D1 may not, has a note in its place.
   */
  readonly responseBody: unknown
  /** Any finite number up to 2^53. */
  readonly durationMs: number | null
  /** Epoch milliseconds: not due before; without one it is due from its creation on. */
  readonly nextRetryAt: number | null
}

/** What a delivery is of; it never changes. */
interface DeliveryOrigin {
  /** Of a registration. */
  readonly webhookId: string
  /** 1..256 characters. */
  readonly eventId: string
  /** 1..256 characters. */
  readonly eventType: string
}

/** A delivery to be made, or one that was made. `pending` and of now unless it says otherwise; what else is absent is null. */
export interface DeliveryDraft
  extends DeliveryOrigin, Pick<DeliveryOutcome, 'attempt'>, Said<Omit<DeliveryOutcome, 'attempt'>> {
  /** Epoch milliseconds; a fraction is dropped. */
  readonly createdAt?: number | undefined
}

/** A delivery. */
export interface Delivery extends DeliveryOrigin, DeliveryOutcome {
  /** Given by the service. */
  readonly id: string
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** What to change of a delivery; what is absent stays. Any other field is ignored. */
export interface DeliveryPatch extends Said<DeliveryOutcome> {}

type Call<A, E = never> = Effect.Effect<A, E | InvalidInput | StorageError>

/** Registrations and their deliveries. Times are epoch milliseconds; lists are newest first, unless they say otherwise. */
export class Webhooks extends Context.Tag('or3-provider-sqlite/Webhooks')<
  Webhooks,
  {
    /** Makes a registration, of which nothing is known yet. */
    readonly createWebhook: (draft: WebhookDraft) => Call<Webhook>
    /** Changes the settings or the health of a registration. Its owner, id and creation cannot be changed: `InvalidInput`. */
    readonly updateWebhook: (request: {
      readonly webhookId: string
      readonly patch: WebhookPatch
    }) => Call<Webhook, WebhookNotFound>
    /** Removes a registration with its deliveries; it is there until the last of them is gone. An unknown one is no error. */
    readonly deleteWebhook: (webhookId: string) => Call<void>
    /** Null for an unknown one. */
    readonly getWebhook: (webhookId: string) => Call<Webhook | null>
    /** A user's own in a workspace. */
    readonly listWebhooks: (owner: WebhookOwnerKey) => Call<ReadonlyArray<Webhook>>
    /** All of the scope `admin`. */
    readonly listAdminWebhooks: Call<ReadonlyArray<Webhook>>
    /**
     * Those to tell of an event: enabled ones that count and name it. Of the scope `user` those of exactly this workspace, and none without
     * one; of the scope `admin` those of all workspaces and those of exactly this one.
     */
    readonly listWebhooksByEvent: (request: {
      readonly eventType: string
      readonly scope: WebhookScope
      readonly workspaceId?: string | null | undefined
    }) => Call<ReadonlyArray<Webhook>>
    /** Enabled ones of any scope that count and name the hook. */
    readonly listWebhooksByCustomHook: (hook: string) => Call<ReadonlyArray<Webhook>>
    /** The custom hooks that enabled registrations that count name, each once, sorted as JavaScript compares strings. */
    readonly listActiveCustomHookNames: Call<ReadonlyArray<string>>
    /** What became of the last deliveries. An unknown registration is no error. */
    readonly updateWebhookHealth: (request: {
      readonly webhookId: string
      readonly health: WebhookHealth
    }) => Call<void>
    /** Disables a user's own in a workspace; gives how many of them were enabled. */
    readonly disableAllWebhooks: (owner: WebhookOwnerKey) => Call<number>

    /** Notes a delivery. */
    readonly createDelivery: (draft: DeliveryDraft) => Call<Delivery, WebhookNotFound>
    /**
     * Notes what became of a delivery. Any status but `in_flight` ends its claim. One that was cancelled stays so, whatever else is
     * noted. An unknown one is no error: its registration may have been removed meanwhile.
     */
    readonly updateDelivery: (request: {
      readonly deliveryId: string
      readonly patch: DeliveryPatch
    }) => Call<void>
    /** Those made at `since` or later, at most 1,000, and no more than 8 MiB of payloads and responses; one at least. */
    readonly listDeliveries: (request: {
      readonly webhookId: string
      readonly since: number
    }) => Call<ReadonlyArray<Delivery>>
    /** Those that have ended. `limit` is brought within 1..1,000; no more than 8 MiB, as above. */
    readonly listEndedDeliveries: (request: {
      readonly webhookId: string
      readonly limit: number
    }) => Call<ReadonlyArray<Delivery>>
    /**
     * Gives a worker pending deliveries that are due, longest due first, and to nobody else until they are pending again. Those of a
     * disabled registration too, but none of one that does not count: these are cancelled, the 500 that are due longest at each claim.
     * `limit` is brought within 1..1,000; no more than 8 MiB, as above, so that the rest is for the next claim.
     */
    readonly claimDeliveries: (request: {
      readonly workerId: string
      readonly limit: number
    }) => Call<ReadonlyArray<Delivery>>
    /** Makes deliveries pending again that were claimed that long ago, or longer; gives their number. */
    readonly resetStaleDeliveries: (request: { readonly olderThanMs: number }) => Call<number>
    /** Cancels what has not ended of a registration's deliveries; gives their number. */
    readonly cancelDeliveries: (webhookId: string) => Call<number>
    /** Removes all deliveries of a registration; gives their number. */
    readonly deleteDeliveries: (webhookId: string) => Call<number>
    /** Removes deliveries that have ended and were made before a time; gives their number. */
    readonly purgeDeliveries: (request: { readonly before: number }) => Call<number>
  }
>() {}
