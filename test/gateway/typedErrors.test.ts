/**
 * The single-op form of push: each op error in the error channel, for programs that `catchTag`.
 */
import { describe, expect, layer } from '@effect/vitest'
import { Effect, type Layer } from 'effect'
import * as MemoryGateway from '../../src/layers/memory/SyncGateway.js'
import { SyncGateway } from '../../src/services/index.js'
import { put, scope, opId } from '../support/ops.js'
import { sqlLayer } from '../support/subjects.js'

const layers: ReadonlyArray<readonly [string, Layer.Layer<SyncGateway, unknown>]> = [
  ['memory', MemoryGateway.layer],
  ['sqlite', sqlLayer(':memory:')],
]

describe.each(layers)('pushOne on %s', (name, gatewayLayer) => {
  layer(gatewayLayer)((it) => {
    const pushOne = (workspaceId: string, op: Parameters<typeof put>[0]) =>
      Effect.flatMap(SyncGateway, (gateway) => gateway.pushOne({ ...scope(workspaceId), op: put(op) }))

    it.effect('succeeds with OpAccepted', () =>
      Effect.gen(function* () {
        const accepted = yield* pushOne(`${name}-accepted`, { id: 'a' })
        expect(accepted).toMatchObject({
          _tag: 'OpAccepted',
          opId: opId('a'),
          serverVersion: 1,
          applied: true,
        })
      }),
    )

    it.effect('fails with IdempotencyReplay, which tells the first version', () =>
      Effect.gen(function* () {
        yield* pushOne(`${name}-replay`, { id: 'a' })
        const version = yield* pushOne(`${name}-replay`, { id: 'a' }).pipe(
          Effect.catchTag('IdempotencyReplay', ({ serverVersion }) => Effect.succeed(serverVersion)),
        )
        expect(version).toBe(1)
      }),
    )

    it.effect('fails with OpConflict, which tells who holds the id', () =>
      Effect.gen(function* () {
        yield* pushOne(`${name}-conflict`, { id: 'a' })
        const error = yield* Effect.flip(pushOne(`${name}-conflict`, { id: 'a', clock: 2 }))
        expect(error).toMatchObject({ _tag: 'OpConflict', opId: opId('a'), serverVersion: 1 })
      }),
    )

    it.effect('fails with InvalidOp, which names the rule', () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(pushOne(`${name}-invalid`, { id: 'a', clock: -1 }))
        expect(error).toMatchObject({ _tag: 'InvalidOp', opId: opId('a'), rule: 'clock' })
      }),
    )

    it.effect("fails with OpForbidden for another user's notification", () =>
      Effect.gen(function* () {
        const gateway = yield* SyncGateway
        const error = yield* Effect.flip(
          gateway.pushOne({
            ...scope(name),
            caller: { userId: 'ann', workspaceId: name },
            op: put({ table: 'notifications', payload: { id: 'm1', user_id: 'bob' } }),
          }),
        )
        expect(error._tag).toBe('OpForbidden')
      }),
    )

    it.effect('fails with InvalidRequest and ScopeForbidden for the call as a whole', () =>
      Effect.gen(function* () {
        const gateway = yield* SyncGateway
        expect(yield* Effect.flip(pushOne('', {}))).toMatchObject({
          _tag: 'InvalidRequest',
          field: 'scope.workspaceId',
        })
        const caller = { userId: 'ann', workspaceId: 'elsewhere' }
        expect(yield* Effect.flip(gateway.pushOne({ ...scope(name), caller, op: put() }))).toMatchObject({
          _tag: 'ScopeForbidden',
        })
      }),
    )
  })
})
