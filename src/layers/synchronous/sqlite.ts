/**
 * SQLite in the process, as much of it as is used here. better-sqlite3 is of this shape; other engines are brought to it.
 */
import type * as Reactivity from '@effect/experimental/Reactivity'
import type { SqlClient } from '@effect/sql/SqlClient'
import type { SqlError } from '@effect/sql/SqlError'
import type { Effect, Scope } from 'effect'
import type { Driver } from './connection.js'

export interface OnlineCopy {
  /** Called between steps; gives how many pages the next one copies. */
  readonly progress: (pages: { readonly totalPages: number; readonly remainingPages: number }) => number
}

/** An open database. */
export interface Sqlite extends Driver {
  readonly inTransaction: boolean
  /** One or several statements; rows are left aside. */
  readonly exec: (sql: string) => unknown
  /** The rows that a pragma returns; with `simple` the first column of the first one. */
  readonly pragma: (text: string, options?: { readonly simple?: boolean }) => unknown
  /** Lets statements call a function. */
  readonly function: (
    name: string,
    options: { readonly deterministic: boolean },
    body: (...args: Array<any>) => unknown,
  ) => unknown
  /** SQLite's online backup, where the engine has it. */
  readonly backup?: (target: string, options: OnlineCopy) => Promise<unknown>
  /** Ends what is open of it, so that SQLite takes its journals away if nobody else has them open. */
  readonly close: () => unknown
}

export interface OpenOptions {
  /** How long SQLite waits for a lock, in milliseconds, blocking the process. */
  readonly timeout?: number
  readonly readonly?: boolean
  /** Otherwise a file that is not there is made. */
  readonly fileMustExist?: boolean
}

/** What @effect/sql runs migrations on. */
export interface MigrationClient {
  readonly client: SqlClient
  /** The database as bytes. */
  readonly image: Effect.Effect<Uint8Array, SqlError>
}

export interface NativeSqlite {
  /** Finds the driver's module for a thread of Node's, if a thread can have one. Throws where there is none, or another one than serves. */
  readonly module?: () => string
  /** Opens a file, or a copy of a database that is given as bytes. Throws what the driver throws. */
  readonly open: (place: string | Uint8Array, options?: OpenOptions) => Sqlite
  /** Waits five seconds for a lock. Closed with its scope; what cannot be opened is a defect. */
  readonly migrationClient: (
    path: string,
  ) => Effect.Effect<MigrationClient, never, Scope.Scope | Reactivity.Reactivity>
}
