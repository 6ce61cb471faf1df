/**
 * Registrations of webhooks, as the host keeps them: whose they are, what may change, and which are told of an event.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HostWebhookDraft } from '../../src/nuxt/hostWebhooks.js'
import { suiteOverBatches } from '../support/suite.js'
import { event, idsOf, logOf, ofAdmin, ofUser, statusOf } from '../support/webhooks.js'

const start = 1_700_000_000_000

suiteOverBatches('registrations', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const store = () => subject().host.webhookStore
  const at = (millis: number) => vi.setSystemTime(start + millis)
  const make = (draft: HostWebhookDraft) => store().createWebhook(draft)
  /** One after the other, a millisecond apart. */
  const makeAll = async (...drafts: ReadonlyArray<HostWebhookDraft>) => {
    const ids: Array<string> = []
    for (const draft of drafts) {
      at(ids.length)
      ids.push((await make(draft)).id)
    }
    return ids
  }

  it('the store says whose it is', () => {
    expect(store().id).toBe('sqlite')
  })

  describe('making one', () => {
    it('gives it whole, under a new id, of unknown health', async () => {
      const draft = ofUser({ events: ['b', 'a'], custom_hooks: ['z', 'y'], enabled: false })
      const made = await make(draft)
      expect(made).toEqual({
        ...draft,
        id: expect.stringMatching(/^.{1,256}$/),
        health: 'unknown',
        created_at: start,
        updated_at: start,
      })
      expect(await store().getWebhook(made.id)).toEqual(made)
      expect((await make(draft)).id).not.toBe(made.id)
    })

    it('keeps nothing else of what is handed in', async () => {
      const more = { id: 'mine', health: 'healthy', created_at: 5, updated_at: 5, more: 1 }
      const made = await make({ ...ofUser(), ...more })
      expect(made).toMatchObject({ health: 'unknown', created_at: start, updated_at: start })
      expect(made.id).not.toBe('mine')
      expect(Object.keys(made)).toHaveLength(13)
    })

    it('keeps each event and each hook once, in their order', async () => {
      const { id } = await make(ofUser({ events: ['b', 'a', 'b'], custom_hooks: ['y', 'x', 'y', 'x'] }))
      expect(await store().getWebhook(id)).toMatchObject({ events: ['b', 'a'], custom_hooks: ['y', 'x'] })
    })

    it('of the operators, with or without an owner', async () => {
      const owned = ofAdmin({ user_id: 'root', workspace_id: 'w1' })
      expect(await make(owned)).toMatchObject({ scope: 'admin', user_id: 'root', workspace_id: 'w1' })
      const { user_id: _user, workspace_id: _workspace, ...rest } = ofAdmin()
      expect(await make(rest as HostWebhookDraft)).toMatchObject({ user_id: null, workspace_id: null })
    })

    it('takes what just fits, of any script', async () => {
      const draft = ofUser({
        user_id: 'u'.repeat(256),
        url: `http://example.org/${'x'.repeat(4_096 - 19)}`,
        label: '',
        events: Array.from({ length: 200 }, (_, n) => `${n} ${'é"\\\u{10000}'.repeat(10)}`),
        custom_hooks: ['h'.repeat(256)],
        signing_secret_enc: '',
      })
      const { id } = await make(draft)
      expect(await store().getWebhook(id)).toMatchObject(draft)
      expect(idsOf(await store().listWebhooksByEvent(draft.events[7]!, 'user', 'w1'))).toEqual([id])
    })

    const text = ['', 5, null, undefined, 'a\0', '\ud800', {}]
    it.each<readonly [keyof HostWebhookDraft, ReadonlyArray<unknown>]>([
      ['scope', ['', 'Admin', null, undefined, 5]],
      ['user_id', [...text, 'x'.repeat(257)]],
      ['workspace_id', [...text, 'x'.repeat(257)]],
      [
        'url',
        [
          ...text,
          'example.org',
          'ftp://example.org',
          'javascript:alert(1)',
          'http://',
          `http://a/${'x'.repeat(4_096)}`,
        ],
      ],
      ['label', [5, null, undefined, 'a\0', '\ud800', 'x'.repeat(1_001)]],
      [
        'events',
        [
          'a',
          null,
          undefined,
          {},
          [''],
          [5],
          ['a', null],
          ['x'.repeat(257)],
          ['a\0'],
          new Array(2),
          Array.from({ length: 201 }, String),
        ],
      ],
      [
        'custom_hooks',
        ['a', null, undefined, {}, [''], [5], ['\ud800'], Array.from({ length: 201 }, String)],
      ],
      ['signing_secret_enc', [5, null, undefined, 'a\0', 'x'.repeat(4_097)]],
      ['enabled', [1, 0, 'true', null, undefined]],
    ])('is 400 for a wrong %s, and makes nothing', async (field, values) => {
      for (const value of values) {
        expect(await statusOf(() => make({ ...ofUser(), [field]: value }))).toBe(400)
      }
      expect(await store().listWebhooks('ann', 'w1')).toEqual([])
      expect(await store().listAdminWebhooks()).toEqual([])
    })

    it('is 400 for an owner of the operators that is none', async () => {
      for (const field of ['user_id', 'workspace_id']) {
        for (const value of ['', 5, 'a\0']) {
          expect(await statusOf(() => make({ ...ofAdmin(), [field]: value }))).toBe(400)
        }
      }
    })
  })

  it('is null where there is none', async () => {
    expect(await store().getWebhook('unknown')).toBeNull()
  })

  describe('changing one', () => {
    it('changes what is said, and tells when', async () => {
      const made = await make(ofUser({ custom_hooks: ['x'] }))
      at(50)
      const patch = {
        url: 'http://b.example',
        label: 'Other',
        signing_secret_enc: 's2',
        health: 'failing',
      } as const
      expect(await store().updateWebhook(made.id, patch)).toEqual({
        ...made,
        ...patch,
        updated_at: start + 50,
      })
      at(60)
      const rest = { events: ['c', 'b', 'c'], custom_hooks: [], enabled: false }
      const changed = { ...made, ...patch, ...rest, events: ['c', 'b'], updated_at: start + 60 }
      expect(await store().updateWebhook(made.id, { ...rest, label: undefined })).toEqual(changed)
      expect(await store().getWebhook(made.id)).toEqual(changed)
    })

    it('changes what it is found by', async () => {
      const [one, other] = await makeAll(ofUser({ custom_hooks: ['x'] }), ofUser({ custom_hooks: ['x'] }))
      await store().updateWebhook(one!, { events: ['new'], custom_hooks: ['y'] })
      expect(idsOf(await store().listWebhooksByEvent(event, 'user', 'w1'))).toEqual([other])
      expect(idsOf(await store().listWebhooksByEvent('new', 'user', 'w1'))).toEqual([one])
      expect(idsOf(await store().listWebhooksByCustomHook('x'))).toEqual([other])
      expect(idsOf(await store().listWebhooksByCustomHook('y'))).toEqual([one])
      await store().updateWebhook(one!, { events: [], custom_hooks: [] })
      expect(await store().listWebhooksByEvent('new', 'user', 'w1')).toEqual([])
      expect(await store().listWebhooksByCustomHook('y')).toEqual([])
    })

    it('takes a whole registration, though another has changed it since', async () => {
      const made = await make(ofUser())
      at(5)
      await store().updateWebhook(made.id, { label: 'Other' })
      at(9)
      expect(await store().updateWebhook(made.id, made)).toEqual({ ...made, updated_at: start + 9 })
    })

    it.each<readonly [string, unknown]>([
      ['id', 'another'],
      ['scope', 'admin'],
      ['user_id', 'eve'],
      ['user_id', null],
      ['workspace_id', 'w2'],
      ['workspace_id', null],
      ['created_at', start + 1],
    ])('is 400 for another %s (%s), and changes nothing', async (field, value) => {
      const made = await make(ofUser({ custom_hooks: ['x'] }))
      const patch = { label: 'Other', events: ['new'], custom_hooks: ['y'], [field]: value }
      expect(await statusOf(() => store().updateWebhook(made.id, patch))).toBe(400)
      expect(await store().getWebhook(made.id)).toEqual(made)
      expect(idsOf(await store().listWebhooksByEvent(event, 'user', 'w1'))).toEqual([made.id])
      expect(idsOf(await store().listWebhooksByCustomHook('x'))).toEqual([made.id])
      expect(await store().listWebhooksByEvent('new', 'user', 'w1')).toEqual([])
      expect(await store().listWebhooksByCustomHook('y')).toEqual([])
    })

    it.each<readonly [string, ReadonlyArray<unknown>]>([
      ['url', ['', null, 'mailto:a@b.c']],
      ['label', [null, 5]],
      ['events', [null, [5]]],
      ['custom_hooks', [null, 'x']],
      ['signing_secret_enc', [null]],
      ['enabled', [null, 1]],
      ['health', [null, 'well']],
      ['user_id', ['', 5]],
      ['created_at', ['then']],
    ])('is 400 for a wrong %s, and changes nothing', async (field, values) => {
      const made = await make(ofUser())
      for (const value of values) {
        const patch = { label: 'Other', [field]: value }
        expect(await statusOf(() => store().updateWebhook(made.id, patch))).toBe(400)
      }
      expect(await store().getWebhook(made.id)).toEqual(made)
    })

    it('is 404 where there is none, and 400 for what is no patch', async () => {
      const { id } = await make(ofUser())
      expect(await statusOf(() => store().updateWebhook('unknown', { events: ['a'] }))).toBe(404)
      for (const patch of [null, undefined, 5, 'text']) {
        expect(await statusOf(() => store().updateWebhook(id, patch as never))).toBe(400)
      }
    })
  })

  describe('removing one', () => {
    it('removes its deliveries and what it is found by, and nothing else', async () => {
      const [gone, kept] = await makeAll(ofUser({ custom_hooks: ['x'] }), ofUser({ custom_hooks: ['x'] }))
      for (const status of ['pending', 'in_flight', 'success', 'cancelled'] as const) {
        await store().createDeliveryLog(logOf(gone!, { status }))
        await store().createDeliveryLog(logOf(kept!, { status }))
      }
      await store().deleteWebhook(gone!)
      expect(await store().getWebhook(gone!)).toBeNull()
      expect(await store().getDeliveryLogs(gone!, 0)).toEqual([])
      expect(await store().getRecentTerminalDeliveries(gone!, 10)).toEqual([])
      expect(idsOf(await store().listWebhooks('ann', 'w1'))).toEqual([kept])
      expect(idsOf(await store().listWebhooksByEvent(event, 'user', 'w1'))).toEqual([kept])
      expect(idsOf(await store().listWebhooksByCustomHook('x'))).toEqual([kept])
      expect(await store().getDeliveryLogs(kept!, 0)).toHaveLength(4)
      const claimed = await store().claimPendingDeliveries('me', 10)
      expect(claimed.map(({ webhook_id: id }) => id)).toEqual([kept])
    })

    it('takes a second time, and an unknown one', async () => {
      const { id } = await make(ofUser())
      await store().deleteWebhook(id)
      await store().deleteWebhook(id)
      await store().deleteWebhook('unknown')
    })
  })

  describe('listing', () => {
    it('a user’s own in a workspace, newest first', async () => {
      const [first, second, , , ,] = await makeAll(
        ofUser(),
        ofUser({ enabled: false }),
        ofUser({ user_id: 'bob' }),
        ofUser({ workspace_id: 'w2' }),
        ofAdmin({ user_id: 'ann', workspace_id: 'w1' }),
        ofAdmin(),
      )
      expect(idsOf(await store().listWebhooks('ann', 'w1'))).toEqual([second, first])
      expect(await store().listWebhooks('eve', 'w1')).toEqual([])
      expect(await store().listWebhooks('ann', 'w3')).toEqual([])
    })

    it('those of the operators, newest first', async () => {
      const [, all, own] = await makeAll(ofUser(), ofAdmin(), ofAdmin({ workspace_id: 'w1', enabled: false }))
      expect(idsOf(await store().listAdminWebhooks())).toEqual([own, all])
    })

    it('those of one millisecond in the order of their ids', async () => {
      const made = await Promise.all(Array.from({ length: 8 }, () => make(ofUser())))
      expect(idsOf(await store().listWebhooks('ann', 'w1'))).toEqual([...idsOf(made)].sort().reverse())
    })
  })

  describe('those to tell of an event', () => {
    it('of users: of exactly this workspace, enabled, newest first', async () => {
      const [first, second] = await makeAll(
        ofUser(),
        ofUser({ user_id: 'bob', events: ['other', event] }),
        ofUser({ enabled: false }),
        ofUser({ events: ['other'] }),
        ofUser({ workspace_id: 'w2' }),
        ofAdmin({ workspace_id: 'w1' }),
        ofAdmin(),
      )
      expect(idsOf(await store().listWebhooksByEvent(event, 'user', 'w1'))).toEqual([second, first])
      expect(await store().listWebhooksByEvent(event, 'user')).toEqual([])
      expect(await store().listWebhooksByEvent(event, 'user', null)).toEqual([])
      expect(await store().listWebhooksByEvent(event, 'user', 'w3')).toEqual([])
      expect(await store().listWebhooksByEvent('unheard', 'user', 'w1')).toEqual([])
    })

    it('of the operators: of all workspaces and of exactly this one', async () => {
      const [all, own, other] = await makeAll(
        ofAdmin(),
        ofAdmin({ workspace_id: 'w1' }),
        ofAdmin({ workspace_id: 'w2' }),
        ofAdmin({ enabled: false }),
        ofAdmin({ events: [] }),
        ofUser(),
      )
      expect(idsOf(await store().listWebhooksByEvent(event, 'admin', 'w1'))).toEqual([own, all])
      expect(idsOf(await store().listWebhooksByEvent(event, 'admin', 'w2'))).toEqual([other, all])
      expect(idsOf(await store().listWebhooksByEvent(event, 'admin', 'w3'))).toEqual([all])
      expect(idsOf(await store().listWebhooksByEvent(event, 'admin'))).toEqual([all])
    })

    it('are those that are enabled now', async () => {
      const { id } = await make(ofUser({ enabled: false, custom_hooks: ['x'] }))
      await store().updateWebhook(id, { enabled: true })
      expect(idsOf(await store().listWebhooksByEvent(event, 'user', 'w1'))).toEqual([id])
      expect(idsOf(await store().listWebhooksByCustomHook('x'))).toEqual([id])
      await store().updateWebhook(id, { enabled: false })
      expect(await store().listWebhooksByEvent(event, 'user', 'w1')).toEqual([])
      expect(await store().listWebhooksByCustomHook('x')).toEqual([])
    })

    it('a question that is none is 400', async () => {
      const { listWebhooksByEvent: ask } = store()
      for (const wrong of ['', 5, null, undefined, 'a\0'] as Array<any>) {
        expect(await statusOf(() => ask(wrong, 'user', 'w1'))).toBe(400)
        expect(await statusOf(() => ask(event, wrong, 'w1'))).toBe(400)
      }
      for (const wrong of ['', 5, 'a\0', {}] as Array<any>) {
        expect(await statusOf(() => ask(event, 'admin', wrong))).toBe(400)
      }
    })
  })

  describe('custom hooks', () => {
    it('find enabled registrations of any scope, newest first', async () => {
      const [user, , admin] = await makeAll(
        ofUser({ custom_hooks: ['x', 'y'] }),
        ofUser({ custom_hooks: ['x'], enabled: false }),
        ofAdmin({ custom_hooks: ['x'] }),
        ofUser({ custom_hooks: ['y'], workspace_id: 'w2' }),
      )
      expect(idsOf(await store().listWebhooksByCustomHook('x'))).toEqual([admin, user])
      expect(await store().listWebhooksByCustomHook('none')).toEqual([])
      expect(await statusOf(() => store().listWebhooksByCustomHook(''))).toBe(400)
    })

    it('are listed once each, sorted, as long as somebody enabled names them', async () => {
      expect(await store().listActiveCustomHookNames()).toEqual([])
      const [one] = await makeAll(
        ofUser({ custom_hooks: ['b', 'a', '\u{10000}'] }),
        ofAdmin({ custom_hooks: ['b', '\uffff', 'C'] }),
        ofUser({ custom_hooks: ['off'], enabled: false }),
      )
      expect(await store().listActiveCustomHookNames()).toEqual(['C', 'a', 'b', '\u{10000}', '\uffff'])
      await store().updateWebhook(one!, { enabled: false })
      expect(await store().listActiveCustomHookNames()).toEqual(['C', 'b', '\uffff'])
    })
  })

  describe('health', () => {
    it('is what was last said, and no change of the settings', async () => {
      const made = await make(ofUser())
      at(5)
      for (const health of ['healthy', 'failing', 'unknown', 'failing'] as const) {
        await store().updateWebhookHealth(made.id, health)
        expect(await store().getWebhook(made.id)).toEqual({ ...made, health })
      }
    })

    it('of an unknown one is nobody’s, and what is none is 400', async () => {
      const made = await make(ofUser())
      await store().updateWebhookHealth('unknown', 'healthy')
      for (const health of ['', 'well', null, undefined, 5] as Array<any>) {
        expect(await statusOf(() => store().updateWebhookHealth(made.id, health))).toBe(400)
      }
      expect(await store().getWebhook(made.id)).toEqual(made)
    })
  })

  it('disabling all of a user in a workspace counts those that were enabled, and touches nobody else', async () => {
    const ids = await makeAll(
      ofUser(),
      ofUser({ enabled: false }),
      ofUser(),
      ofUser({ user_id: 'bob' }),
      ofUser({ workspace_id: 'w2' }),
      ofAdmin({ user_id: 'ann', workspace_id: 'w1' }),
    )
    at(100)
    expect(await store().disableAllWebhooks('eve', 'w1')).toBe(0)
    expect(await store().disableAllWebhooks('ann', 'w1')).toBe(2)
    expect(await store().disableAllWebhooks('ann', 'w1')).toBe(0)
    const now = await Promise.all(ids.map((id) => store().getWebhook(id)))
    expect(now.map((webhook) => webhook!.enabled)).toEqual([false, false, false, true, true, true])
    expect(now.map((webhook) => webhook!.updated_at - start)).toEqual([100, 1, 100, 3, 4, 5])
    expect(await statusOf(() => store().disableAllWebhooks('', 'w1'))).toBe(400)
    expect(await statusOf(() => store().disableAllWebhooks('ann', undefined as never))).toBe(400)
  })

  it('are the caller’s copies: changing one changes nothing that is kept', async () => {
    const events = ['a']
    const made = await make(ofUser({ events }))
    events.push('b')
    ;(made.events as Array<string>).push('c')
    expect((await store().getWebhook(made.id))!.events).toEqual(['a'])
  })
})
