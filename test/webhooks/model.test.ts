/**
 * Random calls about webhooks by two workers that crash, while clocks jump: every layer does what the one in memory does, and none
 * breaks a law.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HostDelivery, WebhookStore } from '../../src/nuxt/hostWebhooks.js'
import { casesOn, fc, patience } from '../support/property.js'
import { propertySubjects, withSubject } from '../support/subjects.js'
import { tagOf } from '../support/people.js'
import type { Subject } from '../support/subjectType.js'
import { Refused } from '../support/verdicts.js'
import { logOf, ofAdmin, ofUser } from '../support/webhooks.js'
import { isFar } from '../support/subjectType.js'

const start = 1_700_000_000_000

const workers = ['one', 'two'] as const
const statuses = ['pending', 'in_flight', 'success', 'failed', 'cancelled'] as const

/** A few of each, so that calls meet. What is picked by a number is the one made at that place, or none. */
const place = fc.nat({ max: 3 })
const name = fc.constantFrom('a', 'b', 'c')
const names = fc.array(name, { maxLength: 3 })
const workspace = fc.constantFrom('w1', 'w2')
const user = fc.constantFrom('ann', 'bob')
const delay = fc.option(fc.constantFrom(-1_000, 0, 1, 50, 1_000), { freq: 1 })
const patchOfWebhook = fc.record(
  {
    label: name,
    events: names,
    custom_hooks: names,
    enabled: fc.boolean(),
    health: fc.constantFrom('healthy', 'failing'),
    workspace_id: workspace,
    scope: fc.constantFrom('user', 'admin'),
  },
  { requiredKeys: [] },
)
const outcome = fc.record(
  {
    status: fc.constantFrom(...statuses),
    attempt: fc.nat({ max: 3 }),
    http_status: fc.constantFrom(null, 200, 503),
    response_body: fc.constantFrom<unknown>(null, 'text', { a: 1 }),
    claimed_by: fc.constantFrom(null, 'one', 'eve'),
    next: delay,
  },
  { requiredKeys: [] },
)

const step = fc.oneof(
  fc.record({
    call: fc.constant('create' as const),
    scope: fc.constantFrom('user' as const, 'admin' as const),
    user,
    workspace: fc.option(workspace, { freq: 3 }),
    events: names,
    hooks: names,
    enabled: fc.boolean(),
  }),
  fc.record({ call: fc.constant('update' as const), webhook: place, patch: patchOfWebhook }),
  fc.record({
    call: fc.constantFrom('remove' as const, 'cancel' as const, 'clear' as const),
    webhook: place,
  }),
  fc.record({ call: fc.constant('health' as const), webhook: place }),
  fc.record({ call: fc.constant('disable' as const), user, workspace }),
  fc.record({ call: fc.constant('log' as const), webhook: place, outcome, created: delay }),
  fc.record({ call: fc.constant('log' as const), webhook: place, outcome: fc.constant({}), created: delay }),
  fc.record({ call: fc.constant('note' as const), delivery: place, outcome }),
  fc.record({
    call: fc.constant('claim' as const),
    worker: fc.constantFrom(...workers),
    limit: fc.nat({ max: 3 }),
  }),
  // What a worker does with what it has, or it crashes and does nothing.
  fc.record({ call: fc.constant('work' as const), worker: fc.constantFrom(...workers), outcome }),
  fc.record({ call: fc.constant('reset' as const), older: fc.constantFrom(0, 50, 1_000) }),
  fc.record({ call: fc.constantFrom('join' as const, 'leave' as const), user }),
  fc.record({ call: fc.constant('purge' as const), before: fc.constantFrom(-1_000, 0, 50) }),
)
type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

/** Milliseconds that the clock moves before a step: mostly not at all, and back as well. */
const jump = fc.constantFrom(0, 0, 0, 1, 50, 1_000, -60)

/** What was made so far, and which deliveries each worker has: the same on both layers, since the ids are. */
interface Made {
  readonly webhooks: Array<string>
  readonly deliveries: Array<string>
  readonly held: Map<string, ReadonlyArray<string>>
}

const retry = ({ next, ...rest }: { readonly next?: number | null }, now: number) => ({
  ...rest,
  ...(next === undefined ? {} : { next_retry_at: next === null ? null : now + next }),
})

const perform = async (subject: Subject, made: Made, given: Step, now: number): Promise<unknown> => {
  const store = subject.host.webhookStore
  const webhook = (index: number) => made.webhooks[index] ?? 'none'
  switch (given.call) {
    case 'create': {
      const owner = { user_id: given.user, workspace_id: given.workspace }
      const settings = { events: given.events, custom_hooks: given.hooks, enabled: given.enabled }
      return store.createWebhook((given.scope === 'user' ? ofUser : ofAdmin)({ ...owner, ...settings }))
    }
    case 'update':
      return store.updateWebhook(webhook(given.webhook), given.patch as never)
    case 'remove':
      return store.deleteWebhook(webhook(given.webhook))
    case 'cancel':
      return store.cancelDeliveriesByWebhook(webhook(given.webhook))
    case 'clear':
      return store.deleteDeliveryLogsByWebhook(webhook(given.webhook))
    case 'health':
      return store.updateWebhookHealth(webhook(given.webhook), 'failing')
    case 'disable':
      return store.disableAllWebhooks(given.user, given.workspace)
    case 'log': {
      const created = given.created === null ? {} : { created_at: now + given.created }
      return store.createDeliveryLog(
        logOf(webhook(given.webhook), { ...(retry(given.outcome, now) as object), ...created }),
      )
    }
    case 'note':
      return store.updateDeliveryLog(made.deliveries[given.delivery] ?? 'none', retry(given.outcome, now))
    case 'claim':
      return store.claimPendingDeliveries(given.worker, given.limit)
    case 'work':
      for (const id of made.held.get(given.worker) ?? []) {
        await store.updateDeliveryLog(id, retry(given.outcome, now))
      }
      return undefined
    case 'reset':
      return store.resetStaleInFlightDeliveries(given.older)
    case 'join':
    case 'leave': {
      const key = { workspaceId: 'w1', userId: given.user }
      const { memberships } = subject
      const role = 'viewer'
      return tagOf(
        given.call === 'join' ? memberships.addMember({ ...key, role }) : memberships.removeMember(key),
      )
    }
    case 'purge':
      return store.purgeExpiredLogs(now + given.before)
  }
}

/** The answer, or the status of the refusal. */
const told = async (call: Promise<unknown>): Promise<unknown> => {
  try {
    return { ok: await call }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { status: error.status }
  }
}

const deliveriesIn = async (store: WebhookStore, { webhooks }: Made) =>
  (await Promise.all(webhooks.map((id) => store.getDeliveryLogs(id, 0)))).flat()

/** What can be asked for. */
const view = async (store: WebhookStore, made: Made) => ({
  webhooks: await Promise.all(made.webhooks.map((id) => store.getWebhook(id))),
  admin: await store.listAdminWebhooks(),
  users: await Promise.all(
    ['ann', 'bob'].flatMap((id) => ['w1', 'w2'].map((workspaceId) => store.listWebhooks(id, workspaceId))),
  ),
  byEvent: await Promise.all(
    (['user', 'admin'] as const).flatMap((scope) =>
      ['w1', 'w2', undefined].flatMap((workspaceId) =>
        ['a', 'b', 'c'].map((event) => store.listWebhooksByEvent(event, scope, workspaceId)),
      ),
    ),
  ),
  byHook: await Promise.all(['a', 'b', 'c'].map((hook) => store.listWebhooksByCustomHook(hook))),
  hooks: await store.listActiveCustomHookNames(),
  ended: await Promise.all(made.webhooks.map((id) => store.getRecentTerminalDeliveries(id, 3))),
})

/** Of the workspaces one is here, and has a user of ours as a member; the other is another provider's. */
const settle = async ({ store, memberships }: Subject) => {
  const uuid = vi.spyOn(crypto, 'randomUUID')
  const under = <A>(id: string, call: () => Promise<A>) => {
    uuid.mockReturnValue(id as ReturnType<typeof crypto.randomUUID>)
    return call()
  }
  for (const id of ['eve', 'ann', 'bob']) {
    await under(id, () => store.getOrCreateUser({ provider: 'p', providerUserId: id }))
  }
  await under('w1', () => store.createWorkspace({ userId: 'eve', name: 'W' }))
  await memberships.addMember({ workspaceId: 'w1', userId: 'ann', role: 'editor' })
}

const dueAt = ({ next_retry_at: next, created_at: created }: HostDelivery) => next ?? created
const longestDueFirst = (a: HostDelivery, b: HostDelivery) => dueAt(a) - dueAt(b) || (a.id < b.id ? -1 : 1)

/** The laws, whatever the model says. */
const holdLaws = (
  given: Step,
  answer: unknown,
  now: number,
  before: ReadonlyArray<HostDelivery>,
  after: ReadonlyArray<HostDelivery>,
  counts: (webhookId: string) => boolean,
) => {
  const is = new Map(after.map((delivery) => [delivery.id, delivery]))
  for (const delivery of after) {
    const { status, claimed_by: by, claimed_at: since } = delivery
    if (status === 'in_flight') expect(since).not.toBeNull()
    else expect([by, since]).toEqual([null, null])
  }
  for (const { id, status } of before) {
    if (status === 'cancelled' && is.has(id)) expect(is.get(id)!.status).toBe('cancelled')
  }
  if (given.call === 'claim') {
    const { ok: claimed } = answer as { readonly ok: ReadonlyArray<HostDelivery> }
    const due = before.filter((delivery) => delivery.status === 'pending' && dueAt(delivery) <= now)
    const free = due.filter((delivery) => counts(delivery.webhook_id))
    const first = [...free].sort(longestDueFirst).slice(0, Math.max(1, given.limit))
    const mark = { status: 'in_flight', claimed_by: given.worker, claimed_at: now }
    expect(claimed).toEqual(first.map((delivery) => ({ ...delivery, ...mark })))
    for (const { id, webhook_id: of } of due) if (!counts(of)) expect(is.get(id)!.status).toBe('cancelled')
  }
}

const remember = (made: Made, given: Step, answer: unknown) => {
  const { ok } = answer as { readonly ok?: { readonly id: string } }
  if (given.call === 'create' && ok !== undefined) made.webhooks.push(ok.id)
  if (given.call === 'log' && ok !== undefined) made.deliveries.push(ok.id)
  if (given.call === 'work') made.held.set(given.worker, [])
  if (given.call === 'claim') {
    const claimed = ok as unknown as ReadonlyArray<HostDelivery>
    made.held.set(given.worker, [...(made.held.get(given.worker) ?? []), ...claimed.map(({ id }) => id)])
  }
}

/** Runs the steps on a layer and in memory; gives how often a call ended in a way. */
const run = (name: (typeof layers)[number], steps: Steps, seen: Map<string, number>) =>
  withSubject('memory', (model) =>
    withSubject(name, async (subject) => {
      const [expected, store] = [model.host.webhookStore, subject.host.webhookStore]
      const made: Made = { webhooks: [], deliveries: [], held: new Map() }
      await settle(model)
      await settle(subject)
      const members = new Set(['ann'])
      const owners = new Map<string, Extract<Step, { readonly call: 'create' }>>()
      const counts = (webhookId: string) => {
        const { scope, user, workspace } = owners.get(webhookId)!
        return scope === 'admin' || workspace !== 'w1' || members.has(user)
      }
      const removed = new Set<string>()
      let now = start
      let before: ReadonlyArray<HostDelivery> = []
      for (const [number, [given, moved]] of [...opening, ...steps].entries()) {
        now += moved
        vi.setSystemTime(now)
        // In another order than they are made in.
        const id = `${(number * 7) % 10}-${number}`
        vi.spyOn(crypto, 'randomUUID').mockReturnValue(id as ReturnType<typeof crypto.randomUUID>)
        const answer = await told(perform(subject, made, given, now))
        expect(answer).toEqual(await told(perform(model, made, given, now)))
        if (given.call === 'remove') removed.add(made.webhooks[given.webhook] ?? 'none')
        remember(made, given, answer)
        if (given.call === 'create' && made.webhooks.includes(id)) owners.set(id, given)
        if (given.call === 'join') members.add(given.user)
        if (given.call === 'leave') members.delete(given.user)
        const after = await deliveriesIn(store, made)
        expect(after).toEqual(await deliveriesIn(expected, made))
        expect(after.filter(({ webhook_id: of }) => removed.has(of))).toEqual([])
        holdLaws(given, answer, now, before, after, counts)
        before = after
        const { ok } = answer as { readonly ok?: unknown }
        const how =
          ok === undefined
            ? 'not'
            : Array.isArray(ok)
              ? ok.length > 0
              : typeof ok === 'number'
                ? ok > 0
                : true
        seen.set(`${given.call} ${how}`, (seen.get(`${given.call} ${how}`) ?? 0) + 1)
      }
      expect(await view(store, made)).toEqual(await view(expected, made))
    }),
  )

type Steps = ReadonlyArray<readonly [Step, number]>

const create: Extract<Step, { readonly call: 'create' }> = {
  call: 'create',
  scope: 'user',
  user: 'ann',
  workspace: 'w1',
  events: ['a'],
  hooks: ['b'],
  enabled: true,
}
const note = { call: 'log', webhook: 0, outcome: {}, created: null } as const

/** So that the rest has something to work on. */
const opening: Steps = [
  [create, 0],
  [{ ...create, scope: 'admin', workspace: null }, 1],
  [note, 0],
  [{ ...note, webhook: 1 }, 0],
]

const examples: ReadonlyArray<readonly [string, Steps]> = [
  [
    'a worker comes back to a delivery that was cancelled while it had it',
    [
      [{ call: 'claim', worker: 'one', limit: 2 }, 0],
      [{ call: 'cancel', webhook: 0 }, 1],
      [{ call: 'work', worker: 'one', outcome: { status: 'pending', next: -1_000 } }, 1],
      [{ call: 'claim', worker: 'two', limit: 3 }, 1],
    ],
  ],
  [
    'a worker crashes, another has its deliveries, and then its clock goes back',
    [
      [{ call: 'claim', worker: 'one', limit: 2 }, 0],
      [{ call: 'reset', older: 50 }, 50],
      [{ call: 'claim', worker: 'two', limit: 3 }, -60],
      [{ call: 'claim', worker: 'two', limit: 3 }, 1_000],
      [{ call: 'work', worker: 'one', outcome: { status: 'success' } }, 0],
      [{ call: 'reset', older: 0 }, 0],
    ],
  ],
  [
    'a member goes while deliveries wait and are out, and comes back',
    [
      [{ call: 'claim', worker: 'one', limit: 1 }, 0],
      [note, 0],
      [{ call: 'leave', user: 'ann' }, 0],
      [note, 0],
      [{ call: 'work', worker: 'one', outcome: { status: 'pending' } }, 1],
      [{ call: 'claim', worker: 'two', limit: 3 }, 0],
      [{ call: 'join', user: 'ann' }, 0],
      [note, 0],
      [{ call: 'claim', worker: 'two', limit: 3 }, 0],
    ],
  ],
  [
    'a registration goes while its deliveries are out',
    [
      [{ call: 'claim', worker: 'one', limit: 3 }, 0],
      [note, 0],
      [{ call: 'remove', webhook: 0 }, 0],
      [{ call: 'work', worker: 'one', outcome: { status: 'pending' } }, 0],
      [{ call: 'claim', worker: 'two', limit: 3 }, 0],
      [note, 0],
    ],
  ],
]

const layers = propertySubjects().filter((name) => name !== 'memory')

describe.each(layers)('webhooks on %s', (name) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  it.each(examples)('%s', (_what, steps) => run(name, steps, new Map()))

  it(
    'do what those in memory do, call by call, and break no law',
    async () => {
      const seen = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(step, jump), { minLength: 15, maxLength: 40, size: 'max' }),
          (steps) => run(name, steps, seen),
        ),
        casesOn(name, 40),
      )
      // The generator reaches what matters; else this test would prove little. Few cases may not.
      if (isFar(name)) return
      const calls = ['claim', 'reset', 'cancel', 'clear', 'purge', 'disable', 'log', 'update']
      for (const reached of calls.map((call) => `${call} true`)) {
        expect(seen.get(reached) ?? 0, reached).toBeGreaterThan(0)
      }
    },
    patience(120_000),
  )
})
