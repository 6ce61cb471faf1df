/**
 * Errors as other programs meet them, who `catchTag`: of the single-op form of push, and of a snapshot's page.
 */
import { describe, expect, layer } from '@effect/vitest'
import { Effect, type Layer } from 'effect'
import * as MemoryGateway from '../../src/layers/memory/SyncGateway.js'
import { SyncGateway } from '../../src/services/index.js'
import { put, scope, opId } from '../support/ops.js'
import { putWhole } from '../support/records.js'
import { batchLayer, committingEngine, sqlLayer } from '../support/layerSubjects.js'

const layers: ReadonlyArray<readonly [string, Layer.Layer<SyncGateway, unknown>]> = [
  ['memory', MemoryGateway.layer],
  ['sqlite', sqlLayer(':memory:')],
  ['batches', batchLayer(committingEngine)],
]

describe.each(layers)('a page of a snapshot on %s', (name, gatewayLayer) => {
  layer(gatewayLayer)((it) => {
    const begin = (workspaceId: string) =>
      Effect.gen(function* () {
        const gateway = yield* SyncGateway
        const ops = ['a', 'b'].map((pk) => putWhole('kv', pk))
        yield* gateway.push({ ...scope(workspaceId), ops })
        const { nextPageToken } = yield* gateway.snapshot({ ...scope(workspaceId), pageSize: 1 })
        return nextPageToken!
      })
    const goOn = (workspaceId: string, pageToken: string) =>
      Effect.flatMap(SyncGateway, (gateway) =>
        Effect.flip(gateway.snapshot({ ...scope(workspaceId), pageSize: 1, pageToken })),
      )

    it.effect('fails with InvalidPageToken for a broken token', () =>
      Effect.gen(function* () {
        const token = yield* begin(`${name}-broken`)
        expect((yield* goOn(`${name}-broken`, token.slice(2)))._tag).toBe('InvalidPageToken')
      }),
    )

    it.effect('fails with PageTokenForbidden for a token of another workspace', () =>
      Effect.gen(function* () {
        const token = yield* begin(`${name}-other`)
        expect((yield* goOn(`${name}-own`, token))._tag).toBe('PageTokenForbidden')
      }),
    )

    it.effect('fails with SnapshotGone after a leap', () =>
      Effect.gen(function* () {
        const token = yield* begin(`${name}-gone`)
        const gateway = yield* SyncGateway
        yield* gateway.pull({ ...scope(`${name}-gone`), cursor: 100 })
        expect((yield* goOn(`${name}-gone`, token))._tag).toBe('SnapshotGone')
      }),
    )
  })
})

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
