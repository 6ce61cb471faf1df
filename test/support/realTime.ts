/**
 * Real time in tests whose clock stands still.
 */
import { Effect } from 'effect'

/** Waits until something holds, for ten seconds at most: collections wait for others between their steps, whatever clock a test has. */
export const realTimeUntil = (holds: () => boolean | Promise<boolean>): Effect.Effect<void> =>
  Effect.promise(async () => {
    const end = performance.now() + 10_000
    while (!(await holds()) && performance.now() < end) await new Promise((resume) => setTimeout(resume, 1))
  })
