/**
 * An export from an engine over a network, where many reads are no snapshot: it is made one.
 *
 * Pages are read of all tables at once, by version, until a read finds nothing behind any of them. Whatever changed meanwhile has
 * come again, with a later version: so what was gathered before of such a record is left out, and what remains is the workspace as
 * it was at the last read. It is gathered in a file without a name, since the header says how many records follow.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Effect, type Scope } from 'effect'
import { StorageError } from '../../../services/StorageError.js'
import { type SyncedTable, syncedTables } from '../../../services/SyncDomain.js'
import { askPosition, positionIn } from '../../batch/position.js'
import { type Row, type Statement, statement } from '../../sql/batch.js'
import type { Batches } from '../../sql/Batches.js'
import { perTable } from '../../sql/perTable.js'
import { lookOver, readAll } from '../../sql/look.js'
import {
  type ExportHeader,
  type ExportRow,
  linesOf,
  lookAtSize,
  type Sink,
  writeExport,
} from '../transfer.js'
import { isLast, paged } from './pages.js'

/** A record that is deleted counts if it may have been gathered. */
const page = perTable((table) =>
  statement(
    paged(`
      SELECT server_version AS at, pk, iif(deleted, NULL, data_json) AS json, clock, hlc, op_id, device_id, deleted
      FROM s_${table} INDEXED BY s_${table}_by_version
      WHERE workspace_id = :workspaceId AND server_version > :after AND (deleted = 0 OR server_version > :since)`),
  ),
)

const toRow = ({ at, pk, json, clock, hlc, op_id, device_id }: Row): ExportRow => ({
  ...{ version: at, pk, json, clock, hlc },
  ...{ opId: op_id, deviceId: device_id },
})

/** Pages of rows in a file that is gone with the process, however that ends. */
const makeShelf = Effect.acquireRelease(
  Effect.try({
    try: () => {
      const folder = mkdtempSync(join(tmpdir(), 'or3-export-'))
      const file = openSync(join(folder, 'rows'), 'wx+', 0o600)
      try {
        rmSync(folder, { recursive: true })
      } catch {
        // Not every system lets go of the name of an open file.
      }
      return { folder, file }
    },
    catch: unwritten,
  }),
  ({ folder, file }) =>
    Effect.sync(() => {
      closeSync(file)
      rmSync(folder, { recursive: true, force: true })
    }),
).pipe(
  Effect.map(({ file }) => {
    let end = 0
    const places = perTable((): Array<{ readonly from: number; readonly length: number }> => [])
    return {
      put: (table: SyncedTable, rows: ReadonlyArray<ExportRow>) => {
        const bytes = Buffer.from(JSON.stringify(rows))
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, undefined, end + done)
        places[table].push({ from: end, length: bytes.length })
        end += bytes.length
      },
      *pages(table: SyncedTable): Generator<ReadonlyArray<ExportRow>> {
        for (const { from, length } of places[table]) {
          const bytes = Buffer.alloc(length)
          for (let done = 0; done < length;) done += readSync(file, bytes, done, length - done, from + done)
          yield JSON.parse(bytes.toString()) as ReadonlyArray<ExportRow>
        }
      },
    }
  }),
)

function unwritten(cause: unknown): StorageError {
  const full = (cause as { readonly code?: unknown } | null)?.code === 'ENOSPC'
  return new StorageError({ operation: 'export', reason: full ? 'full' : 'io', cause })
}

type Shelf = Effect.Effect.Success<typeof makeShelf>

/** The version of each record that changed since the export began. */
type Changed = Record<SyncedTable, Map<string, number>>

interface Gathered {
  readonly shelf: Shelf
  readonly changed: Changed
  readonly clockOffset: number
}

const gather = (
  read: Batches['Type']['read'],
  workspaceId: string,
  onRows: (done: number, of: number) => void,
): Effect.Effect<Gathered, StorageError, Scope.Scope> =>
  Effect.gen(function* () {
    const shelf = yield* makeShelf
    const changed = perTable(() => new Map<string, number>())
    const size = yield* lookOver(read, 'export', lookAtSize(workspaceId))
    const [position] = yield* readAll(read, 'export', [askPosition(workspaceId)])
    const { stored: since } = positionIn([position!], 0)
    const reached = perTable(() => 0)
    const keep = (table: SyncedTable, rows: ReadonlyArray<Row>) => {
      for (const { at, pk } of rows) if (at > since) changed[table].set(pk, at)
      const live = rows.filter(({ deleted }) => deleted === 0)
      if (live.length > 0) shelf.put(table, live.map(toRow))
      reached[table] = rows.at(-1)?.at ?? reached[table]
      return live.length
    }
    for (let done = 0; ;) {
      const statements: ReadonlyArray<Statement> = syncedTables.map((table) =>
        page[table]({ workspaceId, after: reached[table], since }),
      )
      const results = yield* readAll(read, 'export', [...statements, askPosition(workspaceId)])
      const kept = Effect.try({
        try: () => syncedTables.reduce((sum, table, place) => sum + keep(table, results[place]!), 0),
        catch: unwritten,
      })
      onRows((done += yield* kept), Math.max(size, done))
      if (syncedTables.every((_, place) => isLast(results[place]!))) {
        return { shelf, changed, clockOffset: positionIn(results, syncedTables.length).clock_offset }
      }
    }
  })

/** What is gathered and still holds. */
function* current({ shelf, changed }: Gathered, table: SyncedTable): Generator<ReadonlyArray<ExportRow>> {
  for (const rows of shelf.pages(table)) {
    yield rows.filter(({ pk, version }) => (changed[table].get(pk) ?? version) === version)
  }
}

function* lines(gathered: Gathered): Generator<{ readonly text: string; readonly rows: number }> {
  let done = 0
  for (const table of syncedTables) {
    for (const rows of current(gathered, table)) {
      done += rows.length
      yield { text: linesOf(table, rows, gathered.clockOffset), rows: done }
    }
  }
}

const countOf = (gathered: Gathered): number => {
  let count = 0
  for (const table of syncedTables) for (const rows of current(gathered, table)) count += rows.length
  return count
}

export const exportOver = <E>(
  read: Batches['Type']['read'],
  workspace: ExportHeader['workspace'],
  sink: Sink<E>,
): Effect.Effect<ExportHeader, E | StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const gathered = yield* gather(read, workspace.id, sink.onRows)
      const header = { workspace, rows: countOf(gathered) }
      return yield* writeExport(header, lines(gathered), { ...sink, onRows: () => {} })
    }),
  )
