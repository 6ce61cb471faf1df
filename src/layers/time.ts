/**
 * Server time, from Effect's `Clock`, and turns of the event loop.
 */
import { Clock, Context, DefaultServices, Duration, Effect } from 'effect'

const machineClock = Context.get(DefaultServices.liveServices, Clock.Clock)

/** Whole seconds since the epoch: the unit of every time in the database. */
export const epochSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1_000))

/**
 * Lets the event loop turn, so that input, output and waiting calls go first. Effect's own yield does not: it is a microtask
 * to the event loop.
 */
export const letOthersGo = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** The same between two steps that write, and for so long that another process has the lock sooner or later, which asks for it every 5 ms. */
export const letOthersWrite = Effect.async<void>((resume) => {
  setTimeout(() => resume(Effect.void), 2)
})

/** Waits without keeping alive a program that has nothing else to do. A test's clock decides where there is one. */
export const idle = (duration: Duration.Duration): Effect.Effect<void> =>
  Effect.flatMap(Effect.clock, (clock) =>
    clock === machineClock
      ? Effect.async<void>((resume) => {
          const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration)).unref()
          return Effect.sync(() => clearTimeout(timer))
        })
      : Effect.sleep(duration),
  )
