/**
 * The host's contract about background jobs, as types: answers that it streams while their user may be away. Times are epoch
 * milliseconds.
 */
import type { JobKind, JobLimits, JobStatus } from '../services/BackgroundJobs.js'

/** Any JSON, of at most 4 Mi characters as text. */
type Json = unknown

/** What a job is made for. */
interface MadeFor {
  /** 1..256 characters. */
  readonly userId: string
  /** 1..1,024 characters. */
  readonly threadId: string
  /** 1..1,024 characters. */
  readonly messageId: string
  /** 1..1,024 characters. */
  readonly model: string
  /** Not told when absent. */
  readonly kind?: JobKind | null | undefined
  /** None when absent or null. */
  readonly tool_calls?: Json
  /** None when absent or null. */
  readonly workflow_state?: Json
  /** What a worker needs to go on with it. */
  readonly execution?: Json
}

/** A job. What it does not have is absent. */
export interface HostJob extends MadeFor {
  /** 1..256 characters. */
  readonly id: string
  /** How far it is. All but `streaming` are final. */
  readonly status: JobStatus
  /** All chunks, or the final content. */
  readonly content: string
  /** As it was last told. */
  readonly chunksReceived: number
  /** When it was made. */
  readonly startedAt: number
  /** When it was last changed, claimed or renewed. */
  readonly lastActivityAt: number
  /** When it ended. */
  readonly completedAt?: number
  /** Why it failed. */
  readonly error?: string
  /** Who claimed it last; absent before, and when it has ended. */
  readonly leaseOwner?: string
  /** The lease is live before that time. */
  readonly leaseExpiresAt?: number
  /** How often it was claimed. */
  readonly attempts: number
}

/** What the host tells of the limits of jobs. What is absent or no number of at least 0 is the default. */
export type GetJobConfig = () => Partial<JobLimits>

/**
 * What the host's `registerBackgroundJobProvider` takes. A call with a `leaseOwner` rejects with an error of status 409 that is named
 * `BackgroundJobLeaseLostError` unless that is the owner of the streaming job's lease; one without changes nothing of a job that is
 * unknown or has ended. 400 for what is out of bounds.
 */
export interface BackgroundJobProvider {
  /** `sqlite`. */
  readonly name: string
  /** Begins a job and gives its id, or that of the user's job with the same key. 429 beyond the limits. */
  createJob(
    input: MadeFor & {
      /** 1..1,024 characters. */
      readonly idempotencyKey?: string | null | undefined
    },
  ): Promise<string>
  /** `*` is any user. Null for an unknown job and for another user's. */
  getJob(id: string, userId: string): Promise<HostJob | null>
  /** Adds a chunk, or sets what is given; null clears. */
  updateJob(
    id: string,
    update: {
      /** At most 4 Mi characters; content has at most 16 Mi. */
      readonly contentChunk?: string | null | undefined
      readonly chunksReceived?: number | undefined
      readonly tool_calls?: Json
      readonly workflow_state?: Json
      readonly leaseOwner?: string | null | undefined
    },
  ): Promise<void>
  /** Ends a job well, with content in place of its chunks. */
  completeJob(id: string, finalContent: string, leaseOwner?: string | null): Promise<void>
  /** Ends a job badly. What is longer than 500,000 characters is cut, and says so. */
  failJob(id: string, error: string, leaseOwner?: string | null): Promise<void>
  /** Ends a streaming job of this user; `*` is any user. Whether there was one. */
  abortJob(id: string, userId: string): Promise<boolean>
  /** Undefined: the process that streams a job may be another one. */
  getAbortController(id: string): undefined
  /** Whether the job was aborted. */
  checkJobAborted(id: string): Promise<boolean>
  /** Takes a job that has an execution and no live lease; null if it is none. */
  claimJob(id: string, owner: string, now: number, leaseExpiresAt: number): Promise<HostJob | null>
  /** Takes the one of those that was begun first. */
  claimNextJob(owner: string, now: number, leaseExpiresAt: number): Promise<HostJob | null>
  /** Whether this owner has the lease of the streaming job; then it expires at the new time. */
  renewJobLease(id: string, owner: string, now: number, leaseExpiresAt: number): Promise<boolean>
  /** Sets the execution of this owner's job. Whether it was set. */
  updateJobExecution(id: string, execution: Json, owner: string): Promise<boolean>
  /** Ends jobs that are dead, removes those that ended too long ago. How many of both. */
  cleanupExpired(): Promise<number>
  /** How many jobs are streaming. */
  getActiveJobCount(): Promise<number>
}
