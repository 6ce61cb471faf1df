/**
 * How often something may happen: fixed windows, counted over all processes that share a database.
 *
 * A window of a key begins with its first request and ends `windowMs` later; meanwhile at most `maxRequests` are allowed. On a
 * database each process takes permits ahead, at most an eighth of what is left at a time, so that most checks ask nobody. Hence:
 *
 * - Processes together never allow more than `maxRequests` in a window, as long as the database takes writes within 100 ms.
 * - Near the limit permits are taken one by one. What a process has taken and does not use, another one may miss: it may be
 *   refused early by at most an eighth of the limit for each other process. One process alone counts exactly.
 * - While the database cannot be written, each process counts for itself: at most `maxRequests` in each of them. No check fails or
 *   waits for long because of the database.
 */
import { Context, type Effect } from 'effect'
import type { InvalidInput } from './InvalidInput.js'

/** What is limited, and how. */
export interface RateLimit {
  /** 1..1,048,576 characters; of one that is longer than 1,024 a hash is kept. */
  readonly key: string
  /** Milliseconds, up to 366 days; a fraction is rounded up. */
  readonly windowMs: number
  /** A whole number >= 0. */
  readonly maxRequests: number
}

/** Whether a request may go on. */
export interface RateLimitVerdict {
  /** Allowed requests count, refused ones do not. */
  readonly allowed: boolean
  /** How many more the window allows, as far as this process knows. */
  readonly remaining: number
  /** Milliseconds until the window ends; of a refused request. */
  readonly retryAfterMs?: number
}

/** How a window stands. */
export interface RateLimitStats {
  /** As asked. */
  readonly limit: number
  /** How many more it allows: what nobody has taken, and what this process has and has not used. */
  readonly remaining: number
  /** Milliseconds until it ends. */
  readonly resetMs: number
}

/** Fixed windows over all processes on one database. */
export class RateLimits extends Context.Tag('or3-provider-sqlite/RateLimits')<
  RateLimits,
  {
    /** Counts a request if its window has room. */
    readonly check: (request: RateLimit) => Effect.Effect<RateLimitVerdict, InvalidInput>
    /** The current window of a key, or null when there is none. Counts nothing. */
    readonly stats: (request: RateLimit) => Effect.Effect<RateLimitStats | null, InvalidInput>
  }
>() {}
