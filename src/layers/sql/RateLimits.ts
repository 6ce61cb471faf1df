/**
 * Rate limits on any engine: permits are taken from the database some at a time, and given out here.
 *
 * A check is asked for by every request, reads as well. So it neither costs a write each time, nor waits for long for one: what the
 * database does not say in time is decided by what this process has allowed, and settled later.
 */
import { Cause, Clock, Effect, Either, Exit, Fiber, Layer, Option, Runtime } from 'effect'
import { type RateLimit, RateLimits, type RateLimitVerdict } from '../../services/RateLimits.js'
import { allowed, isCurrent, refused, statsOf } from '../../services/rateLimitRules.js'
import { StorageError } from '../../services/StorageError.js'
import { observeService } from '../../services/telemetry.js'
import { storageMessage } from '../causes.js'
import { limitedWarning } from '../logLimit.js'
import { checkKeptLimit } from '../rateLimitKey.js'
import { Batches } from './Batches.js'
import { findWindow, forget, take, type Taken } from './rateLimitBatches.js'

/** The part of what is left that a process takes at once. */
export const share = 8
/** How long a check waits for the database; where nothing goes on behind it, it has to. */
const patience = { usual: '100 millis', alone: '1 second' } as const
/** After so many takings so many windows are looked at, here and in the database: more than were begun meanwhile. */
const forgetting = { every: 64, most: 256 } as const
/** Windows remembered here; beyond them the oldest go, and what they held with them. */
const mostWindows = 100_000

type Taking = Fiber.RuntimeFiber<Taken, StorageError>

/** A window as this process knows it. */
interface Window {
  /** Epoch milliseconds. */
  endsAt: number
  /** Permits that were taken and not given out. */
  held: number
  /** How many permits were taken last. */
  lot: number
  /** How many all processes had taken then; undefined while the database has not said. */
  taken: number | undefined
  /** Allowed by this process. */
  given: number
  /** Of these, without a permit. */
  owed: number
  /** Under way. */
  taking: Taking | undefined
  /** Whether that has kept somebody waiting in vain. */
  isLate: boolean
}

const make = Effect.gen(function* () {
  const { read, write, endsWithCalls = false } = yield* Batches
  const runFork = Runtime.runFork(yield* Effect.runtime())
  const warn = yield* limitedWarning((count) => `${count} more takings of rate limits failed`)
  const windows = new Map<string, Window>()
  const underWay = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  let takings = 0
  let forgotten = 0
  yield* Effect.addFinalizer(() => Fiber.interruptAll(underWay))

  const knownWindow = (key: string, now: number, windowMs: number): Window | undefined => {
    const known = windows.get(key)
    return known !== undefined && isCurrent(known.endsAt, now, windowMs) ? known : undefined
  }

  /** The window of a key; one that is not known here may be known to the database. */
  const windowOf = ({ key, windowMs }: RateLimit, now: number): Window => {
    const known = knownWindow(key, now, windowMs)
    if (known !== undefined) return known
    const window: Window = {
      endsAt: now + windowMs,
      held: 0,
      lot: 0,
      taken: undefined,
      given: 0,
      owed: 0,
      taking: undefined,
      isLate: false,
    }
    windows.delete(key)
    windows.set(key, window)
    return window
  }

  /** Looks at those that it looked at the longest ago. */
  const forgetHere = (now: number) => {
    for (const [key, window] of [...windows.entries()].slice(0, forgetting.most)) {
      windows.delete(key)
      if (window.endsAt > now && windows.size < mostWindows) windows.set(key, window)
    }
  }

  const settle = (window: Window, exit: Exit.Exit<Taken, StorageError>) => {
    Object.assign(window, { taking: undefined, isLate: false })
    if (Exit.isFailure(exit)) return
    const { endsAt, granted, taken } = exit.value
    const paid = Math.min(granted, window.owed)
    window.held += granted - paid
    window.owed -= paid
    Object.assign(window, { endsAt, taken, lot: granted })
  }

  const explain = (cause: Cause.Cause<StorageError>) =>
    Option.match(Cause.failureOption(cause), {
      onNone: () => Effect.void,
      onSome: (error) =>
        warn(`each process counts rate limits for itself meanwhile: ${storageMessage(error)}`),
    })

  /** Goes on when the check that began it does not wait any longer. */
  const inBackground = <A, E>(effect: Effect.Effect<A, E>) => {
    const fiber = runFork(effect)
    underWay.add(fiber)
    fiber.addObserver(() => underWay.delete(fiber))
    return fiber
  }

  const forgetThere = (now: number) =>
    Effect.map(write('forget windows', forget(now, forgotten, forgetting.most)), (place) => {
      forgotten = place
    })

  /** Now and then, so that what is over goes by itself. */
  const forgetSome = (now: number) => {
    forgetHere(now)
    inBackground(forgetThere(now))
  }

  /** On an engine in the process the permits are there at once, unless it is locked. */
  const startTaking = (window: Window, limit: RateLimit, now: number, least: number): Taking => {
    if (++takings % forgetting.every === 0) forgetSome(now)
    const left = limit.maxRequests - (window.taken ?? 0)
    const lot = Math.max(least, Math.floor(left / share))
    const taking = inBackground(write('take permits', take(limit, lot, now)))
    window.taking = taking
    taking.addObserver((exit) => {
      settle(window, exit)
      if (Exit.isFailure(exit)) runFork(explain(exit.cause))
      // What was allowed meanwhile; unless the next window has begun, in which it would count.
      else if (window.owed > 0 && exit.value.taken < limit.maxRequests && windows.get(limit.key) === window) {
        startTaking(window, limit, now, window.owed)
      }
    })
    return taking
  }

  /** What is known here decides; undefined where the database has to be asked. */
  const decided = (window: Window, limit: RateLimit, now: number): RateLimitVerdict | undefined => {
    const { maxRequests } = limit
    const remaining = maxRequests - Math.max(window.given, (window.taken ?? 0) - window.held)
    if (remaining <= 0) return refused(window.endsAt, now)
    if (window.held === 0) return undefined
    window.held -= 1
    window.given += 1
    // Before the next check has to wait; unless others may want the little that is left.
    const isLow = window.lot >= share && window.held * 4 <= window.lot
    if (isLow && remaining > window.lot && window.taking === undefined) startTaking(window, limit, now, 1)
    return allowed(remaining - 1)
  }

  /** Without the database: no more than the limit in this process. */
  const onCredit = (window: Window, { maxRequests }: RateLimit, now: number): RateLimitVerdict => {
    if (window.given >= maxRequests) return refused(window.endsAt, now)
    window.given += 1
    window.owed += 1
    return allowed(maxRequests - window.given)
  }

  /** One permit, for this check alone: where nothing goes on behind a call, it can take none for later ones, nor wait for theirs. */
  const askAlone = (window: Window, limit: RateLimit, now: number): Effect.Effect<RateLimitVerdict> => {
    if (limit.maxRequests <= Math.max(window.given, window.taken ?? 0)) {
      return Effect.succeed(refused(window.endsAt, now))
    }
    const taking = write('take permits', take(limit, window.owed + 1, now)).pipe(
      Effect.timeoutFail({
        duration: patience.alone,
        onTimeout: () => new StorageError({ operation: 'take permits', reason: 'timeout' }),
      }),
    )
    const decided = Effect.flatMap(Effect.exit(taking), (exit) => {
      settle(window, exit)
      if (Exit.isFailure(exit)) return Effect.as(explain(exit.cause), onCredit(window, limit, now))
      if (window.held === 0) return Effect.succeed(refused(window.endsAt, now))
      window.held -= 1
      window.given += 1
      return Effect.succeed(allowed(limit.maxRequests - exit.value.taken))
    })
    if (++takings % forgetting.every !== 0) return decided
    forgetHere(now)
    return Effect.zipLeft(decided, Effect.ignore(forgetThere(now)))
  }

  const ask = (window: Window, limit: RateLimit, now: number): Effect.Effect<RateLimitVerdict> => {
    const known = decided(window, limit, now)
    if (known !== undefined) return Effect.succeed(known)
    const taking = window.taking ?? startTaking(window, limit, now, window.owed + 1)
    const after = (exit: Exit.Exit<Taken, StorageError>) =>
      Exit.isSuccess(exit) ? ask(window, limit, now) : Effect.succeed(onCredit(window, limit, now))
    const ended = taking.unsafePoll()
    if (ended !== null) return after(ended)
    if (window.isLate) return Effect.succeed(onCredit(window, limit, now))
    return Effect.flatMap(Effect.timeoutOption(Fiber.await(taking), patience.usual), (exit) => {
      if (Option.isSome(exit)) return after(exit.value)
      window.isLate = window.taking === taking
      return Effect.succeed(onCredit(window, limit, now))
    })
  }

  return observeService('RateLimits', {
    check: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const limit = checkKeptLimit(request)
        return Either.isLeft(limit)
          ? Effect.fail(limit.left)
          : (endsWithCalls ? askAlone : ask)(windowOf(limit.right, now), limit.right, now)
      }),

    stats: (request) =>
      Effect.gen(function* () {
        const limit = yield* checkKeptLimit(request)
        const { key, windowMs, maxRequests } = limit
        const now = yield* Clock.currentTimeMillis
        const stored = yield* Effect.option(read('find window', findWindow(limit, now)))
        const known = knownWindow(key, now, windowMs)
        const found = Option.getOrNull(stored)
        if (found !== null)
          return statsOf(maxRequests, maxRequests - found.taken + (known?.held ?? 0), found.endsAt, now)
        return known === undefined ? null : statsOf(maxRequests, maxRequests - known.given, known.endsAt, now)
      }),
  } satisfies RateLimits['Type'])
})

/** Counts in all processes on the database. */
export const layer: Layer.Layer<RateLimits, never, Batches> = Layer.scoped(RateLimits, make)
