/**
 * A page of a snapshot on SQLite: the materialised rows by their primary key, read in one state of the file.
 *
 * What a page shows, and where it ends, stands in `services/snapshotPage.ts`; in which order the index is read, in `keyOrder.ts`.
 * Records that are passed over (another user's notifications, and what no client could install) cost time without filling the
 * page, so after many of them others have their turn.
 */
import { Effect, Either } from 'effect'
import { shownClock } from '../../services/epochs.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import { type CheckedSnapshot, checkSnapshot } from '../../services/requests.js'
import { type ChainStart, PageInProgress, startOf, type StoredRecord } from '../../services/snapshotPage.js'
import { limits, type SyncedTable } from '../../services/SyncDomain.js'
import type { SnapshotGone } from '../../services/SyncErrors.js'
import type { SnapshotError, SnapshotPage, SnapshotRequest } from '../../services/SyncGateway.js'
import type { Connection } from './connection.js'
import type { Database } from './Database.js'
import { inCodeUnitOrder, type KeyIndex } from '../sql/keyOrder.js'
import { parsePayload } from '../sql/payload.js'
import { positionOf } from './position.js'
import { perTable } from '../sql/perTable.js'
import { recordColumns } from '../sql/snapshotSql.js'
import { letOthersGo } from '../time.js'

const inRange = (table: SyncedTable) =>
  `FROM s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1
   WHERE r.workspace_id = :workspaceId AND r.pk >= :from AND r.pk < :to`

/**
 * They name their index: with statistics from when a table was small, SQLite might rather sort.
 *
 * @readByTests of the query plans.
 */
export const snapshotSql = {
  records: perTable((table) => `SELECT ${recordColumns(table)} ${inRange(table)} ORDER BY r.pk`),

  lastKey: perTable((table) => `SELECT r.pk ${inRange(table)} ORDER BY r.pk DESC LIMIT 1`),
}

/** Columns of `recordColumns`. */
type RecordTuple = readonly [
  pk: string,
  payloadJson: string | null,
  clock: number,
  hlc: string,
  opId: string,
  deletedAt: number | null,
  owner: string | null,
]

/** To SQLite every blob is greater than every text. */
const endOfKeys = Buffer.alloc(0)

const keysOf = (connection: Connection, workspaceId: string, table: SyncedTable): KeyIndex<RecordTuple> => {
  const between = (from: string, to: string | undefined) => ({ workspaceId, from, to: to ?? endOfKeys })
  return {
    range: (from, to) => connection.each<RecordTuple>(snapshotSql.records[table], between(from, to)),
    last: (from, to) => connection.first<{ pk: string }>(snapshotSql.lastKey[table], between(from, to))?.pk,
  }
}

const recordOf = (tableName: SyncedTable, row: RecordTuple, clockOffset: number): StoredRecord => {
  const [pk, payloadJson, stored, hlc, opId, deletedAt, owner] = row
  return { tableName, pk, payloadJson, clock: shownClock(stored, clockOffset), hlc, opId, deletedAt, owner }
}

/** Goes on filling a page; false when it has passed over so much that others should have their turn. */
const fill = (
  connection: Connection,
  workspaceId: string,
  page: PageInProgress,
  clockOffset: number,
): boolean => {
  let passed = 0
  let bytes = 0
  for (const table of page.tablesLeft) {
    const after = page.position?.tableName === table ? page.position.pk : undefined
    for (const row of inCodeUnitOrder(keysOf(connection, workspaceId, table), after)) {
      const placement = page.add(recordOf(table, row, clockOffset))
      if (placement === 'full') return true
      if (placement === 'passed') {
        bytes += row[1]?.length ?? 0
        if (++passed >= limits.pageMax || bytes >= limits.pageBytes) return false
      }
    }
  }
  return true
}

interface Slice {
  readonly start: ChainStart
  readonly isDone: boolean
}

const readSlice =
  (request: CheckedSnapshot, page: PageInProgress, start: ChainStart | undefined, newId: string) =>
  (connection: Connection): Either.Either<Slice, SnapshotGone> => {
    const { version, clockOffset } = positionOf(connection, request.workspaceId)
    return Either.map(startOf(start, version, newId), (start) => ({
      start,
      isDone: fill(connection, request.workspaceId, page, clockOffset),
    }))
  }

export const snapshot =
  (database: Database['Type'], ids: IdGenerator['Type']) =>
  (request: SnapshotRequest): Effect.Effect<SnapshotPage, SnapshotError> =>
    Effect.gen(function* () {
      const checked = yield* checkSnapshot(request)
      const newId = checked.chain === undefined ? yield* ids.next : ''
      const page = new PageInProgress(checked, parsePayload)
      let start: ChainStart | undefined = checked.chain
      for (;;) {
        const slice: Slice = yield* database.snapshot('snapshot', readSlice(checked, page, start, newId))
        if (slice.isDone) return page.answer(slice.start)
        start = slice.start
        yield* letOthersGo
      }
    })
