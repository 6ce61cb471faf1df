/**
 * Keys of rate limits as they are kept: a long one, such as of an address with a query, takes no more room than others.
 */
import { createHash } from 'node:crypto'
import { Either } from 'effect'
import { checkRateLimit } from '../services/rateLimitRules.js'

/** Characters up to which a key is kept as it is. */
const longest = 1_024

/** By its beginning, so that people know it, and a hash. Longer than any that is kept as it is, so it is nobody else's. */
const shortened = (key: string): string =>
  `${key.slice(0, longest).toWellFormed()} ${createHash('sha256').update(key).digest('hex')}`

/** The check of a limit, whose key is then the one that is kept. */
export const checkKeptLimit = (request: unknown): ReturnType<typeof checkRateLimit> => {
  const limit = checkRateLimit(request)
  return Either.isLeft(limit) || limit.right.key.length <= longest
    ? limit
    : Either.right({ ...limit.right, key: shortened(limit.right.key) })
}
