/**
 * The services as the host's promise-based adapters, for the Nitro plugin and for programs without Effect.
 */
import { ConfigProvider, Context, Effect, Exit, Layer, ManagedRuntime, Runtime } from 'effect'
import * as Logger from '../layers/logger.js'
import { opensAtOnce } from '../layers/Provider.js'
import * as Config from '../layers/ProviderConfig.js'
import { ProviderConfig } from '../services/ProviderConfig.js'
import type { GatewayError, RetentionRequest, SyncGateway } from '../services/SyncGateway.js'
import { toPullAnswer, toPushAnswer } from './answers.js'
import { callsOn, type Run } from './calls.js'
import { filesAdapter } from './filesAdapter.js'
import { type EmitHook, hooksThrough, type Teller, telling } from './hooks.js'
import type { AuthWorkspaceStore, HostEvent, SyncGatewayAdapter } from './host.js'
import type { HostFiles } from './hostFiles.js'
import { checkHostRetention, type MaintenanceAdapter } from './hostMaintenance.js'
import { capabilities, toHostPage } from './hostSnapshot.js'
import { prerendering } from './httpErrors.js'
import { maintenanceMethods } from './maintenanceAdapter.js'
import { openInBackground, openNow, startupError } from './opening.js'
import { callerOf, callerOfSession } from './session.js'

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
export type { HostFiles } from './hostFiles.js'
export type { HostCapabilities, HostSnapshotPage, SnapshotGatewayAdapter } from './hostSnapshot.js'
export type { MaintenanceAdapter } from './hostMaintenance.js'
export { HostError } from './httpErrors.js'
export { ProviderStartupError } from './opening.js'

/** The id under which the host knows this provider. */
export const providerId = 'sqlite'

/** An open database, as the host's adapters. */
export interface Provider {
  /** Users and workspaces. */
  readonly workspaceStore: AuthWorkspaceStore
  /** Push, pull, cursors, garbage collection. */
  readonly syncGateway: SyncGatewayAdapter
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
    workspaceStore: workspaceStore(calls.run),
    syncGateway: {
      ...syncGateway(calls.run, teller),
      ...maintenanceMethods(calls.run),
      listWorkspaceIds: async () => calls.run(({ store }) => store.listWorkspaceIds),
      ...filesAdapter(calls.run),
    },
    ready: opening.ready,
    close: () => (closing ??= close()),
  }
}

const syncGateway = (
  run: Run,
  teller: Teller | undefined,
): Omit<SyncGatewayAdapter, keyof MaintenanceAdapter | keyof HostFiles<HostEvent>> => {
  /** The input as the service wants it, on behalf of the event's session. What cannot be read, the service refuses. */
  const call = <A>(event: HostEvent | undefined, input: A, callerIn = callerOf) => {
    const caller = callerIn(event)
    try {
      return { ...input, caller }
    } catch {
      return { caller } as A & { readonly caller: typeof caller }
    }
  }
  const collect = (
    request: RetentionRequest,
    gc: (gateway: SyncGateway['Type']) => (request: RetentionRequest) => Effect.Effect<unknown, GatewayError>,
  ) =>
    run(({ gateway }) => Effect.asVoid(Effect.zipRight(checkHostRetention(request), gc(gateway)(request))), {
      takesLong: true,
    })
  return {
    id: providerId,
    capabilities,
    pull: async (event, input) => {
      const page = await run(({ gateway }) => gateway.pull(call(event, input)))
      return toPullAnswer(input.scope.workspaceId, page)
    },
    snapshot: async (event, input) =>
      toHostPage(await run(({ gateway }) => gateway.snapshot(call(event, input)))),
    push: async (event, input) => {
      const pushed = await run(({ gateway }) => telling(gateway, teller).push(call(event, input)))
      return toPushAnswer(input.scope.workspaceId, input.ops, pushed)
    },
    updateCursor: async (event, input) =>
      run(({ gateway }) => gateway.updateCursor(call(event, input, callerOfSession))),
    gcTombstones: async (event, input) => collect(call(event, input), (gateway) => gateway.gcTombstones),
    gcChangeLog: async (event, input) => collect(call(event, input), (gateway) => gateway.gcChangeLog),
  }
}

const workspaceStore = (run: Run): AuthWorkspaceStore => ({
  getOrCreateUser: (identity) => run(({ store }) => store.getOrCreateUser(identity)),
  getUser: (identity) => run(({ store }) => store.getUser(identity)),
  getOrCreateDefaultWorkspace: (userId) => run(({ store }) => store.getOrCreateDefaultWorkspace(userId)),
  getWorkspaceRole: (membership) => run(({ store }) => store.getWorkspaceRole(membership)),
  listUserWorkspaces: (userId) => run(({ store }) => store.listUserWorkspaces(userId)),
  createWorkspace: (request) => run(({ store }) => store.createWorkspace(request)),
  updateWorkspace: (request) => run(({ store }) => store.updateWorkspace(request)),
  removeWorkspace: (membership) => run(({ store }) => store.removeWorkspace(membership)),
  setActiveWorkspace: (membership) => run(({ store }) => store.setActiveWorkspace(membership)),
})

/** Adapters that refuse every call: for a process that must register the provider but not open its database. */
export const unopenedProvider = (): Pick<Provider, 'syncGateway' | 'workspaceStore'> => {
  const refuse = () => Promise.reject(prerendering())
  const handler: ProxyHandler<object> = {
    get: (target, key) =>
      key === 'then' ? undefined : Object.hasOwn(target, key) ? Reflect.get(target, key) : refuse,
  }
  return {
    syncGateway: new Proxy({ id: providerId, capabilities }, handler) as SyncGatewayAdapter,
    workspaceStore: new Proxy({ id: providerId }, handler) as AuthWorkspaceStore,
  }
}
