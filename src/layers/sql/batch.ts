/**
 * Batches: fixed lists of statements that an engine takes as a whole, and the reading of what they gave.
 *
 * This is all that an engine over a network has instead of a transaction with questions in between. So a change is written as
 * guarded statements, each of which says itself when it applies, beside reads that tell what came of them. Both are plain
 * values: given a request, these statements; given these rows, this outcome.
 */
import type { Either } from 'effect'

export type Param = string | number | null

/** One statement of a batch. */
export interface Statement {
  /** With `?` for its parameters, which every engine understands. */
  readonly sql: string
  /** In their order. */
  readonly params: ReadonlyArray<Param>
}

/** A row by the names of its columns. */
export type Row = Readonly<Record<string, any>>

/** The rows of each statement; those of a change are none. */
export type Results = ReadonlyArray<ReadonlyArray<Row>>

/** The first row of a statement, by its place in the batch. */
export const firstOf = (results: Results, statement: number): Row | undefined => results[statement]![0]

export interface Batch<A, E = never> {
  /** Run in this order, in one state of the database, all or none. */
  readonly statements: ReadonlyArray<Statement>
  /** What came of them. A `Left` has changed nothing. */
  readonly read: (results: Results) => Either.Either<A, E>
}

type Params = Readonly<Record<string, Param>>

/** A text with parameters by name, such as `:userId`. Each text is taken apart once. */
export const statement = (text: string): ((params: Params) => Statement) & { readonly sql: string } => {
  const names: Array<string> = []
  const sql = text.replace(/:([a-zA-Z]+)/g, (_, name: string) => {
    names.push(name)
    return '?'
  })
  const bind = (given: Params): Statement => {
    const params: Array<Param> = []
    for (const name of names) {
      const value = given[name]
      if (value === undefined) throw new TypeError(`the parameter ${name} is missing in ${sql}`)
      params.push(value)
    }
    return { sql, params }
  }
  return Object.assign(bind, { sql })
}
