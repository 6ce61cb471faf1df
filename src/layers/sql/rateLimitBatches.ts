/**
 * Permits of rate limits as batches: what a process takes is taken at once, whatever others take meanwhile.
 */
import { Either } from 'effect'
import { clockTolerance, isCurrent } from '../../services/rateLimitRules.js'
import type { RateLimit } from '../../services/RateLimits.js'
import { type Batch, firstOf, statement } from './batch.js'

/** Ended, or ends later than any would: from before a clock was set back. */
const isOver = `(ends_at <= :now OR ends_at > :latest)`
const grant = `max(0, min(:lot, :maxRequests - taken))`

export const rateLimitSql = {
  take: statement(`
    INSERT INTO rate_limit_windows (key, ends_at, taken, granted) VALUES (:key, :endsAt, :first, :first)
    ON CONFLICT (key) DO UPDATE SET
      ends_at = iif(${isOver}, excluded.ends_at, ends_at),
      taken = iif(${isOver}, excluded.taken, taken + ${grant}),
      granted = iif(${isOver}, excluded.granted, ${grant})
    RETURNING ends_at, taken, granted`),
  window: statement(`SELECT ends_at, taken FROM rate_limit_windows WHERE key = :key`),
  /** No index by their ends: keeping one costs more than taking a permit. */
  last: statement(`
    SELECT iif(count(*) < :most, 0, max(at)) AS last FROM (
      SELECT rowid AS at FROM rate_limit_windows WHERE rowid > :after ORDER BY rowid LIMIT :most)`),
  forget: statement(`
    DELETE FROM rate_limit_windows WHERE ends_at <= :now AND rowid IN (
      SELECT rowid FROM rate_limit_windows WHERE rowid > :after ORDER BY rowid LIMIT :most)`),
}

export interface Taken {
  /** Of the window, in epoch milliseconds. */
  readonly endsAt: number
  readonly granted: number
  /** By all processes so far. */
  readonly taken: number
}

/** Takes so many permits, or as many as there are. `now` in epoch milliseconds. */
export const take = ({ key, windowMs, maxRequests }: RateLimit, lot: number, now: number): Batch<Taken> => ({
  statements: [
    rateLimitSql.take({
      ...{ key, maxRequests, now, lot, first: Math.min(lot, maxRequests) },
      ...{ endsAt: now + windowMs, latest: now + windowMs + clockTolerance },
    }),
  ],
  read: (results) => {
    const { ends_at: endsAt, taken, granted } = firstOf(results, 0)!
    return Either.right({ endsAt, granted, taken })
  },
})

/** Removes what is over of the next so many windows; gives the place to go on at, 0 after the last. */
export const forget = (now: number, after: number, most: number): Batch<number> => ({
  statements: [rateLimitSql.last({ after, most }), rateLimitSql.forget({ now, after, most })],
  read: (results) => Either.right(firstOf(results, 0)!.last as number),
})

/** The window of a key, or null where there is none. */
export const findWindow = (
  { key, windowMs }: RateLimit,
  now: number,
): Batch<Pick<Taken, 'endsAt' | 'taken'> | null> => ({
  statements: [rateLimitSql.window({ key })],
  read: (results) => {
    const row = firstOf(results, 0)
    return Either.right(
      row === undefined || !isCurrent(row.ends_at, now, windowMs)
        ? null
        : { endsAt: row.ends_at, taken: row.taken },
    )
  },
})
