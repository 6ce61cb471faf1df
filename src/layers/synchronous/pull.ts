/**
 * Pull on SQLite: one page, in version order.
 *
 * Above the trimmed floor the log has every entry. Up to the floor it has none, and the materialised rows stand for them.
 * So a page is a merge of at most 14 index ranges, each of which SQLite reads no further than the page needs.
 */
import { Effect, Either } from 'effect'
import { isFromBeforeRestore, shownClock } from '../../services/epochs.js'
import { checkPull, fitsPage } from '../../services/requests.js'
import type { SyncChange } from '../../services/SyncDomain.js'
import type { GatewayError, PullPage, PullRequest } from '../../services/SyncGateway.js'
import type { StorageError } from '../../services/StorageError.js'
import type { Connection } from './connection.js'
import type { Database } from './Database.js'
import { leap } from './leap.js'
import { pullSql } from '../sql/pullSql.js'
import type { LogEntryTuple } from '../sql/logEntry.js'
import { parsePayload } from '../sql/payload.js'
import { afterCheck } from '../afterCheck.js'
import type { LeapWarning } from '../leapWarning.js'
import type { News } from '../news.js'
import { type Position, positionOf } from './position.js'
import { epochSeconds } from '../time.js'

const toChange = (row: LogEntryTuple, { versionOffset, clockOffset }: Position): SyncChange => {
  const [version, tableName, pk, op, payloadJson, clock, hlc, deviceId, opId] = row
  const serverVersion = version + versionOffset
  const stamp = { deviceId, opId, hlc, clock: shownClock(clock, clockOffset) }
  return payloadJson === null
    ? { serverVersion, tableName, pk, op, stamp }
    : { serverVersion, tableName, pk, op, payload: parsePayload(payloadJson), stamp }
}

type CheckedPull = Either.Either.Right<ReturnType<typeof checkPull>>

/** Reads row by row, so that nothing is read that the page does not hold. */
const readPage = (checked: CheckedPull, connection: Connection): PullPage => {
  const { workspaceId, userId, cursor, limit, tables } = checked
  const position = positionOf(connection, workspaceId)
  const { version, versionOffset } = position
  // As they are stored; a cursor from before a leap is below all there is.
  const [after, floor] = [cursor - versionOffset, position.floor - versionOffset]
  const rows = connection.each<LogEntryTuple>(pullSql.page(tables, after < floor), {
    workspaceId,
    cursor: after,
    floor,
    logCursor: Math.max(after, floor),
    wanted: limit + 1,
    userId: userId ?? null,
  })
  const changes: Array<SyncChange> = []
  let bytes = 0
  for (const row of rows) {
    bytes += row[4]?.length ?? 0
    if (!fitsPage(changes.length, bytes, limit)) {
      return { changes, nextCursor: changes.at(-1)!.serverVersion, hasMore: true }
    }
    changes.push(toChange(row, position))
  }
  return { changes, nextCursor: version, hasMore: false }
}

/**
 * A device from before a restored backup keeps its cursor, as the protocol says; but the workspace leaps, so that its next
 * pull brings everything that it and the server do not share.
 */
const leapFor = (
  database: Database['Type'],
  news: News,
  warn: LeapWarning,
  { workspaceId, cursor }: CheckedPull,
  seen: Position,
) =>
  Effect.flatMap(epochSeconds, (now) => {
    if (!isFromBeforeRestore(cursor, seen, now)) return Effect.void
    const leapt = database.write(
      'pull',
      (connection) => {
        if (isFromBeforeRestore(cursor, positionOf(connection, workspaceId), now))
          leap(connection, workspaceId, now, cursor)
        return Either.void
      },
      () => news.announce(workspaceId),
    )
    return Effect.zipRight(leapt, warn(workspaceId))
  })

export const pull =
  (database: Database['Type'], news: News, warn: LeapWarning) =>
  (request: PullRequest): Effect.Effect<PullPage, GatewayError> =>
    afterCheck(checkPull(request), (checked) => {
      const { workspaceId, cursor, tables } = checked
      const look = database.direct('pull', (connection) => positionOf(connection, workspaceId))
      return Effect.flatMap(look, (seen): Effect.Effect<PullPage, StorageError> => {
        if (cursor < seen.version && tables.length > 0) {
          return database.snapshot('pull', (connection) => Either.right(readPage(checked, connection)))
        }
        // The usual poll: nothing new. One statement is a snapshot of its own.
        const nothing = { changes: [], nextCursor: Math.max(cursor, seen.version), hasMore: false }
        return cursor > seen.version
          ? Effect.as(leapFor(database, news, warn, checked, seen), nothing)
          : Effect.succeed(nothing)
      })
    })
