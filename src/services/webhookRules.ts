/**
 * The rules of registrations: what may be stored of one, what may change, and which are told of an event. Shared by every
 * implementation.
 */
import { Either } from 'effect'
import {
  type Checked,
  checking,
  fieldsOf,
  idIn,
  integerIn,
  nullableIn,
  oneOfIn,
  optionalIn,
  refuseField,
  textIn,
} from './inputRules.js'
import {
  type Webhook,
  webhookHealths,
  type WebhookOwnerKey,
  type WebhookScope,
  webhookScopes,
} from './Webhooks.js'

const most = { url: 4_096, label: 1_000, names: 200, secret: 4_096 } as const

const isWebUrl = (text: string) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

const urlIn = (value: unknown): Checked<string> =>
  Either.flatMap(textIn('url', value, most.url), (url) =>
    isWebUrl(url) ? Either.right(url) : refuseField('url', 'is an http or https URL'),
  )

/** Names, each once, in the order in which they come first. */
const namesIn =
  (field: string) =>
  (value: unknown): Checked<ReadonlyArray<string>> =>
    Array.isArray(value) && value.length <= most.names
      ? Either.map(
          Either.all(Array.from<unknown>(value).map((name) => idIn(`a name in ${field}`, name))),
          (names) => [...new Set(names)],
        )
      : refuseField(field, `is a list of at most ${most.names} names`)

const settingIn = {
  url: urlIn,
  label: (value: unknown) => textIn('label', value, most.label, 0),
  events: namesIn('events'),
  customHooks: namesIn('customHooks'),
  signingSecretEnc: (value: unknown) => textIn('signingSecretEnc', value, most.secret, 0),
  enabled: (value: unknown): Checked<boolean> =>
    typeof value === 'boolean' ? Either.right(value) : refuseField('enabled', 'is true or false'),
}

const scopeIn = (value: unknown) => oneOfIn<WebhookScope>('scope', value, webhookScopes)
const healthIn = (value: unknown) => oneOfIn('health', value, webhookHealths)

export const webhookIdIn = (value: unknown) => idIn('webhookId', value)

export const hookIn = (value: unknown) => idIn('hook', value)

export const checkWebhook = checking((draft) => {
  const { scope, userId, workspaceId, url, label, events, customHooks, signingSecretEnc, enabled } = draft
  return Either.flatMap(scopeIn(scope), (scope) => {
    // Operators may have theirs without either.
    const ownerIn: (field: string, value: unknown) => Checked<string | null> =
      scope === 'user' ? idIn : (field, value) => nullableIn(value, (id) => idIn(field, id))
    return Either.all({
      scope: Either.right(scope),
      userId: ownerIn('userId', userId),
      workspaceId: ownerIn('workspaceId', workspaceId),
      url: settingIn.url(url),
      label: settingIn.label(label),
      events: settingIn.events(events),
      customHooks: settingIn.customHooks(customHooks),
      signingSecretEnc: settingIn.signingSecretEnc(signingSecretEnc),
      enabled: settingIn.enabled(enabled),
    })
  })
})

/** Nobody can register anything in a workspace whose content was taken for good. */
export const ofPurged = () => refuseField('workspaceId', 'is of a workspace that is gone')

export type CheckedWebhook = Either.Either.Right<ReturnType<typeof checkWebhook>>

/** A null is something that was said, of what may be null. */
const saidOwnerIn = (field: string, value: unknown): Checked<string | null | undefined> =>
  value === null ? Either.right(null) : optionalIn(value, (id) => idIn(field, id))

/** What a patch asks to change, and what it says of that which does not. */
export const checkWebhookPatch = checking((request) => {
  const { webhookId, patch } = request
  if (typeof patch !== 'object' || patch === null) return refuseField('patch', 'is an object')
  const said = fieldsOf(patch)
  const changes = {
    url: optionalIn(said.url, settingIn.url),
    label: optionalIn(said.label, settingIn.label),
    events: optionalIn(said.events, settingIn.events),
    customHooks: optionalIn(said.customHooks, settingIn.customHooks),
    signingSecretEnc: optionalIn(said.signingSecretEnc, settingIn.signingSecretEnc),
    enabled: optionalIn(said.enabled, settingIn.enabled),
    health: optionalIn(said.health, healthIn),
  }
  const fixed = {
    id: optionalIn(said.id, (id) => idIn('id', id)),
    scope: optionalIn(said.scope, scopeIn),
    userId: saidOwnerIn('userId', said.userId),
    workspaceId: saidOwnerIn('workspaceId', said.workspaceId),
    createdAt: optionalIn(said.createdAt, (time) => integerIn('createdAt', time)),
  }
  return Either.all({
    webhookId: webhookIdIn(webhookId),
    changes: Either.all(changes),
    fixed: Either.all(fixed),
  })
})

export type CheckedWebhookPatch = Either.Either.Right<ReturnType<typeof checkWebhookPatch>>

/** What of a registration never changes. */
export type Fixed = Pick<Webhook, 'id' | 'scope' | 'userId' | 'workspaceId' | 'createdAt'>

/** Whether what a patch says of that which never changes is so. */
export const agreeing = (stored: Fixed, { fixed }: CheckedWebhookPatch): Checked<void> => {
  for (const field of ['id', 'scope', 'userId', 'workspaceId', 'createdAt'] as const) {
    if (fixed[field] !== undefined && fixed[field] !== stored[field]) {
      return refuseField(field, 'of a registration cannot be changed')
    }
  }
  return Either.void
}

export const checkOwner = checking(({ userId, workspaceId }): Checked<WebhookOwnerKey> =>
  Either.all({ userId: idIn('userId', userId), workspaceId: idIn('workspaceId', workspaceId) }),
)

export const checkEventQuery = checking((request) => {
  const { eventType, scope, workspaceId } = request
  return Either.all({
    eventType: idIn('eventType', eventType),
    scope: scopeIn(scope),
    workspaceId: nullableIn(workspaceId, (id) => idIn('workspaceId', id)),
  })
})

export type CheckedEventQuery = Either.Either.Right<ReturnType<typeof checkEventQuery>>

export const checkHealth = checking((request) => {
  const { webhookId, health } = request
  return Either.all({ webhookId: webhookIdIn(webhookId), health: healthIn(health) })
})

interface Made {
  readonly id: string
  readonly createdAt: number
}

/** Ids decide among those of one millisecond. */
export const newestFirst = (a: Made, b: Made): number => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1)
