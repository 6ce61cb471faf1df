/**
 * Background jobs in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Clock, Effect, Either, Layer } from 'effect'
import { BackgroundJobs, type Job, type JobStatus } from '../../services/BackgroundJobs.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import { ofErased } from '../../services/inputRules.js'
import {
  anybody,
  appends,
  changes,
  checkCleanUp,
  checkComplete,
  checkCreate,
  checkExecution,
  checkFail,
  checkJobKey,
  checkLease,
  checkNextLease,
  checkUpdate,
  checkUserJob,
  type CheckedLease,
  heldBack,
  joined,
  mayBegin,
  timedOut,
} from '../../services/jobRules.js'
import { observeService } from '../../services/telemetry.js'
import { type StoredJob, StoreState } from './StoreState.js'

const parsed = (name: string, json: string | null) => (json === null ? {} : { [name]: JSON.parse(json) })
const present = (name: string, value: unknown) => (value === undefined ? {} : { [name]: value })

const toJob = (job: StoredJob): Job => ({
  id: job.id,
  userId: job.userId,
  threadId: job.threadId,
  messageId: job.messageId,
  model: job.model,
  ...present('kind', job.kind),
  status: job.status,
  content: job.chunks.join('') + heldBack(job.high, job.status),
  chunksReceived: job.chunksReceived,
  startedAt: job.startedAt,
  lastActivityAt: job.lastActivityAt,
  ...present('completedAt', job.completedAt),
  ...present('error', job.error),
  ...parsed('toolCalls', job.toolCalls),
  ...parsed('workflowState', job.workflowState),
  ...parsed('execution', job.execution),
  ...(job.leaseOwner === null ? {} : { leaseOwner: job.leaseOwner, leaseExpiresAt: job.leaseExpiresAt }),
  attempts: job.attempts,
})

const make = Effect.gen(function* () {
  const ids = yield* IdGenerator
  const { jobs, erased } = yield* StoreState

  const streaming = () => [...jobs.values()].filter(({ status }) => status === 'streaming')
  const hasLease = (job: StoredJob, now: number) => job.leaseOwner !== null && job.leaseExpiresAt > now
  const isDead = (job: StoredJob, now: number, timeout: number) =>
    job.lastActivityAt < now - timeout && !hasLease(job, now)
  const isClaimable = (job: StoredJob, now: number) =>
    job.status === 'streaming' && job.execution !== null && !hasLease(job, now)
  const isOf = (job: StoredJob | undefined, userId: string): job is StoredJob =>
    job !== undefined && (userId === anybody || job.userId === userId)

  const end = (job: StoredJob, status: JobStatus, now: number) => {
    job.status = status
    job.completedAt = job.lastActivityAt = now
    job.leaseOwner = null
  }

  const take = (job: StoredJob | undefined, { owner, now, leaseExpiresAt }: CheckedLease): Job | null => {
    if (job === undefined || !isClaimable(job, now)) return null
    job.leaseOwner = owner
    job.leaseExpiresAt = leaseExpiresAt
    job.lastActivityAt = now
    job.attempts++
    return toJob(job)
  }

  /** The job, if it is streaming and this owner's. */
  const held = (id: string, owner: string) => {
    const job = jobs.get(id)
    return job?.status === 'streaming' && job.leaseOwner === owner ? job : undefined
  }

  return observeService('BackgroundJobs', {
    create: (request) =>
      Effect.all([Clock.currentTimeMillis, ids.next]).pipe(
        Effect.flatMap(([now, id]) =>
          Either.gen(function* () {
            const { limits, ...job } = yield* checkCreate(request)
            if (erased.has(job.userId)) return yield* ofErased()
            const own = [...jobs.values()].filter(({ userId }) => userId === job.userId)
            const known =
              job.idempotencyKey !== undefined &&
              own.find(({ idempotencyKey }) => idempotencyKey === job.idempotencyKey)
            if (known) return known.id
            const live = streaming().filter((other) => !isDead(other, now, limits.jobTimeoutMs))
            const ofUser = live.filter(({ userId }) => userId === job.userId)
            yield* mayBegin({ server: live.length, user: ofUser.length }, limits)
            jobs.set(id, {
              ...job,
              id,
              status: 'streaming',
              chunks: [],
              high: null,
              contentLength: 0,
              chunksReceived: 0,
              startedAt: now,
              lastActivityAt: now,
              leaseOwner: null,
              leaseExpiresAt: 0,
              attempts: 0,
            })
            return id
          }),
        ),
      ),

    get: (request) =>
      Effect.suspend(() =>
        Either.map(checkUserJob(request), ({ id, userId }) => {
          const job = jobs.get(id)
          return isOf(job, userId) ? toJob(job) : null
        }),
      ),

    update: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.gen(function* () {
          const { id, owner, chunk, ...given } = yield* checkUpdate(request)
          const job = jobs.get(id)
          if (!(yield* appends(job, owner, chunk))) return
          Object.assign(job!, {
            ...(chunk.length === 0
              ? {}
              : { chunks: [...job!.chunks, joined(job!.high, chunk)], high: chunk.high }),
            contentLength: job!.contentLength + chunk.length,
            chunksReceived: given.chunksReceived ?? job!.chunksReceived,
            toolCalls: given.toolCalls === undefined ? job!.toolCalls : given.toolCalls,
            workflowState: given.workflowState === undefined ? job!.workflowState : given.workflowState,
            lastActivityAt: now,
          } satisfies Partial<StoredJob>)
        }),
      ),

    complete: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.gen(function* () {
          const { id, owner, content } = yield* checkComplete(request)
          const job = jobs.get(id)
          if (!(yield* changes(job, owner))) return
          job!.chunks = [content]
          job!.high = null
          end(job!, 'complete', now)
        }),
      ),

    fail: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.gen(function* () {
          const { id, owner, error } = yield* checkFail(request)
          const job = jobs.get(id)
          if (!(yield* changes(job, owner))) return
          job!.error = error
          end(job!, 'error', now)
        }),
      ),

    abort: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.map(checkUserJob(request), ({ id, userId }) => {
          const job = jobs.get(id)
          if (!isOf(job, userId) || job.status !== 'streaming') return false
          end(job, 'aborted', now)
          return true
        }),
      ),

    isAborted: (request) =>
      Effect.suspend(() => Either.map(checkJobKey(request), ({ id }) => jobs.get(id)?.status === 'aborted')),

    claim: (request) =>
      Effect.suspend(() => Either.map(checkLease(request), ({ id, ...lease }) => take(jobs.get(id), lease))),

    claimNext: (request) =>
      Effect.suspend(() =>
        Either.map(checkNextLease(request), (lease) => {
          const [oldest] = streaming()
            .filter((job) => isClaimable(job, lease.now))
            .sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1))
          return take(oldest, lease)
        }),
      ),

    renewLease: (request) =>
      Effect.suspend(() =>
        Either.map(checkLease(request), ({ id, owner, now, leaseExpiresAt }) => {
          const job = held(id, owner)
          if (job === undefined) return false
          Object.assign(job, { leaseExpiresAt, lastActivityAt: now })
          return true
        }),
      ),

    updateExecution: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.map(checkExecution(request), ({ id, owner, execution }) => {
          const job = held(id, owner)
          if (job === undefined) return false
          Object.assign(job, { execution, lastActivityAt: now })
          return true
        }),
      ),

    cleanUp: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.map(checkCleanUp(request), (limits) => {
          const dead = streaming().filter((job) => isDead(job, now, limits.jobTimeoutMs))
          for (const job of dead) {
            job.error = timedOut(limits)
            end(job, 'error', now)
          }
          const old = [...jobs.values()].filter(
            ({ completedAt }) =>
              completedAt !== undefined && completedAt < now - limits.completedJobRetentionMs,
          )
          for (const { id } of old) jobs.delete(id)
          return dead.length + old.length
        }),
      ),

    activeCount: Effect.sync(() => streaming().length),
  } satisfies BackgroundJobs['Type'])
})

/** What it remembers is gone with its scope. */
export const layer: Layer.Layer<BackgroundJobs, never, StoreState | IdGenerator> = Layer.effect(
  BackgroundJobs,
  make,
)
