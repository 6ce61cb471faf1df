/**
 * The services as the host's promise-based adapters, on engines that are given.
 */
import {
  ConfigProvider,
  Context,
  DefaultServices,
  Effect,
  Exit,
  Layer,
  ManagedRuntime,
  Runtime,
} from 'effect'
import { bindingIn, D1, type D1Binding } from '../layers/batch/d1.js'
import type { Engine } from '../layers/engine.js'
import * as Logger from '../layers/logger.js'
import * as Config from '../layers/ProviderConfig.js'
import { upkeepRound } from '../layers/upkeepSchedule.js'
import { Maintenance } from '../services/Maintenance.js'
import { type Driver, ProviderConfig } from '../services/ProviderConfig.js'
import { Upkeep } from '../services/Upkeep.js'
import { callsOn } from './calls.js'
import { type Adapters, adaptersOn } from './hostAdapters.js'
import { type EmitHook, hooksInCalls, hooksThrough, type WaitUntil } from './hooks.js'
import type { GetJobConfig } from './hostJobs.js'
import { openOn, ProviderStartupError, startupError } from './opening.js'

/** An open database, as the host's adapters. */
export interface Provider extends Adapters {
  /**
   * Resolves when the database is open; on an engine in the process it is from the beginning. Rejects with a `ProviderStartupError`
   * when no further attempt can help, such as for a token that is refused, and when it is closed before. On D1 it is opened by the
   * first call, or by asking for this; it rejects if that attempt failed.
   */
  readonly ready: Promise<void>
  /**
   * Collects the garbage of all workspaces once, as servers do every `OR3_SQLITE_GC_INTERVAL` by themselves, but Workers cannot: call
   * it from their `scheduled` handler. What goes wrong is logged, but for a database that cannot be opened.
   */
  upkeep(): Promise<void>
  /**
   * Resolves when the database answers a read of one row, for a health check; rejects with a `HostError` while it does not,
   * while it is not open (503), and once it closes (503). Waits no longer than any call.
   */
  health(): Promise<void>
  /** Lets running calls end, then closes the database. Later calls are refused with 503. */
  close(): Promise<void>
}

/** Where the settings come from, and what watches the services. */
export interface ProviderOptions {
  /** Holds the `OR3_SQLITE_*` settings, and in a Worker the binding of D1; `process.env` when absent. */
  readonly env?: Readonly<Record<string, unknown>> | undefined
  /** A database of D1. Chooses the driver `d1` if `OR3_SQLITE_DRIVER` is not set. */
  readonly d1?: D1Binding | undefined
  /** What the services run under: a tracer, an exporter of metrics, a logger. Must be built without waiting. */
  readonly observability?: Layer.Layer<never, unknown> | undefined
  /** Is told each op that was applied to a thread, message, post or notification; its fate is no concern of the push. */
  readonly onApplied?: EmitHook | undefined
  /** The host's limits of background jobs, asked for whenever they matter. While it throws, the defaults hold. */
  readonly getJobConfig?: GetJobConfig | undefined
  /** Keeps a Worker alive for what goes on behind an answer: hooks. Without it, a push on D1 waits for its hooks. */
  readonly waitUntil?: WaitUntil | undefined
}

type Engines = Partial<Record<Driver, Engine>>

/** What is a setting and no binding. */
const textsOf = (env: Readonly<Record<string, unknown>>, hasBinding: boolean): Map<string, string> => {
  const texts = Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  const given = new Map(texts)
  if (hasBinding && (given.get('OR3_SQLITE_DRIVER') ?? '').trim() === '') given.set('OR3_SQLITE_DRIVER', 'd1')
  return given
}

/** Opens databases on these engines, and no others. */
export const openerOn = (engines: Engines) => {
  // Its name is what a stack shows.
  const openProvider = ({
    env = process.env,
    d1,
    observability = Layer.empty,
    onApplied,
    getJobConfig,
    waitUntil,
  }: ProviderOptions = {}): Provider => {
    const base = ManagedRuntime.make(
      Config.layer.pipe(
        // Only here: whatever stays in the runtime, each call copies.
        Layer.locallyWith(
          DefaultServices.currentServices,
          Context.add(ConfigProvider.ConfigProvider, ConfigProvider.fromMap(textsOf(env, d1 !== undefined))),
        ),
        Layer.provideMerge(Layer.provideMerge(observability, Logger.layer)),
        (settings) =>
          Layer.provideMerge(
            Layer.effect(
              D1,
              Effect.map(ProviderConfig, ({ dbPath }) => d1 ?? bindingIn(env, dbPath)),
            ),
            settings,
          ),
      ),
    )
    const started = base.runSyncExit(base.runtimeEffect)
    const refuse = <E>(error: E): E => {
      // The refusal is what counts, not what an exporter says to it.
      base.dispose().catch(() => {})
      return error
    }
    if (Exit.isFailure(started)) throw refuse(startupError(started.cause, 'the database'))
    const runtime = started.value
    const settings = Context.get(runtime.context, ProviderConfig)
    const { driver, gcRetention } = settings
    const engine = engines[driver]
    if (engine === undefined) {
      throw refuse(
        new ProviderStartupError(
          `OR3_SQLITE_DRIVER is ${driver}, which a Worker does not have: set it to d1`,
        ),
      )
    }
    if (d1 !== undefined && driver !== 'd1') {
      throw refuse(
        new ProviderStartupError(`a binding of D1 is given, but OR3_SQLITE_DRIVER is ${driver}: unset it`),
      )
    }
    const opening = openOn(base, engine, settings)
    const calls = callsOn(runtime, opening)
    const hooks = (emit: EmitHook) =>
      engine.opens === 'in calls' ? hooksInCalls(emit, waitUntil) : hooksThrough(emit)
    const teller = onApplied && Runtime.runSync(runtime)(hooks(onApplied))
    const close = async () => {
      const gaveUp = opening.giveUp()
      if (teller !== undefined) {
        await gaveUp
        await calls.settled()
        // Hooks are still told what was pushed, and what they ask of these adapters is still answered.
        await Runtime.runPromise(runtime)(teller.close)
      }
      calls.refuse()
      await gaveUp
      await calls.settled()
      await opening.close()
      await base.dispose()
    }
    let closing: Promise<void> | undefined
    return {
      ...adaptersOn(calls.run, { teller, gcRetention, getJobConfig }),
      get ready() {
        return opening.ready
      },
      upkeep: () =>
        calls.run(
          ({ upkeep, maintenance }) =>
            upkeep === undefined
              ? Effect.void
              : upkeepRound(settings).pipe(
                  Effect.provideService(Upkeep, upkeep),
                  Effect.provideService(Maintenance, maintenance),
                ),
          { takesLong: true },
        ),
      health: () => calls.run(({ report }) => report.answers),
      close: () => (closing ??= close()),
    }
  }
  return openProvider
}
