/**
 * The tables of a database that are ours, as whoever carries one away has to know them.
 */
import type { Results } from '../sql/batch.js'
import { ask, type Look } from '../sql/look.js'
import { ledgers, requiredTables, tableNames } from '../sql/schemaVersion.js'

export interface Column {
  readonly name: string
  /** Bytes, which go through JSON and SQL as hexadecimal digits. */
  readonly isBlob: boolean
  /** Its place in the primary key, from 1 on; 0 if it is no part of it. */
  readonly key: number
}

export interface Table {
  readonly name: string
  /** The statement that makes it. */
  readonly sql: string
  readonly columns: ReadonlyArray<Column>
  /**
   * What its rows are read by: their numbers, since the order of rows that are alike rests on them and a copy in their order keeps it; or the
   * key, where they have none.
   */
  readonly order: ReadonlyArray<string>
  readonly rows: number
}

/** Those that SQLite keeps by their keys; other engines number their rows as well. */
export const keyed: ReadonlySet<string> = new Set(['file_references'])

export interface Layout {
  /** Those that rows of others refer to come first. */
  readonly tables: ReadonlyArray<Table>
  /** Of others, such as an earlier package's: they stay where they are. */
  readonly foreign: ReadonlyArray<string>
}

const quotedList = requiredTables.map((name) => `'${name}'`).join(', ')

const ownTables = `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name IN (${quotedList})`

/** Litestream's own, which it makes again wherever it runs. */
const isForeign = (name: string) =>
  !requiredTables.includes(name) && !ledgers.has(name) && !name.startsWith('_litestream_')

const refersTo = (sql: string): ReadonlyArray<string> =>
  [...sql.matchAll(/\bREFERENCES (\w+)/g)].map(([, name]) => name!)

/** In the order in which rows can be put into them, whatever is checked meanwhile. */
const ordered = (tables: ReadonlyArray<Table>): ReadonlyArray<Table> => {
  const known = new Map(tables.map((table) => [table.name, table]))
  const placed = new Set<Table>()
  const place = (table: Table) => {
    if (placed.has(table)) return
    for (const name of refersTo(table.sql)) if (name !== table.name) place(known.get(name)!)
    placed.add(table)
  }
  tables.forEach(place)
  return [...placed]
}

/** The columns of a primary key, in its order. */
const keyOf = (columns: ReadonlyArray<Column>): ReadonlyArray<string> =>
  columns
    .filter(({ key }) => key > 0)
    .sort((a, b) => a.key - b.key)
    .map(({ name }) => name)

/** Bytes of the texts of a row, as an expression; the rest of it is short. */
export const sizeOf = ({ columns }: Pick<Table, 'columns'>): string =>
  columns.map(({ name }) => `iif(typeof("${name}") = 'text', length(CAST("${name}" AS BLOB)), 0)`).join(' + ')

/** Of a database of the current schema. Counts all rows. */
export function* lookAtLayout(): Look<Layout> {
  const [names, own] = yield [ask(tableNames), ask(ownTables)]
  const found = own!.map(({ name, sql }) => ({ name: name as string, sql: sql as string }))
  const details: Results = yield found.flatMap(({ name }) => [
    ask(`SELECT name, type, pk FROM pragma_table_info('${name}')`),
    ask(`SELECT count(*) AS n FROM ${name}`),
  ])
  const tables = found.map((table, place) => {
    const columns = details[2 * place]!.map(({ name, type, pk }) => ({
      name: name as string,
      isBlob: type === 'BLOB',
      key: Number(pk),
    }))
    const rows = Number(details[2 * place + 1]![0]!.n)
    return { ...table, columns, rows, order: keyed.has(table.name) ? keyOf(columns) : ['rowid'] }
  })
  return {
    tables: ordered(tables),
    foreign: names!.map(({ name }) => name as string).filter(isForeign),
  }
}
