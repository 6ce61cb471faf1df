/**
 * Erasure on any engine.
 */
import { Effect, Layer } from 'effect'
import { checkWorkspaceKey } from '../../services/administrationRules.js'
import { Erasure } from '../../services/Erasure.js'
import { observeService } from '../../services/telemetry.js'
import { Batches } from './Batches.js'
import { preview, purge } from './purge.js'

const make = Effect.map(Batches, (batches) =>
  observeService<Erasure['Type']>('Erasure', {
    previewPurge: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) => preview(batches, workspaceId)),
    purgeWorkspace: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) => purge(batches, workspaceId)),
  }),
)

/** Taking content away for good, of every table. */
export const layer: Layer.Layer<Erasure, never, Batches> = Layer.effect(Erasure, make)
