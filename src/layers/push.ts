/**
 * Push on SQLite: a whole batch in a handful of set-based statements.
 *
 * The batch travels to SQLite once, as one JSON text with the payloads spliced in; the rows are then materialised from the
 * log range just written. Which ops won is what `RETURNING` says, so there is no second opinion about last writer wins.
 */
import { Effect, Either } from 'effect'
import { type CheckedOp, checkOp, sameContent } from '../services/opRules.js'
import { checkPush } from '../services/requests.js'
import type { SyncedTable } from '../services/SyncDomain.js'
import { InvalidOp, OpConflict, OpForbidden } from '../services/SyncErrors.js'
import {
  type GatewayError,
  OpAccepted,
  type OpOutcome,
  OpReplayed,
  type PushRequest,
  type PushResult,
} from '../services/SyncGateway.js'
import type { Connection } from './connection.js'
import { contentHash } from './contentHash.js'
import type { Database } from './Database.js'
import { pushSql } from './pushSql.js'
import { epochSeconds } from './time.js'

/** An op that holds an op id: logged, trimmed, or accepted earlier in this batch. */
interface Holder {
  readonly opId: string
  readonly isSame: (op: CheckedOp) => boolean
  /** Its version; for an op of this batch its place among the accepted ones, and counted from the version before the batch. */
  readonly version: number
  readonly inBatch: boolean
}

/** What becomes of one op; the versions of this batch are not known yet. */
type Decision =
  InvalidOp | OpConflict | OpForbidden | { readonly accepted: number } | { readonly replayOf: Holder }

interface Batch {
  readonly workspaceId: string
  readonly userId: string | undefined
  readonly now: number
  readonly checked: ReadonlyArray<CheckedOp | InvalidOp | OpForbidden>
}

export const push =
  (database: Database['Type']) =>
  (request: PushRequest): Effect.Effect<PushResult, GatewayError> =>
    Effect.gen(function* () {
      const { workspaceId, userId, ops } = yield* checkPush(request)
      const checked = ops.map((op) => checkOp(workspaceId, userId, op))
      if (!checked.some(isChecked)) {
        const serverVersion = yield* database.direct('push', highWatermark(workspaceId))
        return { outcomes: checked as ReadonlyArray<InvalidOp | OpForbidden>, serverVersion }
      }
      const now = yield* epochSeconds
      return yield* database.write('push', (connection) =>
        Either.right(pushBatch({ workspaceId, userId, now, checked }, connection)),
      )
    })

const isChecked = (op: CheckedOp | InvalidOp | OpForbidden): op is CheckedOp =>
  !(op instanceof InvalidOp) && !(op instanceof OpForbidden)

const highWatermark =
  (workspaceId: string) =>
  (connection: Connection): number =>
    connection.first<{ value: number }>(pushSql.highWatermark, workspaceId)?.value ?? 0

const pushBatch = (batch: Batch, connection: Connection): PushResult => {
  const { workspaceId, checked } = batch
  const ops = checked.filter(isChecked)
  const holders = findHolders(connection, workspaceId, ops)
  const { decisions, accepted } = decide(checked, holders, notificationGuard(connection, batch, ops))
  if (accepted.length === 0) {
    return { outcomes: decisions.map(outcome(0, [])), serverVersion: highWatermark(workspaceId)(connection) }
  }
  const { value: serverVersion } = connection.first<{ value: number }>(
    pushSql.allocate,
    workspaceId,
    accepted.length,
  )!
  const base = serverVersion - accepted.length
  const results = store(connection, batch, accepted, base)
  return { outcomes: decisions.map(outcome(base, results)), serverVersion }
}

const jsonArray = (values: Iterable<string>) => JSON.stringify([...values])

interface KnownOpRow {
  readonly op_id: string
  readonly server_version: number
  readonly table_name: SyncedTable
  readonly pk: string
  readonly op: 'put' | 'delete'
  readonly payload_json: string | null
  readonly clock: number
  readonly hlc: string
  readonly device_id: string
  readonly content_hash: Buffer | null
}

const findHolders = (connection: Connection, workspaceId: string, ops: ReadonlyArray<CheckedOp>) => {
  const opIds = jsonArray(ops.map(({ opId }) => opId))
  const holders = new Map<string, Holder>()
  for (const row of connection.all<KnownOpRow>(pushSql.knownOps, { workspaceId, opIds })) {
    holders.set(row.op_id, holderOf(row))
  }
  return holders
}

const holderOf = (row: KnownOpRow): Holder => {
  const { content_hash: hash } = row
  const logged = (): CheckedOp => ({
    opId: row.op_id,
    tableName: row.table_name,
    operation: row.op,
    pk: row.pk,
    payloadJson: row.payload_json,
    clock: row.clock,
    hlc: row.hlc,
    deviceId: row.device_id,
  })
  return {
    opId: row.op_id,
    isSame: hash === null ? (op) => sameContent(op, logged()) : (op) => contentHash(op).equals(hash),
    version: row.server_version,
    inBatch: false,
  }
}

/** Whether the caller may touch a record. Within a batch the answer cannot change: its puts make the caller the owner. */
const notificationGuard = (
  connection: Connection,
  { workspaceId, userId }: Batch,
  ops: ReadonlyArray<CheckedOp>,
) => {
  const touched = userId === undefined ? [] : ops.filter(({ tableName }) => tableName === 'notifications')
  if (touched.length === 0) return () => true
  const rows = connection.all<{ pk: string; user_id: string }>(
    pushSql.notificationOwners,
    workspaceId,
    jsonArray(new Set(touched.map(({ pk }) => pk))),
  )
  const foreign = new Set(rows.filter((row) => row.user_id !== userId).map(({ pk }) => pk))
  return ({ tableName, pk }: CheckedOp) => tableName !== 'notifications' || !foreign.has(pk)
}

/** Goes through the batch as a sequence: an op sees those before it. */
const decide = (
  checked: Batch['checked'],
  holders: Map<string, Holder>,
  mayTouch: (op: CheckedOp) => boolean,
): { readonly decisions: ReadonlyArray<Decision>; readonly accepted: ReadonlyArray<CheckedOp> } => {
  const accepted: Array<CheckedOp> = []
  const decisions = checked.map((op): Decision => {
    if (!isChecked(op)) return op
    const holder = holders.get(op.opId)
    if (holder !== undefined) {
      if (holder.isSame(op)) return { replayOf: holder }
      return new OpConflict({ opId: op.opId, ...(holder.inBatch ? {} : { serverVersion: holder.version }) })
    }
    if (!mayTouch(op)) return new OpForbidden({ opId: op.opId })
    const place = accepted.push(op) - 1
    holders.set(op.opId, {
      opId: op.opId,
      isSame: (other) => sameContent(other, op),
      version: place,
      inBatch: true,
    })
    return { accepted: place }
  })
  return { decisions, accepted }
}

const outcome =
  (base: number, results: ReadonlyArray<OpAccepted>) =>
  (decision: Decision): OpOutcome => {
    if ('accepted' in decision) return results[decision.accepted]!
    if (!('replayOf' in decision)) return decision
    const { opId, version, inBatch } = decision.replayOf
    return new OpReplayed({ opId, serverVersion: inBatch ? base + 1 + version : version })
  }

/** Logs the accepted ops as the versions after `base`, and brings rows and tombstones in step. */
const store = (
  connection: Connection,
  { workspaceId, userId, now }: Batch,
  accepted: ReadonlyArray<CheckedOp>,
  base: number,
): ReadonlyArray<OpAccepted> => {
  // Of several ops on one record, a later one may replace what an earlier one lost to.
  const winning = payloads(connection, workspaceId, groupByTable(repeated(accepted)))
  connection.run(pushSql.log, { workspaceId, base, now, ops: logJson(accepted) })
  const applied = new Set<string>()
  const range = { workspaceId, base }
  for (const [table, ops] of groupByTable(accepted)) {
    const parameters = table === 'notifications' ? { ...range, userId: userId ?? null } : range
    for (const { op_id } of connection.all<{ op_id: string }>(pushSql.materialize[table], parameters)) {
      applied.add(op_id)
    }
    if (ops.some(({ operation }) => operation === 'delete')) connection.run(pushSql.bury[table], range)
    if (ops.some(({ operation }) => operation === 'put')) connection.run(pushSql.revive[table], range)
  }
  const superseded = accepted.filter((op) => !applied.has(op.opId) && !winning.has(recordKey(op)))
  for (const [key, payload] of payloads(connection, workspaceId, groupByTable(superseded))) {
    winning.set(key, payload)
  }
  return accepted.map((op, place) => {
    const result = { opId: op.opId, serverVersion: base + 1 + place, applied: applied.has(op.opId) }
    if (result.applied) {
      if (winning.size > 0) winning.set(recordKey(op), op.payloadJson)
      return new OpAccepted(result)
    }
    const payload = winning.get(recordKey(op)) ?? null
    return new OpAccepted(payload === null ? result : { ...result, payload: JSON.parse(payload) })
  })
}

/** A primary key holds no NUL. */
const recordKey = ({ tableName, pk }: { readonly tableName: string; readonly pk: string }) =>
  `${tableName}\0${pk}`

const groupByTable = (ops: ReadonlyArray<CheckedOp>) => {
  const groups = new Map<SyncedTable, Array<CheckedOp>>()
  for (const op of ops) {
    const group = groups.get(op.tableName)
    if (group === undefined) groups.set(op.tableName, [op])
    else group.push(op)
  }
  return groups
}

/** The ops on records that occur more than once. */
const repeated = (ops: ReadonlyArray<CheckedOp>) => {
  const counts = new Map<string, number>()
  for (const op of ops) counts.set(recordKey(op), (counts.get(recordKey(op)) ?? 0) + 1)
  return counts.size === ops.length ? [] : ops.filter((op) => counts.get(recordKey(op))! > 1)
}

/** The payloads of the rows as they are, by record. */
const payloads = (
  connection: Connection,
  workspaceId: string,
  groups: ReadonlyMap<SyncedTable, ReadonlyArray<CheckedOp>>,
) => {
  const found = new Map<string, string | null>()
  for (const [tableName, ops] of groups) {
    const keys = jsonArray(new Set(ops.map(({ pk }) => pk)))
    for (const { pk, data_json } of connection.all<{ pk: string; data_json: string | null }>(
      pushSql.payloads[tableName],
      workspaceId,
      keys,
    )) {
      found.set(recordKey({ tableName, pk }), data_json)
    }
  }
  return found
}

/** The ops as one JSON array, their payloads spliced in as they are. */
const logJson = (ops: ReadonlyArray<CheckedOp>) => {
  const entries = ops.map((op) => {
    const head = JSON.stringify({
      t: op.tableName,
      k: op.pk,
      o: op.operation,
      c: op.clock,
      h: op.hlc,
      d: op.deviceId,
      i: op.opId,
    })
    return op.payloadJson === null ? head : `${head.slice(0, -1)},"p":${op.payloadJson}}`
  })
  return `[${entries.join(',')}]`
}
