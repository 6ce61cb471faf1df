/**
 * A payload in the database that is not JSON: a fault of the database that says so, and leaves nothing behind.
 */
import { describe, expect, it } from 'vitest'
import { Effect, Either, Layer, Logger } from 'effect'
import { Batches } from '../../src/layers/sql/Batches.js'
import { type StorageError, SyncGateway } from '../../src/services/index.js'
import { batchLayer, committingEngine, sqlLayer } from '../support/layerSubjects.js'
import { put, scope } from '../support/ops.js'
import { putWhole } from '../support/records.js'

const layers: ReadonlyArray<readonly [string, Layer.Layer<SyncGateway | Batches, unknown>]> = [
  ['sqlite', sqlLayer(':memory:')],
  ['batches', batchLayer(committingEngine)],
]

const rows = (sql: string) =>
  Effect.flatMap(Batches, ({ write }) =>
    write('test', { statements: [{ sql, params: [] }], read: ([rows]) => Either.right(rows!) }),
  )

describe.each(layers)('a damaged payload on %s', (_name, layer) => {
  /** Runs a call where one record and its log entry are damaged, and gives what it fails with. */
  const failing = (
    call: (gateway: SyncGateway['Type']) => Effect.Effect<unknown, unknown>,
  ): Promise<StorageError> =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      yield* gateway.push({ ...scope(), ops: [putWhole('messages', 'm1', { clock: 5 })] })
      yield* rows(`UPDATE s_messages SET data_json = '{"text": "secret'`)
      yield* rows(`UPDATE change_log SET payload_json = '{"text": "secret'`)
      const error = (yield* Effect.flip(call(gateway))) as StorageError
      expect(yield* rows('SELECT count(*) AS entries FROM change_log')).toEqual([{ entries: 1 }])
      expect(yield* rows('SELECT value FROM server_version_counter')).toEqual([{ value: 1 }])
      return error
    }).pipe(
      Effect.provide(Layer.provide(Layer.fresh(layer), Logger.remove(Logger.defaultLogger))),
      Effect.runPromise,
    )

  it.each<[string, (gateway: SyncGateway['Type']) => Effect.Effect<unknown, unknown>]>([
    ['pull', (gateway) => gateway.pull({ ...scope(), cursor: 0 })],
    ['snapshot', (gateway) => gateway.snapshot({ ...scope(), pageSize: 10 })],
    [
      'push',
      (gateway) => gateway.push({ ...scope(), ops: [put({ pk: 'new' }), put({ pk: 'm1', clock: 4 })] }),
    ],
  ])('fails a %s that has to tell of it', async (operation, call) => {
    const error = await failing(call)
    expect(error).toMatchObject({ _tag: 'StorageError', reason: 'corrupt', operation })
    expect(String(error.cause)).not.toContain('secret')
  })

  it('does not hinder a push that replaces it', () =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      yield* gateway.push({ ...scope(), ops: [putWhole('messages', 'm1')] })
      yield* rows(`UPDATE s_messages SET data_json = '{'`)
      const { outcomes } = yield* gateway.push({ ...scope(), ops: [put({ pk: 'm1', clock: 2 })] })
      expect(outcomes).toMatchObject([{ _tag: 'OpAccepted', applied: true }])
    }).pipe(
      Effect.provide(Layer.provide(Layer.fresh(layer), Logger.remove(Logger.defaultLogger))),
      Effect.runPromise,
    ))
})
