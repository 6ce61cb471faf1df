/**
 * Subjects that call the services of a layer directly: in memory, on SQLite, and on an engine that takes batches.
 */
import { Cause, Context, Effect, Either, Exit, Layer, Logger, ManagedRuntime, Option } from 'effect'
import * as SqlBatches from '../../src/layers/synchronous/Batches.js'
import * as Database from '../../src/layers/synchronous/databaseLayer.js'
import { batchServices } from '../../src/layers/batch/index.js'
import * as IdGenerator from '../../src/layers/IdGenerator.js'
import { GatewayState, layer as stateLayer } from '../../src/layers/memory/GatewayState.js'
import * as MemoryErasure from '../../src/layers/memory/Erasure.js'
import * as MemoryFiles from '../../src/layers/memory/FileReferences.js'
import * as MemoryGateway from '../../src/layers/memory/SyncGateway.js'
import { layer as storeLayer } from '../../src/layers/memory/StoreState.js'
import {
  backgroundJobs,
  maintenance as memoryMaintenance,
  rateLimits,
  webhooks,
  workspaces,
} from '../../src/layers/memory/index.js'
import * as MemoryIntents from '../../src/layers/memory/UploadIntents.js'
import { Batches } from '../../src/layers/sql/Batches.js'
import { type SqlServices, sqlServices } from '../../src/layers/sql/services.js'
import * as SqlReport from '../../src/layers/synchronous/DatabaseReport.js'
import * as SqlFiles from '../../src/layers/synchronous/FileReferences.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import * as Migrator from '../../src/layers/synchronous/SchemaMigrator.js'
import * as SqlGateway from '../../src/layers/synchronous/SyncGateway.js'
import { adaptersOn } from '../../src/nuxt/hostAdapters.js'
import { type ServiceError, toHostError } from '../../src/nuxt/httpErrors.js'
import { toHostPage, type HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import { servicesIn } from '../../src/nuxt/opening.js'
import { checkSnapshotAnswer } from '../../src/nuxt/snapshotChecks.js'
import {
  type DatabaseReport,
  Erasure,
  FileReferences,
  Memberships,
  type SnapshotRequest,
  SyncGateway,
  UploadIntents,
  WorkspaceStore,
} from '../../src/services/index.js'
import { layer as committing } from './committingBatches.js'
import { fileCalls } from './fileCalls.js'
import { migratedInMemory } from './migratedFile.js'
import { recorded } from './statements.js'
import type { ErasureCalls, MembershipCalls, Subject, SubjectName } from './subjectType.js'
import { detailOf, Refused, verdictOf } from './verdicts.js'
import { viewOfSql, viewOfState } from './views.js'

/** The answer, when it passes the later host's checks. */
export const checked = (request: SnapshotRequest, page: HostSnapshotPage): HostSnapshotPage => {
  checkSnapshotAnswer(request, page)
  return page
}

/** Runs an effect as the adapters do, but tells a typed failure from a defect. */
export const runner =
  <R>(runtime: ManagedRuntime.ManagedRuntime<R, any>) =>
  async <A>(effect: Effect.Effect<A, ServiceError, R>): Promise<A> => {
    const exit = await runtime.runPromiseExit(effect)
    if (Exit.isSuccess(exit)) return exit.value
    const failure = Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) throw Cause.squash(exit.cause)
    const { statusCode, message } = toHostError(failure.value as ServiceError)
    throw new Refused(statusCode, message)
  }

/** Rejects with what an effect fails with. */
const rejecting =
  (runtime: ManagedRuntime.ManagedRuntime<never, any>) =>
  async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
    const exit = await runtime.runPromiseExit(effect)
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  }

export const erasureCalls = (
  erasure: Erasure['Type'],
  runtime: ManagedRuntime.ManagedRuntime<never, any>,
): ErasureCalls => {
  const run = rejecting(runtime)
  return {
    previewPurge: (request) => run(erasure.previewPurge(request)),
    purgeWorkspace: (request) => run(erasure.purgeWorkspace(request)),
    previewErasure: (request) => run(erasure.previewErasure(request)),
    eraseUser: (request) => run(erasure.eraseUser(request)),
  }
}

export const membershipCalls = (
  members: Memberships['Type'],
  runtime: ManagedRuntime.ManagedRuntime<never, any>,
): MembershipCalls => {
  const run = rejecting(runtime)
  return {
    addMember: (request) => run(members.addMember(request)),
    setRole: (request) => run(members.setRole(request)),
    removeMember: (request) => run(members.removeMember(request)),
    listMembers: (workspaceId) => run(members.listMembers(workspaceId)),
  }
}

const fromServices = async <R>(
  name: SubjectName,
  layer: Layer.Layer<SyncGateway | FileReferences | DatabaseReport | SqlServices | R, any>,
  view: (context: Context.Context<R>, run: ReturnType<typeof runner>) => Subject['view'],
  file?: string,
  cleanUp: () => void | Promise<void> = () => {},
): Promise<Subject> => {
  const runtime = ManagedRuntime.make(Layer.provide(layer, Logger.remove(Logger.defaultLogger)))
  const { context } = await runtime.runtime()
  const run = runner(runtime)
  const gateway = Context.get(context, SyncGateway)
  const store = Context.get(context, WorkspaceStore)
  const services = servicesIn(context)
  const host = adaptersOn((call) => run(call(services)))
  return {
    name,
    file,
    push: async (request) => {
      const { outcomes, serverVersion } = await run(gateway.push(request))
      return { verdicts: outcomes.map(verdictOf), serverVersion, details: outcomes.map(detailOf) }
    },
    pull: (request) => run(gateway.pull(request)),
    snapshot: async (request) => checked(request, toHostPage(await run(gateway.snapshot(request)))),
    updateCursor: (request) => run(gateway.updateCursor(request)),
    gcChangeLog: (request) => run(Effect.asVoid(gateway.gcChangeLog(request))),
    gcTombstones: (request) => run(Effect.asVoid(gateway.gcTombstones(request))),
    files: fileCalls(run, Context.get(context, FileReferences), Context.get(context, UploadIntents)),
    store: host.workspaceStore,
    listWorkspaceIds: () => run(store.listWorkspaceIds),
    memberships: membershipCalls(Context.get(context, Memberships), runtime),
    erasure: erasureCalls(Context.get(context, Erasure), runtime),
    host,
    view: view(context as Context.Context<R>, run as never),
    close: async () => {
      await runtime.dispose()
      await cleanUp()
    },
  }
}

export const subjectInMemory = () =>
  fromServices<GatewayState>(
    'memory',
    Layer.mergeAll(
      Layer.provideMerge(
        Layer.mergeAll(MemoryGateway.layerWithState, MemoryFiles.layer, MemoryIntents.layer),
        stateLayer,
      ),
      memoryMaintenance,
      rateLimits,
      backgroundJobs,
      Layer.provide(MemoryErasure.layer, [storeLayer, stateLayer]),
      workspaces,
      webhooks,
    ).pipe(Layer.provide(IdGenerator.layer)),
    (context) => (workspaceId) =>
      Promise.resolve(viewOfState(Context.get(context, GatewayState), workspaceId)),
  )

/** Every service on SQLite, with the database at hand. In memory, a batch is not rolled back. */
export const sqlLayer = (dbPath: string, settings: Partial<Parameters<typeof Config.layerOf>[0]> = {}) =>
  Layer.mergeAll(SqlGateway.layer, SqlFiles.layer, SqlReport.layer, sqlServices).pipe(
    Layer.provideMerge(dbPath === ':memory:' ? committing : Layer.fresh(SqlBatches.layer)),
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(dbPath === ':memory:' ? migratedInMemory : Migrator.layer),
    Layer.provide(Config.layerOf({ synchronous: 'OFF', ...settings, dbPath })),
    Layer.provide(IdGenerator.layer),
  )

/** A subject on SQLite; `cleanUp` comes after it was closed. */
export const onSql = (name: SubjectName, dbPath: string, cleanUp?: () => void) =>
  fromServices<Database.Database>(
    name,
    sqlLayer(dbPath),
    (context) => (workspaceId) => {
      const { direct } = Context.get(context, Database.Database)
      const query = (statements: ReadonlyArray<string>) =>
        Effect.runSync(direct('test', (connection) => statements.map((sql) => connection.all<any>(sql))))
      return viewOfSql(query, workspaceId)
    },
    dbPath === ':memory:' ? undefined : dbPath,
    cleanUp,
  )

/** An engine over a network, or what stands for one; a database of its own for each time it is built. */
type BatchEngine = Layer.Layer<Batches, any>

/** In the process and in memory. A batch is not rolled back. */
export const committingEngine: BatchEngine = committing.pipe(
  Layer.provide(Database.layer),
  Layer.provide(migratedInMemory),
  Layer.provide(Config.layerOf({ dbPath: ':memory:', synchronous: 'OFF' })),
)

/** The same, with something in between. */
export const committingWith = (between: (inner: Batches['Type']) => Partial<Batches['Type']>): BatchEngine =>
  Layer.map(committingEngine, (context) => {
    const inner = Context.get(context, Batches)
    return Context.make(Batches, { ...inner, ...between(inner) })
  })

/** Every service over batches, with the engine at hand. */
export const batchLayer = (
  engine: BatchEngine,
  settings: Parameters<typeof Config.layerOf>[0] = { dbPath: ':memory:' },
) =>
  batchServices.pipe(
    Layer.provideMerge(engine),
    Layer.provide(Config.layerOf(settings)),
    Layer.provide(IdGenerator.layer),
  )

/** A subject over batches; `cleanUp` comes after it was closed. */
export const onBatches = (name: SubjectName, engine: BatchEngine, cleanUp?: () => void | Promise<void>) =>
  fromServices<Batches>(
    name,
    batchLayer(recorded(name, engine)),
    (context, run) => {
      const { read } = Context.get(context, Batches)
      const query = (statements: ReadonlyArray<string>) =>
        run(
          read('test', {
            statements: statements.map((sql) => ({ sql, params: [] })),
            read: (answers) => Either.right(answers),
          }),
        ) as Promise<ReadonlyArray<ReadonlyArray<any>>>
      return (workspaceId) => viewOfSql(query, workspaceId)
    },
    undefined,
    cleanUp,
  )

/** A subject on a database file that may be there already; the file stays. */
export const subjectOnFile = (path: string): Promise<Subject> => onSql('sqlite file', path)
