/**
 * Calls of the services as promises: what a host waits for, and what closing waits for.
 */
import { Cause, Effect, Exit, FiberRef, FiberRefs, Option, Runtime, Scheduler, Scope } from 'effect'
import { storageMessage } from '../layers/causes.js'
import { limitedWarning, type LimitedWarning } from '../layers/logLimit.js'
import { StorageError } from '../services/StorageError.js'
import { HostError, type ServiceError, shuttingDown, toHostError } from './httpErrors.js'
import type { Opening, Services } from './opening.js'

/** Calls a service, within the deadline of the opening unless it `takesLong`. Rejects with what a host answers. */
export type Run = <A>(
  call: (services: Services) => Effect.Effect<A, ServiceError>,
  options?: { readonly takesLong?: boolean },
) => Promise<A>

export interface Calls {
  readonly run: Run
  /** Waits for the calls that are running. */
  readonly settled: () => Promise<void>
  /** From here on calls are refused. */
  readonly refuse: () => void
}

type Failure = ServiceError | HostError

/** What an outage makes of every call, which would fill the log. */
const isOutage = (failure: Failure) =>
  !(failure instanceof HostError) &&
  failure._tag === 'StorageError' &&
  (failure.reason === 'timeout' || failure.reason === 'unreachable')

/** Of a fault of ours, the operator is told; of the caller's mistakes, the caller. Whoever waits for the opening has been told. */
const logged = (cause: Cause.Cause<Failure>, warn: LimitedWarning): Effect.Effect<void> => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (Cause.isInterruptedOnly(cause) || failure instanceof HostError) return Effect.void
  if (failure === undefined) return Effect.logError('unexpected failure', cause)
  if (failure._tag !== 'StorageError') return Effect.void
  const message = storageMessage(failure)
  return isOutage(failure) ? warn(message) : Effect.logError(message)
}

const unwrap = <A>(exit: Exit.Exit<A, Failure>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) throw Cause.squash(exit.cause)
  throw failure.value instanceof HostError ? failure.value : toHostError(failure.value)
}

const summary = (count: number) =>
  `in the last minute ${count} more calls failed for the same or a like reason`

/**
 * The runtime without what a call has no use for, since a fork looks at each reference there is: the context, which it sets anew, what
 * is as it is everywhere, and the scheduler of a start that ended synchronously. A look-up takes a tenth less.
 */
const forCalls = (runtime: Runtime.Runtime<never>) =>
  Runtime.updateFiberRefs(runtime, (refs) => {
    const byDefault = FiberRefs.empty()
    let kept = refs
    for (const [ref, [[, value]]] of refs.locals) {
      const isIdle =
        value === FiberRefs.getOrDefault(byDefault, ref) || value instanceof Scheduler.SyncScheduler
      if (isIdle || ref === FiberRef.currentContext) kept = FiberRefs.delete(kept, ref)
    }
    return kept
  })

export const callsOn = (runtime: Runtime.Runtime<never>, opening: Opening): Calls => {
  const runFork = Runtime.runFork(forCalls(runtime))
  const runSync = Runtime.runSync(runtime)
  const scope = runSync(Scope.make())
  const warn = runSync(Scope.extend(limitedWarning(summary), scope))
  const running = new Set<Promise<unknown>>()
  let refusing = false

  /** The call, once the database is open, and not longer than a caller waits. */
  const whole = <A>(call: (services: Services) => Effect.Effect<A, ServiceError>, takesLong: boolean) => {
    const services = opening.current()
    const effect: Effect.Effect<A, Failure> =
      services === undefined ? Effect.flatMap(opening.opened, call) : call(services)
    return opening.deadline === undefined || takesLong
      ? effect
      : Effect.timeoutFail(effect, {
          duration: opening.deadline,
          onTimeout: () => new StorageError({ operation: 'call', reason: 'timeout' }),
        })
  }
  /** Most calls on an engine in the process end at once, since its driver is synchronous; the others are waited for. */
  const exitOf = <A>(
    effect: Effect.Effect<A, Failure>,
  ): Exit.Exit<A, Failure> | Promise<Exit.Exit<A, Failure>> => {
    const scheduler = opening.newScheduler?.()
    const fiber = runFork(effect, scheduler && { scheduler })
    const ended = fiber.unsafePoll()
    if (ended !== null) return ended
    const promise = new Promise<Exit.Exit<A, Failure>>((resolve) => fiber.addObserver(resolve))
    running.add(promise)
    return promise.finally(() => running.delete(promise))
  }
  return {
    run: async (call, { takesLong = false } = {}) => {
      if (refusing) throw shuttingDown()
      const exit = await exitOf(whole(call, takesLong))
      if (Exit.isFailure(exit)) runSync(logged(exit.cause, warn))
      return unwrap(exit)
    },
    settled: async () => {
      await Promise.allSettled(running)
    },
    refuse: () => {
      refusing = true
      // What was counted is told.
      runFork(Scope.close(scope, Exit.void))
    },
  }
}
