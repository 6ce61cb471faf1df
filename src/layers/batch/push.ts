/**
 * Push as one batch: usually one round trip.
 *
 * Statements alone can take ops that are new. What came of them is computed from what stood before, which the batch reads first.
 * Two things cost another trip: ops whose id is logged are compared by their content; and ops that have to be looked at before
 * they can be taken (`isUndecidable` in `pushSql.ts`) are decided here, and taken if their records stand as they stood.
 */
import { Effect, Either } from 'effect'
import {
  fileFieldsOf,
  fileHashesOf,
  normalizeHash,
  type ReferringTable,
  referringTables,
} from '../../services/fileRules.js'
import { type CheckedOp, isUuid } from '../../services/opRules.js'
import { checkPush, refuse } from '../../services/requests.js'
import { StorageError } from '../../services/StorageError.js'
import type { SyncedTable } from '../../services/SyncDomain.js'
import { type InvalidRequest, ScopeForbidden } from '../../services/SyncErrors.js'
import type { GatewayError, PushRequest, PushResult } from '../../services/SyncGateway.js'
import type { News } from '../news.js'
import { type Batch, type Results, type Row, type Statement } from '../sql/batch.js'
import type { Batches } from '../sql/Batches.js'
import { checkOps, isRefused } from '../sql/checkOps.js'
import type { LogEntryRow } from '../sql/logEntry.js'
import { purgeSql } from '../sql/purgeSql.js'
import { epochSeconds } from '../time.js'
import { askPosition, positionIn, readPosition, watermark } from './position.js'
import { type Before, type Decision, decide, recordKey, type Renamed, type Taken } from './pushDecision.js'
import { grouped } from '../grouped.js'
import { keysOf, pushSql } from './pushSql.js'

/** Bytes of JSON in one list: on some engines a value may have 2 MB. */
const listBytes = 1_000_000

/** Bytes of JSON in all lists together: a batch has to be held in memory, here and where it runs. */
const batchBytes = 64 * 1_024 * 1_024

/** How often a decision is made again because others changed the workspace meanwhile. */
const attempts = 10

/** An op as lists have it. */
const keyOf = ({ op, owner }: Taken) => [
  op.opId,
  op.tableName,
  op.pk,
  op.operation,
  op.clock,
  op.hlc,
  op.deviceId,
  owner,
]

const ofTable = (items: ReadonlyArray<Taken>, table: SyncedTable) =>
  items.filter(({ op }) => op.tableName === table)

const keysIn = (items: ReadonlyArray<Taken>) => JSON.stringify(items.map(keyOf))

/** The ops with their payloads, in lists that are no longer than one value may be. */
const listsOf = (items: ReadonlyArray<Taken>): Either.Either<ReadonlyArray<string>, InvalidRequest> => {
  const lists: Array<string> = []
  let list: Array<string> = []
  let [bytes, total] = [0, 0]
  const end = () => {
    if (list.length > 0) lists.push(`[${list.join()}]`)
    list = []
    bytes = 0
  }
  for (const item of items) {
    const text = JSON.stringify([...keyOf(item), item.op.payloadJson])
    const length = Buffer.byteLength(text)
    if (bytes + length > listBytes) end()
    list.push(text)
    bytes += length
    total += length
  }
  end()
  return total > batchBytes ? refuse('ops', 'hold more than the database takes at once') : Either.right(lists)
}

const tablesOf = (items: ReadonlyArray<Taken>): ReadonlyArray<SyncedTable> => [
  ...new Set(items.map(({ op }) => op.tableName)),
]

interface Push {
  readonly workspaceId: string
  readonly userId: string | undefined
  readonly ops: ReadonlyArray<CheckedOp>
  readonly now: number
}

/** Lists of one: the text of a plain element keeps its escapes on some engines. */
const listed = (ids: ReadonlyArray<string>) => JSON.stringify(ids.map((id) => [id]))

const opIdsOf = ({ ops }: Push) => ops.map(({ opId }) => opId)

/** The ops as they are taken while nothing speaks against it: of those that share an id, the first. */
const undecidedOf = ({ ops, userId }: Push): ReadonlyArray<Taken> => {
  const first = new Map<string, CheckedOp>()
  for (const op of ops) if (!first.has(op.opId)) first.set(op.opId, op)
  return Array.from(first.values(), (op) => ({
    op,
    owner: op.operation === 'delete' ? (userId ?? null) : op.owner,
  }))
}

const asVersions = (rows: ReadonlyArray<Row>) =>
  rows.map((row) => [row.op_id as string, row.server_version as number] as const)

const asTrimmed = (rows: ReadonlyArray<Row>) =>
  rows.map(
    ({ op_id: id, server_version: version, content_hash: hash }) =>
      [id as string, { version: version as number, hash: hash as string }] as const,
  )

/** Other names have their own rows of what is known. */
const knownByOtherName = (renamed: ReadonlyArray<Row>, version: 'logged' | 'trimmed') =>
  renamed
    .filter((row) => row[version] !== null)
    .map((row) => ({ ...row, op_id: row.new_op_id, server_version: row[version] }))

/** The reads that a push begins with, and how to understand them. */
const readings = (push: Push) => {
  const { workspaceId } = push
  const items: ReadonlyArray<Taken> = push.ops.map((op) => ({ op, owner: null }))
  const tables = tablesOf(items)
  const opIds = opIdsOf(push)
  const oddIds = opIds.filter((id) => !isUuid(id))
  const params = {
    workspaceId,
    userId: push.userId ?? null,
    isDecided: 0,
    opIds: listed(opIds),
    oddIds: listed(oddIds),
  }
  const statements: ReadonlyArray<Statement> = [
    askPosition(workspaceId),
    pushSql.logged(params),
    pushSql.trimmed(params),
    ...tables.map((table) => pushSql.standing[table]({ ...params, keys: keysIn(ofTable(items, table)) })),
    ...(oddIds.length > 0 ? [pushSql.renamed(params)] : []),
    purgeSql.closed(params),
  ]
  const understand = (results: Results): Either.Either<Before, ScopeForbidden> => {
    if (results[statements.length - 1]!.length > 0) return Either.left(new ScopeForbidden({}))
    const standing = new Map<string, Row>()
    for (const [index, table] of tables.entries()) {
      for (const row of results[3 + index]!) {
        const key = recordKey(table, row.pk)
        // Of several ops of one record, that which is to be told of it has its payload.
        if (standing.get(key)?.data_json == null) standing.set(key, row)
      }
    }
    const renamed = oddIds.length > 0 ? results[3 + tables.length]! : []
    return Either.right({
      position: positionIn(results, 0),
      logged: new Map(asVersions([...results[1]!, ...knownByOtherName(renamed, 'logged')])),
      trimmed: new Map(asTrimmed([...results[2]!, ...knownByOtherName(renamed, 'trimmed')])),
      contents: new Map(),
      renamed: grouped(renamed as ReadonlyArray<Renamed>, (row) => row.op_id),
      standing,
    })
  }
  return { statements, understand }
}

const noKeys = Object.fromEntries(Object.values(keysOf).map((name) => [name, '[]']))

/** What keeps the statements from taking ops: undecided, all that is asked about them; decided, a place. */
const guardsOf = ({ ops }: Push, items: ReadonlyArray<Taken>, decided: Before | undefined) =>
  decided === undefined
    ? {
        ...Object.fromEntries(
          Object.entries(keysOf).map(([table, name]) => [name, keysIn(ofTable(items, table as SyncedTable))]),
        ),
        oddIds: listed(items.map(({ op }) => op.opId).filter((id) => !isUuid(id))),
        isDecided: 0,
        seen: '[]',
        versionOffset: null,
        clockOffset: null,
      }
    : {
        ...noKeys,
        oddIds: '[]',
        isDecided: 1,
        seen: seenIn(ops, decided),
        versionOffset: decided.position.version_offset,
        clockOffset: decided.position.clock_offset,
      }

/** The records of the ops, with the versions they stood by. */
const seenIn = (ops: ReadonlyArray<CheckedOp>, { standing }: Before) => {
  const keys = new Map(ops.map((op) => [recordKey(op.tableName, op.pk), op]))
  return JSON.stringify(
    Array.from(keys, ([key, { tableName, pk }]) => [tableName, pk, standing.get(key)?.server_version ?? 0]),
  )
}

type Params = Parameters<typeof pushSql.log>[0]

const rows = (items: ReadonlyArray<Taken>, params: Params) =>
  tablesOf(items).flatMap((table) => {
    const own = { ...params, keys: keysIn(ofTable(items, table)) }
    return [pushSql.materialize[table](own), pushSql.bury[table](own), pushSql.revive[table](own)]
  })

const references = (table: ReferringTable, items: ReadonlyArray<Taken>, params: Params) => {
  const own = ofTable(items, table)
  if (own.length === 0) return []
  const named = own.flatMap(({ op: { opId, pk, operation, payloadJson } }) =>
    operation === 'put' ? fileHashesOf(payloadJson).map((hash) => [opId, pk, hash]) : [],
  )
  return [
    pushSql.forgetReferences[table](params),
    ...(named.length > 0
      ? [pushSql.addReferences[table]({ ...params, references: JSON.stringify(named) })]
      : []),
  ]
}

const files = (items: ReadonlyArray<Taken>, params: Params) => {
  const own = ofTable(items, 'file_meta')
  if (own.length === 0) return []
  const said = own.map(({ op: { opId, pk, operation, payloadJson } }) => {
    const size = operation === 'delete' ? null : (fileFieldsOf(payloadJson).sizeBytes ?? null)
    return [opId, pk, normalizeHash(pk), size]
  })
  const asked = { ...params, files: JSON.stringify(said) }
  return [pushSql.addUsage(asked), pushSql.recordFiles(asked)]
}

/** The changes, for ops that are to be taken. The last result has a row if any was. */
const changes = (
  push: Push,
  items: ReadonlyArray<Taken>,
  decided?: Before,
): Either.Either<ReadonlyArray<Statement>, InvalidRequest> => {
  const { workspaceId, userId, now } = push
  const params = { workspaceId, userId: userId ?? null, now, ...guardsOf(push, items, decided) }
  return Either.map(listsOf(items), (lists) => [
    ...lists.map((ops) => pushSql.log({ ...params, ops })),
    ...rows(items, params),
    ...referringTables.flatMap((table) => references(table, items, params)),
    ...files(items, params),
    pushSql.raiseWatermark(params),
  ])
}

const decided = (push: Push, before: Before): Decision => decide(before, push.ops, push.userId, push.now)

/** Lets the statements take the ops, unless they cannot decide that. */
const undecided = (
  push: Push,
): Either.Either<
  Batch<{ readonly before: Before; readonly decision: Decision }, ScopeForbidden>,
  InvalidRequest
> => {
  const { statements, understand } = readings(push)
  return Either.map(changes(push, undecidedOf(push)), (changes) => ({
    statements: [...statements, ...changes],
    read: (results) =>
      Either.map(understand(results), (before) => {
        const decision = decided(push, before)
        if (results.at(-1)!.length > 0 !== (decision.taken.length > 0 && !decision.isOurs)) {
          throw new Error('the statements of a push and its decision disagree')
        }
        return { before, decision }
      }),
  }))
}

const readBefore = (push: Push): Batch<Before, ScopeForbidden> => {
  const { statements, understand } = readings(push)
  return { statements, read: understand }
}

/** With what is logged of some ops, and with what was trimmed of them since, if somebody collects meanwhile. */
const readContents = (workspaceId: string, ids: ReadonlyArray<string>, before: Before): Batch<Before> => {
  const params = { workspaceId, opIds: listed(ids) }
  return {
    statements: [pushSql.contents(params), pushSql.trimmed(params)],
    read: ([rows, trimmed]) =>
      Either.right({
        ...before,
        contents: new Map(rows!.map((row) => [row.op_id, row as LogEntryRow])),
        logged: new Map([...before.logged].filter(([id]) => !trimmed!.some((row) => row.op_id === id))),
        trimmed: new Map([...before.trimmed, ...asTrimmed(trimmed!)]),
      }),
  }
}

/** Takes the ops if their records stand as they stood; tells what it found, whose position the versions go on from. */
const take = (
  push: Push,
  { taken }: Decision,
  seen: Before,
): Either.Either<
  Batch<{ readonly found: Before; readonly isTaken: boolean }, ScopeForbidden>,
  InvalidRequest
> => {
  const { statements, understand } = readings(push)
  return Either.map(changes(push, taken, seen), (changes) => ({
    statements: [...statements, ...changes],
    read: (results) =>
      Either.map(understand(results), (found) => ({ found, isTaken: results.at(-1)!.length > 0 })),
  }))
}

/**
 * Whether a notification comes twice and is deleted in between, by a program that speaks for no user: the delete leaves it to
 * whoever has it then, whom statements do not see.
 */
const mayPassOn = ({ ops, userId }: Push) => {
  const own = ops.filter(({ tableName }) => tableName === 'notifications')
  return (
    userId === undefined &&
    own.some(({ operation }) => operation === 'delete') &&
    new Set(own.map(({ pk }) => pk)).size < own.length
  )
}

export const push =
  ({ read, write }: Batches['Type'], news: News) =>
  (request: PushRequest): Effect.Effect<PushResult, GatewayError> => {
    /** A decision with the contents of the ops that are logged, if there are any. */
    const decideAll = (
      push: Push,
      before: Before,
      decision = decided(push, before),
    ): Effect.Effect<Decision, StorageError> => {
      if (decision.guessed.length === 0) return Effect.succeed(decision)
      return Effect.map(read('push', readContents(push.workspaceId, decision.guessed, before)), (known) =>
        decided(push, known),
      )
    }

    const takeDecided = (
      push: Push,
      before: Before,
      left = attempts,
    ): Effect.Effect<Decision, StorageError | InvalidRequest | ScopeForbidden> =>
      Effect.gen(function* () {
        const decision = yield* decideAll(push, before)
        if (decision.taken.length === 0) return decision
        const { found, isTaken } = yield* write('push', yield* take(push, decision, before))
        // The same ops, with the versions that were free by then.
        if (isTaken) return yield* decideAll(push, found)
        if (left === 0) return yield* new StorageError({ operation: 'push', reason: 'busy' })
        return yield* takeDecided(push, found, left - 1)
      })

    const pushAll = (push: Push): Effect.Effect<Decision, StorageError | InvalidRequest | ScopeForbidden> =>
      Effect.gen(function* () {
        if (mayPassOn(push)) return yield* takeDecided(push, yield* read('push', readBefore(push)))
        const { before, decision } = yield* write('push', yield* undecided(push))
        return yield* decision.isOurs ? takeDecided(push, before) : decideAll(push, before, decision)
      })

    return Effect.gen(function* () {
      const { workspaceId, userId, ops: given } = yield* checkPush(request)
      const checked = yield* checkOps(workspaceId, userId, given)
      const ops = checked.filter((op): op is CheckedOp => !isRefused(op))
      if (checked.every(isRefused)) {
        const serverVersion = watermark(yield* read('push', readPosition(workspaceId)))
        return { outcomes: checked, serverVersion }
      }
      const push = { workspaceId, userId, ops, now: yield* epochSeconds }
      const { outcomes, serverVersion } = yield* pushAll(push)
      news.announce(workspaceId)
      const decided = outcomes.values()
      return {
        outcomes: checked.map((op) => (isRefused(op) ? op : decided.next().value!)),
        serverVersion,
      }
    })
  }
