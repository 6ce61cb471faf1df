/**
 * What is known about files, on SQLite: pages of the index that pushes keep in step (`fileIndex.ts`), and of upload intents.
 */
import { Effect, Layer } from 'effect'
import { FileReferences, type StorageKind, type StoragePage } from '../../services/FileReferences.js'
import { liveItem, pageOf, type Placed, retainedItem } from '../../services/fileItems.js'
import type { ReferringTable } from '../../services/fileRules.js'
import { type CheckedStorageQuery, checkStorageQuery } from '../../services/fileRequests.js'
import { observeFiles } from '../../services/telemetry.js'
import type { Connection } from './connection.js'
import { Database } from './Database.js'
import { fileReferencesSql } from '../sql/fileReferencesSql.js'
import { epochSeconds } from '../time.js'

type Query = CheckedStorageQuery & { readonly at: number }

function* placed<Row>(rows: Iterable<Row>, toPlaced: (row: Row) => Placed): Generator<Placed> {
  for (const row of rows) yield toPlaced(row)
}

const toReference = (hash: string, sourceTable: ReferringTable, sourceId: string): Placed => ({
  item: { kind: 'reference', hash, sourceTable, sourceId },
  position: [hash, sourceTable, sourceId],
  bytes: hash.length,
})

type Statements = readonly [all: string, ofHash: string]

const read = <Row>(
  connection: Connection,
  [all, ofHash]: Statements,
  { workspaceId, hash, limit }: Query,
  params: Readonly<Record<string, unknown>>,
): Iterable<Row> =>
  connection.each<Row>(hash === undefined ? all : ofHash, { workspaceId, hash, wanted: limit + 1, ...params })

type FileRow = readonly [pk: string, updatedAt: number, json: string | null]

const fromOf = ({ after }: Query) => ({ from: after === undefined ? '' : `${after[0]}\0` })

const found: Record<StorageKind, (connection: Connection, query: Query) => Iterable<Placed>> = {
  live_metadata: (connection, query) =>
    placed(
      read<FileRow>(connection, fileReferencesSql.live, query, fromOf(query)),
      ([pk, updatedAt, json]) => ({
        item: liveItem(pk, updatedAt, json),
        position: [pk],
        bytes: json?.length ?? 0,
      }),
    ),

  retained_metadata: (connection, query) =>
    placed(read<FileRow>(connection, fileReferencesSql.retained, query, fromOf(query)), ([pk, , json]) => ({
      item: retainedItem(pk, json),
      position: [pk],
      bytes: json?.length ?? 0,
    })),

  reference_edges: (connection, query) => {
    const { workspaceId, hash, after, limit } = query
    const wanted = limit + 1
    if (hash === undefined) {
      const [afterHash, table, id] = after ?? ['', '', '']
      const params = { workspaceId, afterHash, table, id, wanted }
      return placed(
        connection.each<readonly [hash: string, table: ReferringTable, id: string]>(
          fileReferencesSql.references,
          params,
        ),
        ([found, sourceTable, sourceId]) => toReference(found, sourceTable, sourceId),
      )
    }
    // Keys are short, so all of a page are read at once.
    type Row = { readonly sourceTable: ReferringTable; readonly sourceId: string }
    const [first, next] = fileReferencesSql.referencesOfHash
    const rows =
      after === undefined
        ? connection.all<Row>(first, workspaceId, hash, wanted)
        : connection.all<Row>(next, workspaceId, hash, after[1], after[2], wanted)
    return rows.map(({ sourceTable, sourceId }) => toReference(hash, sourceTable, sourceId))
  },

  active_reservations: (connection, query) => {
    const [afterHash, id] = query.after ?? ['', '']
    return placed(
      read<readonly [hash: string, id: string, sizeBytes: number, expiresAt: number]>(
        connection,
        fileReferencesSql.reservations,
        query,
        { afterHash, id, now: query.at },
      ),
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
      Effect.flatMap(checkStorageQuery(request), (checked) =>
        Effect.flatMap(checked.now === undefined ? epochSeconds : Effect.succeed(checked.now), (at) =>
          // One statement is a snapshot of its own.
          database.direct('query files', (connection): StoragePage =>
            pageOf(checked, found[checked.kind](connection, { ...checked, at })),
          ),
        ),
      ),
  })
})

/** What the records in the tables of the gateway, and the upload intents, say about files. */
export const layer: Layer.Layer<FileReferences, never, Database> = Layer.effect(FileReferences, make)
