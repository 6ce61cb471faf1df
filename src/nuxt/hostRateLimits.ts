/**
 * Rate limits as the host asks for them, and gets them.
 */
import type { RateLimit, RateLimitStats, RateLimitVerdict } from '../services/RateLimits.js'
import type { Run } from './calls.js'
import { readable } from './readable.js'

/** What the host limits by. */
export type HostRateLimit = Omit<RateLimit, 'key'>

/** The host's provider of rate limits: fixed windows over all processes. Calls reject with 400 for what is no limit. */
export interface RateLimitProvider {
  /** `sqlite`. */
  readonly name: string
  /** Counts a request if its window has room. */
  checkAndRecord(key: string, config: HostRateLimit): Promise<RateLimitVerdict>
  /** The current window of a key; null when there is none. */
  getStats(key: string, config: HostRateLimit): Promise<RateLimitStats | null>
}

/** The key with what its window is; what cannot be read, the service refuses. */
const limitOf = (key: string, config: HostRateLimit): RateLimit => ({
  ...readable(() => ({ ...config })),
  key,
})

export const rateLimitProvider = (name: string, run: Run): RateLimitProvider => ({
  name,
  checkAndRecord: async (key, config) => run(({ limits }) => limits.check(limitOf(key, config))),
  getStats: async (key, config) => run(({ limits }) => limits.stats(limitOf(key, config))),
})
