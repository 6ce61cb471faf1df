/**
 * Upkeep on SQLite in the process.
 */
import { Effect, Layer } from 'effect'
import { Upkeep } from '../../services/Upkeep.js'
import type { Batches } from '../sql/Batches.js'
import { makeUpkeep } from '../sql/Upkeep.js'
import { Database } from './Database.js'

export { layerSchedule } from '../upkeepSchedule.js'

/** Upkeep on demand; `layerSchedule` runs it by itself. */
export const layer: Layer.Layer<Upkeep, never, Database | Batches> = Layer.effect(
  Upkeep,
  // No `PRAGMA optimize`: it counts each index entry by entry, for a second where there are millions, and no plan of ours needs it.
  Effect.flatMap(Database, ({ emptyLog }) => makeUpkeep(emptyLog)),
)
