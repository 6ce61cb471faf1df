/**
 * The rules of background jobs: what a request may hold, and what may become of a job. Shared by every implementation.
 */
import { Either } from 'effect'
import {
  defaultJobLimits,
  JobLeaseLost,
  type JobLimits,
  JobLimitReached,
  jobKinds,
  type JobStatus,
} from './BackgroundJobs.js'
import {
  type Checked,
  checking,
  fieldsOf,
  idIn,
  integerIn,
  nullableIn,
  oneOfIn,
  optionalIn,
  refuseField,
  mended,
  textIn,
  timeIn,
} from './inputRules.js'
import type { InvalidInput } from './InvalidInput.js'
import { jsonIn } from './jsonRules.js'
import { limits } from './SyncDomain.js'

const mebi = 2 ** 20

/** Characters. An error has three bytes for each at most: of two million, which D1 takes, it leaves some for the job. */
const most = { content: 16 * mebi, chunk: 4 * mebi, json: 4 * mebi, error: 500_000, text: 1_024 }

/** The user that stands for all of them. */
export const anybody = '*'

const isLimit = (value: unknown): value is number => typeof value === 'number' && value >= 0

/** Each limit, or its default where it is none. Never throws. */
export const limitsOf = (given: unknown): JobLimits => {
  const limitOf = (name: keyof JobLimits) => {
    try {
      const value = fieldsOf(given)[name]
      if (isLimit(value)) return Math.min(Math.floor(value), Number.MAX_SAFE_INTEGER)
    } catch {
      // A getter that throws gives no limit.
    }
    return defaultJobLimits[name]
  }
  return {
    maxConcurrentJobs: limitOf('maxConcurrentJobs'),
    maxConcurrentJobsPerUser: limitOf('maxConcurrentJobsPerUser'),
    jobTimeoutMs: limitOf('jobTimeoutMs'),
    completedJobRetentionMs: limitOf('completedJobRetentionMs'),
  }
}

/** What comes from elsewhere: see `mended`. */
const outputIn = (field: string, value: unknown, most: number) =>
  textIn(field, typeof value === 'string' ? mended(value) : value, most, 0)

const textOf = (field: string, value: unknown) => textIn(field, value, most.text)

/** JSON as text; undefined stays so, and null is null. */
const documentIn = (field: string, value: unknown): Checked<string | null | undefined> =>
  optionalIn(value, (given) => nullableIn(given, (json) => jsonIn(field, json, most.json)))

/** What a job is made of. Documents are JSON as text. */
export interface CheckedCreate {
  readonly userId: string
  readonly threadId: string
  readonly messageId: string
  readonly model: string
  readonly kind: 'chat' | 'workflow' | undefined
  readonly toolCalls: string | null
  readonly workflowState: string | null
  readonly execution: string | null
  readonly idempotencyKey: string | undefined
  readonly limits: JobLimits
}

export const checkCreate = checking((request) =>
  Either.gen(function* () {
    const userId = yield* idIn('userId', request.userId)
    if (userId === anybody) return yield* refuseField('userId', 'is not *, which stands for anybody')
    return {
      userId,
      threadId: yield* textIn('threadId', request.threadId, limits.pkLength),
      messageId: yield* textIn('messageId', request.messageId, limits.pkLength),
      model: yield* textOf('model', request.model),
      kind: (yield* nullableIn(request.kind, (kind) => oneOfIn('kind', kind, jobKinds))) ?? undefined,
      toolCalls: (yield* documentIn('toolCalls', request.toolCalls)) ?? null,
      workflowState: (yield* documentIn('workflowState', request.workflowState)) ?? null,
      execution: (yield* documentIn('execution', request.execution)) ?? null,
      idempotencyKey:
        (yield* nullableIn(request.idempotencyKey, (key) => textOf('idempotencyKey', key))) ?? undefined,
      limits: limitsOf(request.limits),
    } satisfies CheckedCreate
  }),
)

export const checkJobKey = checking(({ id }) => Either.map(idIn('id', id), (checked) => ({ id: checked })))

export const checkUserJob = checking((request) =>
  Either.all({ id: idIn('id', request.id), userId: idIn('userId', request.userId) }),
)

/** A change, and on whose behalf: null is nobody's in particular. */
interface Owned {
  readonly id: string
  readonly owner: string | null
}

const ownedIn = ({ id, leaseOwner }: Readonly<Record<string, unknown>>): Checked<Owned> => {
  const job = idIn('id', id)
  if (Either.isLeft(job)) return Either.left(job.left)
  if (leaseOwner === undefined || leaseOwner === null) return Either.right({ id: job.right, owner: null })
  return Either.map(idIn('leaseOwner', leaseOwner), (owner) => ({ id: job.right, owner }))
}

/** A chunk without the halves of characters at its ends, whose other halves may be in the chunks beside it. */
export interface Chunk {
  readonly text: string
  /** The second half that it begins with, as a number. */
  readonly low: number | null
  /** The first half that it ends with. */
  readonly high: number | null
  /** Characters of it all; 0 where there is no chunk. */
  readonly length: number
}

/** A document that is undefined stays, one that is null goes. */
export interface CheckedUpdate extends Owned {
  readonly chunk: Chunk
  readonly chunksReceived: number | null
  readonly toolCalls: string | null | undefined
  readonly workflowState: string | null | undefined
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff

const chunkIn = (value: unknown): Checked<Chunk> => {
  const given = value === undefined || value === null ? '' : value
  if (typeof given !== 'string' || given.length > most.chunk) {
    return refuseField('contentChunk', `has 0 to ${most.chunk.toLocaleString('en')} characters`)
  }
  // Of an empty text there are none.
  const [first, last] = [given.charCodeAt(0), given.charCodeAt(given.length - 1)]
  const low = isLow(first) ? first : null
  const high = isHigh(last) ? last : null
  const text = given.slice(low === null ? 0 : 1, high === null ? undefined : -1)
  return Either.right({ text: mended(text), low, high, length: given.length })
}

/** What a chunk adds to content that may end with a first half: both halves as one character, or U+FFFD for one that is alone. */
export const joined = (high: number | null, { low, text }: Chunk): string => {
  if (high === null) return low === null ? text : `\ufffd${text}`
  return low === null ? `\ufffd${text}` : `${String.fromCharCode(high, low)}${text}`
}

/** What is to be seen of a first half: nothing while the other may come. */
export const heldBack = (high: number | null, status: JobStatus): string =>
  high === null || status === 'streaming' ? '' : '\ufffd'

/** Written out, since it is called for each chunk of each answer. */
export const checkUpdate = checking((request): Checked<CheckedUpdate> => {
  const owned = ownedIn(request)
  if (Either.isLeft(owned)) return Either.left(owned.left)
  const chunk = chunkIn(request.contentChunk)
  if (Either.isLeft(chunk)) return Either.left(chunk.left)
  const count = optionalIn(request.chunksReceived, (given) => integerIn('chunksReceived', given))
  if (Either.isLeft(count)) return Either.left(count.left)
  const toolCalls = documentIn('toolCalls', request.toolCalls)
  if (Either.isLeft(toolCalls)) return Either.left(toolCalls.left)
  return Either.map(documentIn('workflowState', request.workflowState), (workflowState) => ({
    id: owned.right.id,
    owner: owned.right.owner,
    chunk: chunk.right,
    chunksReceived: count.right ?? null,
    toolCalls: toolCalls.right,
    workflowState,
  }))
})

export interface CheckedComplete extends Owned {
  readonly content: string
}

export const checkComplete = checking((request) =>
  Either.gen(function* () {
    const content = yield* outputIn('content', request.content, most.content)
    return { ...(yield* ownedIn(request)), content } satisfies CheckedComplete
  }),
)

export interface CheckedFail extends Owned {
  readonly error: string
}

const cutMark = '… [cut]'

/** Of an error too long to keep the beginning: to refuse it would leave the job streaming. */
const cut = (error: unknown): unknown =>
  typeof error === 'string' && error.length > most.error
    ? error.slice(0, most.error - cutMark.length).replace(/[\ud800-\udbff]$/, '') + cutMark
    : error

export const checkFail = checking((request) =>
  Either.gen(function* () {
    const error = yield* outputIn('error', cut(request.error), most.error)
    return { ...(yield* ownedIn(request)), error } satisfies CheckedFail
  }),
)

export interface CheckedLease {
  readonly owner: string
  readonly now: number
  readonly leaseExpiresAt: number
}

const leaseIn = (request: Readonly<Record<string, unknown>>): Checked<CheckedLease> =>
  Either.all({
    owner: idIn('owner', request.owner),
    now: timeIn('now', request.now),
    leaseExpiresAt: timeIn('leaseExpiresAt', request.leaseExpiresAt),
  })

export const checkNextLease = checking(leaseIn)

export const checkLease = checking((request) =>
  Either.gen(function* () {
    const lease = yield* leaseIn(request)
    return { id: yield* idIn('id', request.id), ...lease }
  }),
)

export const checkExecution = checking((request) =>
  Either.gen(function* () {
    const execution = yield* documentIn('execution', request.execution)
    if (execution === undefined) return yield* refuseField('execution', 'is missing')
    return { id: yield* idIn('id', request.id), owner: yield* idIn('owner', request.owner), execution }
  }),
)

export const checkCleanUp = checking((request) => Either.right(limitsOf(request.limits)))

/** What of a job decides whether it may change. */
export interface JobState {
  readonly status: JobStatus
  readonly leaseOwner: string | null
  /** Characters. */
  readonly contentLength: number
}

/** Whether a job is to change: not one that is unknown or has ended, which is an error for those who believe that it is theirs. */
export const changes = (
  job: JobState | undefined,
  owner: string | null,
): Either.Either<boolean, JobLeaseLost> => {
  const isStreaming = job?.status === 'streaming'
  if (owner === null) return Either.right(isStreaming)
  return isStreaming && job.leaseOwner === owner ? Either.right(true) : Either.left(new JobLeaseLost({}))
}

/** Characters that a job may have before a chunk, so that the chunk goes into it. */
export const roomBefore = (chunk: Chunk): number => most.content - chunk.length

/** Whether a chunk is to be added, by the same measure, or why not. */
export const appends = (
  job: JobState | undefined,
  owner: string | null,
  chunk: Chunk,
): Either.Either<boolean, JobLeaseLost | InvalidInput> =>
  Either.flatMap(changes(job, owner), (does): Either.Either<boolean, InvalidInput> =>
    does && job!.contentLength > roomBefore(chunk)
      ? refuseField(
          'contentChunk',
          `makes content longer than ${most.content.toLocaleString('en')} characters`,
        )
      : Either.right(does),
  )

/** Streaming jobs that are not dead. */
export interface JobCounts {
  readonly server: number
  readonly user: number
}

/** Whether one more job may begin. */
export const mayBegin = (
  { server, user }: JobCounts,
  { maxConcurrentJobs, maxConcurrentJobsPerUser }: JobLimits,
): Either.Either<void, JobLimitReached> => {
  if (server >= maxConcurrentJobs) {
    return Either.left(new JobLimitReached({ scope: 'server', limit: maxConcurrentJobs }))
  }
  return user >= maxConcurrentJobsPerUser
    ? Either.left(new JobLimitReached({ scope: 'user', limit: maxConcurrentJobsPerUser }))
    : Either.void
}

/** The error of a job that died. */
export const timedOut = ({ jobTimeoutMs }: JobLimits): string =>
  `timed out: nothing was heard of it for ${jobTimeoutMs} ms`
