/**
 * Server time, from Effect's `Clock`.
 */
import { Clock, Effect } from 'effect'

/** Whole seconds since the epoch: the unit of every time in the database. */
export const epochSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1_000))
