/**
 * The services as the host's promise-based adapters, for the Nitro plugin and for programs without Effect.
 */
import { ConfigProvider, Context, Layer, Exit, ManagedRuntime, Runtime } from 'effect'
import * as Logger from '../layers/logger.js'
import { opensAtOnce } from '../layers/Provider.js'
import * as Config from '../layers/ProviderConfig.js'
import { ProviderConfig } from '../services/ProviderConfig.js'
import { callsOn } from './calls.js'
import { type Adapters, adaptersOn } from './hostAdapters.js'
import { type EmitHook, hooksThrough } from './hooks.js'
import type { GetJobConfig } from './hostJobs.js'
import { openInBackground, openNow, startupError } from './opening.js'

export type {
  AuthWorkspaceStore,
  HostEvent,
  HostPullAnswer,
  HostPushAnswer,
  HostPushResult,
  SyncErrorCode,
  SyncGatewayAdapter,
} from './host.js'
export type { EmitHook } from './hooks.js'
export { type Adapters, providerId, unopenedProvider } from './hostAdapters.js'
export type {
  AdminAction,
  AdminContext,
  AdminDetails,
  AdminSession,
  AdminStatus,
  AdminWarning,
  HostWorkspace,
  ProviderAdminAdapter,
} from './hostAdminAdapter.js'
export type {
  AdminCapabilities,
  AdminStoreProvider,
  AdminUserStore,
  WorkspaceAccessStore,
  WorkspaceMemberInfo,
  WorkspaceSettingsStore,
} from './hostAdmin.js'
export type { HostFiles } from './hostFiles.js'
export type { HostInviteGranted, HostInviteRefused, HostInvites } from './hostInvites.js'
export type { BackgroundJobProvider, GetJobConfig, HostJob } from './hostJobs.js'
export type { HostCapabilities, HostSnapshotPage, SnapshotGatewayAdapter } from './hostSnapshot.js'
export type { HostRateLimit, RateLimitProvider } from './hostRateLimits.js'
export type { MaintenanceAdapter } from './hostMaintenance.js'
export type { HostDelivery, HostWebhook, WebhookStore } from './hostWebhooks.js'
export { HostError } from './httpErrors.js'
export { ProviderStartupError } from './opening.js'

/** An open database, as the host's adapters. */
export interface Provider extends Adapters {
  /**
   * Resolves when the database is open; on an engine in the process it is from the beginning. Rejects with a `ProviderStartupError`
   * when no further attempt can help, such as for a token that is refused, and when it is closed before.
   */
  readonly ready: Promise<void>
  /** Lets running calls end, then closes the database. Later calls are refused with 503. */
  close(): Promise<void>
}

/** Where the settings come from, and what watches the services. */
export interface ProviderOptions {
  /** Holds the `OR3_SQLITE_*` settings; `process.env` when absent. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** What the services run under: a tracer, an exporter of metrics, a logger. Must be built without waiting. */
  readonly observability?: Layer.Layer<never, unknown> | undefined
  /** Is told each op that was applied to a thread, message, post or notification; its fate is no concern of the push. */
  readonly onApplied?: EmitHook | undefined
  /** The host's limits of background jobs, asked for whenever they matter. While it throws, the defaults hold. */
  readonly getJobConfig?: GetJobConfig | undefined
}

/**
 * Opens the database and brings its schema up to date: on an engine in the process before it returns, on one behind a network in
 * the background. Calls wait for that, and are refused with 503 as long as it fails.
 *
 * @throws ProviderStartupError for wrong settings; on an engine in the process for everything that keeps it from opening
 */
export const openProvider = ({
  env = process.env,
  observability = Layer.empty,
  onApplied,
  getJobConfig,
}: ProviderOptions = {}): Provider => {
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const base = ManagedRuntime.make(
    Config.layer.pipe(
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(given)))),
      Layer.provideMerge(Layer.provideMerge(observability, Logger.layer)),
    ),
  )
  const started = base.runSyncExit(base.runtimeEffect)
  if (Exit.isFailure(started)) {
    void base.dispose()
    throw startupError(started.cause, 'the database')
  }
  const runtime = started.value
  const settings = Context.get(runtime.context, ProviderConfig)
  const opening = (opensAtOnce(settings) ? openNow : openInBackground)(base, settings)
  const calls = callsOn(runtime, opening)
  const teller = onApplied && Runtime.runSync(runtime)(hooksThrough(onApplied))
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
    ...adaptersOn(calls.run, { teller, gcRetention: settings.gcRetention, getJobConfig }),
    ready: opening.ready,
    close: () => (closing ??= close()),
  }
}
