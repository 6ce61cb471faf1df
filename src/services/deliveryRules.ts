/**
 * The rules of deliveries: what may be stored of one, when it is due, and what becomes of its claim. Shared by every
 * implementation.
 */
import { Either } from 'effect'
import {
  boundedIn,
  type Checked,
  checking,
  fieldsOf,
  idIn,
  integerIn,
  mended,
  nullableIn,
  oneOfIn,
  optionalIn,
  refuseField,
  timeIn,
} from './inputRules.js'
import { jsonIn } from './jsonRules.js'
import { webhookIdIn } from './webhookRules.js'
import { type Delivery, type DeliveryStatus, deliveryStatuses } from './Webhooks.js'

const most = { errorMessage: 10_000, json: 1_048_576, listed: 1_000 } as const

/** Of deliveries in one list. */
export const mostListed = most.listed

/** Bytes of payloads and responses in one list, one claim and one step of a change to many. */
export const mostBytes = 8 * 1_048_576

/** A delivery as it is stored. */
export interface StoredDelivery extends Omit<Delivery, 'requestPayload' | 'responseBody'> {
  /** JSON text, so that a text comes back as text, whatever is in it. */
  readonly requestJson: string | null
  readonly responseJson: string | null
}

const valueOf = (json: string | null): unknown => (json === null ? null : JSON.parse(json))

/** As it is given back. Written out, so that no column of a row comes along. */
export const deliveryOf = (stored: StoredDelivery): Delivery => ({
  id: stored.id,
  webhookId: stored.webhookId,
  eventId: stored.eventId,
  eventType: stored.eventType,
  attempt: stored.attempt,
  status: stored.status,
  claimedBy: stored.claimedBy,
  claimedAt: stored.claimedAt,
  httpStatus: stored.httpStatus,
  errorMessage: stored.errorMessage,
  requestPayload: valueOf(stored.requestJson),
  responseBody: valueOf(stored.responseJson),
  durationMs: stored.durationMs,
  nextRetryAt: stored.nextRetryAt,
  createdAt: stored.createdAt,
})

export const bytesOf = (json: string | null): number => (json === null ? 0 : Buffer.byteLength(json))

/** Bytes of payload and response. */
export const sizeOf = ({ requestJson, responseJson }: Pick<StoredDelivery, 'requestJson' | 'responseJson'>) =>
  bytesOf(requestJson) + bytesOf(responseJson)

/** The first of these, as many as fit; one at least, however large. */
export const firstFitting = <A extends Pick<StoredDelivery, 'requestJson' | 'responseJson'>>(
  deliveries: ReadonlyArray<A>,
  limit: number,
): ReadonlyArray<A> => {
  let total = 0
  const fitting = deliveries.slice(0, limit).findIndex((delivery) => {
    const size = sizeOf(delivery)
    total += size
    return total > mostBytes && total !== size
  })
  return deliveries.slice(0, fitting < 0 ? limit : fitting)
}

type Due = Pick<Delivery, 'id' | 'nextRetryAt' | 'createdAt'>

/** From when on it may be claimed. */
export const dueAt = ({ nextRetryAt, createdAt }: Due): number => nextRetryAt ?? createdAt

/** Longest due first; ids decide among those of one millisecond. */
export const longestDueFirst = (a: Due, b: Due): number => dueAt(a) - dueAt(b) || (a.id < b.id ? -1 : 1)

const ended: ReadonlySet<DeliveryStatus> = new Set(['success', 'failed', 'cancelled'])

export const hasEnded = ({ status }: Pick<Delivery, 'status'>): boolean => ended.has(status)

/** Of text its own characters count, not what JSON makes of them. */
const textOrJsonIn = (field: string, value: unknown): Checked<string> => {
  if (typeof value !== 'string') return jsonIn(field, value, most.json)
  return value.length <= most.json
    ? Either.right(JSON.stringify(value))
    : refuseField(field, `is text or other JSON of at most ${most.json.toLocaleString('en')} characters`)
}

/** What a stranger has sent is cut where it is text: whoever notes it can do nothing about it. */
const responseIn = (value: unknown): Checked<string> =>
  textOrJsonIn('responseBody', typeof value === 'string' ? value.slice(0, most.json) : value)

/** The same, and without what not every engine keeps. */
const errorMessageIn = (value: unknown): Checked<string> =>
  typeof value === 'string'
    ? Either.right(mended(value.slice(0, most.errorMessage)))
    : refuseField('errorMessage', 'is text')

const durationIn = (value: unknown): Checked<number> =>
  typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER
    ? // No engine keeps a negative zero.
      Either.right(value + 0)
    : refuseField('durationMs', 'is a number of milliseconds')

const attemptIn = (value: unknown) => integerIn('attempt', value)
const statusIn = (value: unknown) => oneOfIn<DeliveryStatus>('status', value, deliveryStatuses)

/** What may be null: each said, as null or as a value, or undefined. */
const outcomesIn = (said: Readonly<Record<string, unknown>>) => {
  const nullable = <A>(field: string, check: (value: unknown) => Checked<A>) => {
    const value = said[field]
    return value === null ? Either.right(null) : optionalIn(value, check)
  }
  return Either.all({
    claimedBy: nullable('claimedBy', (value) => idIn('claimedBy', value)),
    claimedAt: nullable('claimedAt', (value) => timeIn('claimedAt', value)),
    httpStatus: nullable('httpStatus', (value) => integerIn('httpStatus', value)),
    errorMessage: nullable('errorMessage', errorMessageIn),
    requestJson: nullable('requestPayload', (value) => textOrJsonIn('requestPayload', value)),
    responseJson: nullable('responseBody', responseIn),
    durationMs: nullable('durationMs', durationIn),
    nextRetryAt: nullable('nextRetryAt', (value) => timeIn('nextRetryAt', value)),
  })
}

export const checkDelivery = checking((said) =>
  Either.all({
    webhookId: webhookIdIn(said.webhookId),
    eventId: idIn('eventId', said.eventId),
    eventType: idIn('eventType', said.eventType),
    attempt: attemptIn(said.attempt),
    status: optionalIn(said.status, statusIn),
    outcomes: outcomesIn(said),
    createdAt: nullableIn(said.createdAt, (time) => timeIn('createdAt', time)),
  }),
)

export type CheckedDelivery = Either.Either.Right<ReturnType<typeof checkDelivery>>

type Claim = Pick<Delivery, 'claimedBy' | 'claimedAt'>

const unclaimed: Claim = { claimedBy: null, claimedAt: null }

/** Only what is in flight is claimed, and since some time, so that no claim lasts for ever. */
const claimOf = (status: DeliveryStatus, { claimedBy, claimedAt }: Claim, now: number): Claim =>
  status === 'in_flight' ? { claimedBy, claimedAt: claimedAt ?? now } : unclaimed

/** A new delivery; `now` in epoch milliseconds. */
export const newDelivery = (id: string, checked: CheckedDelivery, now: number): StoredDelivery => {
  const { webhookId, eventId, eventType, attempt, status = 'pending', outcomes, createdAt } = checked
  const { claimedBy = null, claimedAt = null, ...rest } = outcomes
  return {
    ...{ id, webhookId, eventId, eventType, attempt, status },
    ...claimOf(status, { claimedBy, claimedAt }, now),
    httpStatus: rest.httpStatus ?? null,
    errorMessage: rest.errorMessage ?? null,
    requestJson: rest.requestJson ?? null,
    responseJson: rest.responseJson ?? null,
    durationMs: rest.durationMs ?? null,
    nextRetryAt: rest.nextRetryAt ?? null,
    createdAt: createdAt ?? now,
  }
}

export const checkDeliveryPatch = checking(({ deliveryId, patch }) => {
  if (typeof patch !== 'object' || patch === null) return refuseField('patch', 'is an object')
  const said = fieldsOf(patch)
  return Either.all({
    deliveryId: idIn('deliveryId', deliveryId),
    attempt: optionalIn(said.attempt, attemptIn),
    status: optionalIn(said.status, statusIn),
    outcomes: outcomesIn(said),
  })
})

export type CheckedDeliveryPatch = Either.Either.Right<ReturnType<typeof checkDeliveryPatch>>

/** The same, with a note in the place of what a stranger has sent, for a database that does not take that beside the payload. */
export const withoutResponse = (patch: CheckedDeliveryPatch): CheckedDeliveryPatch => ({
  ...patch,
  outcomes: { ...patch.outcomes, responseJson: JSON.stringify('[left out: too large for the database]') },
})

/** What is left of an object without that which was not said. */
const saidOf = <A extends object>(fields: A) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    readonly [Field in keyof A]?: Exclude<A[Field], undefined>
  }

/** A delivery after a patch; `now` in epoch milliseconds. */
export const patchedDelivery = (
  stored: StoredDelivery,
  { attempt, status: asked, outcomes }: CheckedDeliveryPatch,
  now: number,
): StoredDelivery => {
  const status = stored.status === 'cancelled' ? 'cancelled' : (asked ?? stored.status)
  const next = { ...stored, ...saidOf(outcomes), attempt: attempt ?? stored.attempt, status }
  return { ...next, ...claimOf(status, next, now) }
}

const limitIn = (value: unknown) => boundedIn('limit', value, most.listed)

export const checkDeliveryQuery = checking(({ webhookId, since }) =>
  Either.all({ webhookId: webhookIdIn(webhookId), since: timeIn('since', since) }),
)

export const checkEndedQuery = checking(({ webhookId, limit }) =>
  Either.all({ webhookId: webhookIdIn(webhookId), limit: limitIn(limit) }),
)

export const checkClaim = checking(({ workerId, limit }) =>
  Either.all({ workerId: idIn('workerId', workerId), limit: limitIn(limit) }),
)

export const checkStale = checking((request) =>
  Either.all({ olderThanMs: timeIn('olderThanMs', request.olderThanMs) }),
)

export const checkPurge = checking((request) => Either.all({ before: timeIn('before', request.before) }))
