/**
 * Erasure on any engine.
 */
import { Effect, Layer } from 'effect'
import { checkWorkspaceKey } from '../../services/administrationRules.js'
import { Erasure } from '../../services/Erasure.js'
import { observeService } from '../../services/telemetry.js'
import { checkUserKey } from '../../services/settingRules.js'
import { Batches } from './Batches.js'
import { erase, previewErasure } from './erase.js'
import { preview, purge } from './purge.js'

const make = Effect.map(Batches, (batches) =>
  observeService<Erasure['Type']>('Erasure', {
    previewPurge: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) => preview(batches, workspaceId)),
    purgeWorkspace: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) => purge(batches, workspaceId)),
    previewErasure: (request) =>
      Effect.flatMap(checkUserKey(request), (userId) => previewErasure(batches, userId)),
    eraseUser: (request) => Effect.flatMap(checkUserKey(request), (userId) => erase(batches, userId)),
  }),
)

/** Taking content away for good, of every table. */
export const layer: Layer.Layer<Erasure, never, Batches> = Layer.effect(Erasure, make)
