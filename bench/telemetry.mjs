/**
 * What spans and metrics cost a push when nobody listens: the gateway against its own verb without them, on one database.
 */
import { Context, Effect, Layer, ManagedRuntime } from 'effect'
import * as Database from '../dist/src/layers/synchronous/databaseLayer.js'
import * as IdGenerator from '../dist/src/layers/IdGenerator.js'
import * as Config from '../dist/src/layers/ProviderConfig.js'
import { push } from '../dist/src/layers/synchronous/push.js'
import * as Migrator from '../dist/src/layers/synchronous/SchemaMigrator.js'
import * as Gateway from '../dist/src/layers/synchronous/SyncGateway.js'
import { SyncGateway } from '../dist/src/services/index.js'

/** Both as contestants: `ours` is observed, `floor` is not. */
export const openTelemetry = async (dbPath) => {
  const runtime = ManagedRuntime.make(
    Layer.provideMerge(Gateway.layer, Database.layer).pipe(
      Layer.provideMerge(Migrator.layer),
      Layer.provide(Config.layerOf({ dbPath })),
      Layer.provide(IdGenerator.layer),
    ),
  )
  const context = await runtime.runPromise(Effect.context())
  const bare = push(Context.get(context, Database.Database), { announce: () => {} })
  const observed = Context.get(context, SyncGateway)
  return {
    ours: (ops) => runtime.runPromise(observed.push({ scope: { workspaceId: 'observed' }, ops })),
    floor: (ops) => runtime.runPromise(bare({ scope: { workspaceId: 'bare' }, ops })),
    close: () => runtime.dispose(),
  }
}
