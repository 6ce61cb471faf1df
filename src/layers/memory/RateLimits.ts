/**
 * Rate limits in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Clock, Effect, Either, Layer } from 'effect'
import { RateLimits } from '../../services/RateLimits.js'
import { allowed, isCurrent, refused, statsOf } from '../../services/rateLimitRules.js'
import { observeService } from '../../services/telemetry.js'
import { checkKeptLimit } from '../rateLimitKey.js'

const make = Effect.sync(() => {
  const windows = new Map<string, { readonly endsAt: number; count: number }>()

  const current = (key: string, now: number, windowMs: number) => {
    const known = windows.get(key)
    return known !== undefined && isCurrent(known.endsAt, now, windowMs) ? known : undefined
  }

  return observeService('RateLimits', {
    check: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.map(checkKeptLimit(request), ({ key, windowMs, maxRequests }) => {
          const window = current(key, now, windowMs) ?? { endsAt: now + windowMs, count: 0 }
          windows.set(key, window)
          if (window.count >= maxRequests) return refused(window.endsAt, now)
          window.count += 1
          return allowed(maxRequests - window.count)
        }),
      ),

    stats: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Either.map(checkKeptLimit(request), ({ key, windowMs, maxRequests }) => {
          const window = current(key, now, windowMs)
          return window === undefined
            ? null
            : statsOf(maxRequests, maxRequests - window.count, window.endsAt, now)
        }),
      ),
  } satisfies RateLimits['Type'])
})

/** Counts in this process alone. */
export const layer: Layer.Layer<RateLimits> = Layer.effect(RateLimits, make)
