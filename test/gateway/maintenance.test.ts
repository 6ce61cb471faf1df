/**
 * The account of maintenance runs, and how much it says waits for the next one.
 */
import { describe, expect, it } from '@effect/vitest'
import { Duration, Effect, Layer, Logger, Option, type Scope, TestClock, TestContext } from 'effect'
import { Batches } from '../../src/layers/sql/Batches.js'
import { backlogOf } from '../../src/layers/sql/backlog.js'
import { layer as sqlMaintenance } from '../../src/layers/sql/Maintenance.js'
import { maintenance as memoryMaintenance } from '../../src/layers/memory/index.js'
import { layerOf } from '../../src/layers/ProviderConfig.js'
import { layerSchedule, layer as upkeepLayer } from '../../src/layers/synchronous/Upkeep.js'
import { Maintenance, StorageError, SyncGateway, Upkeep } from '../../src/services/index.js'
import { put, scope } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import { realTimeUntil } from '../support/realTime.js'
import { batchLayer, committingEngine, sqlLayer } from '../support/layerSubjects.js'

const quiet = Logger.remove(Logger.defaultLogger)
const settings = {
  dbPath: ':memory:',
  gcInterval: Option.some(Duration.hours(1)),
  gcRetention: Duration.days(30),
}

const services = (given = settings) =>
  Layer.provideMerge(upkeepLayer, Layer.provide(sqlLayer(':memory:', given), quiet))

const start = 1_700_000_000_000
const iso = (millis: number) => new Date(millis).toISOString()

/** Runs a test on services of its own, with a clock that only the test moves. */
const onServices = <A, E>(
  body: Effect.Effect<A, E, Upkeep | Maintenance | SyncGateway | Batches | Scope.Scope>,
  given: Layer.Layer<Upkeep | Maintenance | SyncGateway | Batches, unknown> = services(),
): Promise<A> =>
  TestClock.setTime(start).pipe(
    Effect.andThen(body),
    Effect.provide(given),
    Effect.provide(quiet),
    Effect.scoped,
    Effect.provide(TestContext.TestContext),
    Effect.runPromise,
  )

describe.each<[string, Layer.Layer<Maintenance, unknown>, object]>([
  ['memory', memoryMaintenance, { enabled: false }],
  ['sqlite', services(), { enabled: true, backlog: 0 }],
  ['batches', batchLayer(committingEngine, settings), { enabled: true, backlog: 0 }],
])('the account on %s', (_name, services, fixed) => {
  const account = (body: (maintenance: Maintenance['Type']) => Effect.Effect<void>) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      yield* body(yield* Maintenance)
    }).pipe(Effect.provide(services))
  const expectState = (maintenance: Maintenance['Type'], expected: object) =>
    Effect.map(maintenance.state, (state) => expect(state).toEqual({ ...fixed, ...expected }))

  it.scoped('begins idle, without a run', () =>
    account((maintenance) => expectState(maintenance, { state: 'idle' })),
  )

  it.scoped('follows a run to its end', () =>
    account((maintenance) =>
      Effect.gen(function* () {
        yield* maintenance.begin('host')
        yield* expectState(maintenance, { state: 'running' })
        yield* maintenance.complete('host', iso(start - 5_000))
        yield* expectState(maintenance, { state: 'idle', lastRun: iso(start - 5_000) })
        yield* maintenance.begin('host')
        yield* maintenance.fail('host', 'no space')
        yield* expectState(maintenance, {
          state: 'failed',
          lastRun: iso(start - 5_000),
          lastError: 'no space',
        })
        yield* maintenance.begin('host')
        yield* expectState(maintenance, {
          state: 'running',
          lastRun: iso(start - 5_000),
          lastError: 'no space',
        })
        yield* maintenance.complete('host')
        yield* expectState(maintenance, { state: 'idle', lastRun: iso(start) })
      }),
    ),
  )

  it.scoped('tells the host’s runs from the server’s: it is running while either is', () =>
    account((maintenance) =>
      Effect.gen(function* () {
        yield* maintenance.begin('server')
        yield* maintenance.begin('host')
        yield* maintenance.complete('server')
        yield* expectState(maintenance, { state: 'running', lastRun: iso(start) })
        // Whose end was never told has given up by the time it begins again.
        yield* maintenance.begin('host')
        yield* maintenance.complete('host', iso(start - 60_000))
        yield* expectState(maintenance, { state: 'idle', lastRun: iso(start) })
      }),
    ),
  )

  it.scoped('takes what is no time of the past for now, and cuts what is told of an error', () =>
    account((maintenance) =>
      Effect.gen(function* () {
        for (const odd of ['yesterday', '', iso(start + 1), '-000001-01-01T00:00:00Z', 7, null, {}]) {
          yield* maintenance.begin('host')
          yield* maintenance.complete('host', odd as never)
          yield* expectState(maintenance, { state: 'idle', lastRun: iso(start) })
        }
        for (const odd of [undefined, null, 7, '', ' ', {}]) {
          yield* maintenance.fail('host', odd as never)
          yield* expectState(maintenance, {
            state: 'failed',
            lastRun: iso(start),
            lastError: 'unknown error',
          })
        }
        yield* maintenance.fail('host', 'x'.repeat(10_000))
        expect((yield* maintenance.state).lastError).toHaveLength(500)
      }),
    ),
  )
})

describe('the server’s own rounds', () => {
  it.scoped(
    'show: running, idle with a time, failed with a reason, a defect too, and none ends the schedule',
    () => {
      let behave: Effect.Effect<void, StorageError> = Effect.never
      const upkeep = Layer.succeed(Upkeep, {
        collect: () =>
          Effect.suspend(() =>
            Effect.as(behave, { workspaces: 0, entries: 0, tombstones: 0, opIds: 0, cursors: 0, purged: 0 }),
          ),
        tidy: Effect.void,
      })
      return Effect.gen(function* () {
        yield* TestClock.setTime(start)
        const maintenance = yield* Maintenance
        yield* Layer.build(Layer.provide(layerSchedule, Layer.mergeAll(upkeep, layerOf(settings))))
        const after = (duration: Duration.DurationInput, state: string) =>
          Effect.gen(function* () {
            yield* TestClock.adjust(duration)
            yield* realTimeUntil(async () => (await Effect.runPromise(maintenance.state)).state === state)
            return yield* maintenance.state
          })
        behave = Effect.fail(new StorageError({ operation: 'upkeep', reason: 'full' }))
        const failed = yield* after('5 minutes', 'failed')
        expect(failed).toMatchObject({
          enabled: true,
          state: 'failed',
          lastError: expect.stringContaining('upkeep'),
        })
        expect(failed).not.toHaveProperty('lastRun')
        behave = Effect.void
        expect(yield* after('1 hour', 'idle')).toEqual({
          enabled: true,
          backlog: 0,
          state: 'idle',
          lastRun: iso(start + 65 * 60_000),
        })
        behave = Effect.die('a bug')
        expect(yield* after('1 hour', 'failed')).toMatchObject({
          lastError: 'a bug',
          lastRun: iso(start + 65 * 60_000),
        })
        behave = Effect.never
        expect(yield* after('1 hour', 'running')).toMatchObject({ state: 'running' })
      }).pipe(Effect.provide(services()), Effect.provide(quiet))
    },
  )
})

type Step =
  | { readonly do: 'push'; readonly workspace: string; readonly count: number }
  | { readonly do: 'collect' }
  | { readonly do: 'report'; readonly workspace: string; readonly device: string; readonly behind: number }
  | { readonly do: 'wait'; readonly days: number }

const workspace = fc.constantFrom('w1', 'w1', 'w2')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('push' as const), workspace, count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ do: fc.constant('push' as const), workspace, count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ do: fc.constant('collect' as const) }),
  fc.record({
    do: fc.constant('report' as const),
    workspace,
    device: fc.constantFrom('d1', 'd2'),
    behind: fc.oneof({ weight: 9, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.constant(-3) }),
  }),
  fc.record({ do: fc.constant('wait' as const), days: fc.constantFrom(1, 9, 14, 31) }),
)

describe('the backlog', () => {
  it.each([
    ['sqlite', () => services()],
    ['batches', () => batchLayer(committingEngine, settings)],
  ] as const)(
    'on %s is what the next collection removes, after any history',
    (_name, given) => {
      let collected = 0
      return fc
        .assert(
          fc.asyncProperty(fc.array(step, { maxLength: 25, size: 'max' }), async (steps) => {
            const history = Effect.gen(function* () {
              const gateway = yield* SyncGateway
              const upkeep = yield* Upkeep
              const { state } = yield* Maintenance
              const tops = new Map<string, number>()
              let ops = 0
              const collect = Effect.gen(function* () {
                const { backlog } = yield* state
                const { entries } = yield* upkeep.collect({ retention: settings.gcRetention })
                expect(entries).toBe(backlog)
                expect(yield* state).toMatchObject({ backlog: 0 })
                collected += entries
              })
              for (const step of steps) {
                if (step.do === 'wait') yield* TestClock.adjust(Duration.days(step.days))
                else if (step.do === 'collect') yield* collect
                else if (step.do === 'push') {
                  const batch = Array.from({ length: step.count }, () =>
                    put({ id: `op-${++ops}`, pk: `r${ops % 7}`, clock: ops }),
                  )
                  const { serverVersion } = yield* gateway.push({ ...scope(step.workspace), ops: batch })
                  tops.set(step.workspace, serverVersion)
                } else {
                  const version = Math.max(0, (tops.get(step.workspace) ?? 0) - step.behind)
                  const cursor = { ...scope(step.workspace), deviceId: step.device, version }
                  yield* gateway.updateCursor(cursor)
                  // A cursor from above makes the workspace leap.
                  yield* gateway.pull({ ...scope(step.workspace), cursor: version, limit: 1 })
                }
              }
              yield* collect
            })
            await onServices(history, given())
          }),
          cases(150),
        )
        .then(() => expect(collected).toBeGreaterThan(50))
    },
    patience(120_000),
  )

  it('takes a few look-ups, however long the log is, and gives way between workspaces', () =>
    onServices(
      Effect.gen(function* () {
        const gateway = yield* SyncGateway
        const batches = yield* Batches
        const push = (workspaceId: string, count: number, from = 0) =>
          gateway.push({
            ...scope(workspaceId),
            ops: Array.from({ length: count }, (_, n) =>
              put({ id: `${workspaceId}-${from + n}`, pk: `r${n}`, clock: from + n }),
            ),
          })
        for (let from = 0; from < 5_000; from += 1_000) yield* push('long', 1_000, from)
        for (let n = 0; n < 450; n++) yield* push(`short-${String(n).padStart(3, '0')}`, 1)
        yield* TestClock.adjust('31 days')
        yield* push('long', 100, 5_000)
        yield* gateway.updateCursor({ ...scope('long'), deviceId: 'd', version: 5_100 })
        let [trips, lookUps] = [0, 0]
        const counting: Batches['Type'] = {
          ...batches,
          read: (operation, batch) => {
            trips++
            for (const { params } of batch.statements) {
              const list = params.find((param) => typeof param === 'string' && param.startsWith('['))
              lookUps += list === undefined ? 0 : (JSON.parse(String(list)) as Array<unknown>).length
            }
            return batches.read(operation, batch)
          },
        }
        expect(yield* backlogOf(counting, Duration.days(30))).toBe(5_000)
        // Three chunks of workspaces, and a search in one of them.
        expect(trips).toBeLessThanOrEqual(3 + 4)
        expect(lookUps).toBeLessThanOrEqual(80)
      }),
    ))

  it('is left out where the database cannot be asked, and nothing fails', () =>
    Effect.gen(function* () {
      const broken: Batches['Type'] = {
        read: () => Effect.fail(new StorageError({ operation: 'maintenance state', reason: 'corrupt' })),
        write: () => Effect.die('not asked'),
      }
      const layer = Layer.provide(
        sqlMaintenance,
        Layer.merge(Layer.succeed(Batches, broken), layerOf(settings)),
      )
      const state = yield* Effect.provide(
        Effect.flatMap(Maintenance, ({ state }) => state),
        layer,
      )
      expect(state).toEqual({ enabled: true, state: 'idle' })
    }).pipe(Effect.runPromise))
})
