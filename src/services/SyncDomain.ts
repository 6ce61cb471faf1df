/**
 * The vocabulary of sync: tables, stamps, ops and changes as they travel between OR3 Chat and this package.
 */
import type { Revision } from './Revision.js'

/** The tables a host may sync. Their names enter SQL only from this list. */
export const syncedTables = [
  'threads',
  'messages',
  'projects',
  'posts',
  'kv',
  'file_meta',
  'notifications',
] as const

/** One of `syncedTables`. */
export type SyncedTable = (typeof syncedTables)[number]

const tableNames: ReadonlySet<unknown> = new Set(syncedTables)

/** Whether a value is the name of a synced table. */
export const isSyncedTable = (value: unknown): value is SyncedTable => tableNames.has(value)

/** The field of a payload that repeats the record's primary key. */
export const primaryKeyField = (table: SyncedTable): 'hash' | 'id' => (table === 'file_meta' ? 'hash' : 'id')

/** Bounds of the protocol. Beyond them an op is invalid, or a whole request is. */
export const limits = {
  /** Ops in one push. */
  batch: 1_000,
  /** Characters of an op id, device id or workspace id. */
  idLength: 256,
  /** Characters of a primary key. */
  pkLength: 1_024,
  /** Characters of a hybrid logical clock's reading. */
  hlcLength: 512,
  /** Levels of objects and arrays in a payload. */
  payloadDepth: 200,
  /** Bytes of a payload as UTF-8 JSON. */
  payloadBytes: 256 * 1024,
  /** Changes in one page, at most. */
  pageMax: 1_000,
  /** Characters of payload JSON in one page, at most; more than 30 payloads of the greatest size. */
  pageBytes: 8 * 1024 * 1024,
  /** Changes in one page when the caller does not say. */
  pageDefault: 100,
} as const

/** Names one revision of one record, and the device that made it. */
export interface Stamp {
  /** 1..256 characters of printable ASCII. */
  readonly deviceId: string
  /** The idempotency key: 1..256 characters of printable ASCII, unique per workspace. */
  readonly opId: string
  /** Hybrid logical clock, 1..512 characters of printable ASCII; compared by code unit. */
  readonly hlc: string
  /** Counts the record's revisions: a safe integer >= 0. */
  readonly clock: number
}

/** What an op does: sets the record as a whole, or deletes it. */
export type Operation = 'put' | 'delete'

/** An op as a client pushes it. The host's own bookkeeping fields (`id`, `attempts`, …) may be there and are ignored. */
export interface PendingOp {
  /** One of `syncedTables`; any other makes the op invalid. */
  readonly tableName: string
  /** Anything else makes the op invalid. */
  readonly operation: Operation
  /** 1..1,024 characters, without NUL or lone surrogates. */
  readonly pk: string
  /**
   * A plain JSON object; required for a put. At most 256 KiB of UTF-8 JSON, 200 levels deep. Its key field, if there, is
   * the `pk`.
   */
  readonly payload?: unknown
  /** The revision the op makes, and its idempotency key. */
  readonly stamp: Stamp
}

/** One change as a device pulls it. */
export interface SyncChange {
  /** The place of the change in the workspace's order, from 1: a cursor that has it asks for those above. */
  readonly serverVersion: number
  /** The record's table. */
  readonly tableName: SyncedTable
  /** The record's key. */
  readonly pk: string
  /** What became of the record. */
  readonly op: Operation
  /** As it was pushed: the same JSON value. Absent for a delete that brought none. */
  readonly payload?: unknown
  /** As it was pushed, but for the clock of a workspace that was restored from a backup. */
  readonly stamp: Stamp
}

/** What a call is confined to. */
export interface SyncScope {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** The host's; a workspace is synced as a whole, so it selects nothing. */
  readonly projectId?: string | undefined
}

/**
 * The signed-in user on whose behalf a call is made, and the workspace of that session. A call without a caller is trusted.
 */
export interface Caller {
  /** 1..256 characters. Decides which notifications the call may write and see. */
  readonly userId: string
  /** A scope that names another fails with `ScopeForbidden`; null allows none. */
  readonly workspaceId: string | null
}

/** A live record, as a snapshot has it. */
export interface SnapshotRow {
  /** Of what an item is. */
  readonly kind: 'row'
  /** The record's table. */
  readonly tableName: SyncedTable
  /** The record's key. */
  readonly pk: string
  /** As it was pushed: the same JSON value. It has the fields that the table requires. */
  readonly payload: unknown
  /** The winning one. */
  readonly revision: Revision
}

/** A deleted record, as a snapshot has it. */
export interface SnapshotTombstone {
  /** Of what an item is. */
  readonly kind: 'tombstone'
  /** The record's table. */
  readonly tableName: SyncedTable
  /** The record's key. */
  readonly pk: string
  /** Of the delete. */
  readonly revision: Revision
  /** When the server took the delete; epoch seconds. */
  readonly serverDeletedAt: number
}

/** One record of a snapshot. */
export type SnapshotItem = SnapshotRow | SnapshotTombstone
