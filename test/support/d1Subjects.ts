/**
 * Subjects on D1: in Cloudflare's own runtime, in a process of its own.
 */
import { Effect, Layer, Logger } from 'effect'
import { type D1Binding, D1, layer as d1Layer } from '../../src/layers/batch/d1.js'
import * as Migrator from '../../src/layers/batch/SchemaMigrator.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import { lendD1 } from './d1Server.js'
import { onBatches } from './layerSubjects.js'

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

export const onD1 = async () => {
  const { binding, giveBack } = await lendD1(migrate)
  return onBatches('d1', engineOn(binding), giveBack)
}
