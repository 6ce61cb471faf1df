/**
 * What is known about files: pages of the index that pushes keep in step, and of upload intents. The same on every engine, but for
 * how a page is read.
 */
import { Effect } from 'effect'
import type { FileReferences, StorageKind, StoragePage } from '../../services/FileReferences.js'
import { liveItem, pageOf, type Placed, retainedItem } from '../../services/fileItems.js'
import type { ReferringTable } from '../../services/fileRules.js'
import { type CheckedStorageQuery, checkStorageQuery } from '../../services/fileRequests.js'
import type { StorageError } from '../../services/StorageError.js'
import { observeFiles } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import type { Row, Statement } from './batch.js'
import { fileReferencesSql } from './fileReferencesSql.js'

type Query = CheckedStorageQuery & { readonly at: number }

/** Read row by row, a page ends where it is full; read as a whole, it must be cut by the statement. */
type Kind = 'byRow' | 'whole'

interface Reading {
  readonly statement: Statement
  /** Rows are wide, and a page may end long before it has as many as are asked for. */
  readonly hasPayloads: boolean
  readonly toPlaced: (row: Row) => Placed
}

/** What a page is read from: one row more than it may hold. */
const common = ({ workspaceId, limit, ...query }: Query) => ({
  workspaceId,
  hash: query.hash ?? null,
  wanted: limit + 1,
})

const which = ({ hash }: Query) => (hash === undefined ? 0 : 1)

const fromOf = ({ after }: Query) => ({ from: after === undefined ? '' : `${after[0]}\0` })

const toReference = (hash: string, sourceTable: ReferringTable, sourceId: string): Placed => ({
  item: { kind: 'reference', hash, sourceTable, sourceId },
  position: [hash, sourceTable, sourceId],
  bytes: hash.length,
})

const toMetadata =
  (toItem: (pk: string, updatedAt: number, json: string | null) => Placed['item']) =>
  ({ pk, updated_at: updatedAt, data_json: json }: Row): Placed => ({
    item: toItem(pk, updatedAt, json),
    position: [pk],
    bytes: json?.length ?? 0,
  })

const reading: Record<StorageKind, (query: Query, kind: Kind) => Reading> = {
  live_metadata: (query, kind) => ({
    statement: fileReferencesSql.live[kind][which(query)]({ ...common(query), ...fromOf(query) }),
    hasPayloads: true,
    toPlaced: toMetadata(liveItem),
  }),

  retained_metadata: (query, kind) => ({
    statement: fileReferencesSql.retained[kind][which(query)]({ ...common(query), ...fromOf(query) }),
    hasPayloads: true,
    toPlaced: toMetadata((pk, _updatedAt, json) => retainedItem(pk, json)),
  }),

  reference_edges: (query) => {
    const { hash, after } = query
    const [afterHash, table, id] = (after ?? ['', '', '']) as readonly [string, string, string]
    const params = { ...common(query), afterHash, table, id }
    if (hash === undefined) {
      return {
        statement: fileReferencesSql.references(params),
        hasPayloads: false,
        toPlaced: (row) => toReference(row.hash, row.sourceTable, row.sourceId),
      }
    }
    return {
      statement: fileReferencesSql.referencesOfHash[after === undefined ? 0 : 1](params),
      hasPayloads: false,
      toPlaced: (row) => toReference(hash, row.sourceTable, row.sourceId),
    }
  },

  active_reservations: (query) => {
    const [afterHash, id] = (query.after ?? ['', '']) as readonly [string, string]
    return {
      statement: fileReferencesSql.reservations[which(query)]({
        ...common(query),
        afterHash,
        id,
        now: query.at,
      }),
      hasPayloads: false,
      toPlaced: ({ hash, id: reservationId, sizeBytes, expiresAt }) => ({
        item: { kind: 'reservation', reservationId, hash, sizeBytes, expiresAt },
        position: [hash, reservationId],
        bytes: hash.length,
      }),
    }
  },
}

function* placed(rows: Iterable<Row>, toPlaced: Reading['toPlaced']): Generator<Placed> {
  for (const row of rows) yield toPlaced(row)
}

/** The service, by what runs a statement and hands its rows on. */
export const filesBy = (
  kind: Kind,
  read: (
    reading: Reading,
    page: (rows: Iterable<Row>) => StoragePage,
  ) => Effect.Effect<StoragePage, StorageError>,
): FileReferences['Type'] =>
  observeFiles({
    query: (request) =>
      Effect.flatMap(checkStorageQuery(request), (checked) =>
        Effect.flatMap(checked.now === undefined ? epochSeconds : Effect.succeed(checked.now), (at) => {
          const own = reading[checked.kind]({ ...checked, at }, kind)
          return read(own, (rows) => pageOf(checked, placed(rows, own.toPlaced)))
        }),
      ),
  })
