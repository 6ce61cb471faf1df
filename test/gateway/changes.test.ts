/**
 * The stream of a workspace's changes: everything above a cursor once, in order, whoever commits it; and nothing left behind.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Context, Deferred, Effect, Exit, Fiber, Layer, Ref, Scope, Stream } from 'effect'
import { gatewayOf } from '../../src/services/gatewayOf.js'
import { Database } from '../../src/layers/synchronous/Database.js'
import * as IdGenerator from '../../src/layers/IdGenerator.js'
import * as MemoryGateway from '../../src/layers/memory/SyncGateway.js'
import { makeNews } from '../../src/layers/news.js'
import * as SqlBatches from '../../src/layers/synchronous/Batches.js'
import * as SqlGateway from '../../src/layers/synchronous/SyncGateway.js'
import { SyncGateway } from '../../src/services/index.js'
import { upTo } from '../support/load.js'
import { put, scope } from '../support/ops.js'
import { cases, fc } from '../support/property.js'
import { buildForProcesses } from '../support/processes.js'
import { batchLayer, committingEngine, sqlLayer } from '../support/layerSubjects.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

type Run = <A, E>(body: (gateway: SyncGateway['Type']) => Effect.Effect<A, E, Scope.Scope>) => Promise<A>

const runOn =
  (layer: () => Layer.Layer<SyncGateway, unknown>): Run =>
  (body) =>
    Effect.runPromise(Effect.scoped(Effect.flatMap(SyncGateway, body)).pipe(Effect.provide(layer())))

const layers: ReadonlyArray<readonly [string, Run]> = [
  ['memory', runOn(() => MemoryGateway.layer)],
  ['sqlite', runOn(() => sqlLayer(':memory:'))],
  ['batches', runOn(() => batchLayer(committingEngine))],
]

const pushes = (gateway: SyncGateway['Type'], count: number, workspaceId = 'w1') =>
  gateway.push({ ...scope(workspaceId), ops: Array.from({ length: count }, () => put()) })

const versions = (chunk: Iterable<{ readonly serverVersion: number }>) =>
  Array.from(chunk, ({ serverVersion }) => serverVersion)

const follow = (gateway: SyncGateway['Type'], cursor: number, count: number, limit = 100) =>
  Effect.map(Stream.runCollect(Stream.take(gateway.changes('w1', cursor, { limit }), count)), versions)

describe.each(layers)('changes on %s', (_name, run) => {
  it('brings what a pull would bring, a page at a time, and ends where it is told to', () =>
    run((gateway) =>
      Effect.gen(function* () {
        yield* pushes(gateway, 25)
        expect(yield* follow(gateway, 0, 25, 10)).toEqual(upTo(25))
        expect(yield* follow(gateway, 20, 5)).toEqual([21, 22, 23, 24, 25])
        const [first] = yield* Stream.runCollect(Stream.take(gateway.changes('w1', 0), 1))
        expect([first]).toEqual((yield* gateway.pull({ ...scope(), cursor: 0, limit: 1 })).changes)
      }),
    ))

  it('goes on with what is pushed while it is followed, of its own workspace alone', () =>
    run((gateway) =>
      Effect.gen(function* () {
        const seen = yield* Effect.fork(follow(gateway, 0, 6))
        yield* Effect.yieldNow()
        for (const workspaceId of ['w1', 'w2', 'w1', 'w1']) yield* pushes(gateway, 2, workspaceId)
        expect(yield* Fiber.join(seen)).toEqual(upTo(6))
      }),
    ))

  it('brings only the tables that are asked for, and only the notifications of the caller', () =>
    run((gateway) =>
      Effect.gen(function* () {
        const caller = { userId: 'ann', workspaceId: 'w1' }
        const seen = yield* Effect.fork(
          Stream.runCollect(
            Stream.take(gateway.changes('w1', 0, { tables: ['threads', 'notifications'], caller }), 2),
          ),
        )
        yield* Effect.yieldNow()
        const note = (pk: string, user_id: string) =>
          put({ table: 'notifications', pk, payload: { id: pk, user_id } })
        for (const op of [put(), note('n1', 'bob'), put({ table: 'threads' }), put(), note('n2', 'ann')]) {
          yield* gateway.push({ ...scope(), ops: [op] })
        }
        expect(versions(yield* Fiber.join(seen))).toEqual([3, 5])
      }),
    ))

  it('refuses what a pull refuses', () =>
    run((gateway) =>
      Effect.gen(function* () {
        expect(yield* Effect.flip(follow(gateway, -1, 1))).toMatchObject({ _tag: 'InvalidRequest' })
        const stranger = { caller: { userId: 'ann', workspaceId: 'w2' } }
        const refused = Stream.runDrain(gateway.changes('w1', 0, stranger))
        expect(yield* Effect.flip(refused)).toMatchObject({ _tag: 'ScopeForbidden' })
      }),
    ))

  it('goes on, without gap or repeat, while the log is trimmed below it', () =>
    run((gateway) =>
      Effect.gen(function* () {
        const seen = yield* Effect.fork(follow(gateway, 0, 40, 3))
        for (let round = 0; round < 8; round++) {
          yield* pushes(gateway, 5)
          yield* gateway.updateCursor({ ...scope(), deviceId: 'd1', version: round * 5 + 1 })
          yield* gateway.gcChangeLog({ ...scope(), retentionSeconds: 1e-9 })
          yield* Effect.sleep(2)
        }
        expect(yield* Fiber.join(seen)).toEqual(upTo(40))
      }),
    ))

  it('reads no page before the last one is used up', () =>
    run((gateway) =>
      Effect.gen(function* () {
        const news = yield* makeNews
        const pulls = yield* Ref.make(0)
        const counted = gatewayOf(
          {
            ...gateway,
            pull: (request) =>
              Effect.zipRight(
                Ref.update(pulls, (n) => n + 1),
                gateway.pull(request),
              ),
          },
          news.follow,
        )
        yield* pushes(gateway, 50)
        const gate = yield* Deferred.make<void>()
        const slow = yield* counted.changes('w1', 0, { limit: 10 }).pipe(
          Stream.tap(({ serverVersion }) => (serverVersion === 15 ? Deferred.await(gate) : Effect.void)),
          Stream.take(50),
          Stream.runCollect,
          Effect.fork,
        )
        yield* Effect.sleep(30)
        expect(yield* Ref.get(pulls)).toBe(2)
        yield* Deferred.succeed(gate, undefined)
        expect(versions(yield* Fiber.join(slow))).toEqual(upTo(50))
      }),
    ))

  it('every follower sees every version once, whatever is pushed when', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ size: fc.integer({ min: 1, max: 7 }), pause: fc.nat(2) }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.array(
          fc.record({
            limit: fc.integer({ min: 1, max: 5 }),
            share: fc.double({ min: 0, max: 1, noNaN: true }),
          }),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        (batches, followers) =>
          run((gateway) =>
            Effect.gen(function* () {
              const total = batches.reduce((sum, { size }) => sum + size, 0)
              // None ahead of the workspace: those the protocol takes for devices from before a restored backup.
              const [first, ...later] = batches
              yield* pushes(gateway, first!.size)
              const wanted = followers.map(({ share }) => Math.floor(share * (first!.size + 1) * 0.999))
              const fibers = yield* Effect.forEach(followers, ({ limit }, index) =>
                Effect.fork(follow(gateway, wanted[index]!, total - wanted[index]!, limit)),
              )
              for (const { size, pause } of later) {
                yield* pushes(gateway, size)
                for (let turn = 0; turn < pause; turn++) yield* Effect.yieldNow()
              }
              for (const [index, fiber] of fibers.entries()) {
                expect(yield* Fiber.join(fiber)).toEqual(upTo(total).slice(wanted[index]))
              }
            }),
          ),
      ),
      cases(60),
    ))
})

describe('followers of a database file', () => {
  const withFile = async (body: (file: string) => Promise<void>) => {
    const { folder, remove } = temporaryFolder()
    try {
      await body(join(folder, 'changes.db'))
    } finally {
      remove()
    }
  }

  it('see what another connection commits', () =>
    withFile((file) =>
      runOn(() => sqlLayer(file))((gateway) =>
        Effect.gen(function* () {
          const other = yield* Effect.map(Layer.build(sqlLayer(file)), (context) => context)
          const elsewhere = yield* Effect.provide(SyncGateway, other)
          const seen = yield* Effect.fork(follow(gateway, 0, 30, 4))
          for (let round = 0; round < 10; round++) {
            yield* pushes(round % 2 ? gateway : elsewhere, 3)
            yield* Effect.sleep(round * 5)
          }
          expect(yield* Fiber.join(seen)).toEqual(upTo(30))
        }),
      ),
    ))

  it('see what another process commits', () =>
    withFile(async (file) => {
      const built = buildForProcesses()
      try {
        await runOn(() => sqlLayer(file))((gateway) =>
          Effect.gen(function* () {
            const seen = yield* Effect.fork(follow(gateway, 0, 20))
            const outcome = yield* Effect.promise(
              () =>
                built.start(`
                  import { openProvider } from './src/nuxt/adapters.js'
                  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: ${JSON.stringify(file)} } })
                  for (const op of ${JSON.stringify(Array.from({ length: 20 }, () => put()))}) {
                    await syncGateway.push({}, { scope: { workspaceId: 'w1' }, ops: [op] })
                  }
                  await close()`).outcome,
            )
            expect(outcome.stderr).toBe('')
            expect(yield* Fiber.join(seen)).toEqual(upTo(20))
          }),
        )
      } finally {
        built.remove()
      }
    }))

  it('end when the layer closes, and fail no call of their own', () =>
    withFile((file) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const life = yield* Scope.make()
          const context = yield* Layer.buildWithScope(sqlLayer(file), life)
          const gateway = yield* Effect.provide(SyncGateway, context)
          yield* pushes(gateway, 3)
          const reached = yield* Deferred.make<void>()
          const fiber = yield* gateway.changes('w1', 0).pipe(
            Stream.tap(({ serverVersion }) =>
              serverVersion === 3 ? Deferred.succeed(reached, undefined) : Effect.void,
            ),
            Stream.runCollect,
            Effect.fork,
          )
          yield* Deferred.await(reached)
          yield* Effect.sleep(5)
          yield* Scope.close(life, Exit.void)
          expect(versions(yield* Fiber.join(fiber))).toEqual([1, 2, 3])
        }),
      ),
    ))
})

describe('a follower that is still catching up', () => {
  it('ends when the layer closes, without an error', () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const life = yield* Scope.make()
        const context = yield* Layer.buildWithScope(sqlLayer(':memory:'), life)
        const gateway = yield* Effect.provide(SyncGateway, context)
        yield* pushes(gateway, 20)
        const closed = gateway.changes('w1', 0, { limit: 2 }).pipe(
          Stream.tap(({ serverVersion }) =>
            serverVersion === 5 ? Scope.close(life, Exit.void) : Effect.void,
          ),
          Stream.runCollect,
        )
        expect(versions(yield* closed)).toEqual([1, 2, 3, 4, 5, 6])
        expect(versions(yield* Stream.runCollect(gateway.changes('w1', 0)))).toEqual([])
      }),
    ))
})

describe('an interrupted follower', () => {
  const followAll = (gateway: SyncGateway['Type'], workspaceIds: ReadonlyArray<string>) =>
    Effect.forEach(workspaceIds, (id) => Effect.fork(Stream.runDrain(gateway.changes(id, 0))))

  it('is forgotten, wherever it was', () =>
    Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const news = yield* makeNews
          const gateway = gatewayOf(yield* Effect.provide(SyncGateway, MemoryGateway.layer), news.follow)
          const fibers = yield* followAll(gateway, ['w1', 'w1', 'w2'])
          yield* Effect.sleep(5)
          expect([...news.followers].map(([id, { size }]) => [id, size])).toEqual([
            ['w1', 2],
            ['w2', 1],
          ])
          yield* Fiber.interruptAll(fibers)
          expect(news.followers.size).toBe(0)
        }),
      ),
    ))

  it('takes the watch for other processes with it, if it was the last', () => {
    let looks = 0
    const counting = Layer.map(sqlLayer(':memory:'), (context) => {
      const database = Context.get(context, Database)
      return Context.make(
        Database,
        Database.of({
          ...database,
          direct: (operation, body) =>
            database.direct(operation, (connection) => {
              if (operation === 'changes') looks++
              return body(connection)
            }),
        }),
      )
    })
    return runOn(() =>
      Layer.fresh(SqlGateway.layer).pipe(
        Layer.provide(SqlBatches.layer),
        Layer.provide([counting, IdGenerator.layer]),
      ),
    )((gateway) =>
      Effect.gen(function* () {
        yield* pushes(gateway, 1)
        expect(looks).toBe(0)
        const [first, ...others] = yield* followAll(gateway, ['w1', 'w1', 'w2'])
        yield* Effect.sleep(350)
        // One for all three, about every 100 ms.
        expect(looks).toBeGreaterThan(1)
        expect(looks).toBeLessThan(8)
        yield* Fiber.interruptAll(others)
        const before = looks
        yield* Effect.sleep(350)
        expect(looks).toBeGreaterThan(before)
        yield* Fiber.interrupt(first!)
        const after = looks
        yield* Effect.sleep(350)
        expect(looks).toBe(after)
      }),
    )
  })
})
