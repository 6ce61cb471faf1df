/**
 * Upkeep on an engine that takes batches, which keeps its files in order itself.
 */
import { Effect, Layer } from 'effect'
import { Upkeep } from '../../services/Upkeep.js'
import type { Batches } from '../sql/Batches.js'
import { makeUpkeep } from '../sql/Upkeep.js'

/** Upkeep on demand. */
export const layer: Layer.Layer<Upkeep, never, Batches> = Layer.effect(Upkeep, makeUpkeep(Effect.void))
