/**
 * Purges on any engine: a mark, and then short steps, so that pushes into other workspaces get in between.
 *
 * What the mark has said stays so. So steps may stop anywhere and run beside each other, and whoever comes next goes on.
 */
import { Effect, Either } from 'effect'
import { type PurgeReport, WorkspaceIsLive } from '../../services/Erasure.js'
import type { StorageError } from '../../services/StorageError.js'
import { WorkspaceNotFound } from '../../services/WorkspaceStore.js'
import { epochSeconds, letOthersWrite } from '../time.js'
import { type Batch, firstOf, type Row, type Statement } from './batch.js'
import type { Batches } from './Batches.js'
import { purgeSql, stepSize } from './purgeSql.js'
import { dropStep } from './webhookBatches.js'

type Engine = Batches['Type']

const nothing: PurgeReport = {
  records: 0,
  entries: 0,
  members: 0,
  invites: 0,
  jobs: 0,
  webhooks: 0,
  deliveries: 0,
}

type Refusal = WorkspaceNotFound | WorkspaceIsLive

/** Whether something is left to take, or why nothing may be. */
const isLeft = (row: Row | undefined): Either.Either<boolean, Refusal> => {
  if (row === undefined) return Either.left(new WorkspaceNotFound({}))
  return row.deleted === 0 ? Either.left(new WorkspaceIsLive({})) : Either.right(row.emptied_at === null)
}

/** `now` in epoch seconds. */
const mark = (workspaceId: string, now: number): Batch<boolean, Refusal> => ({
  statements: [
    purgeSql.workspace({ workspaceId }),
    purgeSql.mark({ workspaceId, now }),
    purgeSql.raiseFloor({ workspaceId }),
  ],
  read: (results) => isLeft(firstOf(results, 0)),
})

/** How many rows the last statement gave. */
export const rowsOf = (...statements: ReadonlyArray<Statement>): Batch<number> => ({
  statements,
  read: (results) => Either.right(results.at(-1)!.length),
})

export const rows = (statement: Statement): Batch<ReadonlyArray<Row>> => ({
  statements: [statement],
  read: ([rows]) => Either.right(rows!),
})

/** Pieces and characters of content that go at once. */
const [mostPieces, mostLength] = [stepSize, 4 * 1024 * 1024]

/** Ids in groups that a step may take; one each at least. */
const groupsOf = (jobs: ReadonlyArray<Row>): ReadonlyArray<ReadonlyArray<string>> => {
  const groups: Array<Array<string>> = []
  let [pieces, length] = [Infinity, 0]
  for (const job of jobs) {
    if (pieces + job.pieces > mostPieces || length + job.length > mostLength) {
      groups.push([])
      pieces = length = 0
    }
    groups.at(-1)!.push(job.id)
    pieces += job.pieces
    length += job.length
  }
  return groups
}

/**
 * Looks at all rows of a kind, a page behind the last row of the one before, and hands over those that are told to be whose is asked for;
 * gives how many these are.
 */
export const eachOwn = (
  { read }: Engine,
  operation: string,
  pageBehind: (last: Row | undefined) => Statement,
  body: (own: ReadonlyArray<Row>) => Effect.Effect<void, StorageError>,
) =>
  Effect.gen(function* () {
    let total = 0
    let last: Row | undefined
    do {
      const page: ReadonlyArray<Row> = yield* read(operation, rows(pageBehind(last)))
      const own = page.filter(({ isOwn }) => isOwn === 1)
      total += own.length
      yield* body(own)
      last = page.length < stepSize ? undefined : page.at(-1)
    } while (last !== undefined)
    return total
  })

/** Of the jobs of a workspace. */
const eachJob = (
  batches: Engine,
  workspaceId: string,
  body: (own: ReadonlyArray<Row>) => Effect.Effect<void, StorageError>,
) => eachOwn(batches, 'find jobs', (last) => purgeSql.jobs({ workspaceId, after: last?.id ?? '' }), body)

/** Removes jobs with their content. */
export const dropJobs = ({ write }: Engine, own: ReadonlyArray<Row>) =>
  Effect.forEach(
    groupsOf(own),
    (group) => {
      const ids = JSON.stringify(group.map((id) => [id]))
      const step = rowsOf(
        purgeSql.dropChunks({ ids }),
        purgeSql.dropDocuments({ ids }),
        purgeSql.dropJobs({ ids }),
      )
      return Effect.zipRight(letOthersWrite, write('purge workspace', step))
    },
    { discard: true },
  )

/** Removes the registrations that a statement finds, again and again, each with its deliveries. */
export const dropWebhooks = ({ read, write }: Engine, some: Statement) =>
  Effect.gen(function* () {
    let [webhooks, deliveries] = [0, 0]
    for (;;) {
      const found = yield* read('find webhooks', rows(some))
      if (found.length === 0) return { webhooks, deliveries }
      for (const { id } of found) {
        for (let isLast = false; !isLast;) {
          yield* letOthersWrite
          const step = yield* write('purge workspace', dropStep(id))
          deliveries += step.taken
          isLast = step.isLast
        }
        webhooks++
      }
    }
  })

/** Takes what a workspace that is marked still holds. */
export const emptyWorkspace = (
  batches: Engine,
  workspaceId: string,
): Effect.Effect<PurgeReport, StorageError> =>
  Effect.gen(function* () {
    const all = (statement: typeof purgeSql.workspace) =>
      Effect.gen(function* () {
        for (let total = 0; ;) {
          yield* letOthersWrite
          const gone = yield* batches.write('purge workspace', rowsOf(statement({ workspaceId })))
          total += gone
          // A step may end early at its bytes.
          if (gone === 0) return total
        }
      })
    const { records, ...others } = purgeSql.drop
    // What they answer tells whose they are.
    const jobs = yield* eachJob(batches, workspaceId, (own) => dropJobs(batches, own))
    const gone = yield* Effect.all({
      entries: all(others.entries),
      trimmedOps: all(others.trimmedOps),
      renamedOps: all(others.renamedOps),
      tombstones: all(others.tombstones),
      records: Effect.reduce(records, 0, (total, table) => Effect.map(all(table), (more) => total + more)),
      cursors: all(others.cursors),
      references: all(others.references),
      files: all(others.files),
      usage: all(others.usage),
      reservations: all(others.reservations),
      webhooks: dropWebhooks(batches, purgeSql.webhooks({ workspaceId })),
      invites: all(others.invites),
      settings: all(others.settings),
      members: all(others.members),
    })
    const now = yield* epochSeconds
    yield* batches.write('purge workspace', rowsOf(purgeSql.finish({ workspaceId, now })))
    const { entries, members, invites } = gone
    return { records: gone.records, entries, members, invites, jobs, ...gone.webhooks }
  })

/** Purges a workspace that was removed. */
export const purge = (
  batches: Engine,
  workspaceId: string,
): Effect.Effect<PurgeReport, Refusal | StorageError> =>
  Effect.gen(function* () {
    const isLeft = yield* batches.write('purge workspace', mark(workspaceId, yield* epochSeconds))
    return isLeft ? yield* emptyWorkspace(batches, workspaceId) : nothing
  })

const counts = (workspaceId: string): Batch<Omit<PurgeReport, 'jobs'>, Refusal> => {
  const { records, ...others } = purgeSql.count
  const { entries, members, invites, webhooks, deliveries } = others
  const each = [entries, members, invites, webhooks, deliveries, ...records]
  return {
    statements: [purgeSql.workspace({ workspaceId }), ...each.map((count) => count({ workspaceId }))],
    read: (results) =>
      Either.map(isLeft(firstOf(results, 0)), () => {
        const [entries, members, invites, webhooks, deliveries, ...records] = results
          .slice(1)
          .map(([row]) => row!.total as number)
        return {
          records: records.reduce((sum, count) => sum + count, 0),
          entries: entries!,
          members: members!,
          invites: invites!,
          webhooks: webhooks!,
          deliveries: deliveries!,
        }
      }),
  }
}

/** What a purge would take now. */
export const preview = (
  batches: Engine,
  workspaceId: string,
): Effect.Effect<PurgeReport, Refusal | StorageError> =>
  Effect.gen(function* () {
    const counted = yield* batches.read('preview purge', counts(workspaceId))
    const jobs = yield* eachJob(batches, workspaceId, () => Effect.void)
    return { ...counted, jobs }
  })
