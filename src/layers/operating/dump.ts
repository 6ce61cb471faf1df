/**
 * A database as SQL text, for what loads that: SQLite's own shell, or Cloudflare's for D1.
 */
import { Effect } from 'effect'
import { portable } from '../batch/migrationBatches.js'
import type { Connection } from '../synchronous/connection.js'
import { migrationsTable } from '../sql/schemaVersion.js'
import { type Column, sizeOf, type Table } from './tables.js'

/** What a loader takes. */
export interface Dialect {
  /** Of the statement that makes a table. */
  readonly made: (sql: string) => string
  /** Around all; D1 has transactions of its own. */
  readonly begin: ReadonlyArray<string>
  readonly end: ReadonlyArray<string>
  /** Of a statement, in bytes. */
  readonly statementBytes: number
  /** Of a row, in bytes. */
  readonly rowBytes: number
}

export const dialects = {
  sqlite: {
    made: (sql: string) => sql,
    begin: ['PRAGMA foreign_keys = OFF;', 'BEGIN;'],
    end: ['COMMIT;'],
    statementBytes: 1_000_000,
    rowBytes: Infinity,
  },
  /** 100 KB for a statement, 2 MB for a row, with what says where its values begin. */
  d1: { made: portable, begin: [], end: [], statementBytes: 100_000, rowBytes: 2_000_000 - 200 },
} as const satisfies Record<string, Dialect>

const hexOf = (text: string) => Buffer.from(text, 'utf8').toString('hex')

/** Loaders read text up to a NUL, and some take a line's end away. */
const isPlain = (text: string) => !/[\0\r\n]/.test(text)

const quoted = (text: string) =>
  isPlain(text) ? `'${text.replaceAll("'", "''")}'` : `CAST(X'${hexOf(text)}' AS TEXT)`

const literal = (value: unknown): string => {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return quoted(value)
  if (value instanceof Uint8Array) return `X'${Buffer.from(value).toString('hex')}'`
  return String(value)
}

/** At most so many bytes when quoted, no character cut. */
function* piecesOf(text: string, bytes: number): Generator<string> {
  // A character is three bytes at most for each of its units; quoted or as digits, twice that.
  const units = Math.floor(bytes / 6)
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + units, text.length)
    if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1]!)) end -= 1
    yield text.slice(at, end)
    at = end
  }
}

/** Characters of a text that may stay in a statement of any row. */
const shortText = 500

/** Of a row: one statement, and where that would be too long, more that add to its texts. */
function* statementsOf(
  { name, columns }: Pick<Table, 'name' | 'columns'>,
  row: Readonly<Record<string, unknown>>,
  { statementBytes }: Dialect,
): Generator<string> {
  const insert = (values: ReadonlyArray<unknown>) =>
    `INSERT INTO ${name} (${columns.map(({ name }) => `"${name}"`).join(', ')}) VALUES (${values.map(literal).join(', ')});`
  const whole = insert(columns.map(({ name }) => row[name]))
  if (Buffer.byteLength(whole) <= statementBytes) return yield whole
  /** The text, if it is to be added; keys have to stay. */
  const longOf = ({ name, key }: Column): string => {
    const value = row[name]
    return key === 0 && typeof value === 'string' && value.length > shortText ? value : ''
  }
  yield insert(columns.map((column) => (longOf(column) === '' ? row[column.name] : '')))
  for (const column of columns) {
    // Not every table has a key, but all of them begin empty and get their rows one after the other.
    const add = (piece: string) =>
      `UPDATE ${name} SET "${column.name}" = "${column.name}" || ${piece} WHERE rowid = (SELECT max(rowid) FROM ${name});`
    const room = statementBytes - Buffer.byteLength(add("CAST(X'' AS TEXT)"))
    for (const piece of piecesOf(longOf(column), room)) yield add(literal(piece))
  }
}

/** Rows that are larger than a loader takes, by table. */
export const tooLarge = (
  connection: Connection,
  tables: ReadonlyArray<Table>,
  { rowBytes }: Dialect,
): ReadonlyArray<string> =>
  // Where nothing is too large, all rows need not be read for it.
  (rowBytes === Infinity ? [] : tables).flatMap((table) => {
    const { n } = connection.first<{ n: number }>(
      `SELECT count(*) AS n FROM ${table.name} WHERE ${sizeOf(table)} > ?`,
      rowBytes,
    )!
    return n === 0 ? [] : [`${n} of ${table.name}`]
  })

const objects = `
  SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'table' AND tbl_name = ? ORDER BY type, name`

/** Line by line: first what makes the tables, then their rows, then indices and triggers. `onRows` counts. */
export const dumpTo = <E>(
  connection: Connection,
  tables: ReadonlyArray<Table>,
  dialect: Dialect,
  sink: {
    readonly write: (text: string) => Effect.Effect<void, E>
    readonly onRows: (done: number, of: number) => void
  },
) =>
  Effect.gen(function* () {
    const total = tables.reduce((sum, { rows }) => sum + rows, 0)
    const ledger = connection.first<{ sql: string }>(
      `SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '${migrationsTable}'`,
    )!
    const columns = ['migration_id', 'created_at', 'name'].map((name) => ({ name, isBlob: false, key: 0 }))
    const all = [
      ...tables,
      { name: migrationsTable, sql: ledger.sql, columns, order: ['migration_id'], rows: 0 },
    ]
    const lines = (texts: ReadonlyArray<string>) => sink.write(texts.map((text) => `${text}\n`).join(''))
    yield* lines([...dialect.begin, ...all.map(({ sql }) => `${dialect.made(sql)};`)])
    let done = 0
    for (const table of all) {
      const selected = `SELECT ${table.columns.map(({ name }) => `"${name}"`).join(', ')} FROM ${table.name} ORDER BY ${table.order.join(', ')}`
      const rows = connection.rows(selected, [])[Symbol.iterator]()
      yield* Effect.gen(function* () {
        let waiting: Array<string> = []
        let bytes = 0
        for (let next = rows.next(); next.done !== true; next = rows.next()) {
          for (const statement of statementsOf(table, next.value, dialect)) {
            waiting.push(statement)
            bytes += statement.length
          }
          sink.onRows(++done, total)
          if (bytes < 65_536) continue
          yield* lines(waiting)
          waiting = []
          bytes = 0
        }
        yield* lines(waiting)
        // An interruption leaves a loop where it is, and the connection could not be closed.
      }).pipe(Effect.ensuring(Effect.sync(() => rows.return?.())))
    }
    for (const { name } of all)
      yield* lines(connection.all<{ sql: string }>(objects, name).map(({ sql }) => `${sql};`))
    yield* lines(dialect.end)
  })
