/**
 * Ctrl-C while something has to be cleaned up. Everything else may simply be killed: SQLite rolls back what was not committed.
 */
import { Effect, Fiber } from 'effect'

/** Interrupts the effect, so that its finalisers run, when the process is told to end. */
export const interruptibleBySignals = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const fiber = yield* Effect.forkScoped(effect)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const stop = () => fiber.unsafeInterruptAsFork(fiber.id())
          process.once('SIGINT', stop).once('SIGTERM', stop)
          return stop
        }),
        (stop) => Effect.sync(() => process.off('SIGINT', stop).off('SIGTERM', stop)),
      )
      return yield* Fiber.join(fiber)
    }),
  )
