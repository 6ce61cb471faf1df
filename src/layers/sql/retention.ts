/**
 * Device cursors, and the garbage collection that they hold back, on any engine.
 *
 * Collection goes step by step, each step a short transaction of its own, so that pushes get in between. What a step may take is
 * read, looked at here, and taken by a batch that applies only if nothing stands against it any more; the same batch reads what
 * the next step may take. So it may stop anywhere and run beside itself, and costs one round trip more than it has steps.
 */
import { Effect, Either } from 'effect'
import { checkCursor, checkRetention } from '../../services/requests.js'
import type { StorageError } from '../../services/StorageError.js'
import type { SyncedTable } from '../../services/SyncDomain.js'
import { DeviceForbidden, ScopeForbidden } from '../../services/SyncErrors.js'
import type {
  ChangeLogReport,
  CursorRequest,
  GatewayError,
  RetentionRequest,
  TombstoneReport,
} from '../../services/SyncGateway.js'
import { afterCheck } from '../afterCheck.js'
import { epochSeconds, letOthersWrite } from '../time.js'
import { type Batch, type Results, type Row, type Statement, statement } from './batch.js'
import type { Batches } from './Batches.js'
import { contentHash } from './contentHash.js'
import { contentOf, logEntryColumns, type LogEntryRow } from './logEntry.js'
import { damage, DamagedPayload } from './payload.js'
import { perTable } from './perTable.js'
import { isClosed, purgeSql } from './purgeSql.js'

/** Log entries or tombstones in one step; each costs a second row, so that it writes 1,000 at most. */
export const stepSize = 500

/** Characters of payload at which a step ends too: each entry's is read and hashed. */
const stepBytes = 1024 * 1024

/** What every live cursor has passed, as versions are stored; null when there is none. */
const slowest = `(
  SELECT min(d.last_seen_version) - coalesce((
    SELECT c.version_offset FROM server_version_counter AS c WHERE c.workspace_id = :workspaceId), 0)
  FROM device_cursors AS d INDEXED BY sqlite_autoindex_device_cursors_1
  WHERE d.workspace_id = :workspaceId)`

/** The floor is where the step found it, and no cursor has come from below. */
const stillFree = `(SELECT c.trimmed_version = :floor FROM server_version_counter AS c WHERE c.workspace_id = :workspaceId)
  AND :last < ${slowest}`

const log = `change_log INDEXED BY change_log_by_version WHERE workspace_id = :workspaceId`

const payloadLength = 'coalesce(length(payload_json), 0)'

/**
 * Every deletion names its index: with statistics from a time when a table was small, SQLite would rather read all of it, in
 * each step.
 *
 * @readByTests of the query plans.
 */
export const retentionSql = {
  /** Changes no row where the device is another user's, the workspace is purged, or the user erased. */
  reportCursor: statement(`
    INSERT INTO device_cursors (workspace_id, device_id, last_seen_version, updated_at, owner_user_id)
    SELECT :workspaceId, :deviceId, :version, :now, :userId WHERE NOT ${isClosed}
    ON CONFLICT (workspace_id, device_id) DO UPDATE SET
      last_seen_version = max(last_seen_version, excluded.last_seen_version), updated_at = excluded.updated_at,
      owner_user_id = coalesce(owner_user_id, excluded.owner_user_id)
    WHERE owner_user_id = coalesce(excluded.owner_user_id, owner_user_id) OR owner_user_id IS NULL
    RETURNING 1 AS reported`),

  dropStaleCursors: statement(`
    DELETE FROM device_cursors INDEXED BY sqlite_autoindex_device_cursors_1
    WHERE workspace_id = :workspaceId AND updated_at < :cutoff RETURNING 1 AS dropped`),

  /** Of the log below the slowest cursor, what comes before the first entry that is young; and where the floor is. */
  front: statement(`
    SELECT * FROM (
      SELECT *, sum(${payloadLength}) OVER (ORDER BY server_version) AS total,
        max(created_at) OVER (ORDER BY server_version) AS newest
      FROM (
        SELECT ${logEntryColumns}, op_id, created_at, (
          SELECT c.trimmed_version FROM server_version_counter AS c WHERE c.workspace_id = :workspaceId) AS floor
        FROM ${log} AND server_version < CASE
          WHEN (SELECT created_at FROM ${log} ORDER BY server_version LIMIT 1) < :cutoff THEN ${slowest} END
        ORDER BY server_version LIMIT ${stepSize}))
    WHERE total - ${payloadLength} < ${stepBytes} AND newest < :cutoff`),

  rememberOps: statement(`
    INSERT INTO trimmed_ops (workspace_id, op_id, server_version, content_hash, created_at)
    SELECT :workspaceId, e.value ->> 0, e.value ->> 1, unhex(e.value ->> 2), :now FROM json_each(:ops) AS e
    WHERE ${stillFree}`),
  /** In this order: nothing above the floor can be deleted, see migration 004. */
  raiseFloor: statement(`
    UPDATE server_version_counter SET trimmed_version = max(trimmed_version, :last)
    WHERE workspace_id = :workspaceId AND ${stillFree} RETURNING 1 AS raised`),
  /** What the floor does not cover stays, and what was not remembered. Below the floor of a workspace that leapt there may be entries. */
  trimLog: statement(`
    DELETE FROM ${log} AND server_version <= :last AND server_version <= (
      SELECT c.trimmed_version FROM server_version_counter AS c WHERE c.workspace_id = :workspaceId)
    AND EXISTS (SELECT 1 FROM trimmed_ops AS t INDEXED BY sqlite_autoindex_trimmed_ops_1
      WHERE t.workspace_id = :workspaceId AND t.op_id = change_log.op_id)`),

  forgetOps: statement(`
    DELETE FROM trimmed_ops INDEXED BY sqlite_autoindex_trimmed_ops_1
    WHERE workspace_id = :workspaceId AND op_id IN (
      SELECT op_id FROM trimmed_ops INDEXED BY trimmed_ops_by_age
      WHERE workspace_id = :workspaceId AND created_at < :cutoff LIMIT ${stepSize})
    RETURNING 1 AS forgotten`),

  passedTombstones: statement(`
    SELECT table_name, server_version, deleted_at FROM tombstones INDEXED BY tombstones_by_version
    WHERE workspace_id = :workspaceId AND server_version > :position AND server_version < ${slowest}
    ORDER BY server_version LIMIT ${stepSize}`),
  dropTombstones: statement(`
    DELETE FROM tombstones INDEXED BY tombstones_by_version
    WHERE workspace_id = :workspaceId AND server_version IN (SELECT value FROM json_each(:versions))
      AND server_version < ${slowest} RETURNING 1 AS dropped`),
  /** A row of a winning delete has that delete's version, as its tombstone does. */
  erase: perTable((table) =>
    statement(`
      UPDATE s_${table} INDEXED BY s_${table}_by_version SET data_json = NULL
      WHERE workspace_id = :workspaceId AND server_version IN (SELECT value FROM json_each(:versions)) AND deleted = 1
        AND data_json IS NOT NULL AND server_version < ${slowest}`),
  ),
}

export const updateCursor =
  ({ read, write }: Batches['Type']) =>
  (request: CursorRequest): Effect.Effect<void, DeviceForbidden | GatewayError> =>
    afterCheck(checkCursor(request), ({ workspaceId, userId = null, deviceId, version }) =>
      Effect.flatMap(epochSeconds, (now) =>
        Effect.flatMap(
          write('update cursor', report({ workspaceId, userId, deviceId, version, now })),
          (isTaken): Effect.Effect<void, Refused | StorageError> =>
            isTaken
              ? Effect.void
              : Effect.flatMap(read('update cursor', refusal({ workspaceId, userId })), Effect.fail),
        ),
      ),
    )

const report = (cursor: Parameters<typeof retentionSql.reportCursor>[0]): Batch<boolean> => ({
  statements: [retentionSql.reportCursor(cursor)],
  read: ([reported]) => Either.right(reported!.length > 0),
})

type Refused = DeviceForbidden | ScopeForbidden

/** Why a report was not taken: asked afterwards, since most are. */
const refusal = (of: Parameters<typeof purgeSql.closed>[0]): Batch<Refused> => ({
  statements: [purgeSql.closed(of)],
  read: ([closed]) => Either.right(closed!.length > 0 ? new ScopeForbidden({}) : new DeviceForbidden({})),
})

/** A collection of one workspace. Times in epoch seconds. */
type Collection = Readonly<{
  workspaceId: string
  /** What was made before is older than the retention window. */
  cutoff: number
  now: number
}>

const collectionOf = (workspaceId: string, retention: number) =>
  Effect.map(epochSeconds, (now): Collection => ({ workspaceId, now, cutoff: now - retention }))

const stepOf = (...statements: ReadonlyArray<Statement>): Batch<Results> => ({
  statements,
  read: (results) => Either.right(results),
})

/** What `trimmed_ops` keeps of an entry. */
const remembered = (row: Row) => [
  row.op_id,
  row.server_version,
  contentHash(contentOf(row.op_id, row as LogEntryRow)).toString('hex'),
]

/** Takes what was found at the front of the log, if it is free still, and looks at what is there then. */
const trim = (collection: Collection, old: ReadonlyArray<Row>): Batch<Results> => {
  const { server_version: last, floor } = old.at(-1)!
  const params = { ...collection, last, floor, ops: JSON.stringify(old.map(remembered)) }
  return stepOf(
    retentionSql.rememberOps(params),
    retentionSql.raiseFloor(params),
    retentionSql.trimLog(params),
    retentionSql.front(collection),
  )
}

/** What meets damage fails with it. */
const readable = <A>(make: () => A): Effect.Effect<A, StorageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(make())
    } catch (error) {
      if (error instanceof DamagedPayload) return Effect.fail(damage('gc change log')(error))
      throw error
    }
  })

/** Trims the log of a workspace; `retention` in seconds. */
export const trimChangeLog = (
  { write }: Batches['Type'],
  workspaceId: string,
  retention: number,
): Effect.Effect<ChangeLogReport, StorageError> =>
  Effect.gen(function* () {
    const collection = yield* collectionOf(workspaceId, retention)
    const run = (step: Batch<Results>) => write('gc change log', step)
    const forget = retentionSql.forgetOps(collection)
    const beginning = yield* run(
      stepOf(retentionSql.dropStaleCursors(collection), forget, retentionSql.front(collection)),
    )
    const [dropped, forgotten] = beginning
    let opIds = forgotten!.length
    for (let last = opIds; last === stepSize;) {
      yield* letOthersWrite
      const [more] = yield* run(stepOf(forget))
      last = more!.length
      opIds += last
    }
    let entries = 0
    for (let old = beginning[2]!; old.length > 0;) {
      yield* letOthersWrite
      const [, raised, , next] = yield* run(yield* readable(() => trim(collection, old)))
      if (raised!.length > 0) entries += old.length
      old = next!
    }
    return { entries, opIds, cursors: dropped!.length }
  })

export const gcChangeLog =
  (batches: Batches['Type']) =>
  (request: RetentionRequest): Effect.Effect<ChangeLogReport, GatewayError> =>
    afterCheck(checkRetention(request), ({ workspaceId, retentionSeconds }) =>
      trimChangeLog(batches, workspaceId, retentionSeconds),
    )

/** Removes tombstones of these versions, first of all; none where there are none. */
const drop = ({ workspaceId }: Collection, old: ReadonlyArray<Row>): ReadonlyArray<Statement> => {
  if (old.length === 0) return []
  const params = { workspaceId, versions: JSON.stringify(old.map((row) => row.server_version)) }
  const tables = new Set(old.map((row) => row.table_name as SyncedTable))
  return [
    retentionSql.dropTombstones(params),
    ...Array.from(tables, (table) => retentionSql.erase[table](params)),
  ]
}

/** Collects the tombstones of a workspace; `retention` in seconds. */
export const collectTombstones = (
  { write }: Batches['Type'],
  workspaceId: string,
  retention: number,
): Effect.Effect<TombstoneReport, StorageError> =>
  Effect.gen(function* () {
    const collection = yield* collectionOf(workspaceId, retention)
    const run = (changes: ReadonlyArray<Statement>, position: number) =>
      write('gc tombstones', stepOf(...changes, retentionSql.passedTombstones({ workspaceId, position })))
    const [dropped, first] = yield* run([retentionSql.dropStaleCursors(collection)], 0)
    let tombstones = 0
    for (let passed = first!; passed.length > 0;) {
      const changes = drop(
        collection,
        passed.filter((row) => row.deleted_at < collection.cutoff),
      )
      const isLast = passed.length < stepSize
      if (isLast && changes.length === 0) break
      yield* letOthersWrite
      const results = yield* run(changes, passed.at(-1)!.server_version)
      if (changes.length > 0) tombstones += results[0]!.length
      passed = isLast ? [] : results.at(-1)!
    }
    return { tombstones, cursors: dropped!.length }
  })

export const gcTombstones =
  (batches: Batches['Type']) =>
  (request: RetentionRequest): Effect.Effect<TombstoneReport, GatewayError> =>
    afterCheck(checkRetention(request), ({ workspaceId, retentionSeconds }) =>
      collectTombstones(batches, workspaceId, retentionSeconds),
    )
