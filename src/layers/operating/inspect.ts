/**
 * What an operator wants to know about a database, read in one snapshot.
 */
import { existsSync, statSync } from 'node:fs'
import type { Sqlite } from '../synchronous/sqlite.js'
import { Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import { type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { makeConnection } from '../synchronous/connection.js'
import { lookIn } from './look.js'
import { ask, type Look } from '../sql/look.js'
import { attempt, pinSnapshot } from './observer.js'
import type { Row } from '../sql/batch.js'
import { unbornWorkspace } from '../synchronous/position.js'
import { perTable } from '../sql/perTable.js'
import { legacyTotal, workspaceCount } from './backup.js'
import { withOffsetsOf } from './schemaState.js'
import { type KnownSchema, lookAtSchema, type SchemaState } from '../sql/schemaLook.js'
import { ledgers, requiredTables } from '../sql/schemaVersion.js'
import { epochSeconds } from '../time.js'

export interface SlowestDevice {
  readonly deviceId: string
  readonly version: number
  /** Versions it is behind the high watermark. */
  readonly behind: number
  /** Seconds since it was last heard of. */
  readonly heardOf: number
}

export interface WorkspaceStatus {
  readonly id: string
  /** Null for one that only the sync gateway knows. */
  readonly name: string | null
  readonly removed: boolean
  readonly members: number
  readonly liveRows: Partial<Record<SyncedTable, number>>
  readonly logEntries: number
  /** The high watermark. */
  readonly version: number
  /** Up to here the log is trimmed; 0 while nothing is. */
  readonly floor: number
  /** Seconds. */
  readonly oldestEntryAge: number | null
  readonly devices: number
  readonly slowestDevice: SlowestDevice | null
}

/** What a database says of itself, whatever engine has it. */
export interface Content {
  readonly schema: SchemaState
  /** Empty while the schema lacks the tables. */
  readonly workspaces: ReadonlyArray<WorkspaceStatus>
  /** Tables of the earlier package that this one does not serve, and keeps as they are; absent when there are none. */
  readonly notServed?: ReadonlyArray<string>
  /** Of a database of the earlier package, which is adopted before its workspaces can be told one by one; else absent. */
  readonly toAdopt?: { readonly workspaces: number; readonly versions: number }
}

/** What only a file has. */
export interface FileFacts {
  readonly path: string
  readonly bytes: number
  readonly walBytes: number
  /** Within the file, to be used again; `vacuum` gives them back. */
  readonly freeBytes: number
  readonly pragmas: Readonly<Record<string, string | number>>
  /** Whether the note is there by which a restored backup is recognised. */
  readonly hasNote: boolean
}

export type FileStatus = FileFacts & Content

/** Over a network there is an address, and the rest is the service's own. */
export type DatabaseStatus = FileStatus | ({ readonly address: string } & Content)

const known = `
  SELECT id, name, deleted,
    (SELECT count(*) FROM workspace_members AS m WHERE m.workspace_id = w.id) AS members
  FROM workspaces AS w ORDER BY created_at, id`

const positions = `
  SELECT workspace_id AS id, value + version_offset AS version,
    iif(trimmed_version = 0, 0, trimmed_version + version_offset) AS floor
  FROM server_version_counter WHERE workspace_id <> '${unbornWorkspace}' ORDER BY workspace_id`

const logs = `
  SELECT workspace_id AS id, entries, (SELECT created_at FROM change_log AS l
    WHERE l.workspace_id = g.workspace_id AND l.server_version = g.first) AS oldest
  FROM (SELECT workspace_id, count(*) AS entries, min(server_version) AS first FROM change_log
    GROUP BY workspace_id) AS g`

const devices = `
  SELECT * FROM (
    SELECT workspace_id AS id, device_id AS deviceId, last_seen_version AS version, updated_at AS heardOf,
      count(*) OVER (PARTITION BY workspace_id) AS devices,
      row_number() OVER (PARTITION BY workspace_id ORDER BY last_seen_version, device_id) AS place
    FROM device_cursors)
  WHERE place = 1`

const liveRows = perTable(
  (table) => `SELECT workspace_id AS id, count(*) AS rows FROM s_${table} WHERE deleted = 0 GROUP BY 1`,
)

type Rows = ReadonlyMap<string, Row>

const byId = (rows: ReadonlyArray<Row>): Rows => new Map(rows.map((row) => [row.id, row]))

function* lookAtWorkspaces(
  schema: SchemaState,
  tables: ReadonlySet<string>,
  now: number,
): Look<ReadonlyArray<WorkspaceStatus>> {
  // A pending migration may have yet to make one of them.
  const synced = syncedTables.filter((table) => tables.has(`s_${table}`))
  const results = yield [
    ...[known, withOffsetsOf(schema, positions), logs, devices],
    ...synced.map((table) => liveRows[table]),
  ].map((sql) => ask(sql))
  const [people, places, history, slowest, ...counts] = results.map(byId) as [
    ...[Rows, Rows, Rows, Rows],
    ...ReadonlyArray<Rows>,
  ]
  const rows = synced.map((table, place) => [table, counts[place]!] as const)
  return [...new Set([...people.keys(), ...places.keys()])].map((id) => {
    const person = people.get(id)
    const { version = 0, floor = 0 } = places.get(id) ?? {}
    const log = history.get(id)
    const device = slowest.get(id)
    return {
      id,
      name: person?.name ?? null,
      removed: person?.deleted === 1,
      members: person?.members ?? 0,
      liveRows: Object.fromEntries(
        rows.flatMap(([table, counts]) => {
          const count: number | undefined = counts.get(id)?.rows
          return count === undefined ? [] : [[table, count]]
        }),
      ),
      logEntries: log?.entries ?? 0,
      version,
      floor,
      oldestEntryAge: typeof log?.oldest === 'number' ? Math.max(0, now - log.oldest) : null,
      devices: device?.devices ?? 0,
      slowestDevice:
        device === undefined
          ? null
          : {
              deviceId: device.deviceId,
              version: device.version,
              behind: Math.max(0, version - device.version),
              heardOf: Math.max(0, now - device.heardOf),
            },
    }
  })
}

/** The tables of sync came with the second migration. */
const hasTables = ({ kind, pending }: SchemaState) => kind === 'ours' && pending.every(({ id }) => id > 2)

/** Asked only where there is the table. */
const adoptable = [
  ['workspaces', workspaceCount],
  ['server_version_counter', legacyTotal],
] as const

function* lookAtAdoptable(tables: ReadonlySet<string>): Look<NonNullable<Content['toAdopt']>> {
  const results = yield adoptable.map(([table, sql]) => ask(tables.has(table) ? sql : 'SELECT 0 AS count'))
  const [workspaces, versions] = results.map(([row]) => row!.count as number)
  return { workspaces: workspaces!, versions: versions! }
}

/** Once all that can be adopted is; of a database that never was the earlier package's, other tables are somebody else's. */
const notServedOf = ({ pending }: SchemaState, tables: ReadonlySet<string>) =>
  pending.length === 0 && tables.has('kysely_migration')
    ? [...tables].filter((table) => !requiredTables.includes(table) && !ledgers.has(table)).sort()
    : []

/** What there is beside the schema; `now` in epoch seconds. */
export function* lookAtContent({ schema, tables }: KnownSchema, now: number): Look<Content> {
  const notServed = notServedOf(schema, tables)
  return {
    schema,
    workspaces: hasTables(schema) ? yield* lookAtWorkspaces(schema, tables, now) : [],
    ...(notServed.length > 0 ? { notServed } : {}),
    ...(schema.kind === 'legacy' ? { toAdopt: yield* lookAtAdoptable(tables) } : {}),
  }
}

/** Bytes within the file that hold nothing. */
export const freeBytesOf = (database: Sqlite): number =>
  ['freelist_count', 'page_size']
    .map((name) => Number(database.pragma(name, { simple: true })))
    .reduce((pages, size) => pages * size)

const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

/** The database must be open; it is never opened by other means here, see `databaseFile.ts`. */
export const inspect = (database: Sqlite, path: string): Effect.Effect<FileStatus, StorageError> =>
  Effect.flatMap(epochSeconds, (now) =>
    attempt('status', () => {
      pinSnapshot(database)
      const connection = makeConnection(database)
      const known = lookIn(connection, lookAtSchema())
      const { schema, ...content } = lookIn(connection, lookAtContent(known, now))
      const pragma = (name: string) => database.pragma(name, { simple: true }) as string | number
      const pragmas = Object.fromEntries(
        ['journal_mode', 'page_size', 'auto_vacuum', 'encoding'].map((name) => [name, pragma(name)]),
      )
      return {
        path,
        bytes: sizeOf(path),
        walBytes: sizeOf(`${path}-wal`),
        freeBytes: freeBytesOf(database),
        schema,
        pragmas,
        hasNote: existsSync(`${path}-seen`),
        ...content,
      }
    }),
  )

/** Workspaces that have synced. */
export function* countSynced(): Look<number> {
  const [rows] = yield [
    ask(`SELECT count(*) AS count FROM server_version_counter WHERE workspace_id <> '${unbornWorkspace}'`),
  ]
  return rows![0]!.count
}

/** Whether anybody would see what is in the workspace; undefined for one that the database does not know. */
export function* lookAtWorkspace(
  id: string,
): Look<{ readonly name: string | null; readonly removed: boolean } | undefined> {
  const [people, synced] = yield [
    ask('SELECT name, deleted FROM workspaces WHERE id = ?', id),
    ask('SELECT 1 AS known FROM server_version_counter WHERE workspace_id = ?', id),
  ]
  const person = people![0]
  if (person !== undefined) return { name: person.name, removed: person.deleted === 1 }
  return synced!.length === 0 || id === unbornWorkspace ? undefined : { name: null, removed: false }
}
