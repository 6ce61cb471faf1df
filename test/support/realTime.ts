/**
 * Waiting in real time, whatever clock a test has.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Effect } from 'effect'

/** Waits until something holds, for half a minute at most. */
export const until = async (holds: () => boolean | Promise<boolean>) => {
  for (let left = 3_000; !(await holds()); left--) {
    if (left === 0) throw new Error('waited in vain')
    await sleep(10)
  }
}

/** The same beside a clock that stands still: collections wait for others between their steps. */
export const realTimeUntil = (holds: () => boolean | Promise<boolean>): Effect.Effect<void> =>
  Effect.promise(() => until(holds))

/** Many times as long as a round of a small database takes: for what must not come. */
export const someRealTime: Effect.Effect<void> = Effect.promise(() => sleep(200))
