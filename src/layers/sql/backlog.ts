/**
 * How much waits for the next collection.
 *
 * The log of a workspace goes from its front, and its entries are in the order of their times, but for clocks that went back.
 * So what could go ends at a version that a search finds, in one look-up where nothing could go. Where a clock went back the
 * figure may be off by the entries of that time.
 */
import { Duration, Effect, Either } from 'effect'
import { epochSeconds, letOthersGo } from '../time.js'
import { type Batch, statement } from './batch.js'
import type { Batches } from './Batches.js'

/** Workspaces looked at in one go; a millisecond or two in the process. */
const chunkSize = 200

/** Versions that are looked at of one workspace in one go: a million take five round trips, or a hundred look-ups. */
const probes = 20

/** Of some versions, those whose entry is old. After a leap of an earlier release there are gaps: the next entry stands for them. */
const isOld = (workspaceId: string, version: string) => `(
  SELECT l.created_at FROM change_log AS l INDEXED BY change_log_by_version
  WHERE l.workspace_id = ${workspaceId} AND l.server_version >= ${version} ORDER BY l.server_version LIMIT 1) < :cutoff`

/** Of the cursors that a collection would leave. */
const slowest = `(
  SELECT min(d.last_seen_version) FROM device_cursors AS d INDEXED BY sqlite_autoindex_device_cursors_1
  WHERE d.workspace_id = c.workspace_id AND d.updated_at >= :cutoff)`

/** @readByTests of the query plans. */
export const maintenanceSql = {
  /** Whether anything could go, and from which version on nothing could. */
  workspaces: statement(`
    SELECT w.id, w.low, w.high, iif(w.high > w.low, ${isOld('w.id', 'w.low')}, 0) AS mayGo FROM (
      SELECT c.workspace_id AS id, c.trimmed_version + 1 AS low, min(${slowest} - c.version_offset, c.value + 1) AS high
      FROM server_version_counter AS c WHERE c.workspace_id > :after ORDER BY c.workspace_id LIMIT ${chunkSize}) AS w`),

  /** Of a list of `[workspace, version]`. */
  old: statement(`
    SELECT o.key AS place FROM json_each(:versions) AS o WHERE ${isOld('o.value ->> 0', 'o.value ->> 1')}`),
}

/** Every version below `low` may go, none from `high` on. */
interface Search {
  readonly id: string
  readonly first: number
  readonly low: number
  readonly high: number
}

interface Chunk {
  readonly searches: ReadonlyArray<Search>
  /** Where the next one begins, if there is one. */
  readonly next: string | undefined
}

const readChunk = (after: string, cutoff: number): Batch<Chunk> => ({
  statements: [maintenanceSql.workspaces({ after, cutoff })],
  read: ([rows]) =>
    Either.right({
      searches: rows!
        .filter(({ mayGo }) => mayGo === 1)
        .map(({ id, low, high }) => ({ id, first: low, low: low + 1, high })),
      next: rows!.length < chunkSize ? undefined : rows!.at(-1)!.id,
    }),
})

/** Versions that part what is left of a search. */
const probesOf = ({ low, high }: Search): ReadonlyArray<number> => {
  const count = Math.min(probes, high - low)
  return Array.from({ length: count }, (_, index) => low + Math.floor(((high - low) * index) / count))
}

/** One look at all searches. */
const narrow = (searches: ReadonlyArray<Search>, cutoff: number): Batch<ReadonlyArray<Search>> => {
  const probed = searches.map(probesOf)
  const versions = searches.flatMap(({ id }, index) => probed[index]!.map((version) => [id, version]))
  return {
    statements: [maintenanceSql.old({ versions: JSON.stringify(versions), cutoff })],
    read: ([rows]) => {
      const old = new Set(rows!.map(({ place }) => place as number))
      let place = 0
      const narrowed = searches.map((search, index) => {
        const own = probed[index]!
        const start = place
        place += own.length
        const young = own.findIndex((_version, at) => !old.has(start + at))
        const passed = young === -1 ? own.length : young
        const low = passed === 0 ? search.low : own[passed - 1]! + 1
        return { ...search, low, high: young === -1 ? search.high : own[young]! }
      })
      return Either.right(narrowed)
    },
  }
}

/** Looks at one chunk of workspaces after the other, and gives others their turn in between. */
export const backlogOf = ({ read }: Batches['Type'], retention: Duration.Duration) =>
  Effect.gen(function* () {
    const cutoff = (yield* epochSeconds) - Duration.toSeconds(retention)
    let total = 0
    for (let after: string | undefined = ''; after !== undefined;) {
      const { searches, next }: Chunk = yield* read('maintenance state', readChunk(after, cutoff))
      for (let left = searches; left.length > 0;) {
        const narrowed = yield* read('maintenance state', narrow(left, cutoff))
        for (const { first, low, high } of narrowed) if (low >= high) total += low - first
        left = narrowed.filter(({ low, high }) => low < high)
      }
      after = next
      if (after !== undefined) yield* letOthersGo
    }
    return total
  })
