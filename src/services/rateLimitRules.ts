/**
 * The rules of rate limits, shared by their implementations.
 */
import { Either } from 'effect'
import { type Checked, readFields, integerIn, textIn } from './inputRules.js'
import type { RateLimit, RateLimitStats, RateLimitVerdict } from './RateLimits.js'

const longestKey = 2 ** 20
const longestWindow = 366 * 86_400_000

export const checkRateLimit = (request: unknown): Checked<RateLimit> => {
  const given = readFields(request)
  // Asked for by every request of a host, hence without the comforts of `Either.all`.
  const key = textIn('key', given.key, longestKey)
  if (Either.isLeft(key)) return Either.left(key.left)
  const window = typeof given.windowMs === 'number' ? Math.ceil(given.windowMs) : given.windowMs
  const windowMs = integerIn('windowMs', window, 1, longestWindow)
  if (Either.isLeft(windowMs)) return Either.left(windowMs.left)
  const maxRequests = integerIn('maxRequests', given.maxRequests)
  if (Either.isLeft(maxRequests)) return Either.left(maxRequests.left)
  return Either.right({ key: key.right, windowMs: windowMs.right, maxRequests: maxRequests.right })
}

/** A window ends for whoever's clock says so; one that ends later than any would is from before a clock was set back. */
export const clockTolerance = 60_000

/** Whether a window counts. `now` in epoch milliseconds. */
export const isCurrent = (endsAt: number, now: number, windowMs: number): boolean =>
  endsAt > now && endsAt <= now + windowMs + clockTolerance

export const allowed = (remaining: number): RateLimitVerdict => ({ allowed: true, remaining })

export const refused = (endsAt: number, now: number): RateLimitVerdict => ({
  allowed: false,
  remaining: 0,
  retryAfterMs: Math.max(1, endsAt - now),
})

export const statsOf = (limit: number, remaining: number, endsAt: number, now: number): RateLimitStats => ({
  limit,
  remaining: Math.max(0, remaining),
  resetMs: endsAt - now,
})
