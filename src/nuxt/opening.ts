/**
 * Opens the database for the adapters: before they are there where the engine is in the process, in the background where it is
 * behind a network, in their calls in a Worker.
 */
import {
  Cause,
  Context,
  Duration,
  Effect,
  Either,
  Exit,
  Fiber,
  Layer,
  type ManagedRuntime,
  Option,
  Schedule,
  Scheduler,
  Scope,
} from 'effect'
import { storageMessage } from '../layers/causes.js'
import { type Engine, servicesOn } from '../layers/engine.js'
import { DatabaseReport } from '../services/DatabaseReport.js'
import { Administration } from '../services/Administration.js'
import { DeploymentAdmins } from '../services/DeploymentAdmins.js'
import { BackgroundJobs } from '../services/BackgroundJobs.js'
import { FileReferences } from '../services/FileReferences.js'
import { Invites } from '../services/Invites.js'
import { Maintenance } from '../services/Maintenance.js'
import { Memberships } from '../services/Memberships.js'
import type { Driver, ProviderConfig, ProviderSettings } from '../services/ProviderConfig.js'
import { RateLimits } from '../services/RateLimits.js'
import type { StorageError, StorageReason } from '../services/StorageError.js'
import { SyncGateway } from '../services/SyncGateway.js'
import { UploadIntents } from '../services/UploadIntents.js'
import { Upkeep } from '../services/Upkeep.js'
import { WorkspaceSettings } from '../services/WorkspaceSettings.js'
import { Webhooks } from '../services/Webhooks.js'
import { WorkspaceStore } from '../services/WorkspaceStore.js'
import { type HostError, notOpen } from './httpErrors.js'

/** The provider cannot start. The message is one line: what is wrong, where, and what to do. */
export class ProviderStartupError extends Error {
  override readonly name = 'ProviderStartupError'
}

/** What an operator can do about a database that fails at start. */
const advice: Record<StorageReason, string> = {
  busy: 'stop the other process or start again later',
  full: 'free some space and start again',
  readonly: 'give this user write permission on the file and its folder',
  corrupt: 'restore a backup',
  constraint: 'restore a backup, and report this',
  io: 'check the disk and the permissions',
  closed: 'start again',
  timeout: 'check OR3_SQLITE_TURSO_URL and the network',
  unreachable: 'check OR3_SQLITE_TURSO_URL and the network',
  denied: 'check OR3_SQLITE_TURSO_AUTH_TOKEN',
  tooLarge: 'report this',
  other: 'check that it is a database of this package',
}

/** Of a database that a Worker is bound to. */
const adviceOnD1: Partial<Record<StorageReason, string>> = {
  timeout: 'it may pass; see the state of D1',
  unreachable: 'it may pass; see the state of D1',
  denied: 'check the binding',
}

const startupMessage = (error: unknown, path: string, driver: Driver | undefined): string => {
  const { _tag: tag, message } = error as { readonly _tag?: string; readonly message?: string }
  const first = (message ?? String(error)).split('\n', 1)[0]
  if (tag === 'StorageError') {
    const { reason } = error as StorageError
    // Who looks for a server wants to know how it is not there; of a file the reason says all.
    const isAway = reason === 'unreachable' || reason === 'denied'
    const what = isAway ? storageMessage(error as StorageError) : first
    const own = driver === 'd1' ? adviceOnD1[reason] : undefined
    return `${what} (${path}): ${own ?? advice[reason]}`
  }
  return tag === 'SchemaError' ? `${path}: ${first}` : `${first}`
}

export const startupError = (
  cause: Cause.Cause<unknown>,
  path: string,
  driver?: Driver,
): ProviderStartupError => {
  const error = Cause.squash(cause)
  return new ProviderStartupError(startupMessage(error, path, driver), { cause: error })
}

/** The services that the adapters call, by the names that they have there. */
const tags = {
  gateway: SyncGateway,
  store: WorkspaceStore,
  files: FileReferences,
  intents: UploadIntents,
  limits: RateLimits,
  report: DatabaseReport,
  maintenance: Maintenance,
  memberships: Memberships,
  invites: Invites,
  administration: Administration,
  settings: WorkspaceSettings,
  admins: DeploymentAdmins,
  jobs: BackgroundJobs,
  webhooks: Webhooks,
}

type Tags = typeof tags

export type Services = { readonly [Name in keyof Tags]: Context.Tag.Service<Tags[Name]> } & {
  /** Not in memory, where all goes with the process. */
  readonly upkeep: Upkeep['Type'] | undefined
}

type Provided = Context.Tag.Identifier<Tags[keyof Tags]>

export const servicesIn = (context: Context.Context<Provided>): Services => ({
  ...Effect.runSync(Effect.provide(Effect.all(tags), context)),
  upkeep: Option.getOrUndefined(Context.getOption(context, Upkeep)),
})

interface Built {
  readonly services: Services
  readonly close: Effect.Effect<void>
}

/** Builds the services in a scope of their own; a failure leaves nothing of them. */
const build = (engine: Engine) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(servicesOn(engine), scope).pipe(
      Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)),
    )
    return { services: servicesIn(context), close: Scope.close(scope, Exit.void) } satisfies Built
  })

/** A database that is open, or being opened. */
export interface Opening {
  /** Undefined while it is not open. */
  readonly current: () => Services | undefined
  /** Waits for the attempt that is under way, or makes one. Fails with what a host can answer. */
  readonly opened: Effect.Effect<Services, HostError>
  /** How long a call may take; undefined on an engine in the process, which has bounds of its own. */
  readonly deadline: Duration.Duration | undefined
  /** What a call's turns are put in order by; undefined where one serves all calls. */
  readonly newScheduler?: () => Scheduler.Scheduler
  /** Rejects with a `ProviderStartupError` when no further attempt can help, or there will be none. */
  readonly ready: Promise<void>
  /** Ends the attempts, and with them the calls that wait for one; a database that is open stays so. */
  readonly giveUp: () => Promise<void>
  readonly close: () => Promise<void>
}

type Base = ManagedRuntime.ManagedRuntime<ProviderConfig, unknown>

type Place = Pick<ProviderSettings, 'driver' | 'dbPath' | 'timeout'>

/** Opens at once, or throws a `ProviderStartupError`. */
const openNow = (base: Base, engine: Engine, { dbPath: path }: Place): Opening => {
  const exit = base.runSyncExit(build(engine))
  if (Exit.isFailure(exit)) {
    // What was built before, such as an exporter, must not outlive it.
    base.dispose().catch(() => {})
    throw startupError(exit.cause, path)
  }
  const { services, close } = exit.value
  return {
    current: () => services,
    opened: Effect.succeed(services),
    deadline: undefined,
    ready: Promise.resolve(),
    giveUp: () => Promise.resolve(),
    close: () => base.runPromise(close),
  }
}

/** Whether the same start may succeed later. */
const isTransient = (cause: Cause.Cause<unknown>) =>
  Option.exists(
    Cause.failureOption(cause),
    (error) => (error as { readonly isRetryable?: boolean }).isRetryable === true,
  )

/** Between attempts that nobody waits for. */
const pauses = Schedule.exponential('1 second').pipe(Schedule.union(Schedule.spaced('15 seconds')))

const closedTooEarly = (path: string) => new ProviderStartupError(`${path}: closed before it was open`)

/** Opens in the background, again and again while the network may be at fault. Calls that wait meanwhile are told so. */
const openInBackground = (base: Base, engine: Engine, { dbPath: path, timeout }: Place): Opening => {
  let built: Built | undefined
  let attempt: Fiber.RuntimeFiber<Built, unknown> | undefined
  let told: string | undefined
  let givenUp = false
  let settle: (error?: ProviderStartupError) => void = () => {}
  const ready = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error))
  })
  // Who does not ask is told by the calls.
  ready.catch(() => {})

  /** What came of an attempt; a transient failure is logged once, however often it comes. */
  const heed = (exit: Exit.Exit<Built, unknown>) => {
    if (Exit.isSuccess(exit)) {
      built = exit.value
      settle()
      if (told !== undefined) base.runFork(Effect.logInfo(`${path} is open`))
    } else if (!isTransient(exit.cause)) {
      if (!Cause.isInterruptedOnly(exit.cause)) settle(startupError(exit.cause, path))
      return
    } else {
      const { message } = startupError(exit.cause, path)
      if (message !== told) base.runFork(Effect.logWarning(`${message}; trying again`))
      told = message
    }
    attempt = undefined
  }

  /** The attempt that is under way; one that failed for good stays, and so does one that was given up. */
  const current = () => {
    if (attempt === undefined) {
      attempt = base.runFork(build(engine))
      attempt.addObserver(heed)
    }
    return attempt
  }
  const trying = base.runFork(
    Effect.suspend(() => (built === undefined ? Fiber.join(current()) : Effect.void)).pipe(
      // An attempt that is still there has failed for good.
      Effect.retry({ schedule: pauses, while: () => attempt === undefined }),
      Effect.ignore,
    ),
  )
  return {
    current: () => built?.services,
    opened: Effect.suspend(() =>
      givenUp
        ? Effect.fail(notOpen(closedTooEarly(path)))
        : // Joined as an exit: an attempt that was given up must not take its callers along.
          Effect.flatMap(Fiber.await(current()), (exit) =>
            Exit.isSuccess(exit)
              ? Effect.succeed(exit.value.services)
              : Effect.fail(notOpen(startupError(exit.cause, path))),
          ),
    ),
    // A trip that ends first says more about what is wrong.
    deadline: Duration.sum(timeout, '250 millis'),
    ready,
    giveUp: async () => {
      givenUp = true
      settle(closedTooEarly(path))
      await base.runPromise(Fiber.interruptAll(attempt === undefined ? [trying] : [trying, attempt]))
    },
    close: async () => {
      if (built !== undefined) await base.runPromise(built.close)
    },
  }
}

/**
 * Opens in the call that comes first, and in those that come before it is done: in a Worker a call must not wait for another one, which
 * may end before its time and take what it has begun along. Whoever is first is heard. For the same reason each call has a scheduler
 * of its own.
 */
const openInCalls = (base: Base, engine: Engine, { dbPath: path, driver, timeout }: Place): Opening => {
  let built: Built | undefined
  let told: string | undefined
  let givenUp = false
  const keep = (own: Built) =>
    Effect.suspend(() => {
      if (built !== undefined) return Effect.as(own.close, built.services)
      built = own
      return Effect.succeed(own.services)
    })
  const attempt = base.runtimeEffect.pipe(
    Effect.flatMap((runtime) => Effect.provide(build(engine), runtime)),
    Effect.flatMap(keep),
    Effect.sandbox,
    Effect.catchAll((cause) => {
      const error = startupError(cause, path, driver)
      const isNew = error.message !== told
      told = error.message
      return Effect.zipRight(isNew ? Effect.logError(error.message) : Effect.void, Effect.fail(error))
    }),
  )
  const opened = Effect.suspend(() => {
    if (givenUp) return Effect.fail(closedTooEarly(path))
    return built === undefined ? attempt : Effect.succeed(built.services)
  })
  return {
    current: () => built?.services,
    opened: Effect.mapError(opened, notOpen),
    deadline: Duration.sum(timeout, '250 millis'),
    newScheduler: () => new Scheduler.MixedScheduler(2048),
    get ready() {
      return base.runPromise(Effect.either(opened)).then((either) => {
        if (Either.isLeft(either)) throw either.left
      })
    },
    giveUp: async () => {
      givenUp = true
    },
    close: async () => {
      if (built !== undefined) await base.runPromise(built.close)
    },
  }
}

const openings: Record<Engine['opens'], (base: Base, engine: Engine, place: Place) => Opening> = {
  'at once': openNow,
  'in the background': openInBackground,
  'in calls': openInCalls,
}

/** Opens the database of an engine, when that opens it. */
export const openOn = (base: Base, engine: Engine, place: Place): Opening =>
  openings[engine.opens](base, engine, place)
