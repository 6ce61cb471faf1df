/**
 * Device cursors, and the garbage collection that they hold back.
 *
 * Collection goes step by step, each step a short transaction of its own, so that pushes get in between. Every step decides
 * afresh what may go, so it may stop anywhere and run beside itself.
 */
import { Effect, Either } from 'effect'
import { checkCursor, checkRetention } from '../../services/requests.js'
import type { StorageError } from '../../services/StorageError.js'
import type { SyncedTable } from '../../services/SyncDomain.js'
import { DeviceForbidden } from '../../services/SyncErrors.js'
import type {
  ChangeLogReport,
  CursorRequest,
  GatewayError,
  RetentionRequest,
  TombstoneReport,
} from '../../services/SyncGateway.js'
import type { Connection } from './connection.js'
import { contentHash } from '../sql/contentHash.js'
import type { Database } from './Database.js'
import { logEntryColumns, type LogEntryTuple } from '../sql/logEntry.js'
import { positionOf } from './position.js'
import { perTable } from './pushSql.js'
import { epochSeconds, letOthersGo } from '../time.js'

/** Log entries or tombstones in one collecting transaction; each costs a second row, so that it writes 1,000 at most. */
export const stepSize = 500

/** Characters of payload at which a step ends too: each entry's is read and hashed, and other processes wait meanwhile. */
const stepBytes = 1024 * 1024

/**
 * Every deletion names its index: with statistics from a time when a table was small, SQLite would rather read all of it, in
 * each step.
 *
 * @readByTests of the query plans.
 */
export const retentionSql = {
  /** Changes no row where the device is another user's. */
  reportCursor: `
    INSERT INTO device_cursors (workspace_id, device_id, last_seen_version, updated_at, owner_user_id)
    VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id, device_id) DO UPDATE SET
      last_seen_version = max(last_seen_version, excluded.last_seen_version), updated_at = excluded.updated_at,
      owner_user_id = coalesce(owner_user_id, excluded.owner_user_id)
    WHERE owner_user_id = coalesce(excluded.owner_user_id, owner_user_id) OR owner_user_id IS NULL`,

  dropStaleCursors: `
    DELETE FROM device_cursors INDEXED BY sqlite_autoindex_device_cursors_1 WHERE workspace_id = ? AND updated_at < ?`,

  slowest: `
    SELECT min(last_seen_version) AS version FROM device_cursors INDEXED BY sqlite_autoindex_device_cursors_1 WHERE workspace_id = ?`,

  /** The front of the log, which is read no further than the step goes. */
  frontOfLog: `
    SELECT ${logEntryColumns}, op_id, created_at
    FROM change_log WHERE workspace_id = ? AND server_version < ? ORDER BY server_version LIMIT ${stepSize}`,

  rememberOps: `
    INSERT INTO trimmed_ops (workspace_id, op_id, server_version, content_hash, created_at)
    SELECT ?, e.value ->> 0, e.value ->> 1, unhex(e.value ->> 2), e.value ->> 3 FROM json_each(?) AS e`,

  trimLog: `
    DELETE FROM change_log INDEXED BY change_log_by_version WHERE workspace_id = ? AND server_version <= ?`,

  raiseFloor: `
    UPDATE server_version_counter SET trimmed_version = max(trimmed_version, ?) WHERE workspace_id = ?`,

  forgetOps: `
    DELETE FROM trimmed_ops INDEXED BY sqlite_autoindex_trimmed_ops_1 WHERE workspace_id = ? AND op_id IN (
      SELECT op_id FROM trimmed_ops INDEXED BY trimmed_ops_by_age WHERE workspace_id = ? AND created_at < ?
      LIMIT ${stepSize})`,

  passedTombstones: `
    SELECT table_name, server_version, deleted_at FROM tombstones
    WHERE workspace_id = ? AND server_version > ? AND server_version < ?
    ORDER BY server_version LIMIT ${stepSize}`,

  dropTombstones: `
    DELETE FROM tombstones INDEXED BY tombstones_by_version
    WHERE workspace_id = ? AND server_version IN (SELECT value FROM json_each(?))`,

  /** A row of a winning delete has that delete's version, as its tombstone does. */
  erase: perTable(
    (table) => `
      UPDATE s_${table} INDEXED BY s_${table}_by_version SET data_json = NULL
      WHERE workspace_id = ? AND server_version IN (SELECT value FROM json_each(?)) AND deleted = 1
        AND data_json IS NOT NULL`,
  ),
}

export const updateCursor =
  (database: Database['Type']) =>
  (request: CursorRequest): Effect.Effect<void, DeviceForbidden | GatewayError> =>
    Effect.gen(function* () {
      const { workspaceId, userId, deviceId, version } = yield* checkCursor(request)
      const now = yield* epochSeconds
      // One statement is a transaction of its own.
      const changed = yield* database.direct('update cursor', (connection) =>
        connection.run(retentionSql.reportCursor, workspaceId, deviceId, version, now, userId ?? null),
      )
      if (changed === 0) return yield* new DeviceForbidden({})
    })

interface Step {
  readonly connection: Connection
  readonly workspaceId: string
  /** Entries made before it are older than the retention window; epoch seconds. */
  readonly cutoff: number
  readonly now: number
}

const dropStaleCursors = ({ connection, workspaceId, cutoff }: Step) =>
  connection.run(retentionSql.dropStaleCursors, workspaceId, cutoff)

/** What every live cursor has passed, as versions are stored; null when there is none. */
const slowestCursor = ({ connection, workspaceId }: Step) => {
  const slowest =
    connection.first<{ version: number | null }>(retentionSql.slowest, workspaceId)?.version ?? null
  return slowest === null ? null : slowest - positionOf(connection, workspaceId).versionOffset
}

/** Runs steps on one workspace, each a transaction. */
const writer =
  (database: Database['Type'], operation: string, workspaceId: string, retention: number, now: number) =>
  <A>(body: (step: Step) => A): Effect.Effect<A, StorageError> =>
    database.write(operation, (connection) =>
      Either.right(body({ connection, workspaceId, cutoff: now - retention, now })),
    )

/** Takes steps until one finds nothing more to do; adds up what they removed. */
const stepwise = <E>(step: Effect.Effect<{ readonly removed: number; readonly done: boolean }, E>) => {
  const loop = (total: number): Effect.Effect<number, E> =>
    Effect.flatMap(step, ({ removed, done }) =>
      done ? Effect.succeed(total + removed) : Effect.zipRight(letOthersGo, loop(total + removed)),
    )
  return loop(0)
}

/** Columns of `frontOfLog`. */
type AgedRow = readonly [...LogEntryTuple, createdAt: number]

/** What `trimmed_ops` keeps of an entry. */
const remembered = (row: AgedRow, now: number) => {
  const [version, tableName, pk, operation, payloadJson, clock, hlc, deviceId, opId] = row
  const content = { tableName, operation, pk, payloadJson, clock, hlc, deviceId }
  return [opId, version, contentHash(content).toString('hex'), now]
}

/** What a step takes from the front of the log, and whether there is no more to take behind it. */
const oldFront = ({ connection, workspaceId, cutoff, now }: Step, slowest: number) => {
  const ops: Array<ReturnType<typeof remembered>> = []
  let last = 0
  let bytes = 0
  for (const row of connection.each<AgedRow>(retentionSql.frontOfLog, workspaceId, slowest)) {
    const [version, , , , payloadJson, , , , , createdAt] = row
    if (createdAt >= cutoff) return { ops, last, done: true }
    ops.push(remembered(row, now))
    last = version
    bytes += payloadJson?.length ?? 0
    if (bytes >= stepBytes) return { ops, last, done: false }
  }
  return { ops, last, done: ops.length < stepSize }
}

const trimStep = (step: Step) => {
  const { connection, workspaceId } = step
  const slowest = slowestCursor(step)
  if (slowest === null) return { removed: 0, done: true }
  const { ops, last, done } = oldFront(step, slowest)
  if (ops.length === 0) return { removed: 0, done }
  connection.run(retentionSql.rememberOps, workspaceId, JSON.stringify(ops))
  // In this order: nothing above the floor can be deleted, see migration 004.
  connection.run(retentionSql.raiseFloor, last, workspaceId)
  connection.run(retentionSql.trimLog, workspaceId, last)
  return { removed: ops.length, done }
}

const forgetStep = ({ connection, workspaceId, cutoff }: Step) => {
  const removed = connection.run(retentionSql.forgetOps, workspaceId, workspaceId, cutoff)
  return { removed, done: removed < stepSize }
}

/** Trims the log of a workspace; `retention` in seconds. */
export const trimChangeLog = (database: Database['Type'], workspaceId: string, retention: number) =>
  Effect.gen(function* () {
    const write = writer(database, 'gc change log', workspaceId, retention, yield* epochSeconds)
    const cursors = yield* write(dropStaleCursors)
    const entries = yield* stepwise(write(trimStep))
    const opIds = yield* stepwise(write(forgetStep))
    return { entries, opIds, cursors }
  })

export const gcChangeLog =
  (database: Database['Type']) =>
  (request: RetentionRequest): Effect.Effect<ChangeLogReport, GatewayError> =>
    Effect.flatMap(checkRetention(request), ({ workspaceId, retentionSeconds }) =>
      trimChangeLog(database, workspaceId, retentionSeconds),
    )

/** Looks at the passed tombstones above `position`, and removes the old ones among them. */
const collectStep = (step: Step, position: number) => {
  const { connection, workspaceId, cutoff } = step
  const slowest = slowestCursor(step)
  if (slowest === null) return { removed: 0, done: true, last: position }
  const passed = connection.all<{ table_name: SyncedTable; server_version: number; deleted_at: number }>(
    retentionSql.passedTombstones,
    workspaceId,
    position,
    slowest,
  )
  const old = passed.filter((row) => row.deleted_at < cutoff)
  if (old.length > 0) {
    const versions = JSON.stringify(old.map((row) => row.server_version))
    connection.run(retentionSql.dropTombstones, workspaceId, versions)
    for (const table of new Set(old.map((row) => row.table_name))) {
      connection.run(retentionSql.erase[table], workspaceId, versions)
    }
  }
  return {
    removed: old.length,
    done: passed.length < stepSize,
    last: passed.at(-1)?.server_version ?? position,
  }
}

/** Collects the tombstones of a workspace; `retention` in seconds. */
export const collectTombstones = (database: Database['Type'], workspaceId: string, retention: number) =>
  Effect.gen(function* () {
    const write = writer(database, 'gc tombstones', workspaceId, retention, yield* epochSeconds)
    const cursors = yield* write(dropStaleCursors)
    let position = 0
    const step = Effect.suspend(() => write((step) => collectStep(step, position)))
    const tombstones = yield* stepwise(
      Effect.tap(step, ({ last }) => {
        position = last
      }),
    )
    return { tombstones, cursors }
  })

export const gcTombstones =
  (database: Database['Type']) =>
  (request: RetentionRequest): Effect.Effect<TombstoneReport, GatewayError> =>
    Effect.flatMap(checkRetention(request), ({ workspaceId, retentionSeconds }) =>
      collectTombstones(database, workspaceId, retentionSeconds),
    )
