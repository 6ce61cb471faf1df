/**
 * States that adopted and older databases can have, made by SQL, on both kinds of engine: what a review of the second engine found.
 */
import { Effect, Either, Layer, Logger } from 'effect'
import { describe, expect, it } from 'vitest'
import { Batches } from '../../src/layers/sql/Batches.js'
import { limits, type PendingOp, SyncGateway } from '../../src/services/index.js'
import { batchLayer, committingEngine, sqlLayer } from '../support/layerSubjects.js'
import { put, scope } from '../support/ops.js'

const engines: ReadonlyArray<readonly [string, () => Layer.Layer<SyncGateway | Batches, any>]> = [
  ['sqlite', () => sqlLayer(':memory:')],
  ['batches', () => batchLayer(committingEngine)],
]

const quiet = Logger.remove(Logger.defaultLogger)

describe.each(engines)('on %s', (_name, engine) => {
  const run = <A, E>(effect: Effect.Effect<A, E, SyncGateway | Batches>) =>
    Effect.runPromise(Effect.provide(effect, Layer.provide(Layer.fresh(engine()), quiet)))
  const sql = (text: string) =>
    Effect.flatMap(Batches, ({ write }) =>
      write('test', { statements: [{ sql: text, params: [] }], read: ([rows]) => Either.right(rows!) }),
    )
  const gateway = <A, E>(call: (gateway: SyncGateway['Type']) => Effect.Effect<A, E>) =>
    Effect.flatMap(SyncGateway, call)
  const push = (...ops: ReadonlyArray<PendingOp>) => gateway(({ push }) => push({ ...scope(), ops }))
  const pull = (cursor = 0) => gateway(({ pull }) => pull({ ...scope(), cursor }))

  it('a floor above entries that are still there never falls, and their ops stay known', () =>
    run(
      Effect.gen(function* () {
        const ops = Array.from({ length: 10 }, (_, index) =>
          put({ id: `o${index + 1}`, pk: `m${index + 1}` }),
        )
        yield* push(...ops)
        yield* gateway(({ updateCursor }) => updateCursor({ ...scope(), deviceId: 'device-a', version: 10 }))
        // As an adoption settles a log that the earlier package has trimmed here and there.
        yield* sql(
          `UPDATE server_version_counter SET trimmed_version = 7, leapt_at = 1 WHERE workspace_id = 'w1'`,
        )
        yield* sql(`DELETE FROM change_log WHERE workspace_id = 'w1' AND server_version = 7`)
        yield* sql(`UPDATE change_log SET created_at = 1 WHERE server_version <= 3`)
        const before = yield* pull()
        yield* gateway(({ gcChangeLog }) => gcChangeLog({ ...scope(), retentionSeconds: 86_400 }))
        expect((yield* pull()).changes.map(({ pk }) => pk).sort()).toEqual(
          before.changes.map(({ pk }) => pk).sort(),
        )
        expect(
          yield* sql(`SELECT trimmed_version FROM server_version_counter WHERE workspace_id = 'w1'`),
        ).toEqual([{ trimmed_version: 7 }])
        const { outcomes } = yield* push(...ops.slice(0, 6))
        expect(outcomes.map(({ _tag }) => _tag)).toEqual(Array<string>(6).fill('OpReplayed'))
      }),
    ))

  it('a payload of more than a page hides nothing behind it', () =>
    run(
      Effect.gen(function* () {
        yield* push(put({ pk: 'a' }), put({ pk: 'b' }), put({ pk: 'c' }))
        yield* sql(
          `UPDATE change_log SET payload_json = '{"id":"a","x":"' || printf('%.*c', ${limits.pageBytes + 10}, 'x') || '"}' WHERE pk = 'a'`,
        )
        const page = yield* pull()
        expect({ ...page, changes: page.changes.map(({ pk }) => pk) }).toEqual({
          changes: ['a'],
          hasMore: true,
          nextCursor: 1,
        })
        expect((yield* pull(1)).changes.map(({ pk }) => pk)).toEqual(['b', 'c'])
        expect((yield* pull(3)).hasMore).toBe(false)
      }),
    ))

  it('a replay that has to be told of a damaged record leaves nothing of its neighbours', () =>
    run(
      Effect.gen(function* () {
        yield* push(put({ id: 'old', pk: 'a' }))
        yield* push(put({ id: 'new', pk: 'a', clock: 2 }))
        yield* sql(`UPDATE s_messages SET data_json = '{' WHERE pk = 'a'`)
        const result = yield* Effect.either(push(put({ id: 'old', pk: 'a' }), put({ id: 'other', pk: 'b' })))
        expect(Either.isLeft(result) && result.left).toMatchObject({
          _tag: 'StorageError',
          reason: 'corrupt',
        })
        expect(yield* sql(`SELECT pk FROM change_log ORDER BY server_version`)).toEqual([
          { pk: 'a' },
          { pk: 'a' },
        ])
      }),
    ))
})
