/**
 * The schedule that runs upkeep inside the server, the same on every engine.
 */
import { Duration, Effect, Layer, Option } from 'effect'
import { Maintenance } from '../services/Maintenance.js'
import { ProviderConfig } from '../services/ProviderConfig.js'
import { Upkeep } from '../services/Upkeep.js'
import { idle } from './time.js'

/** One round, of all workspaces. A fault is logged, and the next round may find the disk free or the lock released. */
export const upkeepRound = (retention: Duration.Duration): Effect.Effect<void, never, Upkeep | Maintenance> =>
  Effect.gen(function* () {
    const maintenance = yield* Maintenance
    const failed = (message: string) =>
      Effect.zipRight(
        maintenance.fail('server', message),
        Effect.logWarning(`upkeep failed, and will try again: ${message}`),
      )
    yield* maintenance.begin('server')
    yield* collectAll(retention).pipe(
      Effect.zipLeft(maintenance.complete('server')),
      Effect.flatMap(({ workspaces, entries, tombstones, cursors }) =>
        Effect.logInfo(
          `upkeep of ${workspaces} workspaces: removed ${entries} log entries, ${tombstones} tombstones and ${cursors} stale cursors`,
        ),
      ),
      Effect.catchTag('StorageError', (error) => failed(error.message)),
      Effect.catchAllDefect((defect) => failed(String(defect))),
    )
  })

const collectAll = (retention: Duration.Duration) =>
  Effect.flatMap(Upkeep, (upkeep) => Effect.zipLeft(upkeep.collect({ retention }), upkeep.tidy))

const firstRound = Duration.minutes(5)

/** Runs upkeep soon after the start, and then every `gcInterval` of the settings while the layer lives; does nothing without one. */
export const layerSchedule: Layer.Layer<never, never, Upkeep | Maintenance | ProviderConfig> =
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { gcInterval, gcRetention } = yield* ProviderConfig
      if (Option.isNone(gcInterval)) return
      const interval = gcInterval.value
      // A server that is restarted every day must get to it as well.
      yield* idle(Duration.min(interval, firstRound)).pipe(
        Effect.zipRight(Effect.forever(Effect.zipRight(upkeepRound(gcRetention), idle(interval)))),
        Effect.forkScoped,
      )
    }),
  )
