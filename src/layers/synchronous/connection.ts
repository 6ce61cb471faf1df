/**
 * Synchronous statements on one handle of SQLite.
 *
 * The driver is synchronous, so a transaction here is one plain function: no fiber gets in between, nothing can be
 * interrupted half-way, and no lock is needed within the process. Measured, it also costs a tenth of a statement that is an
 * effect of its own.
 */
import { Either } from 'effect'

export interface Connection {
  /** All rows. */
  readonly all: <Row>(sql: string, ...params: ReadonlyArray<unknown>) => Array<Row>
  /** The first row, if there is one. */
  readonly first: <Row>(sql: string, ...params: ReadonlyArray<unknown>) => Row | undefined
  /** Runs a statement that returns no rows; gives the number of rows it changed. */
  readonly run: (sql: string, ...params: ReadonlyArray<unknown>) => number
  /** Any statement: its rows, none of one that returns none. */
  readonly execute: (sql: string, params: ReadonlyArray<unknown>) => Array<Readonly<Record<string, unknown>>>
  /** The same one after the other, of one that returns rows. To be read to its end, or left, before anything else. */
  readonly rows: (sql: string, params: ReadonlyArray<unknown>) => Iterable<Readonly<Record<string, unknown>>>
  /** One row after the other, as arrays, which is faster for wide ones. To be read to its end, or left, before anything else. */
  readonly each: <Row>(sql: string, ...params: ReadonlyArray<unknown>) => Iterable<Row>
}

/**
 * As much of the driver as is used here. Programs that use this package do not have the driver's own types, so the types that
 * they meet must not refer to these.
 */
export interface Driver {
  readonly prepare: (sql: string) => Statement
}

export interface Statement {
  readonly all: (...params: ReadonlyArray<any>) => Array<unknown>
  readonly get: (...params: ReadonlyArray<any>) => unknown
  readonly run: (...params: ReadonlyArray<any>) => { readonly changes: number }
  readonly iterate: (...params: ReadonlyArray<any>) => Iterable<unknown>
  readonly raw: (on: boolean) => Statement
  /** Whether it returns rows. */
  readonly reader: boolean
}

/** Prepares each text once. The texts are a fixed set: none is built from input. */
export const makeConnection = (database: Driver): Connection => {
  const prepared = new Map<string, Statement>()
  const preparedArrays = new Map<string, Statement>()
  const prepare = (sql: string) => {
    let statement = prepared.get(sql)
    if (statement === undefined) {
      statement = database.prepare(sql)
      prepared.set(sql, statement)
    }
    return statement
  }
  return {
    all: <Row>(sql: string, ...params: ReadonlyArray<unknown>) => prepare(sql).all(...params) as Array<Row>,
    first: <Row>(sql: string, ...params: ReadonlyArray<unknown>) =>
      prepare(sql).get(...params) as Row | undefined,
    run: (sql, ...params) => prepare(sql).run(...params).changes,
    execute: (sql, params) => {
      const prepared = prepare(sql)
      if (prepared.reader) return prepared.all(...params) as Array<Readonly<Record<string, unknown>>>
      prepared.run(...params)
      return []
    },
    rows: (sql, params) => prepare(sql).iterate(...params) as Iterable<Readonly<Record<string, unknown>>>,
    each: <Row>(sql: string, ...params: ReadonlyArray<unknown>) => {
      let statement = preparedArrays.get(sql)
      if (statement === undefined) {
        statement = database.prepare(sql).raw(true)
        preparedArrays.set(sql, statement)
      }
      return statement.iterate(...params) as Iterable<Row>
    },
  }
}

/** Runs the body in a transaction that ends with it, whatever it does. */
export const transaction =
  <A, E>(begin: string, body: (connection: Connection) => Either.Either<A, E>) =>
  (connection: Connection): Either.Either<A, E> => {
    connection.run(begin)
    try {
      const result = body(connection)
      connection.run(Either.isRight(result) ? 'COMMIT' : 'ROLLBACK')
      return result
    } catch (error) {
      // A failed COMMIT leaves the transaction open; after other errors SQLite has rolled back already, and refuses.
      try {
        connection.run('ROLLBACK')
      } catch {}
      throw error
    }
  }
