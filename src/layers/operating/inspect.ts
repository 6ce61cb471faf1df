/**
 * What an operator wants to know about a database, read in one snapshot.
 */
import { existsSync, statSync } from 'node:fs'
import type Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import { type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { type Connection, makeConnection } from '../synchronous/connection.js'
import { attempt, pinSnapshot } from './observer.js'
import { unbornWorkspace } from '../synchronous/position.js'
import { perTable } from '../synchronous/pushSql.js'
import { extentIn, workspacesIn } from './backup.js'
import { type SchemaState, schemaState, withOffsetsOf } from './schemaState.js'
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

export interface DatabaseStatus {
  readonly path: string
  readonly bytes: number
  readonly walBytes: number
  /** Within the file, to be used again; `vacuum` gives them back. */
  readonly freeBytes: number
  readonly schema: SchemaState
  readonly pragmas: Readonly<Record<string, string | number>>
  /** Whether the note is there by which a restored backup is recognised. */
  readonly hasNote: boolean
  /** Empty while the schema lacks the tables. */
  readonly workspaces: ReadonlyArray<WorkspaceStatus>
  /** Of a database of the earlier package, which is adopted before its workspaces can be told one by one; else absent. */
  readonly toAdopt?: { readonly workspaces: number; readonly versions: number }
}

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

/** With `min`, SQLite takes the other columns from the row that has it. */
const devices = `
  SELECT workspace_id AS id, count(*) AS devices, device_id AS deviceId, min(last_seen_version) AS version,
    updated_at AS heardOf
  FROM device_cursors GROUP BY workspace_id`

const liveRows = perTable(
  (table) => `SELECT workspace_id AS id, count(*) AS rows FROM s_${table} WHERE deleted = 0 GROUP BY 1`,
)

/** A pending migration may have yet to make it. */
const hasTable = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`

const byId = <Row extends { readonly id: string }>(rows: ReadonlyArray<Row>) =>
  new Map(rows.map((row) => [row.id, row]))

const workspacesOf = (
  connection: Connection,
  schema: SchemaState,
  now: number,
): ReadonlyArray<WorkspaceStatus> => {
  const people = byId(connection.all<{ id: string; name: string; deleted: number; members: number }>(known))
  const places = byId(
    connection.all<{ id: string; version: number; floor: number }>(withOffsetsOf(schema, positions)),
  )
  const history = byId(connection.all<{ id: string; entries: number; oldest: number | null }>(logs))
  const slowest = byId(
    connection.all<{ id: string; devices: number; deviceId: string; version: number; heardOf: number }>(
      devices,
    ),
  )
  const rows = syncedTables
    .filter((table) => connection.first(hasTable, `s_${table}`) !== undefined)
    .map((table) => [table, byId(connection.all<{ id: string; rows: number }>(liveRows[table]))] as const)
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
          const count = counts.get(id)?.rows
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

const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

/** The database must be open; it is never opened by other means here, see `databaseFile.ts`. */
export const inspect = (
  database: Sqlite.Database,
  path: string,
): Effect.Effect<DatabaseStatus, StorageError> =>
  Effect.flatMap(epochSeconds, (now) =>
    attempt('status', () => {
      pinSnapshot(database)
      const connection = makeConnection(database)
      const schema = schemaState(connection)
      const pragma = (name: string) => database.pragma(name, { simple: true }) as string | number
      const pragmas = Object.fromEntries(
        ['journal_mode', 'page_size', 'auto_vacuum', 'encoding'].map((name) => [name, pragma(name)]),
      )
      return {
        path,
        bytes: sizeOf(path),
        walBytes: sizeOf(`${path}-wal`),
        freeBytes: Number(pragma('freelist_count')) * Number(pragma('page_size')),
        schema,
        pragmas,
        hasNote: existsSync(`${path}-seen`),
        workspaces: hasTables(schema) ? workspacesOf(connection, schema, now) : [],
        ...(schema.kind === 'legacy'
          ? { toAdopt: { workspaces: workspacesIn(connection), versions: extentIn(connection).total } }
          : {}),
      }
    }),
  )

/** Whether anybody would see what is in the workspace; undefined for one that the database does not know. */
export const workspaceNamed = (
  connection: Connection,
  id: string,
): { readonly name: string | null; readonly removed: boolean } | undefined => {
  const person = connection.first<{ name: string; deleted: number }>(
    'SELECT name, deleted FROM workspaces WHERE id = ?',
    id,
  )
  if (person !== undefined) return { name: person.name, removed: person.deleted === 1 }
  const synced = connection.first('SELECT 1 FROM server_version_counter WHERE workspace_id = ?', id)
  return synced === undefined || id === unbornWorkspace ? undefined : { name: null, removed: false }
}
