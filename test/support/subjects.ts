/**
 * What the suites run over: every way to reach the services, behind one face.
 *
 * A subject speaks in verdicts and HTTP statuses, since those are what all of them can tell alike.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect } from 'vitest'
import { Cause, Context, Effect, Exit, Layer, Logger, ManagedRuntime, Option } from 'effect'
import * as Database from '../../src/layers/synchronous/betterSqlite3.js'
import * as SqlFiles from '../../src/layers/synchronous/FileReferences.js'
import * as IdGenerator from '../../src/layers/IdGenerator.js'
import { GatewayState, layer as stateLayer } from '../../src/layers/memory/GatewayState.js'
import * as MemoryFiles from '../../src/layers/memory/FileReferences.js'
import * as MemoryGateway from '../../src/layers/memory/SyncGateway.js'
import * as MemoryMembers from '../../src/layers/memory/Memberships.js'
import * as StoreState from '../../src/layers/memory/StoreState.js'
import * as MemoryIntents from '../../src/layers/memory/UploadIntents.js'
import * as MemoryStore from '../../src/layers/memory/WorkspaceStore.js'
import * as SqlMembers from '../../src/layers/sql/Memberships.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import * as Migrator from '../../src/layers/synchronous/SchemaMigrator.js'
import * as SqlGateway from '../../src/layers/synchronous/SyncGateway.js'
import * as SqlIntents from '../../src/layers/sql/UploadIntents.js'
import * as SqlStore from '../../src/layers/sql/WorkspaceStore.js'
import { checkPullAnswer, checkPushAnswer, opIdOf } from '../../src/nuxt/hostChecks.js'
import { HostError, openProvider } from '../../src/nuxt/adapters.js'
import type { AuthWorkspaceStore, HostPushResult } from '../../src/nuxt/host.js'
import { type ServiceError, toHostError } from '../../src/nuxt/httpErrors.js'
import { toHostPage, type HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import { checkSnapshotAnswer } from '../../src/nuxt/snapshotChecks.js'
import {
  type Caller,
  type CursorRequest,
  limits,
  FileReferences,
  type Member,
  type MemberKey,
  Memberships,
  type OpOutcome,
  type PendingOp,
  type PullPage,
  type PullRequest,
  type PushRequest,
  type RetentionRequest,
  type Role,
  type SnapshotRequest,
  SyncGateway,
  syncedTables,
  type Winner,
  UploadIntents,
  WorkspaceStore,
} from '../../src/services/index.js'
import {
  type FileCalls,
  fileCalls,
  fileCallsOfAdapter,
  filesOfSql,
  filesOfState,
  type FilesView,
} from './fileCalls.js'
import type { RowView } from './rowView.js'

export type SubjectName = 'memory' | 'sqlite memory' | 'sqlite file' | 'adapters'

export type Verdict =
  | { readonly kind: 'applied'; readonly opId: string; readonly version: number }
  | {
      readonly kind: 'superseded'
      readonly opId: string
      readonly version: number
      readonly payload: unknown
    }
  | { readonly kind: 'replay'; readonly opId: string; readonly version: number }
  | { readonly kind: 'conflict' | 'invalid' | 'oversized' | 'forbidden'; readonly opId: string }

/** What else is told of an op: nothing of one that is refused. */
export interface Detail {
  readonly applied?: boolean
  readonly wasExisting?: boolean
  readonly winner?: Winner
}

/** A failed call: its HTTP status and message. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

export interface TombstoneView {
  readonly table: string
  readonly pk: string
  readonly clock: number
  readonly hlc: string
  readonly opId: string
  readonly version: number
}

/** Everything a workspace holds, in a fixed order. */
export interface WorkspaceView {
  readonly version: number
  readonly floor: number
  readonly rows: ReadonlyArray<RowView>
  readonly tombstones: ReadonlyArray<TombstoneView>
  readonly logVersions: ReadonlyArray<number>
  /** `owner` is absent for a device that is nobody's. */
  readonly cursors: ReadonlyArray<{
    readonly deviceId: string
    readonly version: number
    readonly owner?: string
  }>
  readonly files: FilesView
}

/** The memberships as promises, which reject with the service's own typed errors. */
export interface MembershipCalls {
  addMember(request: MemberKey & { readonly role: Role }): Promise<void>
  setRole(request: MemberKey & { readonly role: Role }): Promise<void>
  removeMember(request: MemberKey): Promise<void>
  listMembers(workspaceId: string): Promise<ReadonlyArray<Member>>
}

export interface Subject {
  readonly name: SubjectName
  /** The database file, where there is one. */
  readonly file: string | undefined
  push(request: PushRequest): Promise<{
    readonly verdicts: ReadonlyArray<Verdict>
    readonly serverVersion: number
    /** One per verdict. */
    readonly details: ReadonlyArray<Detail>
  }>
  pull(request: PullRequest): Promise<PullPage>
  /** A page that does not pass the later host's checks is an error. */
  snapshot(request: SnapshotRequest): Promise<HostSnapshotPage>
  updateCursor(request: CursorRequest): Promise<void>
  gcChangeLog(request: RetentionRequest): Promise<void>
  gcTombstones(request: RetentionRequest): Promise<void>
  readonly files: FileCalls
  readonly store: AuthWorkspaceStore
  /** Every live workspace. */
  listWorkspaceIds(): Promise<ReadonlyArray<string>>
  /** No adapter of the host's: beside the adapters it is a second connection to the same file. */
  readonly memberships: MembershipCalls
  view(workspaceId: string): Promise<WorkspaceView>
  close(): Promise<void>
}

const verdictOf = (outcome: OpOutcome): Verdict => {
  const { opId } = outcome
  switch (outcome._tag) {
    case 'OpAccepted':
      return outcome.applied
        ? { kind: 'applied', opId, version: outcome.serverVersion }
        : { kind: 'superseded', opId, version: outcome.serverVersion, payload: outcome.payload }
    case 'OpReplayed':
      return { kind: 'replay', opId, version: outcome.serverVersion }
    case 'OpConflict':
      return { kind: 'conflict', opId }
    case 'OpForbidden':
      return { kind: 'forbidden', opId }
    case 'InvalidOp':
      return { kind: outcome.rule === 'payload-too-large' ? 'oversized' : 'invalid', opId }
  }
}

const detailOf = (outcome: OpOutcome): Detail => {
  if (outcome._tag !== 'OpAccepted' && outcome._tag !== 'OpReplayed') return {}
  const { applied, winner } = outcome
  const wasExisting = outcome._tag === 'OpReplayed' || outcome.wasExisting
  return winner === undefined ? { applied, wasExisting } : { applied, wasExisting, winner }
}

const detailOfResult = ({ applied, wasExisting, winner }: HostPushResult): Detail => ({
  ...(applied === undefined ? {} : { applied }),
  ...(wasExisting === undefined ? {} : { wasExisting }),
  ...(winner === undefined ? {} : { winner }),
})

const codes = {
  CONFLICT: 'conflict',
  UNAUTHORIZED: 'forbidden',
  OVERSIZED: 'oversized',
  VALIDATION_ERROR: 'invalid',
} as const

const verdictOfResult = (result: HostPushResult): Verdict => {
  const { opId } = result
  if (!result.success) {
    const kind = codes[result.errorCode as keyof typeof codes]
    if (kind === undefined) throw new Error(`unexpected code ${String(result.errorCode)}`)
    return { kind, opId }
  }
  const version = result.serverVersion!
  if (result.replayed === true) return { kind: 'replay', opId, version }
  return result.applied
    ? { kind: 'applied', opId, version }
    : { kind: 'superseded', opId, version, payload: result.payload }
}

const byKey = (a: { table: string; pk: string }, b: { table: string; pk: string }) =>
  a.table === b.table ? (a.pk < b.pk ? -1 : 1) : a.table < b.table ? -1 : 1

const viewOfSql = (query: (sql: string) => ReadonlyArray<any>, workspaceId: string): WorkspaceView => {
  const where = `workspace_id = '${workspaceId.replaceAll("'", "''")}'`
  const [counter] = query(`SELECT * FROM server_version_counter WHERE ${where}`)
  const shown = (version: number) => version + (counter?.version_offset ?? 0)
  const shownClock = (clock: number) => clock + (counter?.clock_offset ?? 0)
  const rows = syncedTables.flatMap((table) =>
    query(`SELECT * FROM s_${table} WHERE ${where}`).map((row) => ({ table, ...row })),
  )
  return {
    version: shown(counter?.value ?? 0),
    floor: shown(counter?.trimmed_version ?? 0),
    rows: rows
      .map((row) => ({
        table: row.table as string,
        pk: row.pk,
        payload: row.data_json === null ? undefined : JSON.parse(row.data_json),
        clock: shownClock(row.clock),
        hlc: row.hlc,
        opId: row.op_id,
        deviceId: row.device_id,
        version: shown(row.server_version),
        deleted: row.deleted === 1,
      }))
      .sort(byKey),
    tombstones: query(`SELECT * FROM tombstones WHERE ${where}`)
      .map((row) => ({
        table: row.table_name,
        pk: row.pk,
        clock: shownClock(row.clock),
        hlc: row.hlc,
        opId: row.op_id,
        version: shown(row.server_version),
      }))
      .sort(byKey),
    logVersions: query(
      `SELECT server_version AS v FROM change_log WHERE ${where} ORDER BY server_version`,
    ).map((row) => shown(row.v)),
    cursors: query(
      `SELECT device_id AS deviceId, last_seen_version AS version, owner_user_id AS owner
       FROM device_cursors WHERE ${where} ORDER BY device_id`,
    ).map(({ owner, ...cursor }) => (owner === null ? cursor : { ...cursor, owner })),
    files: filesOfSql(query, where),
  }
}

const viewOfState = (states: GatewayState['Type'], workspaceId: string): WorkspaceView => {
  const state = states.of(workspaceId)
  const place = (key: string) => {
    const [table, pk] = key.split('\0') as [string, string]
    return { table, pk }
  }
  const rows = [...state.rows]
    .map(([key, { op, version }]) => ({
      ...place(key),
      payload: op.payloadJson === null ? undefined : JSON.parse(op.payloadJson),
      clock: op.clock,
      hlc: op.hlc,
      opId: op.opId,
      deviceId: op.deviceId,
      version,
      deleted: op.operation === 'delete',
    }))
    .sort(byKey)
  return {
    version: state.version,
    floor: state.floor,
    rows,
    tombstones: [...state.tombstones]
      .map(([key, { clock, hlc, opId, version }]) => ({ ...place(key), clock, hlc, opId, version }))
      .sort(byKey),
    logVersions: state.log.map(({ version }) => version),
    cursors: [...state.cursors]
      .map(([deviceId, { version, owner }]) => ({
        deviceId,
        version,
        ...(owner === undefined ? {} : { owner }),
      }))
      .sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
    files: filesOfState(state, rows),
  }
}

/** The answer, when it passes the later host's checks. */
const checked = (request: SnapshotRequest, page: HostSnapshotPage): HostSnapshotPage => {
  checkSnapshotAnswer(request, page)
  return page
}

/** Runs an effect as the adapters do, but tells a typed failure from a defect. */
const runner =
  <R>(runtime: ManagedRuntime.ManagedRuntime<R, any>) =>
  async <A>(effect: Effect.Effect<A, ServiceError, R>): Promise<A> => {
    const exit = await runtime.runPromiseExit(effect)
    if (Exit.isSuccess(exit)) return exit.value
    const failure = Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) throw Cause.squash(exit.cause)
    const { statusCode, message } = toHostError(failure.value as ServiceError)
    throw new Refused(statusCode, message)
  }

const membershipCalls = (
  members: Memberships['Type'],
  runtime: ManagedRuntime.ManagedRuntime<never, any>,
): MembershipCalls => {
  const run = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
    const exit = await runtime.runPromiseExit(effect)
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  }
  return {
    addMember: (request) => run(members.addMember(request)),
    setRole: (request) => run(members.setRole(request)),
    removeMember: (request) => run(members.removeMember(request)),
    listMembers: (workspaceId) => run(members.listMembers(workspaceId)),
  }
}

const fromServices = async <R>(
  name: SubjectName,
  layer: Layer.Layer<SyncGateway | FileReferences | UploadIntents | WorkspaceStore | Memberships | R, any>,
  view: (context: Context.Context<R>, run: ReturnType<typeof runner>) => Subject['view'],
  file?: string,
  cleanUp: () => void = () => {},
): Promise<Subject> => {
  const runtime = ManagedRuntime.make(Layer.provide(layer, Logger.remove(Logger.defaultLogger)))
  const { context } = await runtime.runtime()
  const run = runner(runtime)
  const gateway = Context.get(context, SyncGateway)
  const store = Context.get(context, WorkspaceStore)
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
    store: {
      getOrCreateUser: (identity) => run(store.getOrCreateUser(identity)),
      getUser: (identity) => run(store.getUser(identity)),
      getOrCreateDefaultWorkspace: (userId) => run(store.getOrCreateDefaultWorkspace(userId)),
      getWorkspaceRole: (membership) => run(store.getWorkspaceRole(membership)),
      listUserWorkspaces: (userId) => run(store.listUserWorkspaces(userId)),
      createWorkspace: (request) => run(store.createWorkspace(request)),
      updateWorkspace: (request) => run(store.updateWorkspace(request)),
      removeWorkspace: (membership) => run(store.removeWorkspace(membership)),
      setActiveWorkspace: (membership) => run(store.setActiveWorkspace(membership)),
    },
    listWorkspaceIds: () => run(store.listWorkspaceIds),
    memberships: membershipCalls(Context.get(context, Memberships), runtime),
    view: view(context as Context.Context<R>, run as never),
    close: async () => {
      await runtime.dispose()
      cleanUp()
    },
  }
}

/** Every service on SQLite, with the database at hand. */
export const sqlLayer = (dbPath: string) =>
  Layer.mergeAll(SqlGateway.layer, SqlFiles.layer, SqlIntents.layer, SqlStore.layer, SqlMembers.layer).pipe(
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(Migrator.layer),
    Layer.provide(Config.layerOf({ dbPath, synchronous: 'OFF' })),
    Layer.provide(IdGenerator.layer),
  )

const onSql = (name: SubjectName, dbPath: string, cleanUp?: () => void) =>
  fromServices<Database.Database>(
    name,
    sqlLayer(dbPath),
    (context) => (workspaceId) => {
      const { direct } = Context.get(context, Database.Database)
      const query = (sql: string) => Effect.runSync(direct('test', (connection) => connection.all<any>(sql)))
      return Promise.resolve(viewOfSql(query, workspaceId))
    },
    dbPath === ':memory:' ? undefined : dbPath,
    cleanUp,
  )

/** A subject on a database file that may be there already; the file stays. */
export const subjectOnFile = (path: string): Promise<Subject> => onSql('sqlite file', path)

/** A folder of its own, and the removal of it. */
export const temporaryFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'or3-sqlite-test-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

const eventOf = (caller: Caller | undefined) => {
  if (caller === undefined) return {}
  const { userId, workspaceId } = Object(caller) as Partial<Caller>
  return {
    context: {
      __or3_session_context_test: {
        authenticated: true,
        user: { id: userId },
        workspace: { id: workspaceId, name: 'test' },
      },
    },
  }
}

/**
 * The batch in parts none of which has an op id twice, since a host is told one result per id. A batch is worth what its ops are
 * worth one after the other, so this makes no difference. What is no batch stays as it is, for the service to refuse.
 */
const withoutRepeats = (ops: ReadonlyArray<PendingOp>): ReadonlyArray<ReadonlyArray<PendingOp>> => {
  if (!Array.isArray(ops) || ops.length > limits.batch) return [ops]
  const parts: Array<Array<PendingOp>> = [[]]
  let ids = new Set<string>()
  for (const op of ops as ReadonlyArray<PendingOp>) {
    const id = opIdOf(op)
    if (ids.has(id)) {
      parts.push([])
      ids = new Set()
    }
    ids.add(id)
    parts.at(-1)!.push(op)
  }
  return parts
}

const asRefused = async <A>(promise: Promise<A>): Promise<A> => {
  try {
    return await promise
  } catch (error) {
    throw error instanceof HostError ? new Refused(error.statusCode, error.message) : error
  }
}

/** What cannot be read is not. */
/** Whether it can be looked at as a whole; some junk throws then. */
const isReadable = (input: unknown): boolean => {
  try {
    return input !== null && input !== undefined && Object.keys({ ...Object(input) }).length >= 0
  } catch {
    return false
  }
}

const isShort = (input: unknown): boolean => {
  try {
    const { retentionSeconds } = Object(input) as Record<string, unknown>
    return typeof retentionSeconds === 'number' && retentionSeconds > 0 && retentionSeconds < 3_600
  } catch {
    return false
  }
}

const throughAdapters = (): Promise<Subject> => {
  const { folder, remove } = temporaryFolder()
  const file = join(folder, 'adapters.db')
  const provider = openProvider({
    env: { OR3_SQLITE_DB_PATH: file, OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'OFF' },
  })
  const { syncGateway: gateway, workspaceStore } = provider
  const store = Object.fromEntries(
    Object.entries(workspaceStore).map(([name, method]) => [
      name,
      (...args: ReadonlyArray<never>) => asRefused((method as (...args: any) => Promise<unknown>)(...args)),
    ]),
  ) as unknown as AuthWorkspaceStore
  /** The event and the input, of whatever was given. */
  const split = <A extends { readonly caller?: Caller | undefined }>(request: A) => {
    try {
      const { caller, ...input } = request
      return [eventOf(caller), input] as const
    } catch {
      return [{}, request] as const
    }
  }
  /** Opened at the first use: most suites have none. */
  let second: ManagedRuntime.ManagedRuntime<Memberships | SyncGateway, any> | undefined
  const services = () =>
    (second ??= ManagedRuntime.make(Layer.provide(sqlLayer(file), Logger.remove(Logger.defaultLogger))))
  const memberships = async (): Promise<MembershipCalls> =>
    membershipCalls(await services().runPromise(Memberships), services())
  /** The adapters refuse short windows, which only a program may ask for: so does this, beside the adapters. */
  const collect = (method: 'gcChangeLog' | 'gcTombstones') => async (request: RetentionRequest) => {
    const [event, input] = split(request)
    if (!isShort(input)) return asRefused(gateway[method](event, input))
    const run = runner(services())
    return run(
      Effect.flatMap(SyncGateway, (direct) =>
        Effect.asVoid<unknown, ServiceError, never>(direct[method](request)),
      ),
    )
  }
  return Promise.resolve({
    name: 'adapters',
    file,
    push: async (request) => {
      const [event, input] = split(request)
      const results: Array<HostPushResult> = []
      let serverVersion = 0
      if (!isReadable(input)) await asRefused(gateway.push(event, input))
      for (const ops of withoutRepeats((Object(input) as PushRequest).ops)) {
        const answer = await asRefused(gateway.push(event, { ...input, ops }))
        checkPushAnswer({ ops }, answer)
        results.push(...answer.results)
        serverVersion = answer.serverVersion
      }
      return {
        verdicts: results.map(verdictOfResult),
        serverVersion,
        details: results.map(detailOfResult),
      }
    },
    pull: async (request) => {
      const [event, input] = split(request)
      const answer = await asRefused(gateway.pull(event, input as never))
      checkPullAnswer(request, answer)
      const { oldestRetainedVersion, requiresSnapshot, ...page } = answer
      expect({ oldestRetainedVersion, requiresSnapshot }).toEqual({
        oldestRetainedVersion: 0,
        requiresSnapshot: false,
      })
      return page
    },
    snapshot: async (request) => {
      const [event, input] = split(request)
      return checked(request, await asRefused(gateway.snapshot(event, input as never)))
    },
    updateCursor: async (request) => asRefused(gateway.updateCursor(...split(request))),
    gcChangeLog: collect('gcChangeLog'),
    gcTombstones: collect('gcTombstones'),
    files: fileCallsOfAdapter(gateway, split, asRefused),
    store,
    listWorkspaceIds: () => asRefused(gateway.listWorkspaceIds({})),
    memberships: {
      addMember: async (request) => (await memberships()).addMember(request),
      setRole: async (request) => (await memberships()).setRole(request),
      removeMember: async (request) => (await memberships()).removeMember(request),
      listMembers: async (workspaceId) => (await memberships()).listMembers(workspaceId),
    },
    view: (workspaceId) => {
      const database = new Sqlite(file, { readonly: true })
      try {
        return Promise.resolve(viewOfSql((sql) => database.prepare(sql).all(), workspaceId))
      } finally {
        database.close()
      }
    },
    close: async () => {
      await second?.dispose()
      await provider.close()
      remove()
    },
  })
}

const openers: Record<SubjectName, () => Promise<Subject>> = {
  memory: () =>
    fromServices<GatewayState>(
      'memory',
      Layer.mergeAll(
        Layer.provideMerge(
          Layer.mergeAll(MemoryGateway.layerWithState, MemoryFiles.layer, MemoryIntents.layer),
          stateLayer,
        ),
        Layer.mergeAll(MemoryStore.layerWithState, MemoryMembers.layer).pipe(Layer.provide(StoreState.layer)),
      ).pipe(Layer.provide(IdGenerator.layer)),
      (context) => (workspaceId) =>
        Promise.resolve(viewOfState(Context.get(context, GatewayState), workspaceId)),
    ),
  'sqlite memory': () => onSql('sqlite memory', ':memory:'),
  'sqlite file': () => {
    const { folder, remove } = temporaryFolder()
    return onSql('sqlite file', join(folder, 'test.db'), remove)
  },
  adapters: throughAdapters,
}

const subjectNames = Object.keys(openers) as ReadonlyArray<SubjectName>

/** A fresh subject on a database of its own. A name that does not exist throws, so that no run can select nothing. */
export const openSubject = (name: SubjectName): Promise<Subject> => {
  if (!Object.hasOwn(openers, name)) {
    throw new Error(`no such layer: ${name}; there are ${subjectNames.join(', ')}`)
  }
  return openers[name]()
}

/** The layers that a run covers: all, or those that `TEST_LAYERS` lists. */
export const selectedSubjects = (wanted = process.env.TEST_LAYERS): ReadonlyArray<SubjectName> => {
  if (wanted === undefined || wanted === '') return subjectNames
  return wanted.split(',').map((name) => {
    if (!Object.hasOwn(openers, name)) {
      throw new Error(`no such layer: ${name}; there are ${subjectNames.join(', ')}`)
    }
    return name as SubjectName
  })
}

/** Runs a body on a fresh subject and closes it. */
export const withSubject = async <A>(
  name: SubjectName,
  body: (subject: Subject) => Promise<A>,
): Promise<A> => {
  const subject = await openSubject(name)
  try {
    return await body(subject)
  } finally {
    await subject.close()
  }
}
