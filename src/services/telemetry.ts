/**
 * Spans and metrics around the services' methods: how often, how long, how many, and what came of it. Never payloads, names or
 * addresses.
 *
 * A span costs as much as a small transaction, so there is one only where somebody can see it: under another tracer than
 * Effect's own, or below a span of the caller's.
 */
import {
  Cause,
  Clock,
  Context,
  DefaultServices,
  Effect,
  FiberRef,
  type Metric,
  type MetricLabel,
  Option,
  Stream,
  Tracer,
} from 'effect'
import type { RuntimeFiber } from 'effect/Fiber'
import { type FileReferences, storageKinds } from './FileReferences.js'
import type { Maintenance } from './Maintenance.js'
import type { Memberships } from './Memberships.js'
import * as metrics from './metrics.js'
import type { OpOutcome, SyncGateway } from './SyncGateway.js'
import type { Upkeep } from './Upkeep.js'
import type { IntentKey, UploadIntents } from './UploadIntents.js'
import type { WorkspaceStore } from './WorkspaceStore.js'

type Labels = ReadonlyArray<MetricLabel.MetricLabel>
type Attributes = Record<string, unknown>

/** What a method's calls are to tell. */
interface Telling<Request, A> {
  /** Attributes of the call. What it was given may be anything. */
  readonly asked?: (request: Request) => Attributes
  /** Attributes of the answer. */
  readonly answered?: (answer: A) => Attributes
  readonly count?: (answer: A, millis: number, labels: Labels) => void
}

const nobodysTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const isWatched = ({ currentTracer, currentSpan }: RuntimeFiber<unknown, unknown>) =>
  currentTracer !== nobodysTracer || currentSpan !== undefined

const failureOf = (cause: Cause.Cause<{ readonly _tag: string }>): string =>
  Option.match(Cause.failureOption(cause), { onNone: () => 'defect', onSome: ({ _tag }) => _tag })

/** A request may throw when it is looked at; the service then refuses it. */
const attributesOf = (read: () => Attributes): Attributes => {
  try {
    return read()
  } catch {
    return {}
  }
}

const observe = <Request, A, E extends { readonly _tag: string }>(
  name: string,
  method: (request: Request) => Effect.Effect<A, E>,
  { asked, answered, count }: Telling<Request, A>,
) => {
  const succeeded = metrics.calls({ method: name, outcome: 'ok' })
  const annotate = (attributes: Attributes) => Effect.annotateCurrentSpan(attributes)
  return (request: Request): Effect.Effect<A, E> =>
    Effect.withFiberRuntime<A, E>((fiber) => {
      const labels = fiber.getFiberRef(FiberRef.currentMetricLabels)
      const watched = isWatched(fiber)
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      const start = count === undefined ? 0n : clock.unsafeCurrentTimeNanos()
      const call = Effect.matchCauseEffect(method(request), {
        onFailure: (cause) => {
          const outcome = failureOf(cause)
          metrics.calls({ method: name, outcome }).unsafeUpdate(1, labels)
          const failed = Effect.failCause(cause)
          return watched ? Effect.zipRight(annotate({ 'or3.outcome': outcome }), failed) : failed
        },
        onSuccess: (answer) => {
          succeeded.unsafeUpdate(1, labels)
          count?.(answer, Number(clock.unsafeCurrentTimeNanos() - start) / 1e6, labels)
          const answeredWith = Effect.succeed(answer)
          return watched
            ? Effect.zipRight(annotate({ 'or3.outcome': 'ok', ...answered?.(answer) }), answeredWith)
            : answeredWith
        },
      })
      if (!watched) return call
      const attributes = attributesOf(() => asked?.(request) ?? {})
      return Effect.withSpan(call, name, { attributes, captureStackTrace: false })
    })
}

/** What `observeService` can watch: methods of at most one argument, and calls without any. */
type Observable = Readonly<Record<string, unknown>>

/** The ids that a request names, and nothing else of it. */
const idsOf = (request: unknown): Attributes => {
  if (typeof request !== 'object' || request === null) return {}
  const { workspaceId, userId } = request as { readonly workspaceId?: unknown; readonly userId?: unknown }
  return {
    ...(workspaceId === undefined ? {} : { 'or3.workspace_id': id(workspaceId) }),
    ...(userId === undefined ? {} : { 'or3.user_id': id(userId) }),
  }
}

const sizeOf = (answer: unknown): Attributes => (Array.isArray(answer) ? { 'or3.items': answer.length } : {})

/** A service's methods, observed: each takes one request or none. They tell whose calls they were, how many items came, and their fate. */
export const observeService = <S extends Observable>(name: string, service: S): S =>
  Object.fromEntries(
    Object.entries(service).map(([method, call]) => {
      const telling = { asked: idsOf, answered: sizeOf }
      const made = typeof call === 'function' ? call : () => call
      const observed = observe(
        `${name}.${method}`,
        made as (request: unknown) => Effect.Effect<unknown, any>,
        telling,
      )
      return [method, typeof call === 'function' ? observed : observed(undefined)]
    }),
  ) as unknown as S

/** Ids only; anything else that stands in their place is not repeated. */
const id = (value: unknown) => (typeof value === 'string' ? value.slice(0, 256) : undefined)
const amount = (value: unknown) => (typeof value === 'number' ? value : undefined)

const inScope = ({ scope }: { readonly scope: { readonly workspaceId: string } }): Attributes => ({
  'or3.workspace_id': id(scope.workspaceId),
})
const ofMember = (request: { readonly workspaceId?: string; readonly userId?: string }): Attributes => ({
  'or3.workspace_id': id(request.workspaceId),
  'or3.user_id': id(request.userId),
})
const ofUser = (userId: string): Attributes => ({ 'or3.user_id': id(userId) })

const resultOf = (outcome: OpOutcome): metrics.OpResult => {
  switch (outcome._tag) {
    case 'OpAccepted':
      return outcome.applied ? 'applied' : 'superseded'
    case 'OpReplayed':
      return 'replayed'
    case 'OpConflict':
      return 'conflict'
    case 'InvalidOp':
      return 'invalid'
    case 'OpForbidden':
      return 'forbidden'
  }
}

const opsOf: Record<metrics.OpResult, Metric.Metric.Counter<number>> = {
  applied: metrics.ops({ outcome: 'applied' }),
  superseded: metrics.ops({ outcome: 'superseded' }),
  replayed: metrics.ops({ outcome: 'replayed' }),
  conflict: metrics.ops({ outcome: 'conflict' }),
  invalid: metrics.ops({ outcome: 'invalid' }),
  forbidden: metrics.ops({ outcome: 'forbidden' }),
}

/** Counts a batch's outcomes, neighbours of one kind together: most batches have but one. */
const countOps = (outcomes: ReadonlyArray<OpOutcome>, labels: Labels) => {
  for (let start = 0; start < outcomes.length;) {
    const result = resultOf(outcomes[start]!)
    let end = start + 1
    while (end < outcomes.length && resultOf(outcomes[end]!) === result) end++
    opsOf[result].unsafeUpdate(end - start, labels)
    start = end
  }
}

const tally = (outcomes: ReadonlyArray<OpOutcome>): Attributes => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) {
    const name = `or3.ops.${resultOf(outcome)}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

const removed = (report: {
  readonly entries?: number
  readonly opIds?: number
  readonly tombstones?: number
  readonly cursors: number
}): ReadonlyArray<readonly [Parameters<typeof metrics.collected>[0]['kind'], number]> => [
  ['log entries', report.entries ?? 0],
  ['op ids', report.opIds ?? 0],
  ['tombstones', report.tombstones ?? 0],
  ['cursors', report.cursors],
]

const ofCollection = {
  answered: (report: Parameters<typeof removed>[0]) =>
    Object.fromEntries(
      removed(report).map(([kind, count]) => [`or3.removed.${kind.replace(' ', '_')}`, count]),
    ),
  count: (report: Parameters<typeof removed>[0], _millis: number, labels: Labels) => {
    for (const [kind, count] of removed(report)) {
      if (count > 0) metrics.collected({ kind }).unsafeUpdate(count, labels)
    }
  },
}

/** What makes a gateway: its other methods are made of these. */
export type Verbs = Omit<SyncGateway['Type'], 'pushOne' | 'changes'>

/** The gateway's verbs, observed. */
export const observeGateway = (gateway: Verbs): Verbs => ({
  push: observe('SyncGateway.push', gateway.push, {
    asked: (request) => ({ ...inScope(request), 'or3.ops': amount(request.ops.length) }),
    answered: ({ outcomes, serverVersion }) => ({
      ...tally(outcomes),
      'or3.server_version': serverVersion,
    }),
    count: ({ outcomes }, millis, labels) => {
      metrics.pushDuration.unsafeUpdate(millis, labels)
      countOps(outcomes, labels)
    },
  }),
  pull: observe('SyncGateway.pull', gateway.pull, {
    asked: (request) => ({
      ...inScope(request),
      'or3.cursor': amount(request.cursor),
      'or3.limit': amount(request.limit),
      'or3.tables': amount(request.tables?.length),
    }),
    answered: ({ changes, nextCursor, hasMore }) => ({
      'or3.changes': changes.length,
      'or3.next_cursor': nextCursor,
      'or3.has_more': hasMore,
    }),
    count: (_page, millis, labels) => metrics.pullDuration.unsafeUpdate(millis, labels),
  }),
  snapshot: observe('SyncGateway.snapshot', gateway.snapshot, {
    asked: (request) => ({
      ...inScope(request),
      'or3.page_size': amount(request.pageSize),
      'or3.tables': amount(request.tables?.length),
    }),
    answered: ({ snapshotId, highWatermark, items, nextPageToken, leftOut }) => ({
      'or3.snapshot_id': snapshotId,
      'or3.high_watermark': highWatermark,
      'or3.items': items.length,
      'or3.left_out': leftOut,
      'or3.has_more': nextPageToken !== null,
    }),
    count: ({ leftOut }, millis, labels) => {
      metrics.snapshotDuration.unsafeUpdate(millis, labels)
      if (leftOut > 0) metrics.leftOut.unsafeUpdate(leftOut, labels)
    },
  }),
  updateCursor: observe('SyncGateway.updateCursor', gateway.updateCursor, {
    asked: (request) => ({ ...inScope(request), 'or3.server_version': amount(request.version) }),
  }),
  gcChangeLog: observe('SyncGateway.gcChangeLog', gateway.gcChangeLog, {
    asked: (request) => ({ ...inScope(request), 'or3.retention_seconds': amount(request.retentionSeconds) }),
    ...ofCollection,
  }),
  gcTombstones: observe('SyncGateway.gcTombstones', gateway.gcTombstones, {
    asked: (request) => ({ ...inScope(request), 'or3.retention_seconds': amount(request.retentionSeconds) }),
    ...ofCollection,
  }),
})

export const observePushOne = (pushOne: SyncGateway['Type']['pushOne']): SyncGateway['Type']['pushOne'] =>
  observe('SyncGateway.pushOne', pushOne, {
    asked: inScope,
    answered: ({ applied, serverVersion }) => ({
      'or3.applied': applied,
      'or3.server_version': serverVersion,
    }),
  })

/** The stream under a span for as long as it is followed; its pulls are below that. */
export const observeChanges =
  (changes: SyncGateway['Type']['changes']): SyncGateway['Type']['changes'] =>
  (workspaceId, cursor, options) =>
    Stream.unwrap(
      Effect.withFiberRuntime<ReturnType<typeof changes>>((fiber) => {
        const stream = changes(workspaceId, cursor, options)
        if (!isWatched(fiber)) return Effect.succeed(stream)
        const attributes = { 'or3.workspace_id': id(workspaceId), 'or3.cursor': amount(cursor) }
        return Effect.succeed(
          Stream.withSpan(stream, 'SyncGateway.changes', { attributes, captureStackTrace: false }),
        )
      }),
    )

/** The store's methods, observed. */
export const observeStore = (store: WorkspaceStore['Type']): WorkspaceStore['Type'] => ({
  getOrCreateUser: observe('WorkspaceStore.getOrCreateUser', store.getOrCreateUser, {
    answered: ({ userId }) => ofUser(userId),
  }),
  getUser: observe('WorkspaceStore.getUser', store.getUser, {
    answered: (user) => (user === null ? {} : ofUser(user.userId)),
  }),
  getOrCreateDefaultWorkspace: observe(
    'WorkspaceStore.getOrCreateDefaultWorkspace',
    store.getOrCreateDefaultWorkspace,
    {
      asked: ofUser,
      answered: ({ workspaceId, created = false }) => ({
        'or3.workspace_id': workspaceId,
        'or3.created': created,
      }),
    },
  ),
  getWorkspaceRole: observe('WorkspaceStore.getWorkspaceRole', store.getWorkspaceRole, {
    asked: ofMember,
    answered: (role) => ({ 'or3.role': role ?? 'none' }),
  }),
  listUserWorkspaces: observe('WorkspaceStore.listUserWorkspaces', store.listUserWorkspaces, {
    asked: ofUser,
    answered: (workspaces) => ({ 'or3.workspaces': workspaces.length }),
  }),
  listWorkspaceIds: observe('WorkspaceStore.listWorkspaceIds', () => store.listWorkspaceIds, {
    answered: (ids) => ({ 'or3.workspaces': ids.length }),
  })(undefined),
  createWorkspace: observe('WorkspaceStore.createWorkspace', store.createWorkspace, {
    asked: ({ userId }) => ofUser(userId),
    answered: ({ workspaceId }) => ({ 'or3.workspace_id': workspaceId }),
  }),
  updateWorkspace: observe('WorkspaceStore.updateWorkspace', store.updateWorkspace, { asked: ofMember }),
  removeWorkspace: observe('WorkspaceStore.removeWorkspace', store.removeWorkspace, { asked: ofMember }),
  setActiveWorkspace: observe('WorkspaceStore.setActiveWorkspace', store.setActiveWorkspace, {
    asked: ofMember,
  }),
})

/** The memberships' methods, observed. */
export const observeMemberships = (memberships: Memberships['Type']): Memberships['Type'] => {
  const inRole = (request: Parameters<Memberships['Type']['addMember']>[0]) => ({
    ...ofMember(request),
    'or3.role': id(request.role),
  })
  return {
    addMember: observe('Memberships.addMember', memberships.addMember, { asked: inRole }),
    setRole: observe('Memberships.setRole', memberships.setRole, { asked: inRole }),
    removeMember: observe('Memberships.removeMember', memberships.removeMember, { asked: ofMember }),
    listMembers: observe('Memberships.listMembers', memberships.listMembers, {
      asked: (workspaceId) => ({ 'or3.workspace_id': id(workspaceId) }),
      answered: (members) => ({ 'or3.members': members.length }),
    }),
  }
}

/** What is known about files, observed. */
export const observeFiles = (files: FileReferences['Type']): FileReferences['Type'] => ({
  query: observe('FileReferences.query', files.query, {
    asked: (request) => ({
      ...inScope(request),
      'or3.kind': storageKinds.find((kind) => kind === request.kind),
      'or3.limit': amount(request.limit),
    }),
    answered: ({ items, hasMore }) => ({ 'or3.items': items.length, 'or3.has_more': hasMore }),
  }),
})

/** Upload intents, observed. */
export const observeIntents = (intents: UploadIntents['Type']): UploadIntents['Type'] => {
  const ofFile = (request: IntentKey & { readonly sizeBytes: number }) => ({
    ...inScope(request),
    'or3.file_bytes': amount(request.sizeBytes),
  })
  return {
    reserve: observe('UploadIntents.reserve', intents.reserve, { asked: ofFile }),
    consume: observe('UploadIntents.consume', intents.consume, { asked: ofFile }),
    cancel: observe('UploadIntents.cancel', intents.cancel, { asked: inScope }),
  }
}

/** The account of maintenance runs, observed. */
export const observeMaintenance = (maintenance: Maintenance['Type']): Maintenance['Type'] => ({
  state: observe('Maintenance.state', () => maintenance.state, {
    answered: ({ state, backlog }) => ({ 'or3.state': state, 'or3.backlog': backlog }),
  })(undefined),
  begin: observe('Maintenance.begin', maintenance.begin, {}),
  complete: (runner, lastRun) =>
    observe('Maintenance.complete', () => maintenance.complete(runner, lastRun), {})(undefined),
  fail: (runner, message) =>
    observe('Maintenance.fail', () => maintenance.fail(runner, message), {})(undefined),
})

/** Upkeep, observed. */
export const observeUpkeep = (upkeep: Upkeep['Type']): Upkeep['Type'] => ({
  collect: observe('Upkeep.collect', upkeep.collect, {
    asked: ({ workspaceId }) => (workspaceId === undefined ? {} : { 'or3.workspace_id': id(workspaceId) }),
    answered: (report) => ({ 'or3.workspaces': report.workspaces, ...ofCollection.answered(report) }),
    count: ofCollection.count,
  }),
  tidy: observe('Upkeep.tidy', () => upkeep.tidy, {})(undefined),
})
