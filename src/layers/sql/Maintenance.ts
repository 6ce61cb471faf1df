/**
 * The account of maintenance runs beside a database, which says how much waits for the next one.
 */
import { Effect, Layer, Option } from 'effect'
import { Maintenance } from '../../services/Maintenance.js'
import { maintenanceOf } from '../../services/maintenanceOf.js'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import { backlogOf } from './backlog.js'
import { Batches } from './Batches.js'

/** Whether rounds are on, and how long history stays, are the settings'. */
export const layer: Layer.Layer<Maintenance, never, Batches | ProviderConfig> = Layer.effect(
  Maintenance,
  Effect.gen(function* () {
    const batches = yield* Batches
    const { gcInterval, gcRetention } = yield* ProviderConfig
    return yield* maintenanceOf({
      enabled: Option.isSome(gcInterval),
      backlog: Effect.option(backlogOf(batches, gcRetention)).pipe(Effect.map(Option.getOrUndefined)),
    })
  }),
)
