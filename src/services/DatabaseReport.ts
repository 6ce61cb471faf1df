/**
 * What the database is and how large, for whoever administers it.
 */
import { Context, type Effect } from 'effect'
import type { StorageError } from './StorageError.js'

/** What only a database in the process can tell. */
export interface FileReport {
  /** Of the file, in bytes. */
  readonly bytes: number
  /** Within the file, to be used again. */
  readonly freeBytes: number
  /** Of the write-ahead log beside it. */
  readonly walBytes: number
  /** What is left on its disk, in bytes; absent in memory, and where the system does not tell. */
  readonly diskBytes?: number
  /** As they are in force. */
  readonly pragmas: Readonly<Record<string, string | number>>
}

/** How a database stands. */
export interface DatabaseFacts {
  /** As the settings name it; `memory` where there is none. */
  readonly engine: string
  /** The file, `:memory:`, or the address. Never a token. */
  readonly place: string
  /** The newest migration. */
  readonly schema: string
  /** Live ones. */
  readonly workspaces: number
  /** Who has ever signed in. */
  readonly users: number
  /** Entries in the change logs of all workspaces; absent where there is no database. */
  readonly logEntries?: number
  /** Absent where the database is not in the process. */
  readonly file?: FileReport
}

/** What the database is and how large. */
export class DatabaseReport extends Context.Tag('or3-provider-sqlite/DatabaseReport')<
  DatabaseReport,
  {
    /** What is known without asking: `engine`, `place`, `schema`. */
    readonly known: Pick<DatabaseFacts, 'engine' | 'place' | 'schema'>
    /** How things stand. Counts users and workspaces, so it is not for every request. */
    readonly facts: Effect.Effect<DatabaseFacts, StorageError>
    /** Succeeds when the database answers a read of one row: cheap enough for every few seconds. Whether it takes a write it does not tell. */
    readonly answers: Effect.Effect<void, StorageError>
  }
>() {}
