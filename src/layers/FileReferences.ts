/**
 * What is known about files, on SQLite: pages of the index that pushes keep in step (`fileIndex.ts`), and of upload intents.
 */
import { Effect, Layer } from 'effect'
import { FileReferences, type StorageKind, type StoragePage } from '../services/FileReferences.js'
import { liveItem, pageOf, type Placed, retainedItem } from '../services/fileItems.js'
import type { ReferringTable } from '../services/fileRules.js'
import { type CheckedStorageQuery, checkStorageQuery } from '../services/fileRequests.js'
import { observeFiles } from '../services/telemetry.js'
import type { Connection } from './connection.js'
import { Database } from './Database.js'
import { epochSeconds } from './time.js'

/** Keys from one on: the next one after a key is the key with a NUL behind it. An adopted one may be empty. */
const files = (deleted: 0 | 1, ofHash: boolean) => `
  SELECT f.pk, s.updated_at, s.data_json
  FROM file_records AS f INDEXED BY ${ofHash ? 'file_records_by_hash' : 'file_records_by_state'}
  CROSS JOIN s_file_meta AS s ON s.workspace_id = f.workspace_id AND s.pk = f.pk
  WHERE f.workspace_id = :workspaceId AND f.deleted = ${deleted} ${ofHash ? 'AND f.hash = :hash' : ''} AND f.pk >= :from
  ORDER BY f.pk LIMIT :wanted`

const references = (ofHash: boolean) => `
  SELECT hash, source_table, source_id FROM file_references
  WHERE workspace_id = :workspaceId AND ${
    ofHash
      ? 'hash = :hash AND (source_table, source_id) > (:table, :id)'
      : '(hash, source_table, source_id) > (:afterHash, :table, :id)'
  }
  ORDER BY hash, source_table, source_id LIMIT :wanted`

const reservations = (ofHash: boolean) => `
  SELECT hash, id, size_bytes, expires_at FROM upload_reservations INDEXED BY upload_reservations_open
  WHERE workspace_id = :workspaceId AND settled_at IS NULL AND expires_at > :now AND ${
    ofHash ? 'hash = :hash AND id > :id' : '(hash, id) > (:afterHash, :id)'
  }
  ORDER BY hash, id LIMIT :wanted`

/** Each for all files, and for one. */
export const fileReferencesSql = {
  live: [files(0, false), files(0, true)],
  retained: [files(1, false), files(1, true)],
  references: [references(false), references(true)],
  reservations: [reservations(false), reservations(true)],
} as const

type Query = CheckedStorageQuery & { readonly at: number }

function* read<Row>(
  connection: Connection,
  [all, ofHash]: readonly [string, string],
  { workspaceId, hash, limit }: Query,
  params: Readonly<Record<string, unknown>>,
  toPlaced: (row: Row) => Placed,
): Generator<Placed> {
  const sql = hash === undefined ? all : ofHash
  for (const row of connection.each<Row>(sql, { workspaceId, hash, wanted: limit + 1, ...params })) {
    yield toPlaced(row)
  }
}

type FileRow = readonly [pk: string, updatedAt: number, json: string | null]

const fromOf = ({ after }: Query) => ({ from: after === undefined ? '' : `${after[0]}\0` })

const found: Record<StorageKind, (connection: Connection, query: Query) => Iterable<Placed>> = {
  live_metadata: (connection, query) =>
    read<FileRow>(connection, fileReferencesSql.live, query, fromOf(query), ([pk, updatedAt, json]) => ({
      item: liveItem(pk, updatedAt, json),
      position: [pk],
      bytes: json?.length ?? 0,
    })),

  retained_metadata: (connection, query) =>
    read<FileRow>(connection, fileReferencesSql.retained, query, fromOf(query), ([pk, , json]) => ({
      item: retainedItem(pk, json),
      position: [pk],
      bytes: json?.length ?? 0,
    })),

  reference_edges: (connection, query) => {
    const [afterHash, table, id] = query.after ?? ['', '', '']
    return read<readonly [hash: string, table: ReferringTable, id: string]>(
      connection,
      fileReferencesSql.references,
      query,
      { afterHash, table, id },
      ([hash, sourceTable, sourceId]) => ({
        item: { kind: 'reference', hash, sourceTable, sourceId },
        position: [hash, sourceTable, sourceId],
        bytes: hash.length,
      }),
    )
  },

  active_reservations: (connection, query) => {
    const [afterHash, id] = query.after ?? ['', '']
    return read<readonly [hash: string, id: string, sizeBytes: number, expiresAt: number]>(
      connection,
      fileReferencesSql.reservations,
      query,
      { afterHash, id, now: query.at },
      ([hash, reservationId, sizeBytes, expiresAt]) => ({
        item: { kind: 'reservation', reservationId, hash, sizeBytes, expiresAt },
        position: [hash, reservationId],
        bytes: hash.length,
      }),
    )
  },
}

const make = Effect.gen(function* () {
  const database = yield* Database
  return observeFiles({
    query: (request) =>
      Effect.gen(function* () {
        const checked = yield* checkStorageQuery(request)
        const at = checked.now ?? (yield* epochSeconds)
        // One statement is a snapshot of its own.
        return yield* database.direct('query files', (connection): StoragePage =>
          pageOf(checked, found[checked.kind](connection, { ...checked, at })),
        )
      }),
  })
})

/** What the records in the tables of the gateway, and the upload intents, say about files. */
export const layer: Layer.Layer<FileReferences, never, Database> = Layer.effect(FileReferences, make)
