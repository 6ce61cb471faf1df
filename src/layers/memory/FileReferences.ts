/**
 * What is known about files, in memory: every answer is a look at all records.
 */
import { Effect, Layer } from 'effect'
import { FileReferences, type StorageKind } from '../../services/FileReferences.js'
import { liveItem, pageOf, type Placed, retainedItem } from '../../services/fileItems.js'
import { fileFieldsOf, fileHashesOf, isReferring, normalizeHash } from '../../services/fileRules.js'
import { checkStorageQuery, type Position } from '../../services/fileRequests.js'
import { isActive } from '../../services/intentRules.js'
import { observeFiles } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import { GatewayState, type Row, type WorkspaceState } from './GatewayState.js'

const isDeleted = ({ op }: Row) => op.operation === 'delete'

const fileRows = (state: WorkspaceState) =>
  [...state.rows.values()].filter(({ op }) => op.tableName === 'file_meta')

/** The hashes that have a live record, and the bytes of all live records. */
export const storedFiles = (state: WorkspaceState) => {
  const live = fileRows(state).filter((row) => !isDeleted(row))
  return {
    hashes: new Set(live.map(({ op }) => normalizeHash(op.pk))),
    usedBytes: live.reduce((sum, { op }) => sum + (fileFieldsOf(op.payloadJson).sizeBytes ?? 0), 0),
  }
}

/** Records whose keys name a file. */
const namedFiles = (state: WorkspaceState) => fileRows(state).filter(({ op }) => normalizeHash(op.pk) !== '')

/** Deleted records of files that have no live one under another spelling of the key. */
const retainedFiles = (state: WorkspaceState) => {
  const { hashes } = storedFiles(state)
  return namedFiles(state).filter((row) => isDeleted(row) && !hashes.has(normalizeHash(row.op.pk)))
}

/** All there is of a kind. */
const found: Record<StorageKind, (state: WorkspaceState, now: number) => ReadonlyArray<Placed>> = {
  live_metadata: (state) =>
    namedFiles(state)
      .filter((row) => !isDeleted(row))
      .map(({ op: { pk, payloadJson }, at }) => ({
        item: liveItem(pk, at, payloadJson),
        position: [pk],
        bytes: payloadJson?.length ?? 0,
      })),
  retained_metadata: (state) =>
    retainedFiles(state).map(({ op: { pk, payloadJson } }) => ({
      item: retainedItem(pk, payloadJson),
      position: [pk],
      bytes: payloadJson?.length ?? 0,
    })),
  reference_edges: (state) =>
    [...state.rows.values()]
      .filter((row) => !isDeleted(row))
      .flatMap(({ op: { tableName, pk, payloadJson } }) =>
        isReferring(tableName)
          ? fileHashesOf(payloadJson).map((hash) => ({
              item: { kind: 'reference' as const, hash, sourceTable: tableName, sourceId: pk },
              position: [hash, tableName, pk],
              bytes: hash.length,
            }))
          : [],
      ),
  active_reservations: (state, now) =>
    [...state.intents]
      .filter(([, intent]) => isActive(intent, now))
      .map(([reservationId, { hash, sizeBytes, expiresAt }]) => ({
        item: { kind: 'reservation', reservationId, hash, sizeBytes, expiresAt },
        position: [hash, reservationId],
        bytes: hash.length,
      })),
}

/** As SQLite orders text: by its bytes in UTF-8. */
const compare = (a: Position, b: Position): number => {
  const index = a.findIndex((part, at) => part !== b[at])
  return index === -1 ? 0 : Buffer.compare(Buffer.from(a[index]!), Buffer.from(b[index]!))
}

const make = Effect.gen(function* () {
  const { of: stateOf } = yield* GatewayState
  return observeFiles({
    query: (request) =>
      Effect.gen(function* () {
        const checked = yield* checkStorageQuery(request)
        const { workspaceId, kind, hash, after, now } = checked
        const matching = found[kind](stateOf(workspaceId), now ?? (yield* epochSeconds))
          .filter(({ item }) => hash === undefined || item.hash === hash)
          .filter(({ position }) => after === undefined || compare(position, after) > 0)
        return pageOf(
          checked,
          matching.toSorted((a, b) => compare(a.position, b.position)),
        )
      }),
  })
})

/** On the state of the in-memory gateway. */
export const layer: Layer.Layer<FileReferences, never, GatewayState> = Layer.effect(FileReferences, make)
