/**
 * Pull as one batch: the position and the page are read at once.
 */
import { Effect, Either } from 'effect'
import { isFromBeforeRestore, leapOver, shownClock } from '../../services/epochs.js'
import { checkPull, fitsPage } from '../../services/requests.js'
import { type SyncChange, type SyncedTable } from '../../services/SyncDomain.js'
import type { GatewayError, PullPage, PullRequest } from '../../services/SyncGateway.js'
import type { LeapWarning } from '../leapWarning.js'
import type { News } from '../news.js'
import { type Batch, type Row, statement } from '../sql/batch.js'
import type { Batches } from '../sql/Batches.js'
import { bounded } from '../sql/bounded.js'
import { pullSql } from '../sql/pullSql.js'
import { epochSeconds } from '../time.js'
import { parsePayload } from '../sql/payload.js'
import { askPosition, position, type Position, positionIn, watermark } from './position.js'

/** As they are stored; a cursor from before a leap is below all there is. */
const ofPosition = {
  cursor: '(SELECT :cursor - version_offset FROM position)',
  floor: '(SELECT trimmed_version FROM position)',
  logCursor: '(SELECT max(:cursor - version_offset, trimmed_version) FROM position)',
}

/** By the tables that they show. */
const pages = new Map<string, ReturnType<typeof statement>>()

const page = (tables: ReadonlyArray<SyncedTable>) => {
  const name = tables.join()
  const known =
    pages.get(name) ??
    statement(
      `WITH ${position} ${bounded(pullSql.wholePage(tables, ofPosition), 'server_version', 'payload_json')}`,
    )
  pages.set(name, known)
  return known
}

export const pullBatchSql = { page }

const toChange = (row: Row, { version_offset: offset, clock_offset: clockOffset }: Position): SyncChange => {
  const {
    table_name: tableName,
    pk,
    op,
    payload_json: json,
    clock,
    hlc,
    device_id: deviceId,
    op_id: opId,
  } = row
  const serverVersion = row.server_version + offset
  const stamp = { deviceId, opId, hlc, clock: shownClock(clock, clockOffset) }
  return json === null
    ? { serverVersion, tableName, pk, op, stamp }
    : { serverVersion, tableName, pk, op, payload: parsePayload(json), stamp }
}

type CheckedPull = Either.Either.Right<ReturnType<typeof checkPull>>

interface Read {
  readonly page: PullPage
  readonly position: Position & { readonly stored: number }
}

const readPage = ({ workspaceId, userId, cursor, limit, tables }: CheckedPull): Batch<Read> => ({
  statements: [
    askPosition(workspaceId),
    ...(tables.length === 0
      ? []
      : [page(tables)({ workspaceId, userId: userId ?? null, cursor, wanted: limit + 1 })]),
  ],
  read: (results) => {
    const position = positionIn(results, 0)
    const changes: Array<SyncChange> = []
    let bytes = 0
    for (const row of results[1] ?? []) {
      bytes += (row.payload_json as string | null)?.length ?? 0
      if (!fitsPage(changes.length, bytes, limit)) {
        const nextCursor = changes.at(-1)!.serverVersion
        return Either.right({ position, page: { changes, nextCursor, hasMore: true } })
      }
      changes.push(toChange(row, position))
    }
    const nextCursor = Math.max(cursor, watermark(position))
    return Either.right({ position, page: { changes, nextCursor, hasMore: false } })
  },
})

const rise = statement(`
  UPDATE server_version_counter SET version_offset = version_offset + :versions, leapt_at = :now
  WHERE workspace_id = :workspaceId AND version_offset = :versionOffset AND value + version_offset < :cursor`)

/** Unless it has leapt meanwhile, or what was read was behind, as a replica may be. */
const leap = ({ workspaceId, cursor }: CheckedPull, from: Position, now: number): Batch<void> => {
  const versions = leapOver(cursor, watermark(from))
  return {
    statements: Number.isSafeInteger(watermark(from) + versions)
      ? [rise({ workspaceId, versions, now, cursor, versionOffset: from.version_offset })]
      : [],
    read: () => Either.void,
  }
}

export const pull =
  ({ read, write }: Batches['Type'], news: News, warn: LeapWarning) =>
  (request: PullRequest): Effect.Effect<PullPage, GatewayError> =>
    Effect.gen(function* () {
      const checked = yield* checkPull(request)
      const { page, position } = yield* read('pull', readPage(checked))
      const { cursor, workspaceId } = checked
      if (cursor <= watermark(position)) return page
      const now = yield* epochSeconds
      const place = { version: watermark(position), stored: position.stored, leaptAt: position.leapt_at }
      if (isFromBeforeRestore(cursor, place, now)) {
        yield* write('pull', leap(checked, position, now))
        news.announce(workspaceId)
        yield* warn(workspaceId)
      }
      return page
    })
