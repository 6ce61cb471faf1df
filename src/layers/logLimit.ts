/**
 * Log lines of one kind at most once a minute, so that nobody can fill a disk with them.
 */
import { Clock, Effect, type Scope } from 'effect'

const pauseMillis = 60_000

/** Logs the line, or counts it if one of its kind was logged within a minute; then `summary` tells how many were counted. */
export type LimitedWarning = (line: string) => Effect.Effect<void>

/** One kind of line. What was counted is told at the end of its minute, or of the scope. */
export const limitedWarning = (
  summary: (count: number) => string,
): Effect.Effect<LimitedWarning, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let since: number | undefined
    let counted = 0
    const tell = Effect.suspend(() => {
      const count = counted
      counted = 0
      return count > 0 ? Effect.logWarning(summary(count)) : Effect.void
    })
    yield* Effect.addFinalizer(() => tell)
    return (line) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (since !== undefined && now - since < pauseMillis) {
          counted += 1
          return Effect.void
        }
        since = now
        return Effect.zipRight(Effect.logWarning(line), Effect.forkIn(Effect.delay(tell, pauseMillis), scope))
      })
  })
