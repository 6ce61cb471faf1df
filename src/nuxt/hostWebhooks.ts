/**
 * The host's contract about webhooks, as types: it keeps registrations and deliveries here, and makes the deliveries itself.
 */
import type { DeliveryStatus, WebhookHealth, WebhookScope } from '../services/Webhooks.js'

/** A registration that is to be made. */
export interface HostWebhookDraft {
  /** A `user` registration has a user and a workspace; an `admin` one without a workspace is for all of them. */
  readonly scope: WebhookScope
  /** 1..256 characters. */
  readonly user_id: string | null
  /** 1..256 characters. */
  readonly workspace_id: string | null
  /** An `http` or `https` URL of 1..4,096 characters. */
  readonly url: string
  /** Up to 1,000 characters. */
  readonly label: string
  /** At most 200 names of 1..256 characters, each once. */
  readonly events: ReadonlyArray<string>
  /** As `events`. */
  readonly custom_hooks: ReadonlyArray<string>
  /** Up to 4,096 characters. */
  readonly signing_secret_enc: string
  /** One that is disabled is found by no event and no hook. */
  readonly enabled: boolean
}

/** A registration. */
export interface HostWebhook extends HostWebhookDraft {
  /** Given by the provider. */
  readonly id: string
  /** `unknown` at first. */
  readonly health: WebhookHealth
  /** Epoch milliseconds. */
  readonly created_at: number
  /** Epoch milliseconds of the last change of its settings. */
  readonly updated_at: number
}

/** A delivery. */
export interface HostDelivery {
  /** Given by the provider. */
  readonly id: string
  /** Of a registration. */
  readonly webhook_id: string
  /** 1..256 characters. */
  readonly event_id: string
  /** 1..256 characters. */
  readonly event_type: string
  /** An integer >= 0. */
  readonly attempt: number
  /** `success`, `failed` and `cancelled` have ended; `cancelled` is final. */
  readonly status: DeliveryStatus
  /** Which worker has it; null unless it is `in_flight`. */
  readonly claimed_by: string | null
  /** Epoch milliseconds; null unless it is `in_flight`. */
  readonly claimed_at: number | null
  /** An integer >= 0. */
  readonly http_status: number | null
  /** Cut after 10,000 characters. */
  readonly error_message: string | null
  /** Text or another JSON value, of up to 1,048,576 characters, given back in kind. */
  readonly request_payload: unknown
  /** As `request_payload`; longer text is cut. */
  readonly response_body: unknown
  /** Any finite number up to 2^53. */
  readonly duration_ms: number | null
  /** Epoch milliseconds: not due before; without one it is due from its creation on. */
  readonly next_retry_at: number | null
  /** Epoch milliseconds. */
  readonly created_at: number
}

/** Fields of which any may be absent. */
type Some<A> = { readonly [Field in keyof A]?: A[Field] | undefined }

/** What a host must say of a new delivery. The rest is null; the status `pending` and the time now. */
type RequiredOfDelivery = 'webhook_id' | 'event_id' | 'event_type' | 'attempt'

/**
 * Registrations and deliveries. Lists are newest first. Rejects with 400 for wrong input, which changes nothing.
 *
 * A user's registration counts while the user is a member of its workspace, and that is live: else it is found by no event and no
 * hook, and what waits for it is cancelled.
 */
export interface WebhookStore {
  /** Under which the host knows the provider. */
  readonly id: string
  /** Makes a registration. */
  createWebhook(registration: HostWebhookDraft): Promise<HostWebhook>
  /** Changes what is said. 404 for an unknown one, 400 for another owner, id or creation. */
  updateWebhook(id: string, patch: Some<HostWebhook>): Promise<HostWebhook>
  /** Removes it with its deliveries. An unknown one is no error. */
  deleteWebhook(id: string): Promise<void>
  /** Null for an unknown one. */
  getWebhook(id: string): Promise<HostWebhook | null>
  /** A user's own in a workspace. */
  listWebhooks(userId: string, workspaceId: string): Promise<ReadonlyArray<HostWebhook>>
  /** All of the scope `admin`. */
  listAdminWebhooks(): Promise<ReadonlyArray<HostWebhook>>
  /** Enabled ones: a workspace's own, or those of the operators for all workspaces and for this one. */
  listWebhooksByEvent(
    eventType: string,
    scope: WebhookScope,
    workspaceId?: string | null,
  ): Promise<ReadonlyArray<HostWebhook>>
  /** Enabled ones of any scope. */
  listWebhooksByCustomHook(hook: string): Promise<ReadonlyArray<HostWebhook>>
  /** What enabled registrations name, each once, sorted. */
  listActiveCustomHookNames(): Promise<ReadonlyArray<string>>
  /** An unknown registration is no error. */
  updateWebhookHealth(id: string, health: WebhookHealth): Promise<void>
  /** How many of a user's own in a workspace were enabled until now. */
  disableAllWebhooks(userId: string, workspaceId: string): Promise<number>
  /** Notes a delivery. 404 for an unknown registration. */
  createDeliveryLog(
    log: Pick<HostDelivery, RequiredOfDelivery> & Some<Omit<HostDelivery, 'id' | RequiredOfDelivery>>,
  ): Promise<HostDelivery>
  /** Notes what became of a delivery; what it is of never changes. An unknown one is no error. */
  updateDeliveryLog(id: string, patch: Some<HostDelivery>): Promise<void>
  /** Those made at `since` or later, at most 1,000, and no more than 8 MiB of payloads and responses; one at least. */
  getDeliveryLogs(webhookId: string, since: number): Promise<ReadonlyArray<HostDelivery>>
  /** Those that have ended. `limit` is brought within 1..1,000; no more than 8 MiB, as above. */
  getRecentTerminalDeliveries(webhookId: string, limit: number): Promise<ReadonlyArray<HostDelivery>>
  /** Pending ones that are due, longest due first, for this worker alone. `limit` is brought within 1..1,000; no more than 8 MiB, as above. */
  claimPendingDeliveries(workerId: string, limit: number): Promise<ReadonlyArray<HostDelivery>>
  /** How many are pending again. */
  resetStaleInFlightDeliveries(olderThanMs: number): Promise<number>
  /** How many had not ended. */
  cancelDeliveriesByWebhook(id: string): Promise<number>
  /** How many there were. */
  deleteDeliveryLogsByWebhook(id: string): Promise<number>
  /** How many had ended and were made before that time. */
  purgeExpiredLogs(before: number): Promise<number>
}
