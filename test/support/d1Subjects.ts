/**
 * Subjects on D1: in Cloudflare's own runtime, in a process of its own.
 */
import { Effect, Layer, Logger } from 'effect'
import { type D1Binding, D1, layer as d1Layer } from '../../src/layers/batch/d1.js'
import * as Migrator from '../../src/layers/batch/SchemaMigrator.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import { newD1 } from './d1Server.js'
import { onBatches } from './layerSubjects.js'
import { lender } from './lentEngines.js'

const engineOn = (binding: D1Binding) =>
  d1Layer.pipe(
    Layer.provide(Layer.succeed(D1, binding)),
    Layer.provide(Config.layerOf({ driver: 'd1', dbPath: 'DB' })),
  )

const migrate = (binding: D1Binding) =>
  Layer.build(Layer.provide(Migrator.layer, engineOn(binding))).pipe(
    Effect.scoped,
    Effect.provide(Config.layerOf({ driver: 'd1', dbPath: 'DB' })),
    Effect.provide(Logger.remove(Logger.defaultLogger)),
    Effect.runPromise,
  )

const lend = lender(async () => {
  const binding = await newD1()
  await migrate(binding)
  return engineOn(binding)
}, 'PRAGMA defer_foreign_keys = ON')

export const onD1 = async () => {
  const { engine, giveBack } = await lend()
  return onBatches('d1', engine, giveBack)
}
