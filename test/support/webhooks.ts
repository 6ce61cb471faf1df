/**
 * Registrations and deliveries for tests: valid ones, of which each test says what matters to it.
 */
import { expect } from 'vitest'
import type { HostDelivery, HostWebhookDraft, WebhookStore } from '../../src/nuxt/hostWebhooks.js'
import { Refused } from './verdicts.js'

export const event = 'db.messages.create:action:after'

export const ofUser = (more: Partial<HostWebhookDraft> = {}): HostWebhookDraft => ({
  scope: 'user',
  user_id: 'ann',
  workspace_id: 'w1',
  url: 'https://example.org/hook',
  label: 'Mine',
  events: [event],
  custom_hooks: [],
  signing_secret_enc: 'enc:secret',
  enabled: true,
  ...more,
})

export const ofAdmin = (more: Partial<HostWebhookDraft> = {}): HostWebhookDraft =>
  ofUser({ scope: 'admin', user_id: null, workspace_id: null, ...more })

type Log = Parameters<WebhookStore['createDeliveryLog']>[0]

export const logOf = (webhookId: string, more: Partial<HostDelivery> = {}): Log => ({
  webhook_id: webhookId,
  event_id: 'e1',
  event_type: event,
  attempt: 1,
  ...more,
})

/** 200, or that of the refusal. */
export const statusOf = async (call: () => Promise<unknown>): Promise<number> => {
  try {
    await call()
    return 200
  } catch (error) {
    expect(error).toBeInstanceOf(Refused)
    return (error as Refused).status
  }
}

export const idsOf = (found: ReadonlyArray<{ readonly id: string }>): ReadonlyArray<string> =>
  found.map(({ id }) => id)
