/**
 * Ids: random UUIDs, or counted ones where a program must foretell them.
 */
import { Effect, Layer } from 'effect'
import { IdGenerator } from '../services/IdGenerator.js'

/** Random UUIDs. */
export const layer: Layer.Layer<IdGenerator> = Layer.succeed(IdGenerator, {
  next: Effect.sync(() => crypto.randomUUID()),
})

/** `id-1`, `id-2`, … */
export const layerSequential: Layer.Layer<IdGenerator> = Layer.sync(IdGenerator, () => {
  let count = 0
  return { next: Effect.sync(() => `id-${++count}`) }
})
