/**
 * What the steps of an adoption share: the earlier package's tables, and how its values become ours.
 *
 * The values are whatever its writers left, so each goes through one of the expressions below. They depend on the value
 * alone: a revision that stands in the log, in a row and in a tombstone is the same revision afterwards.
 */
import { SqlClient } from '@effect/sql'
import type { SqlError } from '@effect/sql/SqlError'
import { Effect } from 'effect'

/** Frozen here, as in the migrations themselves. */
export const syncedTables = [
  'threads',
  'messages',
  'projects',
  'posts',
  'kv',
  'file_meta',
  'notifications',
] as const
export type SyncedTable = (typeof syncedTables)[number]

/** The tables of the earlier package whose names are ours as well. Its other tables belong to other features. */
export const legacyTables: ReadonlyArray<string> = [
  'users',
  'auth_accounts',
  'workspaces',
  'workspace_members',
  'server_version_counter',
  'change_log',
  'device_cursors',
  'tombstones',
  ...syncedTables.map((table) => `s_${table}`),
]

/** The name of a legacy table while it is being adopted. */
export const aside = (table: string) => `legacy_${table}`

type Migration<A> = Effect.Effect<A, SqlError, SqlClient.SqlClient>

export const rows = <Row extends object>(
  text: string,
  params: ReadonlyArray<unknown> = [],
): Migration<ReadonlyArray<Row>> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<Row>(text, [...params]))

/** Runs a statement; gives the number of rows it changed. */
export const run = (text: string, params: ReadonlyArray<unknown> = []): Migration<number> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql.unsafe(text, [...params]).raw,
      (result) => (result as { readonly changes?: number }).changes ?? 0,
    ),
  )

export const count = (from: string): Migration<number> =>
  Effect.map(rows<{ n: number }>(`SELECT count(*) AS n FROM ${from}`), ([row]) => row?.n ?? 0)

/** Which columns a table has; none for a table that is not there. */
export const columnsOf = (table: string): Migration<ReadonlySet<string>> =>
  Effect.map(
    rows<{ name: string }>('SELECT name FROM pragma_table_info(?)', [table]),
    (found) => new Set(found.map(({ name }) => name)),
  )

export const text = (x: string) => `CAST(${x} AS TEXT)`

/** No workspace has an empty id; that one means those to come. */
export const isId = (x: string) => `coalesce(${x}, '') <> ''`

/** A safe integer of at least 0, of whatever type the value is. */
export const integer = (x: string) => `min(max(CAST(coalesce(${x}, 0) AS INTEGER), 0), 9007199254740991)`

export const flag = (x: string) => `(${integer(x)} <> 0)`

/** 1..256 characters of printable ASCII. A NUL ends what `length` counts, but not what `octet_length` does. */
const isAscii = (x: string) =>
  `(typeof(${x}) = 'text' AND octet_length(${x}) BETWEEN 1 AND 256 AND octet_length(${x}) = length(${x})
    AND ${x} NOT GLOB '*[^ -~]*')`

/** Another id, or too much of it, is kept as `!` and the hexadecimal digits of its bytes, as many as fit. */
const ascii = (x: string, whenEmpty: string) =>
  `CASE WHEN ${isAscii(x)} THEN ${x} WHEN octet_length(coalesce(${x}, '')) = 0 THEN '${whenEmpty}'
    ELSE '!' || substr(hex(${x}), 1, 255) END`

/** Release 006 of the earlier package wrote `legacy:…` where it had no reading; one of a device never begins so. */
export const isReading = (x: string) => `(coalesce(${x}, '') <> '' AND ${x} NOT GLOB 'legacy:*')`

/** The lowest reading there is stands for an unknown one. */
export const hlc = (x: string) => `iif(${isReading(x)}, ${ascii(x, '')}, '000000000:000:00000000')`

export const deviceId = (x: string) => ascii(x, 'legacy')

/** An op id of the log. What is not printable gets the entry's row number too: cut off, it might not be unique. */
export const loggedOpId = (x: string, rowid: string) =>
  `iif(${isAscii(x)}, ${x}, 'legacy:' || substr(hex(coalesce(${x}, '')), 1, 200) || '#' || ${rowid})`

/** The op id of a row or tombstone; empty where it is unknown. One that was back-filled says nothing. */
export const knownOpId = (x: string) => `iif(${isAscii(x)} AND ${x} NOT GLOB 'legacy:*', ${x}, '')`

/** The op id, until it is given one, of a row that is to win over the log entries it ties with: greater than any other. */
export const tied = '~'

/** Unique within a workspace, since a synthetic id must not pass for another op's. */
export const syntheticOpId = (table: SyncedTable) =>
  `iif(${isAscii('pk')} AND length(pk) <= 200, 'legacy:${table}:' || pk, 'legacy:${table}#' || rowid)`

/** JSON text, or null for none. What is no JSON could not be served; it is kept as a string. A put has a payload. */
export const payload = (x: string, isPut: string) =>
  `CASE WHEN ${x} IS NULL OR (json_valid(${text(x)}) AND json_type(${text(x)}) = 'null') THEN iif(${isPut}, '{}', NULL)
    WHEN json_valid(${text(x)}) THEN ${text(x)}
    ELSE json_object('legacy_text', ${text(x)}) END`

/** What `payload` makes of what is no JSON, or nests deeper than SQLite reads. */
export const isKeptAsText = (x: string) => `${x} GLOB '{"legacy_text":*'`

/** Whose notification a payload says it is; the payload is JSON. */
export const payloadOwner = (x: string) =>
  `CASE json_type(${x}, '$.user_id') WHEN 'text' THEN ${x} ->> '$.user_id' END`
