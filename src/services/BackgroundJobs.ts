/**
 * Answers that a server goes on streaming while their user may be away.
 *
 * A job is `streaming` until it is completed, fails, is aborted or times out; only a streaming one changes. Its content grows by
 * chunks, in the order in which they were accepted. A worker holds a job by a lease: nobody else can claim it before that
 * expires, and a worker that names itself as owner is told when it has lost it. Times are epoch milliseconds.
 */
import { Context, type Effect, Schema } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'

/** There are as many streaming jobs as there may be. Nothing was made. */
export class JobLimitReached extends Schema.TaggedError<JobLimitReached>(
  'or3-provider-sqlite/JobLimitReached',
)('JobLimitReached', {
  /** Of all users together, or of this one. */
  scope: Schema.Literal('server', 'user'),
  /** How many there may be. */
  limit: Schema.Number,
}) {
  override get message() {
    const whose = this.scope === 'user' ? 'this user' : 'the server'
    return `${whose} has as many background jobs as it may have: ${this.limit}`
  }
}

/** The job is no longer the worker's who called: it has ended, is unknown, or somebody else's. Nothing was changed. */
export class JobLeaseLost extends Schema.TaggedError<JobLeaseLost>('or3-provider-sqlite/JobLeaseLost')(
  'JobLeaseLost',
  {},
) {
  override get message() {
    return 'the job has ended, or its lease is held by somebody else'
  }
}

/** What a job is made for. */
export const jobKinds = ['chat', 'workflow'] as const
/** What a job is made for. */
export type JobKind = (typeof jobKinds)[number]

/** How far a job is. All but `streaming` are final. */
export type JobStatus = 'streaming' | 'complete' | 'error' | 'aborted'

/** How many jobs there may be, and for how long. */
export interface JobLimits {
  /** Streaming jobs of all users. */
  readonly maxConcurrentJobs: number
  /** Streaming jobs of one user. */
  readonly maxConcurrentJobsPerUser: number
  /** Milliseconds of silence after which a streaming job without a live lease is dead: it counts no more, and `cleanUp` ends it. */
  readonly jobTimeoutMs: number
  /** Milliseconds for which a job is kept after its end. */
  readonly completedJobRetentionMs: number
}

/** What holds where a caller names no limit. */
export const defaultJobLimits: JobLimits = {
  maxConcurrentJobs: 20,
  maxConcurrentJobsPerUser: 5,
  jobTimeoutMs: 300_000,
  completedJobRetentionMs: 300_000,
}

/** Any JSON of at most 4 Mi characters as text, 200 levels deep. What is undefined, or a `Date`, becomes what JSON makes of it. */
export type JobJson = unknown

/** A job. What it does not have is absent. */
export interface Job {
  /** 1..256 characters. */
  readonly id: string
  /** Whose it is. */
  readonly userId: string
  /** Where the answer belongs. */
  readonly threadId: string
  /** Which message the answer becomes. */
  readonly messageId: string
  /** Which model answers. */
  readonly model: string
  /** What it was made for, if that was told. */
  readonly kind?: JobKind
  /** How far it is. */
  readonly status: JobStatus
  /** All chunks, or the final content. */
  readonly content: string
  /** As it was last told. */
  readonly chunksReceived: number
  /** When it was made. */
  readonly startedAt: number
  /** When it was last changed, claimed or renewed. */
  readonly lastActivityAt: number
  /** When it ended; absent while it is streaming. */
  readonly completedAt?: number
  /** Why it failed. */
  readonly error?: string
  /** As they were last told. */
  readonly toolCalls?: JobJson
  /** As it was last told. */
  readonly workflowState?: JobJson
  /** What a worker needs to go on with it. */
  readonly execution?: JobJson
  /** Who claimed it last; absent before, and when it has ended. */
  readonly leaseOwner?: string
  /** The lease is live before that time. */
  readonly leaseExpiresAt?: number
  /** How often it was claimed. */
  readonly attempts: number
}

/** Which job. */
export interface JobKey {
  /** 1..256 characters. */
  readonly id: string
}

/** Which job, for whom. */
export interface UserJobKey extends JobKey {
  /** 1..256 characters; `*` is anybody. Another user's job is as one that is not there. */
  readonly userId: string
}

/** A change of a job by whoever is at work on it. */
export interface OwnedJob extends JobKey {
  /** 1..256 characters. If given, the job changes only while this is its lease's owner, expired or not. */
  readonly leaseOwner?: string | null | undefined
}

/** Limits as a caller knows them: each that is absent, or no number of at least 0, is the default. A fraction is dropped. */
export interface WithJobLimits {
  /** The defaults when absent. */
  readonly limits?: Partial<JobLimits> | undefined
}

/** A job to begin. */
export interface CreateJob extends WithJobLimits {
  /** 1..256 characters, but not `*`. */
  readonly userId: string
  /** 1..1,024 characters. */
  readonly threadId: string
  /** 1..1,024 characters. */
  readonly messageId: string
  /** 1..1,024 characters. */
  readonly model: string
  /** Not told when absent or null. */
  readonly kind?: JobKind | null | undefined
  /** None when absent or null. */
  readonly toolCalls?: JobJson
  /** None when absent or null. */
  readonly workflowState?: JobJson
  /** Without one a job cannot be claimed. */
  readonly execution?: JobJson
  /** 1..1,024 characters; counts among the jobs of its user that are kept. */
  readonly idempotencyKey?: string | null | undefined
}

/** What has become of a job. What is absent stays as it is, null clears. */
export interface UpdateJob extends OwnedJob {
  /**
   * At most 4 Mi characters; absent when null. All content together has at most 16 Mi. Where it ends within a character, the half is held
   * back until the next chunk brings the other. Half a character that stays alone, or a NUL, becomes U+FFFD.
   */
  readonly contentChunk?: string | null | undefined
  /** A safe integer of at least 0. */
  readonly chunksReceived?: number | undefined
  /** In place of what is there. */
  readonly toolCalls?: JobJson
  /** In place of what is there. */
  readonly workflowState?: JobJson
}

/** The end of a job that went well. */
export interface CompleteJob extends OwnedJob {
  /** In place of all chunks; at most 16 Mi characters. */
  readonly content: string
}

/** The end of a job that did not. */
export interface FailJob extends OwnedJob {
  /** What is longer than 500,000 characters is cut, and says so. */
  readonly error: string
}

/** A lease to begin. Of both times a fraction is dropped. */
export interface NextJobLease {
  /** 1..256 characters. */
  readonly owner: string
  /** The caller's time. */
  readonly now: number
  /** The lease is live before that time. */
  readonly leaseExpiresAt: number
}

/** A lease of a certain job. */
export interface JobLease extends JobKey, NextJobLease {}

/** What a worker needs to go on with its job. */
export interface JobExecution extends JobKey {
  /** Null clears it. */
  readonly execution: JobJson
  /** 1..256 characters. */
  readonly owner: string
}

type Failure = InvalidInput | StorageError

/** Background jobs. Each call is one transaction, whatever other processes do. */
export class BackgroundJobs extends Context.Tag('or3-provider-sqlite/BackgroundJobs')<
  BackgroundJobs,
  {
    /**
     * Begins a job, or fails with `JobLimitReached`. The id of the user's job with the same `idempotencyKey`, if there is one,
     * whatever the limits say and whatever became of it. Counting and making are one.
     */
    readonly create: (request: CreateJob) => Effect.Effect<string, Failure | JobLimitReached>
    /** Null for an unknown job and for another user's. */
    readonly get: (request: UserJobKey) => Effect.Effect<Job | null, Failure>
    /**
     * Adds a chunk, or sets what is given. Without a `leaseOwner` nothing happens to a job that is unknown or has ended; with one
     * that is `JobLeaseLost`, here and where a job ends. Content beyond its bound is `InvalidInput`.
     */
    readonly update: (request: UpdateJob) => Effect.Effect<void, Failure | JobLeaseLost>
    /** Ends a job well. */
    readonly complete: (request: CompleteJob) => Effect.Effect<void, Failure | JobLeaseLost>
    /** Ends a job badly; its chunks stay. */
    readonly fail: (request: FailJob) => Effect.Effect<void, Failure | JobLeaseLost>
    /** Ends a streaming job of this user. Whether there was one. */
    readonly abort: (request: UserJobKey) => Effect.Effect<boolean, Failure>
    /** Whether the job was aborted; one that is unknown was not. */
    readonly isAborted: (request: JobKey) => Effect.Effect<boolean, Failure>
    /** Takes a streaming job that has an execution and no live lease; null if it is none. */
    readonly claim: (request: JobLease) => Effect.Effect<Job | null, Failure>
    /** Takes the one of those that was begun first; null if there is none. */
    readonly claimNext: (request: NextJobLease) => Effect.Effect<Job | null, Failure>
    /** Whether this owner has the lease of the streaming job; then it expires at the new time. One that has expired counts until somebody claims the job. */
    readonly renewLease: (request: JobLease) => Effect.Effect<boolean, Failure>
    /** Sets the execution; only for the lease's owner, as above. Whether it was set. */
    readonly updateExecution: (request: JobExecution) => Effect.Effect<boolean, Failure>
    /** Ends the jobs that are dead, with an error, and removes those that ended too long ago. How many of both; in short steps. */
    readonly cleanUp: (request: WithJobLimits) => Effect.Effect<number, Failure>
    /** How many jobs are streaming, dead ones included. */
    readonly activeCount: Effect.Effect<number, StorageError>
  }
>() {}
