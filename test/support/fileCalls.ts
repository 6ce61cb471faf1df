/**
 * The services about files behind the face of a subject: how each layer is asked, and what each remembers.
 */
import type { WorkspaceState } from '../../src/layers/memory/GatewayState.js'
import type { HostEvent, SyncGatewayAdapter } from '../../src/nuxt/host.js'
import { fileFieldsOf, fileHashesOf, isReferring, normalizeHash } from '../../src/services/fileRules.js'
import type {
  ConsumeRequest,
  FileReferences,
  IntentKey,
  ReserveRequest,
  StoragePage,
  StorageQuery,
  UploadIntents,
} from '../../src/services/index.js'
import type { RowView } from './rowView.js'

export interface FileCalls {
  query(request: StorageQuery): Promise<StoragePage>
  reserve(request: ReserveRequest): Promise<void>
  consume(request: ConsumeRequest): Promise<void>
  cancel(request: IntentKey): Promise<void>
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

export const fileCalls = (
  run: (effect: never) => Promise<any>,
  files: FileReferences['Type'],
  intents: UploadIntents['Type'],
): FileCalls => ({
  query: (request) => run(files.query(request) as never),
  reserve: (request) => run(intents.reserve(request) as never),
  consume: (request) => run(intents.consume(request) as never),
  cancel: (request) => run(intents.cancel(request) as never),
})

type Split = (request: any) => readonly [HostEvent, any]

/** As the host calls: an intent names its workspace itself. */
export const fileCallsOfAdapter = (
  gateway: SyncGatewayAdapter,
  split: Split,
  asRefused: <A>(promise: Promise<A>) => Promise<A>,
): FileCalls => {
  const ofIntent = (request: any): readonly [HostEvent, any] => {
    const [event, input] = split(request)
    const { scope, ...rest } = Object(input)
    return [event, { ...rest, ...(scope === undefined ? {} : { workspaceId: Object(scope).workspaceId }) }]
  }
  return {
    query: async (request) => asRefused(gateway.queryCanonicalStorage(...split(request))),
    reserve: async (request) => asRefused(gateway.reserveUploadIntent(...ofIntent(request))),
    consume: async (request) => asRefused(gateway.consumeUploadIntent(...ofIntent(request))),
    cancel: async (request) => asRefused(gateway.cancelUploadIntent(...ofIntent(request))),
  }
}

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

export const filesOfState = (state: WorkspaceState, rows: ReadonlyArray<RowView>): FilesView => ({
  index: scanned(rows),
  intents: [...state.intents]
    .map(([id, intent]) => ({ id, ...intent }))
    .sort((a, b) => inBytes([a.id], [b.id])),
})

export const filesOfSql = (query: (sql: string) => ReadonlyArray<any>, where: string): FilesView => ({
  index: {
    references: query(
      `SELECT hash, source_table AS sourceTable, source_id AS sourceId FROM file_references WHERE ${where}
       ORDER BY hash, source_table, source_id`,
    ),
    records: query(
      `SELECT pk, hash, deleted, size_bytes AS sizeBytes FROM file_records WHERE ${where} ORDER BY pk`,
    ).map((row) => ({ ...row, deleted: row.deleted === 1 })),
    usedBytes: query(`SELECT used_bytes AS bytes FROM file_usage WHERE ${where}`)[0]?.bytes ?? 0,
  },
  intents: query(
    `SELECT id, hash, mime_type AS mimeType, size_bytes AS sizeBytes, expires_at AS expiresAt,
       settled_at IS NOT NULL AS settled
     FROM upload_reservations WHERE ${where} ORDER BY id`,
  ).map((row) => ({ ...row, settled: row.settled === 1 })),
})
