/**
 * Snapshots over batches: usually one round trip a page.
 *
 * The walk through the keys (`sql/keyOrder.ts`) is plain code that asks an index. Here it asks what was fetched; where that does
 * not reach, more is fetched, and the walk goes on where it was. The first trip brings what a page may take, from all tables that
 * are left. Only where the walk has to leave SQLite's order, or passes over much, it takes another one.
 */
import { Effect, Either } from 'effect'
import { shownClock } from '../../services/epochs.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import { type CheckedSnapshot, checkSnapshot } from '../../services/requests.js'
import { type ChainStart, PageInProgress, startOf } from '../../services/snapshotPage.js'
import { snapshotOrder } from '../../services/snapshotToken.js'
import { limits, type SyncedTable } from '../../services/SyncDomain.js'
import type { SnapshotError, SnapshotPage, SnapshotRequest } from '../../services/SyncGateway.js'
import { type Batch, type Row, type Statement, statement } from '../sql/batch.js'
import type { Batches } from '../sql/Batches.js'
import { bounded } from '../sql/bounded.js'
import { commonLength, inCodeUnitOrder, isTrail, rangesAfter } from '../sql/keyOrder.js'
import { parsePayload } from '../sql/payload.js'
import { perTable } from '../sql/perTable.js'
import { recordColumns } from '../sql/snapshotSql.js'
import { unionAll } from '../sql/union.js'
import { afterKey, FetchedKeys, Missing, type Range } from './fetchedKeys.js'
import { grouped } from '../grouped.js'
import { askPosition, type Position, positionIn, watermark } from './position.js'

const fromTable = (table: SyncedTable) =>
  `FROM s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1 WHERE r.workspace_id = :workspaceId`

/** The parameter that says from which key on a table is read; null of one that is not. */
const fromOf = perTable((table) => `${table.replace('_', '')}From`)

/** No branch gives more than a page: some engines read all there is of a union before they sort it. */
const branch = (table: SyncedTable, place: number) => `
  SELECT * FROM (
    SELECT ${place} AS place, '${table}' AS table_name, ${recordColumns(table)} ${fromTable(table)} AND r.pk >= :${fromOf[table]}
    ORDER BY r.pk LIMIT :wanted)`

/** To SQLite every blob is greater than every text. */
const endOfKeys = `x''`

/** A bound of a range as lists have it: so many characters of a key, and what comes then. */
const bound = (length: number, rest: number) =>
  `substr(:key, 1, o.value ->> ${length}) || (o.value ->> ${rest})`

/** @readByTests of the query plans. */
export const snapshotSql = {
  /** What a page may take, and the row that shows that there is more. */
  page: statement(
    bounded(
      `${unionAll(snapshotOrder.map(branch))} ORDER BY place, pk LIMIT :wanted`,
      'place, pk',
      'data_json',
    ),
  ),

  /** Ranges of one table, one after the other, in the order in which a join reads them: a sort would read them all. */
  ranges: perTable((table) =>
    statement(
      bounded(
        `SELECT o.key AS place, ${recordColumns(table)}
         FROM json_each(:ranges) AS o CROSS JOIN s_${table} AS r INDEXED BY sqlite_autoindex_s_${table}_1
         WHERE r.workspace_id = :workspaceId AND r.pk >= ${bound(0, 1)} AND r.pk < coalesce(${bound(2, 3)}, ${endOfKeys})
         LIMIT :wanted`,
        'place, pk',
        'data_json',
      ),
    ),
  ),

  lastKey: perTable((table) =>
    statement(`
      SELECT r.pk ${fromTable(table)} AND r.pk >= :from AND r.pk < coalesce(:to, ${endOfKeys}) ORDER BY r.pk DESC LIMIT 1`),
  ),
}

/** Whether rows end where a statement was cut, and not where there are no more. */
const isCut = (rows: ReadonlyArray<Row>, wanted: number) =>
  rows.length === wanted || (rows.at(-1)?.total ?? 0) > limits.pageBytes

/** A trip, and what to keep of it. */
interface Fetch {
  readonly statement: Statement
  readonly keep: (fetched: FetchedKeys, rows: ReadonlyArray<Row>) => void
}

/** From the position on, what a page may take. Before the last row's table all is fetched, behind it only if nothing was cut. */
const fetchPage = ({ workspaceId, pageSize, tables, chain }: CheckedSnapshot): Fetch => {
  // One for the record after which the page begins, one for that which shows that there is more.
  const wanted = pageSize + 2
  const left = chain === undefined ? tables : tables.slice(tables.indexOf(chain.after.tableName))
  const starts = left.map((table) => [table, chain?.after.tableName === table ? chain.after.pk : ''] as const)
  const none = Object.fromEntries(Object.values(fromOf).map((name) => [name, null]))
  const froms = Object.fromEntries(starts.map(([table, from]) => [fromOf[table], from]))
  return {
    statement: snapshotSql.page({ workspaceId, wanted, ...none, ...froms }),
    keep: (fetched, rows) => {
      const cutIn = isCut(rows, wanted) ? (rows.at(-1)!.table_name as SyncedTable) : undefined
      for (const [table, from] of starts) {
        const own = rows.filter((row) => row.table_name === table)
        const to = table === cutIn ? afterKey(own.at(-1)!.pk) : undefined
        fetched.addRows({ table, from, to }, own)
        if (table === cutIn) break
      }
    },
  }
}

const fetchLast = (workspaceId: string, range: Range): Fetch => ({
  statement: snapshotSql.lastKey[range.table]({ workspaceId, from: range.from, to: range.to ?? null }),
  keep: (fetched, [row]) => fetched.addLast(range, row?.pk),
})

/** After a key of a thousand hostile characters there are two thousand ranges, whose bounds all begin as it does. */
const boundOf = (key: string, text: string | undefined) => {
  if (text === undefined) return [null, null]
  const common = commonLength(key, text)
  const length = isTrail(text, common) || isTrail(key, common) ? common - 1 : common
  return [[...text.slice(0, length)].length, text.slice(length)]
}

const fetchRanges = (
  workspaceId: string,
  table: SyncedTable,
  key: string,
  ranges: ReadonlyArray<Range>,
  wanted: number,
): Fetch => {
  const list = ranges.map(({ from, to }) => [...boundOf(key, from), ...boundOf(key, to)])
  return {
    statement: snapshotSql.ranges[table]({ workspaceId, key, ranges: JSON.stringify(list), wanted }),
    keep: (fetched, rows) => {
      const last = isCut(rows, wanted) ? rows.at(-1)! : undefined
      const byRange = grouped(rows, (row) => row.place as number)
      for (const [place, range] of ranges.entries()) {
        const own = byRange.get(place) ?? []
        fetched.addRows(place === last?.place ? { ...range, to: afterKey(last.pk) } : range, own)
        if (place === last?.place) break
      }
    },
  }
}

/** What the walk misses, and of what it is going to ask for behind its position whatever was not fetched either. */
const fetchMissing = (
  workspaceId: string,
  { kind, range }: Missing,
  fetched: FetchedKeys,
  { position }: PageInProgress,
  wanted: number,
): Fetch => {
  if (kind === 'last') return fetchLast(workspaceId, range)
  const { table } = range
  const key = position?.tableName === table ? position.pk : ''
  const next = rangesAfter(key)
    .reverse()
    .map(({ from, to }) => ({ table, from, to }))
    .filter((other) => other.from !== range.from && fetched.lacks(other))
  return fetchRanges(workspaceId, table, key, [range, ...next], wanted)
}

/** Goes on filling a page; gives what is missing for that, if anything is. */
const fill = (
  fetched: FetchedKeys,
  page: PageInProgress,
  { clock_offset: offset }: Position,
): Missing | undefined => {
  try {
    for (const tableName of page.tablesLeft) {
      const after = page.position?.tableName === tableName ? page.position.pk : undefined
      for (const [pk, row] of inCodeUnitOrder(fetched.index(tableName), after)) {
        const placement = page.add({
          tableName,
          pk,
          payloadJson: row.data_json,
          clock: shownClock(row.clock, offset),
          hlc: row.hlc,
          opId: row.op_id,
          deletedAt: row.deleted_at,
          owner: row.user_id,
        })
        if (placement === 'full') return undefined
      }
    }
    return undefined
  } catch (missing) {
    if (missing instanceof Missing) return missing
    throw missing
  }
}

interface Trip {
  readonly position: Position
  readonly rows: ReadonlyArray<Row>
}

const trip = (workspaceId: string, statement: Statement): Batch<Trip> => ({
  statements: [askPosition(workspaceId), statement],
  read: (results) => Either.right({ position: positionIn(results, 0), rows: results[1]! }),
})

export const snapshot =
  ({ read }: Batches['Type'], ids: IdGenerator['Type']) =>
  (request: SnapshotRequest): Effect.Effect<SnapshotPage, SnapshotError> =>
    Effect.gen(function* () {
      const checked = yield* checkSnapshot(request)
      const { workspaceId, pageSize, chain } = checked
      const newId = chain === undefined ? yield* ids.next : ''
      const page = new PageInProgress(checked, parsePayload)
      const fetched = new FetchedKeys()
      let start: ChainStart | undefined = chain
      let fetch = fetchPage(checked)
      for (let wanted = pageSize + 2; ; wanted = Math.min(2 * wanted, limits.pageMax)) {
        const { position, rows }: Trip = yield* read('snapshot', trip(workspaceId, fetch.statement))
        start = yield* startOf(start, watermark(position), newId)
        fetch.keep(fetched, rows)
        const missing = fill(fetched, page, position)
        if (missing === undefined) return page.answer(start)
        fetch = fetchMissing(workspaceId, missing, fetched, page, wanted)
      }
    })
