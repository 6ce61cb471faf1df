/**
 * Upkeep on SQLite, and the schedule that runs it inside the server.
 */
import { Duration, Effect, Layer, Option } from 'effect'
import { Maintenance } from '../../services/Maintenance.js'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import { Upkeep, type UpkeepReport } from '../../services/Upkeep.js'
import { observeUpkeep } from '../../services/telemetry.js'
import { Database } from './Database.js'
import { unbornWorkspace } from './position.js'
import { collectTombstones, trimChangeLog } from './retention.js'
import { idle, letOthersGo } from '../time.js'

/** Workspaces in a row without a turn for others: about a millisecond where there is nothing to remove. */
const workspacesInTurn = 10

const none: UpkeepReport = { workspaces: 0, entries: 0, tombstones: 0, opIds: 0, cursors: 0 }

const make = Effect.gen(function* () {
  const database = yield* Database

  const allWorkspaces = database.direct('upkeep', (connection) =>
    connection
      .all<{ workspace_id: string }>(
        'SELECT workspace_id FROM server_version_counter WHERE workspace_id <> ?',
        unbornWorkspace,
      )
      .map((row) => row.workspace_id),
  )

  return observeUpkeep({
    collect: ({ retention, workspaceId }) =>
      Effect.gen(function* () {
        const seconds = Duration.toSeconds(retention)
        const workspaces = workspaceId === undefined ? yield* allWorkspaces : [workspaceId]
        return yield* Effect.reduce(workspaces, none, (total, id, index) =>
          Effect.gen(function* () {
            if (index % workspacesInTurn === workspacesInTurn - 1) yield* letOthersGo
            // Tombstones first: both remove stale cursors, and a trimmed log needs no tombstones.
            const collected = yield* collectTombstones(database, id, seconds)
            const trimmed = yield* trimChangeLog(database, id, seconds)
            return {
              workspaces: total.workspaces + 1,
              entries: total.entries + trimmed.entries,
              tombstones: total.tombstones + collected.tombstones,
              opIds: total.opIds + trimmed.opIds,
              cursors: total.cursors + collected.cursors + trimmed.cursors,
            }
          }),
        )
      }),

    tidy: database.direct('upkeep', (connection) => {
      connection.all('PRAGMA optimize')
      connection.all('PRAGMA wal_checkpoint(TRUNCATE)')
    }),
  })
})

/** Upkeep on demand; `layerSchedule` runs it by itself. */
export const layer: Layer.Layer<Upkeep, never, Database> = Layer.effect(Upkeep, make)

/** A fault must not end the schedule: the next round may find the disk free or the lock released. */
const round = (retention: Duration.Duration) =>
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
        Effect.zipRight(Effect.forever(Effect.zipRight(round(gcRetention), idle(interval)))),
        Effect.forkScoped,
      )
    }),
  )
