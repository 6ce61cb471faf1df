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
import { emptyUser } from './erase.js'
import { eraseSql } from './eraseSql.js'
import { dropEndedStep } from './inviteBatches.js'
import { stepSize } from './invitesSql.js'
import { purge } from './purge.js'
import { purgeSql } from './purgeSql.js'
import { collectTombstones, trimChangeLog } from './retention.js'

/** Workspaces looked at in one go, most of which have nothing to remove; about a millisecond in the process. */
const chunkSize = 50

/**
 * Tombstones of one workspace that are looked at, of those that all devices have seen. One that has more is collected anyway, which goes
 * in steps: to look at half a million young ones here held everybody up for 127 ms, at every round.
 */
const looksAt = 200

/** What a collection asks of the cursors: as `slowest` of `retention.ts`. */
const ofCursors = (column: string) => `(
  SELECT min(d.${column}) FROM device_cursors AS d INDEXED BY sqlite_autoindex_device_cursors_1
  WHERE d.workspace_id = c.workspace_id)`

const passedTombstones = `tombstones AS t INDEXED BY tombstones_by_version
        WHERE t.workspace_id = w.id AND t.server_version < w.slowest`

/** @readByTests of the query plans. */
export const upkeepSql = {
  /**
   * Whether a collection would remove anything: a stale cursor, an old op id, the front of the log, a tombstone. In vain where there are
   * stale cursors or many tombstones is no harm, but nothing may be overlooked. The row with the empty id is of workspaces that have none yet.
   */
  workspaces: statement(`
    SELECT w.id, w.heardOf < :cutoff
      OR EXISTS (SELECT 1 FROM trimmed_ops AS t INDEXED BY trimmed_ops_by_age
        WHERE t.workspace_id = w.id AND t.created_at < :cutoff)
      OR CASE WHEN (SELECT 1 FROM ${passedTombstones} LIMIT 1 OFFSET ${looksAt - 1}) THEN 1
        ELSE EXISTS (SELECT 1 FROM ${passedTombstones} AND t.deleted_at < :cutoff) END
      OR (SELECT l.server_version < w.slowest AND l.created_at < :cutoff
        FROM change_log AS l INDEXED BY change_log_by_version
        WHERE l.workspace_id = w.id ORDER BY l.server_version LIMIT 1) AS isDue
    FROM (
      SELECT c.workspace_id AS id, ${ofCursors('updated_at')} AS heardOf,
        ${ofCursors('last_seen_version')} - c.version_offset AS slowest
      FROM server_version_counter AS c WHERE c.workspace_id > :after ORDER BY c.workspace_id LIMIT ${chunkSize}) AS w`),
}

interface Chunk {
  readonly count: number
  /** The ids of those that have something to remove. */
  readonly due: ReadonlyArray<string>
  /** Where the next one begins, if there is one. */
  readonly next: string | undefined
  /** The ids of those that are to be purged: of all workspaces, told with the first chunk. */
  readonly toPurge: ReadonlyArray<string>
  /** The same of users who were erased, and of whom something is left. */
  readonly toEmpty: ReadonlyArray<string>
}

/** What is collected; times in epoch seconds. */
interface Bounds {
  readonly cutoff: number
  /** Removed workspaces are purged that were removed before; null for none. */
  readonly removedBefore: number | null
}

const first = ''

const readChunk = (after: string, { cutoff, removedBefore }: Bounds): Batch<Chunk> => ({
  statements: [
    upkeepSql.workspaces({ after, cutoff }),
    ...(after === first ? [purgeSql.waiting({ removedBefore }), eraseSql.waiting({})] : []),
  ],
  read: ([rows, waiting = [], erased = []]) =>
    Either.right({
      count: rows!.length,
      due: rows!.filter(({ isDue }) => isDue === 1).map(({ id }) => id as string),
      next: rows!.length < chunkSize ? undefined : (rows!.at(-1)!.id as string),
      toPurge: waiting.map(({ id }) => id as string),
      toEmpty: erased.map(({ id }) => id as string),
    }),
})

const none: UpkeepReport = { workspaces: 0, entries: 0, tombstones: 0, opIds: 0, cursors: 0, purged: 0 }

/** Collects one workspace; `retention` in seconds. */
const collectOne = (batches: Batches['Type'], id: string, retention: number, total: UpkeepReport) =>
  Effect.gen(function* () {
    // Tombstones first: both remove stale cursors, and a trimmed log needs no tombstones.
    const collected = yield* collectTombstones(batches, id, retention)
    const trimmed = yield* trimChangeLog(batches, id, retention)
    return {
      workspaces: total.workspaces,
      entries: total.entries + trimmed.entries,
      tombstones: total.tombstones + collected.tombstones,
      opIds: total.opIds + trimmed.opIds,
      cursors: total.cursors + collected.cursors + trimmed.cursors,
      purged: total.purged,
    }
  })

/** Looks at one chunk of workspaces after the other, and gives others their turn in between. */
const collectAll = (
  batches: Batches['Type'],
  retention: number,
  purgeAfter: number | undefined,
  onWorkspace: (workspaceId: string, looked: number) => void = () => {},
) =>
  Effect.gen(function* () {
    let total = none
    let damaged: StorageError | undefined
    for (let after: string | undefined = first; after !== undefined;) {
      const now = yield* epochSeconds
      const removedBefore = purgeAfter === undefined ? null : now - purgeAfter
      const bounds = { cutoff: now - retention, removedBefore }
      const { count, due, next, toPurge, toEmpty }: Chunk = yield* batches.read(
        'upkeep',
        readChunk(after, bounds),
      )
      for (const id of toPurge) {
        // Somebody may have restored it meanwhile.
        const isPurged = yield* purge(batches, id).pipe(
          Effect.as(true),
          Effect.catchTags({
            WorkspaceIsLive: () => Effect.succeed(false),
            WorkspaceNotFound: () => Effect.succeed(false),
          }),
        )
        if (isPurged) total = { ...total, purged: total.purged + 1 }
      }
      for (const id of toEmpty) yield* emptyUser(batches, id)
      for (const id of due) {
        onWorkspace(id, total.workspaces)
        const collected = yield* Effect.either(collectOne(batches, id, retention, total))
        if (Either.isRight(collected)) total = collected.right
        // What is damaged concerns one workspace; all other errors would meet the next one as well.
        else if (collected.left.reason !== 'corrupt') return yield* collected.left
        else damaged ??= collected.left
        yield* letOthersGo
      }
      total = { ...total, workspaces: total.workspaces + count }
      after = next
      if (after !== undefined) yield* letOthersGo
    }
    if (damaged !== undefined) return yield* damaged
    return total
  })

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
      collect: ({ retention, workspaceId, purgeAfter, onWorkspace }) => {
        const seconds = Duration.toSeconds(retention)
        return workspaceId === undefined
          ? collectAll(batches, seconds, purgeAfter && Duration.toSeconds(purgeAfter), onWorkspace)
          : collectOne(batches, workspaceId, seconds, { ...none, workspaces: 1 })
      },
      tidy: Effect.zipRight(dropEndedInvites(batches), tidy),
    }),
  )
