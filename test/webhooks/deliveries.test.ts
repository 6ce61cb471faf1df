/**
 * Deliveries of webhooks: what is kept of them, when they are due, and who has them.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HostDelivery } from '../../src/nuxt/hostWebhooks.js'
import { suiteOverBatches } from '../support/suite.js'
import { event, idsOf, logOf, ofUser, statusOf } from '../support/webhooks.js'

const start = 1_700_000_000_000
const ended = ['success', 'failed', 'cancelled'] as const

suiteOverBatches('deliveries', (subject) => {
  let webhook: string
  const store = () => subject().host.webhookStore
  const at = (millis: number) => vi.setSystemTime(start + millis)
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
    webhook = (await store().createWebhook(ofUser())).id
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const log = async (more: Partial<HostDelivery> = {}, of = webhook) =>
    store().createDeliveryLog(logOf(of, more))
  const all = (of = webhook) => store().getDeliveryLogs(of, 0)
  const stored = async (id: string) => (await all()).find((delivery) => delivery.id === id)!
  const claim = (limit = 10, worker = 'me') => store().claimPendingDeliveries(worker, limit)

  describe('noting one', () => {
    it('gives it whole: pending, of now, and null wherever nothing was said', async () => {
      const made = await log()
      expect(made).toEqual({
        ...{
          id: expect.stringMatching(/^.{1,256}$/),
          webhook_id: webhook,
          event_id: 'e1',
          event_type: event,
        },
        ...{ attempt: 1, status: 'pending', claimed_by: null, claimed_at: null, http_status: null },
        ...{ error_message: null, request_payload: null, response_body: null, duration_ms: null },
        ...{ next_retry_at: null, created_at: start },
      })
      expect(await all()).toEqual([made])
      expect((await log()).id).not.toBe(made.id)
    })

    it('keeps all that is said, but for its id', async () => {
      const said: Partial<HostDelivery> = {
        event_id: 'e2',
        event_type: 'x.y',
        attempt: 3,
        status: 'failed',
        http_status: 503,
        error_message: 'no route',
        duration_ms: 12.5,
        next_retry_at: start + 9,
        created_at: start - 7,
        request_payload: { a: [1, null] },
        response_body: 'busy',
      }
      const made = await log({ ...said, id: 'mine' })
      expect(made).toMatchObject(said)
      expect(made.id).not.toBe('mine')
      expect(await all()).toEqual([made])
    })

    it.each<readonly [string, unknown]>([
      ['text', '{"looks":"like JSON"}'],
      ['empty text', ''],
      ['text of any kind', 'a\0b \ud800 \u{10000} "\\'],
      ['a number', 0],
      ['a truth', false],
      ['a list', [1, ['2', null]]],
      ['an object', JSON.parse('{"__proto__": {"x": 1}, "": "é", "null": null}')],
    ])('gives %s back in kind, as payload and as response', async (_what, value) => {
      const given = { request_payload: value, response_body: value }
      expect(await log(given)).toMatchObject(given)
      const [kept] = await all()
      expect([kept!.request_payload, kept!.response_body]).toEqual([value, value])
      const [claimed] = await claim()
      expect(claimed!.request_payload).toEqual(value)
    })

    it('keeps a time and a gap in a list as JSON does', async () => {
      const time = new Date(start)
      const given = { at: time, never: new Date(Number.NaN), list: [undefined, time], none: undefined }
      const kept = { at: time.toISOString(), never: null, list: [null, time.toISOString()] }
      const { request_payload, response_body, id } = await log({
        request_payload: given,
        response_body: [given],
      })
      expect([request_payload, response_body]).toEqual([kept, [kept]])
      expect(await stored(id)).toMatchObject({ request_payload: kept, response_body: [kept] })
      await store().updateDeliveryLog(id, { request_payload: time })
      expect(await stored(id)).toMatchObject({ request_payload: time.toISOString() })
    })

    it('takes a mebibyte of payload, and cuts what a stranger sent', async () => {
      const text = 'x'.repeat(1_048_576)
      const made = await log({
        request_payload: text,
        response_body: `${text}y`,
        error_message: `${'m'.repeat(10_000)}n`,
      })
      const [kept] = await all()
      for (const { request_payload, response_body, error_message } of [made, kept!]) {
        expect(request_payload === text).toBe(true)
        expect(response_body === text).toBe(true)
        expect(error_message === 'm'.repeat(10_000)).toBe(true)
      }
      expect(await statusOf(() => log({ request_payload: `${text}y` }))).toBe(400)
      expect(await statusOf(() => log({ request_payload: [text] }))).toBe(400)
    })

    it('replaces in a message what not every engine keeps', async () => {
      const message = `a\0b\ud800${'x'.repeat(9_995)}\u{10000}`
      const { error_message: kept } = await log({ error_message: message })
      expect(kept).toBe(`a\ufffdb\ufffd${'x'.repeat(9_995)}\ufffd`)
      expect((await all())[0]!.error_message).toBe(kept)
    })

    it('drops fractions of times, and the sign of a zero', async () => {
      const made = await log({ created_at: start + 0.9, next_retry_at: start + 5.5, duration_ms: -0 })
      expect(made).toMatchObject({ created_at: start, next_retry_at: start + 5, duration_ms: 0 })
      expect(await all()).toEqual([made])
    })

    it('keeps a claim only of one that is in flight, and since some time', async () => {
      const claimed = { claimed_by: 'me', claimed_at: start - 5 }
      expect(await log({ ...claimed, status: 'in_flight' })).toMatchObject(claimed)
      expect(await log({ claimed_by: 'me', status: 'in_flight' })).toMatchObject({ claimed_at: start })
      for (const status of ['pending', ...ended] as const) {
        expect(await log({ ...claimed, status })).toMatchObject({ claimed_by: null, claimed_at: null })
      }
    })

    it('is 404 without its registration, and makes nothing', async () => {
      expect(await statusOf(() => log({}, 'unknown'))).toBe(404)
      await store().deleteWebhook(webhook)
      expect(await statusOf(() => log())).toBe(404)
      expect(await all('unknown')).toEqual([])
      expect(await claim()).toEqual([])
    })

    const ids = ['', 5, null, undefined, 'a\0', '\ud800', 'x'.repeat(257)]
    const cyclic: Array<unknown> = []
    cyclic.push(cyclic)
    const noJson = [() => 1, Symbol('s'), 1n, Number.NaN, Infinity, new Map(), cyclic, [() => 1]]
    const noTimes = [-1, '5', Number.NaN, Infinity, 2 ** 53, {}]
    const wrong: ReadonlyArray<readonly [keyof HostDelivery, ReadonlyArray<unknown>]> = [
      ['status', ['', 'done', null, 5]],
      ['claimed_by', ['', 5, 'a\0', 'x'.repeat(257)]],
      ['claimed_at', noTimes],
      ['http_status', [-1, 1.5, '200', Number.NaN, 2 ** 53]],
      ['error_message', [5, {}, ['a']]],
      ['request_payload', noJson],
      ['response_body', noJson],
      ['duration_ms', ['5', Number.NaN, Infinity, 2 ** 53, {}]],
      ['next_retry_at', noTimes],
    ]
    it.each([
      ...wrong,
      ['webhook_id', ids],
      ['event_id', ids],
      ['event_type', ids],
      ['attempt', [-1, 1.5, '1', null, undefined, Number.NaN, 2 ** 53]],
      ['created_at', noTimes],
    ] as typeof wrong)('is 400 for a wrong %s', async (field, values) => {
      for (const value of values) expect(await statusOf(() => log({ [field]: value }))).toBe(400)
      expect(await all()).toEqual([])
    })

    it.each([...wrong, ['attempt', [-1, 1.5, '1', null]]] as typeof wrong)(
      'a change is 400 for a wrong %s',
      async (field, values) => {
        const made = await log({ status: 'in_flight', claimed_by: 'me' })
        for (const value of values) {
          const patch = { event_id: 'e9', error_message: 'm', [field]: value }
          expect(await statusOf(() => store().updateDeliveryLog(made.id, patch))).toBe(400)
        }
        expect(await all()).toEqual([made])
      },
    )
  })

  describe('what became of one', () => {
    it('changes what is said, to null too, and leaves the rest', async () => {
      const made = await log({ http_status: 500, error_message: 'm', request_payload: 'p', duration_ms: 1 })
      const { id } = made
      await store().updateDeliveryLog(id, { attempt: 2, http_status: null, response_body: ['b'] })
      const first = { ...made, attempt: 2, http_status: null, response_body: ['b'] }
      expect(await stored(id)).toEqual(first)
      const nothing = { error_message: null, request_payload: null, response_body: null, duration_ms: null }
      await store().updateDeliveryLog(id, { ...nothing, attempt: undefined })
      expect(await stored(id)).toEqual({ ...first, ...nothing })
      await store().updateDeliveryLog(id, {})
      expect(await stored(id)).toEqual({ ...first, ...nothing })
    })

    it('never changes what it is of', async () => {
      const made = await log()
      const other = { id: 'x', webhook_id: 'x', event_id: 'x', event_type: 'x', created_at: 5 }
      await store().updateDeliveryLog(made.id, other)
      expect(await all()).toEqual([made])
    })

    it.each(['pending', ...ended] as const)(
      'as %s ends the claim, whatever is said of it',
      async (status) => {
        const { id } = await log()
        await claim()
        await store().updateDeliveryLog(id, { status, claimed_by: 'eve', claimed_at: start })
        expect(await stored(id)).toMatchObject({ status, claimed_by: null, claimed_at: null })
      },
    )

    it('in flight keeps its claim, or takes another', async () => {
      const { id } = await log()
      await claim()
      at(5)
      await store().updateDeliveryLog(id, { status: 'in_flight', http_status: 100 })
      expect(await stored(id)).toMatchObject({ claimed_by: 'me', claimed_at: start })
      await store().updateDeliveryLog(id, { claimed_by: 'you', claimed_at: start + 3 })
      expect(await stored(id)).toMatchObject({ claimed_by: 'you', claimed_at: start + 3 })
      await store().updateDeliveryLog(id, { claimed_at: null })
      expect(await stored(id)).toMatchObject({
        status: 'in_flight',
        claimed_by: 'you',
        claimed_at: start + 5,
      })
    })

    it('made in flight without a claim, is claimed from now on', async () => {
      const { id } = await log()
      at(5)
      await store().updateDeliveryLog(id, { status: 'in_flight' })
      expect(await stored(id)).toMatchObject({ claimed_by: null, claimed_at: start + 5 })
    })

    it('for a retry is pending again, and due when it says', async () => {
      const { id } = await log()
      await claim()
      await store().updateDeliveryLog(id, { status: 'pending', attempt: 2, next_retry_at: start + 100 })
      at(99)
      expect(await claim()).toEqual([])
      at(100)
      expect(await claim()).toMatchObject([{ id, attempt: 2, next_retry_at: start + 100 }])
      await store().updateDeliveryLog(id, { status: 'pending', next_retry_at: null })
      at(0)
      expect(idsOf(await claim())).toEqual([id])
    })

    it.each(['success', 'failed'] as const)('may follow on %s', async (status) => {
      const { id } = await log({ status })
      await store().updateDeliveryLog(id, { status: 'pending' })
      expect(idsOf(await claim())).toEqual([id])
    })

    it('never revives one that was cancelled, but is noted', async () => {
      const { id } = await log()
      await claim()
      expect(await store().cancelDeliveriesByWebhook(webhook)).toBe(1)
      for (const status of ['pending', 'in_flight', 'success', 'failed'] as const) {
        const patch = { status, http_status: 200, next_retry_at: start, claimed_by: 'me' }
        await store().updateDeliveryLog(id, patch)
        const kept = { status: 'cancelled', http_status: 200, claimed_by: null, claimed_at: null }
        expect(await stored(id)).toMatchObject(kept)
      }
      expect(await claim()).toEqual([])
      expect(idsOf(await store().getRecentTerminalDeliveries(webhook, 5))).toEqual([id])
    })

    it('of an unknown one is nobody’s, and what is no patch is 400', async () => {
      const made = await log()
      await store().updateDeliveryLog('unknown', { status: 'success' })
      for (const patch of [null, undefined, 5, 'text']) {
        expect(await statusOf(() => store().updateDeliveryLog(made.id, patch as never))).toBe(400)
      }
      expect(await all()).toEqual([made])
    })
  })

  describe('listing', () => {
    it('tells those since a time, newest first, of every status', async () => {
      const ids: Array<string> = []
      for (const [index, status] of (['pending', 'in_flight', ...ended] as const).entries()) {
        ids.unshift((await log({ status, created_at: start + index })).id)
      }
      const other = await store().createWebhook(ofUser())
      await log({}, other.id)
      expect(idsOf(await all())).toEqual(ids)
      expect(idsOf(await store().getDeliveryLogs(webhook, start + 2))).toEqual(ids.slice(0, 3))
      expect(idsOf(await store().getDeliveryLogs(webhook, start + 1.5))).toEqual(ids.slice(0, 4))
      expect(await store().getDeliveryLogs(webhook, start + 5)).toEqual([])
      expect(await all('unknown')).toEqual([])
    })

    it('those that have ended, newest first, and no others', async () => {
      for (const status of ['pending', 'in_flight'] as const) await log({ status, created_at: start + 9 })
      const ids: Array<string> = []
      for (const [index, status] of ended.entries()) {
        ids.unshift((await log({ status, created_at: start + index })).id)
      }
      expect(idsOf(await store().getRecentTerminalDeliveries(webhook, 10))).toEqual(ids)
      expect(await store().getRecentTerminalDeliveries('unknown', 10)).toEqual([])
    })

    it('what is no question is 400', async () => {
      for (const wrong of ['', 5, null, undefined, 'a\0'] as Array<any>) {
        expect(await statusOf(() => store().getDeliveryLogs(wrong, 0))).toBe(400)
        expect(await statusOf(() => store().getRecentTerminalDeliveries(wrong, 1))).toBe(400)
        expect(await statusOf(() => claim(1, wrong ?? ('' as never)))).toBe(400)
      }
      for (const wrong of ['5', null, undefined, Number.NaN, {}] as Array<any>) {
        expect(await statusOf(() => store().getDeliveryLogs(webhook, wrong))).toBe(400)
        expect(await statusOf(() => store().getRecentTerminalDeliveries(webhook, wrong))).toBe(400)
        expect(await statusOf(() => store().claimPendingDeliveries('me', wrong))).toBe(400)
        expect(await statusOf(() => store().resetStaleInFlightDeliveries(wrong))).toBe(400)
        expect(await statusOf(() => store().purgeExpiredLogs(wrong))).toBe(400)
      }
      expect(await statusOf(() => store().resetStaleInFlightDeliveries(-1))).toBe(400)
    })
  })

  describe('claiming', () => {
    it('gives what is due, longest due first, whole, and only once', async () => {
      const late = await log({ created_at: start - 1, request_payload: { n: 1 } })
      const retried = await log({ created_at: start - 100, next_retry_at: start - 2 })
      const early = await log({ created_at: start - 3, next_retry_at: start - 50 })
      const now = await log({ created_at: start - 100, next_retry_at: start })
      await log({ created_at: start + 1 })
      await log({ next_retry_at: start + 1 })
      for (const status of ['in_flight', ...ended] as const) await log({ status })
      const mark = { status: 'in_flight', claimed_by: 'me', claimed_at: start }
      expect(await claim(3)).toEqual([early, retried, late].map((delivery) => ({ ...delivery, ...mark })))
      expect(await claim(3, 'you')).toEqual([{ ...now, ...mark, claimed_by: 'you' }])
      expect(await claim()).toEqual([])
      expect(await stored(late.id)).toEqual({ ...late, ...mark })
    })

    it('of one millisecond goes by their ids', async () => {
      const made = await Promise.all(Array.from({ length: 9 }, () => log()))
      const ids = [...idsOf(made)].sort()
      expect(idsOf(await claim(4))).toEqual(ids.slice(0, 4))
      expect(idsOf(await claim())).toEqual(ids.slice(4))
    })

    it('brings its limit within bounds', async () => {
      for (let n = 0; n < 7; n++) await log()
      expect(await claim(0)).toHaveLength(1)
      expect(await claim(-3)).toHaveLength(1)
      expect(await claim(2.9)).toHaveLength(2)
      expect(await claim(Infinity)).toHaveLength(3)
    })

    it('takes those of a disabled registration too', async () => {
      const { id } = await log()
      await store().updateWebhook(webhook, { enabled: false })
      expect(idsOf(await claim())).toEqual([id])
    })

    it('by many at once gives each to one', async () => {
      const made = await Promise.all(Array.from({ length: 60 }, () => log()))
      const claimed = await Promise.all(
        Array.from({ length: 12 }, async (_none, worker) => {
          const mine = await claim(7, `worker ${worker}`)
          expect(mine.every(({ claimed_by: by }) => by === `worker ${worker}`)).toBe(true)
          return idsOf(mine)
        }),
      )
      expect(claimed.flat().sort()).toEqual([...idsOf(made)].sort())
    })
  })

  describe('giving back what a worker has left', () => {
    it('counts those that were claimed that long ago, which are due at once', async () => {
      const old = await log({ next_retry_at: start - 5 })
      await claim(10, 'crashed')
      at(10)
      const young = await log()
      await claim(10, 'alive')
      await log({ status: 'success' })
      at(100)
      expect(await store().resetStaleInFlightDeliveries(101)).toBe(0)
      expect(await store().resetStaleInFlightDeliveries(100)).toBe(1)
      expect(await store().resetStaleInFlightDeliveries(100)).toBe(0)
      expect(await stored(old.id)).toEqual(old)
      expect(await stored(young.id)).toMatchObject({ status: 'in_flight', claimed_by: 'alive' })
      expect(idsOf(await claim())).toEqual([old.id])
      expect(await store().resetStaleInFlightDeliveries(0)).toBe(2)
    })
  })

  describe('of a whole registration', () => {
    const fill = async (of: string) => {
      for (const status of ['pending', 'pending', 'in_flight', ...ended] as const) {
        await log({ status, claimed_by: 'me' }, of)
      }
    }
    it('cancelling ends what has not ended, and counts it', async () => {
      const other = (await store().createWebhook(ofUser())).id
      await fill(webhook)
      await fill(other)
      expect(await store().cancelDeliveriesByWebhook(webhook)).toBe(3)
      expect(await store().cancelDeliveriesByWebhook(webhook)).toBe(0)
      const left = await all()
      expect(left.filter(({ status }) => status === 'cancelled')).toHaveLength(4)
      expect(left.every(({ claimed_by: by, claimed_at: since }) => by === null && since === null)).toBe(true)
      expect(await store().getRecentTerminalDeliveries(webhook, 10)).toHaveLength(6)
      expect((await claim()).map(({ webhook_id: id }) => id)).toEqual([other, other])
      expect(await store().cancelDeliveriesByWebhook('unknown')).toBe(0)
    })

    it('deleting removes all, and counts them', async () => {
      const other = (await store().createWebhook(ofUser())).id
      await fill(webhook)
      await fill(other)
      expect(await store().deleteDeliveryLogsByWebhook(webhook)).toBe(6)
      expect(await store().deleteDeliveryLogsByWebhook(webhook)).toBe(0)
      expect(await all()).toEqual([])
      expect(await all(other)).toHaveLength(6)
      expect(await store().getWebhook(webhook)).not.toBeNull()
      expect(await store().deleteDeliveryLogsByWebhook('unknown')).toBe(0)
    })

    it.each([
      'cancelDeliveriesByWebhook',
      'deleteDeliveryLogsByWebhook',
      'deleteWebhook',
      'getWebhook',
    ] as const)('%s is 400 for what is no id', async (method) => {
      for (const wrong of ['', 5, null, undefined, 'a\0', {}] as Array<any>) {
        expect(await statusOf(() => store()[method](wrong))).toBe(400)
      }
    })
  })

  it('purging removes what has ended and was made before a time, and counts it', async () => {
    const kept: Array<string> = []
    for (const status of ['pending', 'in_flight', ...ended] as const) {
      const old = await log({ status, created_at: start - 1 })
      if (status === 'pending' || status === 'in_flight') kept.push(old.id)
      kept.push((await log({ status, created_at: start })).id)
    }
    expect(await store().purgeExpiredLogs(0)).toBe(0)
    expect(await store().purgeExpiredLogs(start)).toBe(3)
    expect(await store().purgeExpiredLogs(start)).toBe(0)
    expect([...idsOf(await all())].sort()).toEqual(kept.sort())
  })
})

/** More than a step takes, or an answer tells. */
suiteOverBatches('many deliveries', (subject) => {
  const store = () => subject().host.webhookStore
  const all = (of: string) => store().getDeliveryLogs(of, 0)
  /** Made in the order of the ids that come back. */
  const fill = async (count: number, more: (n: number) => Partial<HostDelivery>) => {
    const { id: webhook } = await store().createWebhook(ofUser())
    const ids: Array<string> = []
    while (ids.length < count) {
      const some = Array.from({ length: Math.min(50, count - ids.length) }, (_, n) => more(ids.length + n))
      const made = await Promise.all(some.map((one) => store().createDeliveryLog(logOf(webhook, one))))
      ids.push(...idsOf(made))
    }
    return { webhook, ids }
  }

  it('are told a thousand at most, and as many that have ended as are asked for', async () => {
    const statuses = ['success', 'pending', 'failed'] as const
    const { webhook, ids } = await fill(1_020, (n) => ({ status: statuses[n % 3]!, created_at: start + n }))
    const newest = [...ids].reverse()
    expect(idsOf(await all(webhook))).toEqual(newest.slice(0, 1_000))
    const done = newest.filter((_id, index) => (1_019 - index) % 3 !== 1)
    const recent = async (limit: number) => idsOf(await store().getRecentTerminalDeliveries(webhook, limit))
    expect(await recent(2)).toEqual(done.slice(0, 2))
    expect(await recent(3.9)).toEqual(done.slice(0, 3))
    for (const few of [0, -5, -Infinity, 0.5]) expect(await recent(few)).toEqual(done.slice(0, 1))
    for (const many of [1e9, Infinity]) expect(await recent(many)).toEqual(done.slice(0, 1_000))
  }, 60_000)

  it('go in several steps, and are all counted', async () => {
    const { webhook } = await fill(1_001, () => ({ created_at: start }))
    const claim = () => store().claimPendingDeliveries('me', 1_000)
    expect(await claim()).toHaveLength(1_000)
    expect(await claim()).toHaveLength(1)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1 })
    expect(await store().resetStaleInFlightDeliveries(0)).toBe(1_001)
    vi.useRealTimers()
    expect(await store().cancelDeliveriesByWebhook(webhook)).toBe(1_001)
    expect(await store().purgeExpiredLogs(start + 1)).toBe(1_001)
    expect(await all(webhook)).toEqual([])
  }, 60_000)

  it('go with their registration, and no others', async () => {
    const { webhook } = await fill(1_100, () => ({}))
    const other = await fill(1, () => ({}))
    await store().deleteWebhook(webhook)
    expect(await store().getWebhook(webhook)).toBeNull()
    expect(idsOf(await store().claimPendingDeliveries('me', 1_000))).toEqual(other.ids)
  }, 60_000)
})

const mebi = 1_048_576

suiteOverBatches('large deliveries', (subject) => {
  const store = () => subject().host.webhookStore
  /** Of a mebibyte each, less what quotes take; `é` is two bytes. */
  const large = 'é'.repeat(mebi / 2 - 1)
  const fill = async (count: number, more: Partial<HostDelivery> = {}) => {
    const { id: webhook } = await store().createWebhook(ofUser())
    const ids: Array<string> = []
    for (let n = 0; n < count; n++) {
      ids.push((await store().createDeliveryLog(logOf(webhook, { created_at: start + n, ...more }))).id)
    }
    return { webhook, ids }
  }

  it('are claimed 8 MiB at a time, and no less than one', async () => {
    const { ids } = await fill(11, { request_payload: large })
    const claim = async () => idsOf(await store().claimPendingDeliveries('me', 1_000))
    expect(await claim()).toEqual(ids.slice(0, 8))
    expect(await claim()).toEqual(ids.slice(8))
    expect(await claim()).toEqual([])
    // A payload and a response together may be more than that.
    const widest = '\u0001'.repeat(mebi)
    if (subject().name === 'd1') {
      // It takes two million bytes.
      return expect(fill(1, { request_payload: widest })).rejects.toMatchObject({ status: 413 })
    }
    const { ids: wide } = await fill(2, { request_payload: widest, response_body: widest })
    const { ids: empty } = await fill(1, { created_at: start + 5 })
    for (const ids of [wide.slice(0, 1), wide.slice(1), empty, []]) expect(await claim()).toEqual(ids)
  })

  it('have their outcome noted, whatever a stranger answers', async () => {
    const { webhook, ids } = await fill(1, { request_payload: 'x'.repeat(mebi) })
    const answer = 'é'.repeat(mebi)
    await store().updateDeliveryLog(ids[0]!, { status: 'success', http_status: 200, response_body: answer })
    const [ended] = await store().getRecentTerminalDeliveries(webhook, 1)
    expect(ended).toMatchObject({ status: 'success', http_status: 200 })
    // Two million bytes are all that D1 takes.
    const kept = subject().name === 'd1' ? '[left out: too large for the database]' : answer
    expect(ended!.response_body === kept).toBe(true)
  })

  it('are as large as they became', async () => {
    const { webhook, ids } = await fill(9, { request_payload: 'small' })
    for (const id of ids) await store().updateDeliveryLog(id, { request_payload: large })
    await store().updateDeliveryLog(ids[0]!, { http_status: 500 })
    const claim = async () => idsOf(await store().claimPendingDeliveries('me', 1_000))
    expect(await claim()).toEqual(ids.slice(0, 8))
    for (const id of ids.slice(0, 4)) {
      await store().updateDeliveryLog(id, { request_payload: null, response_body: large, status: 'pending' })
    }
    for (const id of ids.slice(4, 8)) {
      await store().updateDeliveryLog(id, { response_body: large, status: 'pending' })
    }
    expect(await claim()).toEqual(ids.slice(0, 6))
    for (const id of ids) await store().updateDeliveryLog(id, { request_payload: null, response_body: null })
    expect(await store().getDeliveryLogs(webhook, 0)).toHaveLength(9)
  })

  it('are listed 8 MiB at a time, the newest of them', async () => {
    const { webhook, ids } = await fill(10, { request_payload: large })
    const newest = [...ids].reverse()
    for (const id of ids.filter((_id, n) => n % 2 === 0)) {
      await store().updateDeliveryLog(id, { status: 'success' })
    }
    expect(idsOf(await store().getDeliveryLogs(webhook, 0))).toEqual(newest.slice(0, 8))
    for (const id of ids) await store().updateDeliveryLog(id, { status: 'failed' })
    expect(idsOf(await store().getRecentTerminalDeliveries(webhook, 1_000))).toEqual(newest.slice(0, 8))
    expect(idsOf(await store().getRecentTerminalDeliveries(webhook, 3))).toEqual(newest.slice(0, 3))
  })

  it('are all reached by what is about many', async () => {
    const { webhook } = await fill(18, { request_payload: large })
    for (const claimed of [8, 8, 2]) {
      expect(await store().claimPendingDeliveries('me', 1_000)).toHaveLength(claimed)
    }
    expect(await store().resetStaleInFlightDeliveries(0)).toBe(18)
    expect(await store().cancelDeliveriesByWebhook(webhook)).toBe(18)
    expect(await store().purgeExpiredLogs(start + 9)).toBe(9)
    expect(await store().deleteDeliveryLogsByWebhook(webhook)).toBe(9)
    const again = await fill(9, { request_payload: large })
    await store().deleteWebhook(again.webhook)
    expect(await store().getWebhook(again.webhook)).toBeNull()
  })
})
