/**
 * What a snapshot has fetched of the keys of its tables, as the index that the walk in `sql/keyOrder.ts` asks.
 *
 * What is asked for and was not fetched is thrown.
 */
import type { SyncedTable } from '../../services/SyncDomain.js'
import type { Row } from '../sql/batch.js'
import { isBefore, type KeyIndex, type KeyRange } from '../sql/keyOrder.js'

/** Keys of a table in SQLite's order, from one on and below another; without an end, up to the last one. */
export interface Range extends KeyRange {
  readonly table: SyncedTable
}

/** The walk needs these rows, or the last key among them. */
export class Missing {
  constructor(
    readonly kind: 'rows' | 'last',
    readonly range: Range,
  ) {}
}

/** The next key after one is that key with a NUL behind it. */
export const afterKey = (key: string): string => `${key}\0`

type Entry = readonly [pk: string, row: Row]
type Rows = ReadonlyArray<Row>

interface Part {
  readonly range: Range
  /** All there are in the range. */
  readonly rows: Rows
}

const isBelow = (key: string, end: string | undefined) => end === undefined || isBefore(key, end)

/** How many of the rows come before a key. */
const countBefore = (rows: Rows, key: string): number => {
  let [low, high] = [0, rows.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(rows[middle]!.pk, key)) low = middle + 1
    else high = middle
  }
  return low
}

const placeOf = ({ table, from }: Range) => `${table}\0${from}`

const nameOf = ({ table, from, to }: Range) => JSON.stringify([table, from, to])

export class FetchedKeys {
  /** By where they begin. */
  private readonly parts = new Map<string, Part>()
  private readonly lastKeys = new Map<string, string | undefined>()

  /** All rows of a range. */
  addRows(range: Range, rows: Rows): void {
    this.parts.set(placeOf(range), { range, rows })
  }

  /** The last key of a range, if there is any. */
  addLast(range: Range, key: string | undefined): void {
    this.lastKeys.set(nameOf(range), key)
  }

  index(table: SyncedTable): KeyIndex<Entry> {
    return {
      range: (from, to) => this.rows({ table, from, to }),
      last: (from, to) => this.last({ table, from, to }),
    }
  }

  /** The part that holds what a range begins with. A walk asks again for the ranges it asked for, and there may be thousands. */
  private partOf(range: Range): Part | undefined {
    const exact = this.parts.get(placeOf(range))
    if (exact !== undefined) return exact
    for (const part of this.parts.values()) {
      const { table, from, to } = part.range
      if (table === range.table && !isBefore(range.from, from) && isBelow(range.from, to)) return part
    }
    return undefined
  }

  /** Whether the walk would miss rows of a range. */
  lacks(range: Range): boolean {
    return this.partOf(range) === undefined
  }

  /** The rows of a range, a fetched part at a time. */
  private *slices({ table, from, to }: Range, kind: Missing['kind']): Generator<Rows, void, void> {
    for (let at: string | undefined = from; at !== undefined && isBelow(at, to);) {
      const start: string = at
      const part = this.partOf({ table, from: start, to })
      if (part === undefined) throw new Missing(kind, { table, from: kind === 'last' ? from : start, to })
      const { rows, range }: Part = part
      yield rows.slice(countBefore(rows, start), to === undefined ? undefined : countBefore(rows, to))
      at = range.to
    }
  }

  private *rows(range: Range): Generator<Entry, void, void> {
    for (const rows of this.slices(range, 'rows')) for (const row of rows) yield [row.pk, row]
  }

  private last(range: Range): string | undefined {
    const name = nameOf(range)
    if (this.lastKeys.has(name)) return this.lastKeys.get(name)
    let last: string | undefined
    for (const rows of this.slices(range, 'last')) last = rows.at(-1)?.pk ?? last
    return last
  }
}
