/**
 * Issue 14, point 6: the host's hooks are told what a push applied, and whatever they do harms nothing.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@effect/vitest'
import { Effect, Fiber, TestClock } from 'effect'
import { vi } from 'vitest'
import { type EmitHook, openProvider, type Provider } from '../../src/nuxt/adapters.js'
import * as Logger from '../../src/layers/logger.js'
import { hookBounds, hooksThrough } from '../../src/nuxt/hooks.js'
import type { HostEvent } from '../../src/nuxt/host.js'
import { OpAccepted, type PendingOp } from '../../src/services/index.js'
import { del, type OpParts, put, scope } from '../support/ops.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
let provider: Provider
let told: Array<readonly [name: string, payload: Readonly<Record<string, unknown>>]>

const remember: EmitHook = async (name, payload) => {
  told.push([name, payload])
}

/** A provider whose hooks are told through the emitter. */
const open = (onApplied?: EmitHook) => {
  const env = { OR3_SQLITE_DB_PATH: join(folder, `hooks-${++files}.db`) }
  provider = openProvider({ env, onApplied })
}

beforeEach(() => {
  told = []
  for (const method of ['log', 'error'] as const) vi.spyOn(console, method).mockImplementation(() => {})
})

afterEach(async () => {
  await provider.close()
  vi.restoreAllMocks()
})

/** What was logged of hooks. */
const warnings = () =>
  vi
    .mocked(console.error)
    .mock.calls.flatMap(([line]) => (/host's hook/.test(String(line)) ? [String(line)] : []))

const ada: HostEvent = {
  context: {
    __or3_session_context_1: { authenticated: true, user: { id: 'ada' }, workspace: { id: 'w1' } },
  },
}

const push = (ops: ReadonlyArray<PendingOp>, event: HostEvent = {}) =>
  provider.syncGateway.push(event, { ...scope(), ops })

const names = () => told.map(([name]) => name)

/** Until so many were told. */
const toldAll = (count: number) => vi.waitFor(() => expect(told).toHaveLength(count), { interval: 2 })

/** Long enough for something that should not be told to be told. */
const nothingMore = async (count: number) => {
  await push([put({ table: 'threads', pk: `last-${count}` })])
  await toldAll(count + 1)
  expect(told.pop()?.[1].id).toBe(`last-${count}`)
}

describe('an applied op is told', () => {
  const put2 = (parts: OpParts) => put({ clock: 2, ...parts })

  it.each([
    ['threads', 'db.threads'],
    ['messages', 'db.messages'],
    ['posts', 'db.documents'],
  ])('of %s as create, update and delete', async (table, prefix) => {
    open(remember)
    await push([put({ table, pk: 'a' })])
    await push([
      put2({ table, pk: 'a' }),
      del({ table, pk: 'a', clock: 3 }),
      put({ table, pk: 'a', clock: 4 }),
    ])
    // A record that was deleted is known already; one that comes twice in a batch is new once.
    await push([put({ table, pk: 'b' }), put2({ table, pk: 'b' }), del({ table, pk: 'ghost' })])
    await toldAll(7)
    expect(names()).toEqual([
      `${prefix}.create:action:after`,
      `${prefix}.update:action:after`,
      `${prefix}.delete:action:soft:after`,
      `${prefix}.update:action:after`,
      `${prefix}.create:action:after`,
      `${prefix}.update:action:after`,
      `${prefix}.delete:action:soft:after`,
    ])
    expect(told.map(([, { id }]) => id)).toEqual(['a', 'a', 'a', 'a', 'b', 'b', 'ghost'])
  })

  it('of notifications when they are put', async () => {
    open(remember)
    const table = 'notifications'
    await push([put({ table, pk: 'n' }), put2({ table, pk: 'n' }), del({ table, pk: 'n', clock: 3 })])
    await toldAll(2)
    await nothingMore(2)
    expect(names()).toEqual(['notify:action:push', 'notify:action:push'])
  })

  it('not of other tables', async () => {
    open(remember)
    await push(['kv', 'projects', 'file_meta'].flatMap((table) => [put({ table }), del({ table, clock: 2 })]))
    await nothingMore(0)
  })

  it('with its payload, and where it is', async () => {
    open(remember)
    const payload = { id: 'm1', index: 3, data: { text: 'naïve ☃', nothing: null }, updated_at: 17 }
    const before = Math.floor(Date.now() / 1_000)
    await push(
      [put({ payload }), del({ clock: 2 }), del({ clock: 3, payload: { id: 'm1', reason: 'spam' } })],
      ada,
    )
    await push([
      put({ table: 'threads', pk: 't1', payload: { workspace_id: 'w1', user_id: 'eve', deleted: false } }),
    ])
    await toldAll(4)
    const known = { workspace_id: 'w1', user_id: 'ada' }
    const now = expect.toSatisfy((time) => time >= before && time <= before + 60, 'epoch seconds') as number
    expect(told.map(([, payload]) => payload)).toEqual([
      { ...payload, ...known },
      { id: 'm1', ...known, updated_at: now, deleted: true },
      { id: 'm1', reason: 'spam', ...known, updated_at: now, deleted: true },
      // Without a session nobody is named but by the payload.
      { id: 't1', workspace_id: 'w1', user_id: 'eve', deleted: false, updated_at: now },
    ])
    // What the client sent stays the client's.
    expect(payload).toEqual({ id: 'm1', index: 3, data: { text: 'naïve ☃', nothing: null }, updated_at: 17 })
  })

  it('in the order of commits, over many pushes at once', async () => {
    open(remember)
    const batches = Array.from({ length: 40 }, (_, batch) =>
      Array.from({ length: 5 }, (_, index) =>
        put({ pk: `${batch}-${index}`, payload: { batch, text: 'x'.repeat(batch * 1_500) } }),
      ),
    )
    await Promise.all(batches.map((ops) => push(ops)))
    await toldAll(200)
    const { changes } = await provider.syncGateway.pull({}, { ...scope(), cursor: 0, limit: 1_000 })
    expect(told.map(([, { id }]) => id)).toEqual(changes.map(({ pk }) => pk))
  })

  it('and none that changed nothing: replayed, superseded, in conflict, invalid', async () => {
    open(remember)
    const first = put({ id: 'first', clock: 5 })
    await push([first])
    await push([first])
    const { results } = await push([
      first,
      put({ id: 'old', clock: 4 }),
      del({ id: 'older', clock: 3 }),
      put({ id: 'unknown', table: 'nonsense' }),
    ])
    expect(results.map(({ success }) => success)).toEqual([true, true, true, false])
    const { results: conflicting } = await push([put({ id: 'first', clock: 9 })])
    expect(conflicting.map(({ success }) => success)).toEqual([false])
    await nothingMore(1)
    expect(names()).toEqual(['db.messages.create:action:after'])
  })

  it('after the commit: the hook finds the op in the database', async () => {
    const found: Array<number> = []
    open(async () => {
      const { changes } = await provider.syncGateway.pull({}, { ...scope(), cursor: 0 })
      found.push(changes.length)
    })
    await push([put(), put({ pk: 'm2' })])
    await vi.waitFor(() => expect(found).toEqual([2, 2]))
  })

  it('and by nobody when the push fails as a whole', async () => {
    open(remember)
    await expect(push([], { context: { __or3_session_context_1: {} } })).rejects.toMatchObject({
      statusCode: 401,
    })
    await expect(
      provider.syncGateway.push(ada, { scope: { workspaceId: 'w2' }, ops: [put()] }),
    ).rejects.toMatchObject({ statusCode: 403 })
    await nothingMore(0)
  })
})

describe('a hook that', () => {
  const answer = { results: [expect.objectContaining({ success: true, serverVersion: 1 })], serverVersion: 1 }

  it.each<[string, EmitHook]>([
    [
      'throws',
      () => {
        throw new TypeError('secret')
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('secret'))],
    ['rejects with no error', () => Promise.reject('secret')],
    ['gives no promise', () => undefined as unknown as Promise<void>],
  ])('%s harms neither the push nor the next hook', async (what, broken) => {
    open((name, payload) => (payload.id === 'm1' ? broken(name, payload) : remember(name, payload)))
    expect(await push([put()])).toEqual(answer)
    await push([put({ pk: 'm2' })])
    await toldAll(1)
    expect(warnings()).toEqual(
      what === 'gives no promise'
        ? []
        : [
            expect.stringMatching(
              /^\[or3-provider-sqlite\] the host's hook db\.messages\.create:action:after failed with (TypeError|string)$/,
            ),
          ],
    )
  })

  it('breaks at every push is logged once', async () => {
    let calls = 0
    open(() => Promise.reject(new Error(`${++calls}`)))
    for (let count = 1; count <= 20; count++) await push([put({ pk: `m${count}` })])
    await vi.waitFor(() => expect(calls).toBe(20))
    expect(warnings()).toHaveLength(1)
  })

  it('hangs delays no answer, nor the end of the server for long', async () => {
    open(() => new Promise(() => {}))
    const start = performance.now()
    expect(await push([put()])).toEqual(answer)
    expect(performance.now() - start).toBeLessThan(1_000)
    await provider.close()
    expect(performance.now() - start).toBeLessThan(5_000)
  })

  it('is slow in its synchronous part does not run before the answer', async () => {
    const happened: Array<string> = []
    open(async () => void happened.push('hook'))
    await push([put()]).then(() => happened.push('answer'))
    await vi.waitFor(() => expect(happened).toEqual(['answer', 'hook']))
  })

  it('has not run yet runs before the database closes', async () => {
    open(async (name, payload) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      // What it asks of the provider is still answered.
      await provider.syncGateway.pull({}, { ...scope(), cursor: 0 })
      await remember(name, payload)
    })
    await push([put(), put({ pk: 'm2' }), put({ pk: 'm3' })])
    await provider.close()
    expect(told).toHaveLength(3)
  })
})

describe('the memory that hooks may take is bounded', () => {
  beforeEach(() => open())

  const turns = Effect.promise(async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  })
  const request = (count: number, from = 0) => ({
    ...scope(),
    ops: Array.from({ length: count }, (_, index) => put({ pk: `${from + index}` })),
  })
  const outcomes = (count: number, from = 0) =>
    Array.from(
      { length: count },
      (_, index) =>
        new OpAccepted({
          opId: `${from + index}`,
          serverVersion: from + index + 1,
          applied: true,
          wasExisting: false,
        }),
    )

  it.effect('and a push that commits first is told first, whichever is heard of first', () =>
    Effect.gen(function* () {
      const teller = yield* hooksThrough(remember)
      yield* teller.tell(request(2, 2), outcomes(2, 2))
      yield* teller.tell(request(2), outcomes(2))
      yield* turns
      expect(told.map(([, { id }]) => id)).toEqual(['0', '1', '2', '3'])
    }),
  )

  /** A hook whose calls end when they are told to, and the records that it was called for. */
  const hangingHook = () => {
    const ends: Array<() => void> = []
    const started: Array<unknown> = []
    const emit: EmitHook = (_name, { id }) => {
      started.push(id)
      return new Promise((resolve) => ends.push(resolve))
    }
    /** Ends all calls, and those that begin then. */
    const endAll = Effect.gen(function* () {
      for (let ended = 0; ended < ends.length; ended++) {
        ends[ended]!()
        yield* turns
      }
    })
    return { emit, started, endAll }
  }
  const ids = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

  it.effect('far beyond what a slow hook lets wait: all of 30 pushes are told', () =>
    Effect.gen(function* () {
      const { emit, started, endAll } = hangingHook()
      const teller = yield* hooksThrough(emit)
      for (let pushed = 0; pushed < 3_000; pushed += 100) {
        yield* teller.tell(request(100, pushed), outcomes(100, pushed))
        yield* turns
      }
      expect(started).toEqual(['0'])
      yield* endAll
      expect(started).toEqual(ids(3_000))
      expect(warnings()).toEqual([])
    }),
  )

  it.effect('by the payloads that wait: beyond them, new calls are dropped', () =>
    Effect.gen(function* () {
      const { emit, started, endAll } = hangingHook()
      const teller = yield* hooksThrough(emit)
      const fitting = 50
      const payload = { text: 'x'.repeat(hookBounds.payloads / fitting - 20) }
      const large = (from: number) => ({
        ...scope(),
        ops: Array.from({ length: 40 }, (_, index) => put({ pk: `${from + index}`, payload })),
      })
      yield* teller.tell(large(0), outcomes(40))
      yield* teller.tell(large(40), outcomes(40, 40))
      yield* turns
      expect(warnings()).toEqual([
        expect.stringMatching(/30 calls of the host's hooks were dropped, as 50 wait already$/),
      ])
      // Those that were let in are told in their order as soon as the hook answers again, and then there is room.
      yield* endAll
      expect(started).toEqual(ids(50))
      yield* teller.tell(large(50), outcomes(40, 50))
      yield* turns
      expect(started).toHaveLength(51)
    }).pipe(Effect.provide(Logger.layer)),
  )

  it.effect('by the calls that wait, however small', () =>
    Effect.gen(function* () {
      const teller = yield* hooksThrough(hangingHook().emit)
      for (let pushed = 0; pushed <= hookBounds.waiting; pushed += 1_000) {
        yield* teller.tell(request(1_000, pushed), outcomes(1_000, pushed))
      }
      expect(warnings()).toEqual([
        expect.stringMatching(/1000 calls of the host's hooks were dropped, as 100000 wait already$/),
      ])
    }).pipe(Effect.provide(Logger.layer)),
  )

  it.effect('by the calls that hang: each holds up the next one for ten seconds, and none all of them', () =>
    Effect.gen(function* () {
      const { emit, started } = hangingHook()
      const teller = yield* hooksThrough(emit)
      yield* teller.tell(request(30), outcomes(30))
      yield* turns
      expect(started).toHaveLength(1)
      yield* TestClock.adjust('9 seconds')
      yield* turns
      expect(started).toHaveLength(1)
      for (let seconds = 0; seconds < 300; seconds += 10) {
        yield* TestClock.adjust('10 seconds')
        yield* turns
      }
      expect(started).toEqual(ids(30))
    }),
  )

  it.effect('and what is not told when the provider closes is logged', () =>
    Effect.gen(function* () {
      const teller = yield* hooksThrough(hangingHook().emit)
      yield* teller.tell(request(30), outcomes(30))
      yield* turns
      const closing = yield* Effect.fork(teller.close)
      yield* TestClock.adjust('2 seconds')
      yield* Fiber.join(closing)
      expect(warnings()).toEqual([
        expect.stringMatching(/calls of the host's hooks that had not ended when the server did: 30$/),
      ])
    }).pipe(Effect.provide(Logger.layer)),
  )

  it.effect('and a broken hook is logged once a minute, with what was not logged', () =>
    Effect.gen(function* () {
      const teller = yield* hooksThrough(() => Promise.reject(new Error()))
      for (let minute = 0; minute < 2; minute++) {
        yield* teller.tell(request(30), outcomes(30))
        yield* turns
        yield* TestClock.adjust('1 minute')
      }
      expect(warnings()).toEqual([
        expect.stringMatching(/failed with Error$/),
        "[or3-provider-sqlite] 29 more faults of the host's hooks were not logged",
        expect.stringMatching(/failed with Error$/),
        "[or3-provider-sqlite] 29 more faults of the host's hooks were not logged",
      ])
    }).pipe(Effect.provide(Logger.layer)),
  )
})
