/**
 * Upkeep on any engine: what an engine of its own wants done besides is given.
 */
import { Duration, Effect, Either } from 'effect'
import { keptAfterEnd } from '../../services/inviteRules.js'
import type { StorageError } from '../../services/StorageError.js'
import { observeUpkeep } from '../../services/telemetry.js'
import type { Upkeep, UpkeepReport } from '../../services/Upkeep.js'
import { epochSeconds, letOthersGo, letOthersWrite } from '../time.js'
import { type Batch, statement } from './batch.js'
import { Batches } from './Batches.js'
import { dropEndedStep } from './inviteBatches.js'
import { stepSize } from './invitesSql.js'
import { collectTombstones, trimChangeLog } from './retention.js'

/** Workspaces in a row without a turn for others: about a millisecond where there is nothing to remove. */
const workspacesInTurn = 10

const none: UpkeepReport = { workspaces: 0, entries: 0, tombstones: 0, opIds: 0, cursors: 0 }

/** The row with the empty id is of workspaces that have none yet. */
const workspaceIds = statement(`SELECT workspace_id FROM server_version_counter WHERE workspace_id <> ''`)

const allWorkspaces: Batch<ReadonlyArray<string>> = {
  statements: [workspaceIds({})],
  read: ([rows]) => Either.right(rows!.map((row) => row.workspace_id as string)),
}

/** Removes the invites that ended long ago, step by step. */
const dropEndedInvites = ({ write }: Batches['Type']) =>
  Effect.gen(function* () {
    const endedBefore = (yield* epochSeconds) - keptAfterEnd
    while ((yield* write('drop invites', dropEndedStep(endedBefore))) === stepSize) yield* letOthersWrite
  })

/** Upkeep on the engine at hand. */
export const makeUpkeep = (
  tidy: Effect.Effect<void, StorageError>,
): Effect.Effect<Upkeep['Type'], never, Batches> =>
  Effect.map(Batches, (batches) =>
    observeUpkeep({
      collect: ({ retention, workspaceId }) =>
        Effect.gen(function* () {
          const seconds = Duration.toSeconds(retention)
          const workspaces =
            workspaceId === undefined ? yield* batches.read('upkeep', allWorkspaces) : [workspaceId]
          return yield* Effect.reduce(workspaces, none, (total, id, index) =>
            Effect.gen(function* () {
              if (index % workspacesInTurn === workspacesInTurn - 1) yield* letOthersGo
              // Tombstones first: both remove stale cursors, and a trimmed log needs no tombstones.
              const collected = yield* collectTombstones(batches, id, seconds)
              const trimmed = yield* trimChangeLog(batches, id, seconds)
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
      tidy: Effect.zipRight(dropEndedInvites(batches), tidy),
    }),
  )
