/**
 * The services as the host's promise-based adapters, for the Nitro plugin and for programs without Effect.
 */
import { Cause, ConfigProvider, Context, Effect, Exit, Layer, ManagedRuntime, Option, Runtime } from 'effect'
import * as Logger from '../layers/logger.js'
import * as ProviderLayer from '../layers/Provider.js'
import { rootMessage } from '../layers/synchronous/sqliteErrors.js'
import { FileReferences } from '../services/FileReferences.js'
import { Maintenance } from '../services/Maintenance.js'
import type { StorageReason } from '../services/StorageError.js'
import { type GatewayError, type RetentionRequest, SyncGateway } from '../services/SyncGateway.js'
import { UploadIntents } from '../services/UploadIntents.js'
import { WorkspaceStore } from '../services/WorkspaceStore.js'
import { toPullAnswer, toPushAnswer } from './answers.js'
import { filesAdapter } from './filesAdapter.js'
import { type EmitHook, hooksThrough, telling } from './hooks.js'
import type { AuthWorkspaceStore, HostEvent, SyncGatewayAdapter } from './host.js'
import type { HostFiles } from './hostFiles.js'
import { checkHostRetention, type MaintenanceAdapter, maintenanceMethods } from './hostMaintenance.js'
import { capabilities, toHostPage } from './hostSnapshot.js'
import { prerendering, type ServiceError, shuttingDown, toHostError } from './httpErrors.js'
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

/** The id under which the host knows this provider. */
export const providerId = 'sqlite'

/** The provider cannot start. The message is one line: what is wrong, where, and what to do. */
export class ProviderStartupError extends Error {
  override readonly name = 'ProviderStartupError'
}

/** An open database, as the host's adapters. */
export interface Provider {
  /** Users and workspaces. */
  readonly workspaceStore: AuthWorkspaceStore
  /** Push, pull, cursors, garbage collection. */
  readonly syncGateway: SyncGatewayAdapter
  /** Lets running calls end, then closes the database. Later calls are refused with 503. */
  close(): Promise<void>
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
  other: 'check that the file is a database of this package',
}

const startupMessage = (error: unknown, path: string): string => {
  const { _tag: tag, message } = error as { readonly _tag?: string; readonly message?: string }
  const first = (message ?? String(error)).split('\n', 1)[0]
  if (tag === 'StorageError') {
    return `${first} (${path}): ${advice[(error as { readonly reason: StorageReason }).reason]}`
  }
  return tag === 'SchemaError' ? `${path}: ${first}` : `${first}`
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
 * Opens the database and brings its schema up to date, synchronously.
 *
 * @throws ProviderStartupError
 */
export const openProvider = ({
  env = process.env,
  observability = Layer.empty,
  onApplied,
}: ProviderOptions = {}): Provider => {
  const settings = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const runtime = ManagedRuntime.make(
    ProviderLayer.layer.pipe(
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(settings)))),
      Layer.provideMerge(Layer.provideMerge(observability, Logger.layer)),
    ),
  )
  const started = Effect.runSyncExit(runtime.runtimeEffect)
  if (Exit.isFailure(started)) {
    // What was built before the failure, such as an exporter, must not outlive it.
    void runtime.dispose()
    const cause = Cause.squash(started.cause)
    throw new ProviderStartupError(startupMessage(cause, env.OR3_SQLITE_DB_PATH ?? 'the database'), { cause })
  }

  const { context } = started.value
  const runFork = Runtime.runFork(started.value)
  const runSync = Runtime.runSync(started.value)
  /** The caller's mistakes are the caller's to know; ours are the operator's. */
  const logFault = (cause: Cause.Cause<ServiceError>) => {
    const failure = Cause.failureOption(cause)
    if (Cause.isInterruptedOnly(cause)) return
    if (Option.isNone(failure)) runSync(Effect.logError('unexpected failure', cause))
    else if (failure.value._tag === 'StorageError') {
      runSync(Effect.logError(`${failure.value.message}: ${rootMessage(failure.value)}`))
    }
  }
  const running = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined
  let refusing = false
  /** Most calls end at once, since the driver is synchronous; the others are waited for, and by `close` too. */
  const exitOf = <A>(
    effect: Effect.Effect<A, ServiceError>,
  ): Exit.Exit<A, ServiceError> | Promise<Exit.Exit<A, ServiceError>> => {
    const fiber = runFork(effect)
    const ended = fiber.unsafePoll()
    if (ended !== null) return ended
    const promise = new Promise<Exit.Exit<A, ServiceError>>((resolve) => fiber.addObserver(resolve))
    running.add(promise)
    return promise.finally(() => running.delete(promise))
  }
  const run = async <A>(effect: Effect.Effect<A, ServiceError>): Promise<A> => {
    if (refusing) throw shuttingDown()
    const exit = await exitOf(effect)
    if (Exit.isFailure(exit)) logFault(exit.cause)
    return unwrap(exit)
  }
  const teller = onApplied && runSync(hooksThrough(onApplied))
  const close = async () => {
    if (teller !== undefined) {
      await Promise.allSettled(running)
      // Hooks are still told what was pushed, and what they ask of these adapters is still answered.
      await Runtime.runPromise(started.value)(teller.close)
    }
    refusing = true
    await Promise.allSettled(running)
    await runtime.dispose()
  }
  return {
    workspaceStore: workspaceStore(Context.get(context, WorkspaceStore), run),
    syncGateway: {
      ...syncGateway(telling(Context.get(context, SyncGateway), teller), run),
      ...maintenanceMethods(Context.get(context, Maintenance), run),
      listWorkspaceIds: async () => run(Context.get(context, WorkspaceStore).listWorkspaceIds),
      ...filesAdapter(Context.get(context, FileReferences), Context.get(context, UploadIntents), run),
    },
    close: () => (closing ??= close()),
  }
}

const unwrap = <A>(exit: Exit.Exit<A, ServiceError>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  const failure = Cause.failureOption(exit.cause)
  throw Option.isSome(failure) ? toHostError(failure.value) : Cause.squash(exit.cause)
}

type Run = <A>(effect: Effect.Effect<A, ServiceError>) => Promise<A>

const syncGateway = (
  gateway: SyncGateway['Type'],
  run: Run,
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
    gc: (request: RetentionRequest) => Effect.Effect<unknown, GatewayError>,
  ) => run(Effect.asVoid(Effect.zipRight(checkHostRetention(request), gc(request))))
  return {
    id: providerId,
    capabilities,
    pull: async (event, input) => {
      const page = await run(gateway.pull(call(event, input)))
      return toPullAnswer(input.scope.workspaceId, page)
    },
    snapshot: async (event, input) => toHostPage(await run(gateway.snapshot(call(event, input)))),
    push: async (event, input) => {
      const pushed = await run(gateway.push(call(event, input)))
      return toPushAnswer(input.scope.workspaceId, input.ops, pushed)
    },
    updateCursor: async (event, input) => run(gateway.updateCursor(call(event, input, callerOfSession))),
    gcTombstones: async (event, input) => collect(call(event, input), gateway.gcTombstones),
    gcChangeLog: async (event, input) => collect(call(event, input), gateway.gcChangeLog),
  }
}

const workspaceStore = (store: WorkspaceStore['Type'], run: Run): AuthWorkspaceStore => ({
  getOrCreateUser: (identity) => run(store.getOrCreateUser(identity)),
  getUser: (identity) => run(store.getUser(identity)),
  getOrCreateDefaultWorkspace: (userId) => run(store.getOrCreateDefaultWorkspace(userId)),
  getWorkspaceRole: (membership) => run(store.getWorkspaceRole(membership)),
  listUserWorkspaces: (userId) => run(store.listUserWorkspaces(userId)),
  createWorkspace: (request) => run(store.createWorkspace(request)),
  updateWorkspace: (request) => run(store.updateWorkspace(request)),
  removeWorkspace: (membership) => run(store.removeWorkspace(membership)),
  setActiveWorkspace: (membership) => run(store.setActiveWorkspace(membership)),
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
