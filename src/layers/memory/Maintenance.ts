/**
 * The account of maintenance runs where there is no database: nobody collects by itself, and the backlog is not known.
 */
import { Effect, Layer } from 'effect'
import { Maintenance } from '../../services/Maintenance.js'
import { maintenanceOf } from '../../services/maintenanceOf.js'

export const layer: Layer.Layer<Maintenance> = Layer.effect(
  Maintenance,
  maintenanceOf({ enabled: false, backlog: Effect.succeed(undefined) }),
)
