/**
 * Erasing users on any engine: a mark, which takes in the same batch whatever could bring them back, and then short steps.
 *
 * As with purges, the mark stays, so steps may stop anywhere and run beside each other, and whoever comes next goes on.
 */
import { Effect, Either } from 'effect'
import { type EraseReport, LastAdmin, OnlyOwner } from '../../services/Erasure.js'
import type { StorageError } from '../../services/StorageError.js'
import { UserNotFound } from '../../services/WorkspaceStore.js'
import { epochSeconds, letOthersWrite } from '../time.js'
import { type Batch, firstOf, type Results, type Row } from './batch.js'
import { grouped } from '../grouped.js'
import type { Batches } from './Batches.js'
import { eraseSql, chunkSize, notificationStep } from './eraseSql.js'
import { dropJobs, dropWebhooks, eachOwn, emptyWorkspace, rows, rowsOf } from './purge.js'

type Engine = Batches['Type']
type Refusal = UserNotFound | OnlyOwner | LastAdmin

const looks = (userId: string) => [eraseSql.user({ userId }), eraseSql.left({ userId })]

/** Why nothing may be taken, if so. Of one who was erased, something may have come since from whoever names no caller. */
const mayErase = (results: Results): Either.Either<void, Refusal> => {
  const user = firstOf(results, 0)
  if (user === undefined) return Either.left(new UserNotFound({}))
  if (user.erased_at !== null) return Either.void
  const workspaceIds = results[1]!.map(({ id }) => id as string)
  if (workspaceIds.length > 0) return Either.left(new OnlyOwner({ workspaceIds }))
  return user.isLastAdmin === 1 ? Either.left(new LastAdmin({})) : Either.void
}

type Marked = Pick<EraseReport, 'workspaces' | 'memberships' | 'identities' | 'invites'>

/** `now` in epoch seconds. */
const mark = (userId: string, now: number): Batch<Marked, Refusal> => {
  const params = { userId, now }
  return {
    statements: [
      ...looks(userId),
      eraseSql.mark(params),
      eraseSql.dropAdmin(params),
      eraseSql.dropIdentities(params),
      eraseSql.dropAddressed(params),
      eraseSql.dropAccepted(params),
      eraseSql.revokeMade(params),
      eraseSql.purgeOwn(params),
      eraseSql.raiseFloors(params),
      eraseSql.leave(params),
      eraseSql.forget(params),
    ],
    read: (results) =>
      Either.map(mayErase(results), () => {
        const of = (statement: number) => results[statement]!.length
        const workspaces = of(8)
        return {
          workspaces,
          memberships: workspaces + of(10),
          identities: of(4),
          invites: of(5) + of(6),
        }
      }),
  }
}

/** Of the device cursors of a user. */
const eachCursor = (
  batches: Engine,
  userId: string,
  body: (own: ReadonlyArray<Row>) => Effect.Effect<void, StorageError>,
) =>
  eachOwn(
    batches,
    'find cursors',
    (last) =>
      eraseSql.cursors({
        userId,
        workspaceId: last?.workspace_id ?? '',
        deviceId: last?.device_id ?? '',
      }),
    body,
  )

const dropCursors = ({ write }: Engine, userId: string, own: ReadonlyArray<Row>) => {
  if (own.length === 0) return Effect.void
  const drop = [...grouped(own, (row) => row.workspace_id as string)].map(([workspaceId, cursors]) =>
    eraseSql.dropCursors({
      userId,
      workspaceId,
      devices: JSON.stringify(cursors.map((row) => [row.device_id])),
    }),
  )
  return Effect.zipRight(letOthersWrite, write('erase user', rowsOf(...drop)))
}

const dropAllJobs = (batches: Engine, userId: string) =>
  Effect.gen(function* () {
    for (let total = 0; ;) {
      const own = yield* batches.read('find jobs', rows(eraseSql.jobs({ userId })))
      if (own.length === 0) return total
      yield* dropJobs(batches, own)
      total += own.length
    }
  })

/** First the notifications that are there, then what the log says of earlier ones. */
const emptyNotifications = ({ read, write }: Engine, userId: string) =>
  Effect.gen(function* () {
    let total = 0
    for (;;) {
      const [notified] = yield* read('find notifications', rows(eraseSql.notified({ userId })))
      if (notified === undefined) break
      const params = { userId, workspaceId: notified.workspace_id }
      yield* letOthersWrite
      total += yield* write(
        'erase user',
        rowsOf(eraseSql.emptyStood(params), eraseSql.emptyNotifications(params)),
      )
    }
    for (let after: string | undefined = ''; after !== undefined;) {
      const logs: ReadonlyArray<Row> = yield* read('find entries', rows(eraseSql.logs({ userId, after })))
      for (const { id: workspaceId } of logs.filter(({ isDue }) => isDue === 1)) {
        for (let gone = notificationStep; gone === notificationStep;) {
          yield* letOthersWrite
          gone = yield* write('erase user', rowsOf(eraseSql.emptyEntries({ userId, workspaceId })))
        }
      }
      after = logs.length < chunkSize ? undefined : logs.at(-1)!.id
    }
    return total
  })

/** Takes what a user who is marked still has. */
export const emptyUser = (batches: Engine, userId: string) =>
  Effect.gen(function* () {
    const jobs = yield* dropAllJobs(batches, userId)
    const hooks = yield* dropWebhooks(batches, eraseSql.webhooks({ userId }))
    const cursors = yield* eachCursor(batches, userId, (own) => dropCursors(batches, userId, own))
    const notifications = yield* emptyNotifications(batches, userId)
    const purged = yield* batches.read('find workspaces', rows(eraseSql.purged({ userId })))
    for (const { workspace_id: workspaceId } of purged) yield* emptyWorkspace(batches, workspaceId)
    const now = yield* epochSeconds
    yield* batches.write('erase user', rowsOf(eraseSql.finish({ userId, now })))
    return { jobs, ...hooks, cursors, notifications }
  })

/** Erases a user. */
export const erase = (batches: Engine, userId: string): Effect.Effect<EraseReport, Refusal | StorageError> =>
  Effect.gen(function* () {
    const marked = yield* batches.write('erase user', mark(userId, yield* epochSeconds))
    return { ...marked, ...(yield* emptyUser(batches, userId)) }
  })

const counts = (userId: string): Batch<Omit<EraseReport, 'cursors'>, Refusal> => {
  const counted = Object.entries(eraseSql.count)
  return {
    statements: [...looks(userId), ...counted.map(([, count]) => count({ userId }))],
    read: (results) =>
      Either.map(mayErase(results), () => {
        const totals = counted.map(([name], index) => [name, firstOf(results, index + 2)!.total])
        return Object.fromEntries(totals)
      }),
  }
}

/** What erasing would take now. */
export const previewErasure = (
  batches: Engine,
  userId: string,
): Effect.Effect<EraseReport, Refusal | StorageError> =>
  Effect.gen(function* () {
    const counted = yield* batches.read('preview erasure', counts(userId))
    return { ...counted, cursors: yield* eachCursor(batches, userId, () => Effect.void) }
  })
