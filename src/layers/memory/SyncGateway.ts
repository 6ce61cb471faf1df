/**
 * The sync gateway in memory: the protocol written for clarity. It is the executable specification that the SQL layer is
 * held to, and a gateway for other programs' tests.
 *
 * Every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Layer } from 'effect'
import { isFromBeforeRestore, leapOver } from '../../services/epochs.js'
import { gatewayOf } from '../../services/gatewayOf.js'
import { type CheckedOp, checkOp, isSameAsStands, sameContent } from '../../services/opRules.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import {
  checkCursor,
  checkPull,
  checkPush,
  checkRetention,
  checkSnapshot,
  fitsPage,
} from '../../services/requests.js'
import { wins } from '../../services/Revision.js'
import { PageInProgress, startOf, type StoredRecord } from '../../services/snapshotPage.js'
import type { RecordKey } from '../../services/snapshotToken.js'
import type { SyncChange } from '../../services/SyncDomain.js'
import {
  DeviceForbidden,
  InvalidOp,
  OpConflict,
  OpForbidden,
  ScopeForbidden,
} from '../../services/SyncErrors.js'
import { OpAccepted, type OpOutcome, OpReplayed, SyncGateway } from '../../services/SyncGateway.js'
import type { Verbs } from '../../services/telemetry.js'
import { type Standing, supersededBy } from '../../services/Winner.js'
import { layer as idLayer } from '../IdGenerator.js'
import { makeNews } from '../news.js'
import { epochSeconds } from '../time.js'
import {
  GatewayState,
  layer as stateLayer,
  type LogEntry,
  type Row,
  type WorkspaceState,
} from './GatewayState.js'

const recordKey = ({ tableName, pk }: RecordKey) => `${tableName}\0${pk}`

const parse = (json: string | null): unknown => (json === null ? undefined : JSON.parse(json))

const standingOf = (state: WorkspaceState, key: string, { op, userId, at }: Row): Standing => ({
  revision: { clock: op.clock, hlc: op.hlc, opId: op.opId },
  deletedAt: op.operation === 'delete' ? (state.tombstones.get(key)?.at ?? at) : null,
  payload: parse(op.payloadJson),
  owner: userId,
})

const pushOp = (state: WorkspaceState, op: CheckedOp, userId: string | undefined, at: number): OpOutcome => {
  const { opId } = op
  const key = recordKey(op)
  const row = state.rows.get(key)
  const known =
    state.log.find((entry) => entry.op.opId === opId) ?? state.trimmed.find((entry) => entry.op.opId === opId)
  if (known !== undefined) {
    const { version } = known
    if (!sameContent(known.op, op)) return new OpConflict({ opId, serverVersion: version })
    const applied = row!.op.opId === opId
    const standing = applied ? {} : supersededBy(standingOf(state, key, row!), userId)
    return new OpReplayed({ opId, serverVersion: version, applied, ...standing })
  }
  if (op.tableName === 'notifications' && userId !== undefined && (row?.userId ?? userId) !== userId) {
    return new OpForbidden({ opId })
  }

  // Forgotten since, but the record stands by it.
  if (row !== undefined && row.op.opId === opId && !wins(op, row.op) && !wins(row.op, op)) {
    return isSameAsStands(op, row.op)
      ? new OpReplayed({ opId, serverVersion: row.version, applied: true })
      : new OpConflict({ opId, serverVersion: row.version })
  }

  const version = ++state.version
  state.log.push({ version, op, at })
  const accepted = { opId, serverVersion: version, wasExisting: row !== undefined }
  if (row !== undefined && !wins(op, row.op)) {
    const standing = supersededBy(standingOf(state, key, row), userId)
    return new OpAccepted({ ...accepted, applied: false, ...standing })
  }
  if (op.operation === 'delete') {
    const deletedBy = op.tableName === 'notifications' ? (userId ?? null) : null
    state.rows.set(key, { op, version, userId: row?.userId ?? deletedBy, at })
    state.tombstones.set(key, { clock: op.clock, hlc: op.hlc, opId, version, at })
  } else {
    state.rows.set(key, { op, version, userId: op.owner, at })
    state.tombstones.delete(key)
  }
  return new OpAccepted({ ...accepted, applied: true })
}

const isRefused = (op: CheckedOp | InvalidOp | OpForbidden): op is InvalidOp | OpForbidden =>
  op instanceof InvalidOp || op instanceof OpForbidden

const payloadOf = (op: CheckedOp) => (op.payloadJson === null ? {} : { payload: parse(op.payloadJson) })

const toChange = (version: number, op: CheckedOp): SyncChange => ({
  serverVersion: version,
  tableName: op.tableName,
  pk: op.pk,
  op: op.operation,
  ...payloadOf(op),
  stamp: { deviceId: op.deviceId, opId: op.opId, hlc: op.hlc, clock: op.clock },
})

/** The whole history as devices may see it: rows up to the floor, log entries above it. */
const history = (state: WorkspaceState, userId: string | undefined) => {
  const rows = [...state.rows.values()]
    .filter(({ version }) => version <= state.floor)
    .map(({ version, op, userId }) => ({ version, op, owner: userId }))
  const log = state.log
    .filter(({ version }) => version > state.floor)
    .map(({ version, op }) => ({
      version,
      op,
      owner: op.operation === 'put' ? op.owner : (state.rows.get(recordKey(op))?.userId ?? null),
    }))
  return [...rows, ...log]
    .filter(({ owner }) => owner === null || userId === undefined || owner === userId)
    .sort((a, b) => a.version - b.version)
}

/** All records, in the order of a snapshot. */
const recordsOf = (state: WorkspaceState): ReadonlyArray<StoredRecord> =>
  [...state.rows]
    .map(([key, { op, at, userId }]): StoredRecord => {
      const deleted = op.operation === 'delete'
      return {
        ...op,
        payloadJson: deleted ? null : op.payloadJson,
        deletedAt: deleted ? (state.tombstones.get(key)?.at ?? at) : null,
        owner: userId,
      }
    })
    .sort((a, b) => (isAfter(a, b) ? 1 : -1))

const isAfter = (a: RecordKey, b: RecordKey) =>
  a.tableName === b.tableName ? a.pk > b.pk : a.tableName > b.tableName

const leap = (state: WorkspaceState, now: number, cursor: number) => {
  const versions = leapOver(cursor, state.version)
  const risen = <A extends { readonly version: number }>(it: A): A => ({
    ...it,
    version: it.version + versions,
  })
  for (const [key, row] of state.rows) state.rows.set(key, risen(row))
  for (const [key, tombstone] of state.tombstones) state.tombstones.set(key, risen(tombstone))
  state.log = state.log.map(risen)
  state.trimmed = state.trimmed.map(risen)
  state.version += versions
  state.floor += versions
  state.leaptAt = now
}

/** Removes stale cursors; gives the slowest of the others, and how many were removed. */
const releaseCursors = (state: WorkspaceState, cutoff: number) => {
  const stale = [...state.cursors].filter(([, { at }]) => at < cutoff)
  for (const [deviceId] of stale) state.cursors.delete(deviceId)
  const versions = [...state.cursors.values()].map(({ version }) => version)
  return { slowest: versions.length === 0 ? 0 : Math.min(...versions), cursors: stale.length }
}

const make = Effect.gen(function* () {
  const { of: stateOf, erased } = yield* GatewayState
  const ids = yield* IdGenerator
  const news = yield* makeNews

  /** Nothing comes into a workspace that was purged, nor from a user who was erased. */
  const isClosed = ({ isPurged }: WorkspaceState, userId: string | undefined) =>
    isPurged || (userId !== undefined && erased.has(userId))

  const verbs: Verbs = {
    push: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, ops } = yield* checkPush(request)
        const now = yield* epochSeconds
        const state = stateOf(workspaceId)
        const checked = Array.from(ops, (raw) => checkOp(workspaceId, userId, raw))
        if (isClosed(state, userId) && !checked.every(isRefused)) return yield* new ScopeForbidden({})
        const outcomes = checked.map((op) => (isRefused(op) ? op : pushOp(state, op, userId, now)))
        news.announce(workspaceId)
        return { outcomes, serverVersion: state.version }
      }),

    pull: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, cursor, limit, tables } = yield* checkPull(request)
        const now = yield* epochSeconds
        const state = stateOf(workspaceId)
        if (isFromBeforeRestore(cursor, { ...state, stored: state.version }, now)) {
          leap(state, now, cursor)
          news.announce(workspaceId)
          return { changes: [], nextCursor: cursor, hasMore: false }
        }
        const matching = history(state, userId).filter(
          ({ version, op }) => version > cursor && tables.includes(op.tableName),
        )
        const page: typeof matching = []
        let bytes = 0
        for (const entry of matching) {
          bytes += entry.op.payloadJson?.length ?? 0
          if (!fitsPage(page.length, bytes, limit)) break
          page.push(entry)
        }
        const hasMore = matching.length > page.length
        return {
          changes: page.map(({ version, op }) => toChange(version, op)),
          nextCursor: hasMore ? page.at(-1)!.version : Math.max(cursor, state.version),
          hasMore,
        }
      }),

    snapshot: (request) =>
      Effect.gen(function* () {
        const checked = yield* checkSnapshot(request)
        const { workspaceId, tables, chain } = checked
        const state = stateOf(workspaceId)
        const start = yield* startOf(chain, state.version, yield* ids.next)
        const page = new PageInProgress(checked, JSON.parse)
        for (const record of recordsOf(state)) {
          if (!tables.includes(record.tableName)) continue
          if (chain !== undefined && !isAfter(record, chain.after)) continue
          if (page.add(record) === 'full') break
        }
        return page.answer(start)
      }),

    updateCursor: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, deviceId, version } = yield* checkCursor(request)
        const at = yield* epochSeconds
        const state = stateOf(workspaceId)
        if (isClosed(state, userId)) return yield* new ScopeForbidden({})
        const { cursors } = state
        const known = cursors.get(deviceId)
        const owner = known?.owner ?? userId
        if (userId !== undefined && userId !== owner) return yield* new DeviceForbidden({})
        cursors.set(deviceId, { version: Math.max(version, known?.version ?? 0), at, owner })
      }),

    gcChangeLog: (request) =>
      Effect.gen(function* () {
        const { workspaceId, retentionSeconds } = yield* checkRetention(request)
        const now = yield* epochSeconds
        const cutoff = now - retentionSeconds
        const state = stateOf(workspaceId)
        const { slowest, cursors } = releaseCursors(state, cutoff)
        const mustStay = ({ version, at }: LogEntry) => version >= slowest || at >= cutoff
        const firstToStay = state.log.findIndex(mustStay)
        const old = state.log.splice(0, firstToStay === -1 ? state.log.length : firstToStay)
        state.floor = Math.max(state.floor, old.at(-1)?.version ?? 0)
        const remembered = [...state.trimmed, ...old.map((entry) => ({ ...entry, at: now }))]
        state.trimmed = remembered.filter(({ at }) => at >= cutoff)
        return { entries: old.length, opIds: remembered.length - state.trimmed.length, cursors }
      }),

    gcTombstones: (request) =>
      Effect.gen(function* () {
        const { workspaceId, retentionSeconds } = yield* checkRetention(request)
        const cutoff = (yield* epochSeconds) - retentionSeconds
        const state = stateOf(workspaceId)
        const { slowest, cursors } = releaseCursors(state, cutoff)
        const old = [...state.tombstones].filter(([, { version, at }]) => version < slowest && at < cutoff)
        for (const [key] of old) {
          const row = state.rows.get(key)!
          state.tombstones.delete(key)
          state.rows.set(key, { ...row, op: { ...row.op, payloadJson: null } })
        }
        return { tombstones: old.length, cursors }
      }),
  }
  return gatewayOf(verbs, news.follow)
})

/** A gateway whose state is at hand. */
export const layerWithState: Layer.Layer<SyncGateway, never, GatewayState | IdGenerator> = Layer.scoped(
  SyncGateway,
  make,
)

/** A gateway with a state of its own, gone with its scope. */
export const layer: Layer.Layer<SyncGateway> = Layer.provide(layerWithState, [stateLayer, idLayer])
