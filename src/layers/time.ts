/**
 * Server time, from Effect's `Clock`, and turns of the event loop.
 */
import { Clock, Effect } from 'effect'

/** Whole seconds since the epoch: the unit of every time in the database. */
export const epochSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1_000))

/**
 * Lets the event loop turn, so that input, output and waiting calls go first. Effect's own yield does not: it is a microtask
 * to the event loop.
 */
export const letOthersGo = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})
