/**
 * Copies a whole database into an empty one, whatever engines have them: versions, cursors, marks, people, everything.
 *
 * What is done is noted in the target, in the batch that does it, so a copy that was interrupted goes on; until it is whole, the
 * target's ledger says a migration that no release knows, so no server and no other command, of any release, takes it for a database.
 */
import { createHash, type Hash } from 'node:crypto'
import { Effect, Either, Schedule } from 'effect'
import { StorageError } from '../../services/StorageError.js'
import { letOthersGo } from '../time.js'
import type { Batch, Param, Results, Row, Statement } from '../sql/batch.js'
import type { Batches } from '../sql/Batches.js'
import { ask, type Look, lookOver } from '../sql/look.js'
import { migrationsTable, unfinishedCopy } from '../sql/schemaVersion.js'
import { type Layout, lookAtLayout, sizeOf, type Table } from './tables.js'

/** Reads of one database: of a file, all of one state; over a network, each of one. */
export type Reader<E> = <A>(look: Look<A>) => Effect.Effect<A, E>

/** What was perhaps done is looked at by the next one: each goes on from where the target says it is. */
const patience = Schedule.intersect(Schedule.exponential('200 millis'), Schedule.recurs(6))

/** Reads and changes alike. */
export const persistently = <A>(effect: Effect.Effect<A, StorageError>) =>
  Effect.retry(effect, { schedule: patience, while: ({ isRetryable }) => isRetryable })

/** Of a page: few round trips, and far below what services take at once. The last row of a page may go beyond. */
const page = { rows: 500, bytes: 2 ** 20 }

/** Where in a table something has got to: the values of what its rows are read by. Empty before all rows. */
type Position = ReadonlyArray<Param>

const beginning: Position = []

const positionName = (place: number) => `copied_at_${place}`

/** Behind a position, with its parameters. Row values are not known to every engine; the first column is what is looked up. */
const behind = (order: ReadonlyArray<string>, position: Position): Statement => {
  const [column, ...others] = order
  const [value, ...rest] = position
  if (value === undefined) return ask('1 = 1')
  if (others.length === 0) return ask(`${column} > ?`, value)
  const { sql, params } = behind(others, rest)
  return ask(`${column} >= ? AND (${column} > ? OR (${sql}))`, value, value, ...params)
}

/** Of the next rows of a table behind a position, in their order. */
const select = (
  selected: ReadonlyArray<string>,
  table: Table,
  position: Position,
  limit: number,
): Statement => {
  const { sql, params } = behind(table.order, position)
  return ask(
    `SELECT ${selected.join(', ')} FROM ${table.name} WHERE ${sql} ORDER BY ${table.order.join(', ')} LIMIT ?`,
    ...params,
    limit,
  )
}

const sizesBehind = (table: Table, position: Position): Statement =>
  select([`${sizeOf(table)} AS size`], table, position, page.rows)

const rowsBehind = (table: Table, position: Position, limit: number): Statement => {
  const places = table.order.map((column, place) => `${column} AS ${positionName(place)}`)
  const values = table.columns.map(({ name, isBlob }) =>
    isBlob ? `hex("${name}") AS "${name}"` : `"${name}"`,
  )
  return select([...places, ...values, `${sizeOf(table)} AS copied_size`], table, position, limit)
}

/** Of a row as it was read. */
const isWhole = ({ columns }: Table, row: Row): boolean =>
  row.copied_size ===
  columns.reduce((bytes, { name, isBlob }) => {
    const value: unknown = row[name]
    return !isBlob && typeof value === 'string' ? bytes + Buffer.byteLength(value) : bytes
  }, 0)

/** Some drivers give text up to a NUL alone, and none gives bytes that are no characters. */
const notWhole = (table: Table) =>
  new StorageError({
    operation: 'copy',
    reason: 'other',
    cause: new Error(
      `${table.name} has text that its driver does not give as it is, with a NUL or broken characters`,
    ),
  })

function* lookAtRows(statement: Statement): Look<ReadonlyArray<Row>> {
  const [rows] = yield [statement]
  return rows!
}

/** How many rows each page has, of rows of these sizes. */
function* countsOf(sizes: ReadonlyArray<Row>): Generator<number> {
  let [count, bytes] = [0, 0]
  for (const { size } of sizes) {
    count++
    bytes += Number(size)
    if (bytes < page.bytes) continue
    yield count
    count = bytes = 0
  }
  if (count > 0) yield count
}

/** Goes through the rows behind a position, a page at a time; each page gives the position to go on behind. */
const walk = <E, E2>(
  read: Reader<E2>,
  table: Table,
  from: Position,
  onPage: (rows: ReadonlyArray<Row>, before: Position, last: Position) => Effect.Effect<Position, E>,
) =>
  Effect.gen(function* () {
    for (let before = from; ;) {
      const sizes = yield* read(lookAtRows(sizesBehind(table, before)))
      if (sizes.length === 0) return
      for (const count of countsOf(sizes)) {
        const rows = yield* read(lookAtRows(rowsBehind(table, before, count)))
        if (rows.length === 0) return
        if (!rows.every((row) => isWhole(table, row))) return yield* notWhole(table)
        const last = table.order.map((_, place) => rows.at(-1)![positionName(place)] as Param)
        before = yield* onPage(rows, before, last)
        // Between two files nothing else would, and no signal be heard.
        yield* letOthersGo
      }
    }
  })

/** What says whether rows are the same on both sides. */
export interface Sum {
  readonly table: string
  readonly rows: number
  /** SHA-256 of all rows in their order, in hexadecimal digits. */
  readonly checksum: string
}

const valuesOf = ({ columns }: Table, row: Row): Array<Param> => columns.map(({ name }) => row[name] as Param)

const addTo = (hash: Hash, table: Table, rows: ReadonlyArray<Row>) => {
  for (const row of rows) hash.update(`${JSON.stringify(valuesOf(table, row))}\n`)
}

const sumOf = <E>(read: Reader<E>, table: Table, onRows: (count: number) => void) =>
  Effect.gen(function* () {
    const hash = createHash('sha256')
    let rows = 0
    yield* walk(read, table, beginning, (found, _, last) =>
      Effect.sync(() => {
        addTo(hash, table, found)
        rows += found.length
        onRows(found.length)
        return last
      }),
    )
    return { table: table.name, rows, checksum: hash.digest('hex') } satisfies Sum
  })

const progressTable = 'unfinished_copy'

/** Changes as such tell nothing: a batch that only changes reads nothing of interest. */
const changes = (...statements: ReadonlyArray<Statement>): Batch<void> => ({
  statements,
  read: () => Either.void,
})

/** Whoever comes first: what is there already is told by what is read next. */
const begin = (layout: Layout, source: string, state: string): Batch<void> =>
  changes(
    ask(
      `CREATE TABLE IF NOT EXISTS ${progressTable} (table_name TEXT PRIMARY KEY NOT NULL, position TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL)`,
    ),
    ...layout.tables.map((table) =>
      ask(
        `INSERT INTO ${progressTable} VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        table.name,
        JSON.stringify(beginning),
        source,
        state,
      ),
    ),
    ask(
      `INSERT INTO ${migrationsTable} (migration_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING`,
      unfinishedCopy.id,
      unfinishedCopy.name,
    ),
  )

const finish = changes(
  ask(`DROP TABLE IF EXISTS ${progressTable}`),
  ask(`DELETE FROM ${migrationsTable} WHERE migration_id = ?`, unfinishedCopy.id),
)

/** Rows, and how far they go; nothing of it where another one has gone on from there, or this one without hearing of it. */
const put = (table: Table, rows: ReadonlyArray<Row>, before: Position, last: Position): Batch<Position> => {
  const { name, columns } = table
  const from = JSON.stringify(before)
  const isThere = `EXISTS (SELECT 1 FROM ${progressTable} WHERE table_name = ? AND position = ?)`
  const insert = `INSERT INTO ${name} (${columns.map(({ name }) => `"${name}"`).join(', ')})
    SELECT ${columns.map(({ isBlob }) => (isBlob ? 'unhex(?)' : '?')).join(', ')} WHERE ${isThere}`
  return {
    statements: [
      ...rows.map((row) => ask(insert, ...valuesOf(table, row), name, from)),
      ask(
        `UPDATE ${progressTable} SET position = ? WHERE table_name = ? AND position = ?`,
        JSON.stringify(last),
        name,
        from,
      ),
      ask(`SELECT position FROM ${progressTable} WHERE table_name = ?`, name),
    ],
    read: (results: Results) => Either.right(JSON.parse(results.at(-1)![0]!.position as string) as Position),
  }
}

/** How far an unfinished copy got. */
interface Begun {
  readonly source: string
  readonly state: string
  readonly positions: ReadonlyMap<string, Position>
}

function* lookAtProgress(): Look<Begun> {
  const [found] = yield [ask(`SELECT * FROM ${progressTable}`)]
  return {
    source: found![0]!.source as string,
    state: found![0]!.state as string,
    positions: new Map(
      found!.map(({ table_name: name, position }) => [
        name as string,
        JSON.parse(position as string) as Position,
      ]),
    ),
  }
}

/** The high watermarks of all workspaces, offsets included. */
export function* lookAtVersions(): Look<ReadonlyMap<string, number>> {
  const [rows] = yield [
    ask(
      'SELECT workspace_id AS id, value + version_offset AS version FROM server_version_counter ORDER BY 1',
    ),
  ]
  return new Map(rows!.map(({ id, version }) => [id as string, Number(version)]))
}

/** What a source has, as far as it is cheap to say: enough to tell most changes before all is copied in vain. */
function* lookAtState(layout: Layout): Look<string> {
  const versions = yield* lookAtVersions()
  const rows = layout.tables.map(({ name, rows }) => [name, rows])
  return createHash('sha256')
    .update(JSON.stringify([rows, [...versions]]))
    .digest('hex')
}

export interface Copied {
  readonly layout: Layout
  /** Of the source and of the target, table by table. */
  readonly sums: ReadonlyArray<readonly [Sum, Sum]>
  /** Rows that an earlier run had copied. */
  readonly resumed: number
}

/** Why a copy was not begun, or not ended. */
export type Refusal = 'not empty' | 'of another source' | 'source changed'

export interface Filling<E> {
  /** Of the source. */
  readonly read: Reader<E>
  /** As a message names it; no secret. */
  readonly source: string
  /** The target, of the current schema. */
  readonly engine: Batches['Type']
  /** Whether the target is an unfinished copy. */
  readonly isBegun: boolean
  readonly onRows: (done: number, of: number) => void
}

/** Copies all that is not there yet, compares both sides, and makes the target a database if they are equal. */
export const copyInto = <E>({ read, source, engine, isBegun, onRows }: Filling<E>) =>
  Effect.gen(function* () {
    const readTarget: Reader<StorageError> = (look) => persistently(lookOver(engine.read, 'copy', look))
    const layout = yield* read(lookAtLayout())
    const state = yield* read(lookAtState(layout))
    const refuse = (refusal: Refusal) => Either.left(refusal)
    const write = <A>(batch: Batch<A>) => engine.write('copy', batch)
    if (!isBegun) {
      const { tables } = yield* readTarget(lookAtLayout())
      if (tables.some(({ rows }) => rows > 0)) return refuse('not empty')
      yield* persistently(write(begin(layout, source, state)))
    }
    const begun = yield* readTarget(lookAtProgress())
    if (begun.source !== source) return refuse('of another source')
    if (begun.state !== state) return refuse('source changed')

    const total = layout.tables.reduce((sum, { rows }) => sum + rows, 0)
    // Copied, and read twice to compare.
    let done = 0
    const advance = (count: number) => onRows((done += count), 3 * total)
    let copied = 0
    for (const table of layout.tables) {
      const putPage = (rows: ReadonlyArray<Row>, before: Position, last: Position) =>
        persistently(write(put(table, rows, before, last))).pipe(
          Effect.tap(() => Effect.sync(() => advance(rows.length))),
          Effect.tap(() => Effect.sync(() => (copied += rows.length))),
        )
      yield* walk(read, table, begun.positions.get(table.name) ?? beginning, putPage)
    }
    const resumed = total - copied
    advance(Math.max(0, resumed))
    const sums: Array<readonly [Sum, Sum]> = []
    for (const table of layout.tables)
      sums.push([yield* sumOf(read, table, advance), yield* sumOf(readTarget, table, advance)])
    if (sums.every(isEqual)) yield* persistently(write(finish))
    return Either.right({ layout, sums, resumed } satisfies Copied)
  })

export const isEqual = ([ours, theirs]: readonly [Sum, Sum]): boolean =>
  ours.rows === theirs.rows && ours.checksum === theirs.checksum
