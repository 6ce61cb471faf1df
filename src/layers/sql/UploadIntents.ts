/**
 * Upload intents on any engine.
 */
import { Effect, Layer } from 'effect'
import { checkCancel, checkConsume, checkReserve, expiresTooEarly } from '../../services/fileRequests.js'
import { observeIntents } from '../../services/telemetry.js'
import { UploadIntents } from '../../services/UploadIntents.js'
import { epochSeconds } from '../time.js'
import { Batches } from './Batches.js'
import * as intents from './uploadIntentBatches.js'

const make = Effect.gen(function* () {
  const { write } = yield* Batches
  return observeIntents({
    reserve: (request) =>
      Effect.gen(function* () {
        const checked = yield* checkReserve(request)
        const now = yield* epochSeconds
        if (checked.expiresAt <= now) return yield* expiresTooEarly()
        yield* write('reserve upload', intents.reserve(checked, now))
      }),

    consume: (request) =>
      Effect.gen(function* () {
        const { file, storageId, ...key } = yield* checkConsume(request)
        yield* write('consume upload', intents.consume(key, file, storageId, yield* epochSeconds))
      }),

    cancel: (request) =>
      Effect.gen(function* () {
        const key = yield* checkCancel(request)
        yield* write('cancel upload', intents.cancel(key, yield* epochSeconds))
      }),
  })
})

/** Upload intents, beside the tables of the gateway, whose records say what is stored. */
export const layer: Layer.Layer<UploadIntents, never, Batches> = Layer.effect(UploadIntents, make)
