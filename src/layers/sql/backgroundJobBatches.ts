/**
 * The calls of background jobs as batches. A chunk is one more row and a change of the job's short row, however much content
 * there is; which number it gets, the job's row says, so that chunks of several processes have one order.
 */
import { Either } from 'effect'
import type { Job, JobLeaseLost, JobLimitReached, JobLimits } from '../../services/BackgroundJobs.js'
import type { InvalidInput } from '../../services/InvalidInput.js'
import { ofErased } from '../../services/inputRules.js'
import {
  appends,
  changes,
  type CheckedComplete,
  type CheckedCreate,
  type CheckedFail,
  type CheckedLease,
  type CheckedUpdate,
  heldBack,
  type JobCounts,
  type JobState,
  mayBegin,
  roomBefore,
  timedOut,
} from '../../services/jobRules.js'
import { backgroundJobsSql as sql, stepSize } from './backgroundJobsSql.js'
import { type Batch, firstOf, type Results, type Row, type Statement } from './batch.js'

/** Columns that a job has only where they have a value, and what they are called. */
const optional = [
  ['kind', 'kind'],
  ['completed_at', 'completedAt'],
  ['error', 'error'],
  ['lease_owner', 'leaseOwner'],
  ['lease_expires_at', 'leaseExpiresAt'],
] as const

const documentNames = {
  tool_calls: 'toolCalls',
  workflow_state: 'workflowState',
  execution: 'execution',
} as const

type DocumentName = keyof typeof documentNames

const toJob = (row: Row, documents: ReadonlyArray<Row>, pieces: ReadonlyArray<Row>): Job => ({
  id: row.id,
  userId: row.user_id,
  threadId: row.thread_id,
  messageId: row.message_id,
  model: row.model,
  status: row.status,
  content: pieces.map(({ text }) => text).join('') + heldBack(row.high_surrogate, row.status),
  chunksReceived: row.chunks_received,
  startedAt: row.started_at,
  lastActivityAt: row.last_activity_at,
  attempts: row.attempts,
  ...Object.fromEntries(
    optional.flatMap(([column, name]) => (row[column] === null ? [] : [[name, row[column]]])),
  ),
  ...Object.fromEntries(
    documents.map(({ name, json }) => [documentNames[name as DocumentName], JSON.parse(json)]),
  ),
})

const jobIn = (row: Row | undefined, documents: ReadonlyArray<Row>, pieces: ReadonlyArray<Row>) =>
  Either.right(row === undefined ? null : toJob(row, documents, pieces))

/** Sets a document of a job that may change, and has no more content than that; or drops it. */
const documentOf = (
  job: { readonly id: string; readonly owner: string | null; readonly roomBefore: number },
  name: DocumentName,
  json: string | null | undefined,
): ReadonlyArray<Statement> => {
  if (json === undefined) return []
  return [json === null ? sql.dropDocument({ ...job, name }) : sql.setDocument({ ...job, name, json })]
}

export const create = (
  { limits, toolCalls, workflowState, execution, kind, idempotencyKey, ...job }: CheckedCreate,
  id: string,
  now: number,
): Batch<string, JobLimitReached | InvalidInput> => {
  const { maxConcurrentJobs, maxConcurrentJobsPerUser, jobTimeoutMs: timeout } = limits
  const params = {
    ...{ ...job, id, now, timeout, maxConcurrentJobs, maxConcurrentJobsPerUser },
    kind: kind ?? null,
    idempotencyKey: idempotencyKey ?? null,
    hasExecution: execution === null ? 0 : 1,
  }
  // There is a job of this fresh id only if it was made.
  const made = { id, owner: null, roomBefore: 0 }
  return {
    statements: [
      sql.byKey(params),
      sql.counts(params),
      sql.erased(params),
      sql.create(params),
      ...documentOf(made, 'tool_calls', toolCalls ?? undefined),
      ...documentOf(made, 'workflow_state', workflowState ?? undefined),
      ...documentOf(made, 'execution', execution ?? undefined),
    ],
    read: (results) => {
      if (firstOf(results, 2) !== undefined) return ofErased()
      const known = firstOf(results, 0)
      if (known !== undefined) return Either.right(known.id)
      return Either.map(mayBegin(firstOf(results, 1) as unknown as JobCounts, limits), () => id)
    },
  }
}

export const get = (key: { readonly id: string; readonly userId: string }): Batch<Job | null> => ({
  statements: [sql.job(key), sql.ofVisible.documents(key), sql.ofVisible.pieces(key)],
  read: ([job, documents, pieces]) => jobIn(job![0], documents!, pieces!),
})

/** Characters of a piece: some engines take two million bytes for a value, and a character may have three of them. */
const pieceLength = 500_000

/** Content as it is stored: one piece or more, none of which ends within a character. */
const piecesOf = (content: string): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  for (let rest = content; rest !== '' || pieces.length === 0;) {
    const end =
      rest.length > pieceLength && /[\ud800-\udbff]/.test(rest[pieceLength - 1]!)
        ? pieceLength - 1
        : pieceLength
    pieces.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return pieces
}

const stateIn = (results: Results) => firstOf(results, 0) as JobState | undefined

export const update = (
  { id, owner, chunk, chunksReceived, toolCalls, workflowState }: CheckedUpdate,
  now: number,
): Batch<void, JobLeaseLost | InvalidInput> => {
  const job = { id, owner, roomBefore: roomBefore(chunk) }
  const { text, low, high, length } = chunk
  const [first = '', ...more] = length === 0 ? [] : piecesOf(text)
  const pieces = length === 0 ? 0 : 1 + more.length
  return {
    statements: [
      sql.state(job),
      ...documentOf(job, 'tool_calls', toolCalls),
      ...documentOf(job, 'workflow_state', workflowState),
      ...(pieces === 0 ? [] : [sql.append({ ...job, text: first, low })]),
      ...more.map((text, index) => sql.appendMore({ ...job, text, place: index + 1 })),
      sql.update({ ...job, now, pieces, length, high, chunksReceived }),
    ],
    read: (results) => Either.map(appends(stateIn(results), owner, chunk), () => undefined),
  }
}

const ending = (owner: string | null, statements: ReadonlyArray<Statement>): Batch<void, JobLeaseLost> => ({
  statements,
  read: (results) => Either.map(changes(stateIn(results), owner), () => undefined),
})

export const complete = ({ content, ...job }: CheckedComplete, now: number) => {
  const pieces = piecesOf(content)
  return ending(job.owner, [
    sql.state(job),
    sql.dropContent(job),
    ...pieces.map((text, place) => sql.setContent({ ...job, text, place })),
    sql.complete({ ...job, now, length: content.length, pieces: pieces.length }),
  ])
}

export const fail = ({ error, ...job }: CheckedFail, now: number) =>
  ending(job.owner, [sql.state(job), sql.fail({ ...job, error, now })])

/** Of statements the last of which tells by a row that it has changed something. */
const whether = (...statements: ReadonlyArray<Statement>): Batch<boolean> => ({
  statements,
  read: (results) => Either.right(results.at(-1)!.length > 0),
})

export const abort = (key: { readonly id: string; readonly userId: string }, now: number) =>
  whether(sql.abort({ ...key, now }))

export const isAborted = (key: { readonly id: string }): Batch<boolean> => ({
  statements: [sql.status(key)],
  read: (results) => Either.right(firstOf(results, 0)?.status === 'aborted'),
})

const claiming = (
  { documents, pieces, take }: typeof sql.claim,
  params: Parameters<typeof take>[0],
): Batch<Job | null> => ({
  statements: [documents(params), pieces(params), take(params)],
  read: ([documents, pieces, taken]) => jobIn(taken![0], documents!, pieces!),
})

export const claim = (lease: CheckedLease & { readonly id: string }) => claiming(sql.claim, { ...lease })

export const claimNext = (lease: CheckedLease) => claiming(sql.claimNext, { ...lease })

export const renewLease = (lease: CheckedLease & { readonly id: string }) =>
  whether(sql.renewLease({ ...lease }))

export const updateExecution = (
  { execution, ...key }: { readonly id: string; readonly owner: string; readonly execution: string | null },
  now: number,
) => {
  const job = { ...key, roomBefore: Number.MAX_SAFE_INTEGER }
  return whether(
    ...documentOf(job, 'execution', execution),
    sql.updateExecution({ ...job, now, hasExecution: execution === null ? 0 : 1 }),
  )
}

/** What a step of a clean-up did, and whether there is something left to do. */
interface CleanUpStep {
  readonly count: number
  readonly isLast: boolean
}

export const cleanUp = (limits: JobLimits, now: number): Batch<CleanUpStep> => {
  const params = {
    now,
    timeout: limits.jobTimeoutMs,
    endedBefore: now - limits.completedJobRetentionMs,
    error: timedOut(limits),
  }
  return {
    statements: [
      sql.timeOut(params),
      sql.dropExpiredContent(params),
      sql.dropExpiredDocuments(params),
      sql.dropExpired(params),
      sql.oneExpired(params),
    ],
    read: ([ended, , , dropped, left]) =>
      Either.right({
        count: ended!.length + dropped!.length,
        isLast: ended!.length < stepSize && left!.length === 0,
      }),
  }
}

export const activeCount: Batch<number> = {
  statements: [sql.activeCount({})],
  read: (results) => Either.right(firstOf(results, 0)!.active),
}
