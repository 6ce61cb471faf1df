/**
 * The schedule that runs upkeep inside the server, the same on every engine.
 */
import { Duration, Effect, Layer, Option } from 'effect'
import { Maintenance } from '../services/Maintenance.js'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { Upkeep } from '../services/Upkeep.js'
import { idle } from './time.js'

/** What of the settings is about a round. */
type RoundSettings = Pick<ProviderSettings, 'gcRetention' | 'purgeAfter'>

/** One round, of all workspaces. A fault is logged, and the next round may find the disk free or the lock released. */
export const upkeepRound = (settings: RoundSettings): Effect.Effect<void, never, Upkeep | Maintenance> =>
  Effect.gen(function* () {
    const maintenance = yield* Maintenance
    const failed = (message: string) =>
      Effect.zipRight(
        maintenance.fail('server', message),
        Effect.logWarning(`upkeep failed, and will try again: ${message}`),
      )
    yield* maintenance.begin('server')
    yield* collectAll(settings).pipe(
      Effect.zipLeft(maintenance.complete('server')),
      Effect.flatMap(({ workspaces, entries, tombstones, cursors, purged }) =>
        Effect.logInfo(
          `upkeep of ${workspaces} workspaces: removed ${entries} log entries, ${tombstones} tombstones and ${cursors} stale cursors${purged === 0 ? '' : `, purged ${purged} workspaces`}`,
        ),
      ),
      Effect.catchTag('StorageError', (error) => failed(error.message)),
      Effect.catchAllDefect((defect) => failed(String(defect))),
    )
  })

const collectAll = ({ gcRetention: retention, purgeAfter }: RoundSettings) =>
  Effect.gen(function* () {
    const upkeep = yield* Upkeep
    const collected = yield* Effect.exit(
      upkeep.collect({ retention, purgeAfter: Option.getOrUndefined(purgeAfter) }),
    )
    // Damage in a workspace is no reason to let the write-ahead log grow.
    yield* upkeep.tidy
    return yield* collected
  })

const firstRound = Duration.minutes(5)

/** Runs upkeep soon after the start, and then every `gcInterval` of the settings while the layer lives; does nothing without one. */
export const layerSchedule: Layer.Layer<never, never, Upkeep | Maintenance | ProviderConfig> =
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const settings = yield* ProviderConfig
      const { gcInterval } = settings
      if (Option.isNone(gcInterval)) return
      const interval = gcInterval.value
      // A server that is restarted every day must get to it as well.
      yield* idle(Duration.min(interval, firstRound)).pipe(
        Effect.zipRight(Effect.forever(Effect.zipRight(upkeepRound(settings), idle(interval)))),
        Effect.forkScoped,
      )
    }),
  )
