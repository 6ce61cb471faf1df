/**
 * The account of maintenance runs beside a database, which says how much waits for the next one.
 */
import { Effect, Layer, Option } from 'effect'
import { Maintenance } from '../../services/Maintenance.js'
import { maintenanceOf } from '../../services/maintenanceOf.js'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import { backlogOf } from './backlog.js'
import { Database } from './Database.js'

/** Whether rounds are on, and how long history stays, are the settings'. */
export const layer: Layer.Layer<Maintenance, never, Database | ProviderConfig> = Layer.effect(
  Maintenance,
  Effect.gen(function* () {
    const database = yield* Database
    const { gcInterval, gcRetention } = yield* ProviderConfig
    return yield* maintenanceOf({
      enabled: Option.isSome(gcInterval),
      backlog: Effect.option(backlogOf(database, gcRetention)).pipe(Effect.map(Option.getOrUndefined)),
    })
  }),
)
