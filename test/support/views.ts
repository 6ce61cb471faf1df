/**
 * What a workspace holds, as a test compares it: the same view of a database and of the state of the layers in memory.
 */
import type { GatewayState, WorkspaceState } from '../../src/layers/memory/GatewayState.js'
import { fileFieldsOf, fileHashesOf, isReferring, normalizeHash } from '../../src/services/fileRules.js'
import { syncedTables } from '../../src/services/index.js'

/** A record's row. */
export interface RowView {
  readonly table: string
  readonly pk: string
  readonly payload: unknown
  readonly clock: number
  readonly hlc: string
  readonly opId: string
  readonly deviceId: string
  readonly version: number
  readonly deleted: boolean
}

export interface TombstoneView {
  readonly table: string
  readonly pk: string
  readonly clock: number
  readonly hlc: string
  readonly opId: string
  readonly version: number
}

/** As the index has it, in SQLite's order. */
export interface FileIndexView {
  readonly references: ReadonlyArray<{
    readonly hash: string
    readonly sourceTable: string
    readonly sourceId: string
  }>
  readonly records: ReadonlyArray<{
    readonly pk: string
    readonly hash: string
    readonly deleted: boolean
    readonly sizeBytes: number | null
  }>
  readonly usedBytes: number
}

export interface FilesView {
  readonly index: FileIndexView
  readonly intents: ReadonlyArray<{
    readonly id: string
    readonly hash: string
    readonly mimeType: string
    readonly sizeBytes: number
    readonly expiresAt: number
    readonly settled: boolean
  }>
}

/** Everything a workspace holds, in a fixed order. */
export interface WorkspaceView {
  readonly version: number
  readonly floor: number
  readonly rows: ReadonlyArray<RowView>
  readonly tombstones: ReadonlyArray<TombstoneView>
  readonly logVersions: ReadonlyArray<number>
  /** `owner` is absent for a device that is nobody's. */
  readonly cursors: ReadonlyArray<{
    readonly deviceId: string
    readonly version: number
    readonly owner?: string
  }>
  readonly files: FilesView
}

const byKey = (a: { table: string; pk: string }, b: { table: string; pk: string }) =>
  a.table === b.table ? (a.pk < b.pk ? -1 : 1) : a.table < b.table ? -1 : 1

const inBytes = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => {
  const index = a.findIndex((part, at) => part !== b[at])
  return index === -1 ? 0 : Buffer.compare(Buffer.from(a[index]!), Buffer.from(b[index]!))
}

/** What a scan of the rows says. */
export const scanned = (rows: ReadonlyArray<RowView>): FileIndexView => {
  const jsonOf = ({ payload }: RowView) => (payload === undefined ? null : JSON.stringify(payload))
  const records = rows
    .filter(({ table }) => table === 'file_meta')
    .map((row) => ({
      pk: row.pk,
      hash: normalizeHash(row.pk),
      deleted: row.deleted,
      sizeBytes: row.deleted ? null : (fileFieldsOf(jsonOf(row)).sizeBytes ?? null),
    }))
  return {
    references: rows
      .filter(({ table, deleted }) => isReferring(table as never) && !deleted)
      .flatMap((row) =>
        fileHashesOf(jsonOf(row)).map((hash) => ({ hash, sourceTable: row.table, sourceId: row.pk })),
      )
      .sort((a, b) => inBytes(Object.values(a), Object.values(b))),
    records: records.sort((a, b) => inBytes([a.pk], [b.pk])),
    usedBytes: records.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0),
  }
}

const filesOfState = (state: WorkspaceState, rows: ReadonlyArray<RowView>): FilesView => ({
  index: scanned(rows),
  intents: [...state.intents]
    .map(([id, intent]) => ({ id, ...intent }))
    .sort((a, b) => inBytes([a.id], [b.id])),
})

/** Rows of statements of the test's own, one list each: all of one state of the database, where an engine is asked over a network in one trip. */
type Query = (
  statements: ReadonlyArray<string>,
) => ReadonlyArray<ReadonlyArray<any>> | Promise<ReadonlyArray<ReadonlyArray<any>>>

const statementsOf = (where: string) => ({
  counter: `SELECT * FROM server_version_counter WHERE ${where}`,
  tombstones: `SELECT * FROM tombstones WHERE ${where}`,
  log: `SELECT server_version AS v FROM change_log WHERE ${where} ORDER BY server_version`,
  cursors: `SELECT device_id AS deviceId, last_seen_version AS version, owner_user_id AS owner
    FROM device_cursors WHERE ${where} ORDER BY device_id`,
  references: `SELECT hash, source_table AS sourceTable, source_id AS sourceId FROM file_references WHERE ${where}
    ORDER BY hash, source_table, source_id`,
  records: `SELECT pk, hash, deleted, size_bytes AS sizeBytes FROM file_records WHERE ${where} ORDER BY pk`,
  usage: `SELECT used_bytes AS bytes FROM file_usage WHERE ${where}`,
  intents: `SELECT id, hash, mime_type AS mimeType, size_bytes AS sizeBytes, expires_at AS expiresAt,
    settled_at IS NOT NULL AS settled FROM upload_reservations WHERE ${where} ORDER BY id`,
  ...Object.fromEntries(
    syncedTables.map((table) => [
      `s_${table}` as const,
      `SELECT '${table}' AS "table", * FROM s_${table} WHERE ${where}`,
    ]),
  ),
})

export const viewOfSql = async (query: Query, workspaceId: string): Promise<WorkspaceView> => {
  const statements = statementsOf(`workspace_id = '${workspaceId.replaceAll("'", "''")}'`)
  const answers = await query(Object.values(statements))
  const rowsOf = Object.fromEntries(
    Object.keys(statements).map((name, place) => [name, answers[place]!]),
  ) as Record<keyof typeof statements | `s_${(typeof syncedTables)[number]}`, ReadonlyArray<any>>
  const [counter] = rowsOf.counter
  const shown = (version: number) => version + (counter?.version_offset ?? 0)
  const shownClock = (clock: number) => clock + (counter?.clock_offset ?? 0)
  return {
    version: shown(counter?.value ?? 0),
    floor: shown(counter?.trimmed_version ?? 0),
    rows: syncedTables
      .flatMap((table) => rowsOf[`s_${table}`])
      .map((row) => ({
        table: row.table as string,
        pk: row.pk,
        payload: row.data_json === null ? undefined : JSON.parse(row.data_json),
        clock: shownClock(row.clock),
        hlc: row.hlc,
        opId: row.op_id,
        deviceId: row.device_id,
        version: shown(row.server_version),
        deleted: row.deleted === 1,
      }))
      .sort(byKey),
    tombstones: rowsOf.tombstones
      .map((row) => ({
        table: row.table_name,
        pk: row.pk,
        clock: shownClock(row.clock),
        hlc: row.hlc,
        opId: row.op_id,
        version: shown(row.server_version),
      }))
      .sort(byKey),
    logVersions: rowsOf.log.map((row) => shown(row.v)),
    cursors: rowsOf.cursors.map(({ owner, ...cursor }) => (owner === null ? cursor : { ...cursor, owner })),
    files: {
      index: {
        references: rowsOf.references,
        records: rowsOf.records.map((row) => ({ ...row, deleted: row.deleted === 1 })),
        usedBytes: rowsOf.usage[0]?.bytes ?? 0,
      },
      intents: rowsOf.intents.map((row) => ({ ...row, settled: row.settled === 1 })),
    },
  }
}

export const viewOfState = (states: GatewayState['Type'], workspaceId: string): WorkspaceView => {
  const state = states.of(workspaceId)
  const place = (key: string) => {
    const [table, pk] = key.split('\0') as [string, string]
    return { table, pk }
  }
  const rows = [...state.rows]
    .map(([key, { op, version }]) => ({
      ...place(key),
      payload: op.payloadJson === null ? undefined : JSON.parse(op.payloadJson),
      clock: op.clock,
      hlc: op.hlc,
      opId: op.opId,
      deviceId: op.deviceId,
      version,
      deleted: op.operation === 'delete',
    }))
    .sort(byKey)
  return {
    version: state.version,
    floor: state.floor,
    rows,
    tombstones: [...state.tombstones]
      .map(([key, { clock, hlc, opId, version }]) => ({ ...place(key), clock, hlc, opId, version }))
      .sort(byKey),
    logVersions: state.log.map(({ version }) => version),
    cursors: [...state.cursors]
      .map(([deviceId, { version, owner }]) => ({
        deviceId,
        version,
        ...(owner === undefined ? {} : { owner }),
      }))
      .sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
    files: filesOfState(state, rows),
  }
}
