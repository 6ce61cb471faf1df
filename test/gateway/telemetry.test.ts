/**
 * What the services tell of their calls: spans with ids, counts and outcomes, and metrics; never what users wrote.
 */
import { join } from 'node:path'
import { Cause, Effect, Exit, Layer, Logger, Metric, Option, Stream, Tracer } from 'effect'
import { describe, expect, it } from 'vitest'
import * as Config from '../../src/layers/ProviderConfig.js'
import { layerMemory, layerWithConfig } from '../../src/layers/index.js'
import {
  DatabaseReport,
  BackgroundJobs,
  Administration,
  DeploymentAdmins,
  Erasure,
  FileReferences,
  Invites,
  ProviderMetrics,
  Maintenance,
  Memberships,
  RateLimits,
  SyncGateway,
  UploadIntents,
  Upkeep,
  Webhooks,
  WorkspaceSettings,
  WorkspaceStore,
} from '../../src/services/index.js'
import { del, put, scope } from '../support/ops.js'
import { putWhole } from '../support/records.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

type Services = Layer.Layer.Success<typeof layerMemory>

interface Seen {
  readonly name: string
  readonly attributes: Record<string, unknown>
  readonly parent: string | undefined
  outcome?: string
}

/** A tracer that keeps what it is told, as an exporter would. */
const listener = () => {
  const spans: Array<Seen> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const seen: Seen = {
        name,
        get attributes() {
          return Object.fromEntries(attributes)
        },
        parent: Option.getOrUndefined(
          Option.map(parent, (span) => (span._tag === 'Span' ? span.name : span.spanId)),
        ),
      }
      spans.push(seen)
      return {
        _tag: 'Span',
        name,
        spanId: `${spans.length}`,
        traceId: 'trace',
        parent,
        context,
        status: { _tag: 'Started', startTime },
        attributes,
        links,
        sampled: true,
        kind,
        end: (_time, exit) => {
          seen.outcome = Exit.isSuccess(exit) ? 'success' : 'failure'
        },
        attribute: (key, value) => void attributes.set(key, value),
        event: () => {},
        addLinks: () => {},
      }
    },
    context: (run) => run(),
  })
  return { spans, tracer }
}

const layers: ReadonlyArray<readonly [string, Layer.Layer<Services, unknown>]> = [
  ['memory', layerMemory],
  ['sqlite', Layer.provide(layerWithConfig, Config.layerOf({ dbPath: ':memory:' }))],
]

const quietly = Effect.provide(Logger.remove(Logger.defaultLogger))

/** Marks whatever users write, so that it would be recognised anywhere. */
const secret = 'TOP-SECRET'
const message = (parts: Parameters<typeof put>[0] = {}) =>
  put({ pk: 'm1', payload: { id: 'm1', content: secret }, ...parts })

/** Calls every method of the services about people, some of them in vain. */
const callPeople = ({ userId, other }: { readonly userId: string; readonly other: string }) =>
  Effect.gen(function* () {
    const invites = yield* Invites
    const administration = yield* Administration
    const settings = yield* WorkspaceSettings
    const admins = yield* DeploymentAdmins
    const { workspaceId } = yield* administration.createWorkspace({ name: secret, ownerUserId: userId })
    const claim = { workspaceId, email: `${secret}@b.c`, tokenHash: secret }
    const inviting = { ...claim, role: 'editor', invitedByUserId: userId, expiresAt: 1e10 } as const
    const { inviteId } = yield* invites.create(inviting)
    yield* Effect.flip(invites.create({ ...inviting, invitedByUserId: other }))
    yield* invites.revoke({ workspaceId, inviteId, revokedByUserId: userId })
    yield* Effect.flip(invites.validate(claim))
    yield* invites.create(inviting)
    yield* invites.validate(claim)
    yield* Effect.flip(invites.consume({ ...claim, tokenHash: `${secret}2`, acceptedUserId: other }))
    yield* invites.consume({ ...claim, acceptedUserId: other })
    yield* invites.create(inviting)
    yield* invites.accept({ ...claim, provider: secret, providerUserId: secret, displayName: secret })
    yield* Effect.flip(invites.accept({ ...claim, provider: secret, providerUserId: secret }))
    yield* invites.list({ workspaceId })
    yield* administration.upsertMember({ workspaceId, emailOrProviderId: secret, role: 'viewer' })
    yield* Effect.flip(
      administration.upsertMember({ workspaceId, emailOrProviderId: `${secret}@`, role: 'viewer' }),
    )
    yield* administration.searchUsers({ query: secret })
    yield* administration.listWorkspaces({ search: secret, page: 1, perPage: 5 })
    yield* settings.set({ workspaceId, key: secret, value: secret })
    yield* settings.get({ workspaceId, key: secret })
    yield* administration.removeWorkspace({ workspaceId, deletedAt: 1 })
    yield* administration.restoreWorkspace({ workspaceId })
    yield* administration.getWorkspace({ workspaceId })
    yield* administration.listMembers({ workspaceId })
    yield* admins.grant({ userId, createdByUserId: secret })
    yield* admins.isAdmin(userId)
    yield* admins.list
    yield* admins.revoke({ userId })
    yield* administration.removeWorkspace({ workspaceId, deletedAt: 1 })
    yield* (yield* Erasure).previewPurge({ workspaceId })
    yield* (yield* Erasure).purgeWorkspace({ workspaceId })
    yield* (yield* Erasure).previewErasure({ userId: other })
    yield* (yield* Erasure).eraseUser({ userId: other })
    return workspaceId
  })

/** Calls every method of every service, some of them in vain. */
const callAll = Effect.gen(function* () {
  const gateway = yield* SyncGateway
  const store = yield* WorkspaceStore
  const members = yield* Memberships
  const ada = { provider: 'dev', providerUserId: 'ada', email: secret, displayName: secret }
  const { userId } = yield* store.getOrCreateUser(ada)
  const { userId: other } = yield* store.getOrCreateUser({ ...ada, providerUserId: 'bob' })
  yield* store.getUser({ provider: 'p', providerUserId: 'u' })
  yield* store.listWorkspaceIds
  yield* store.getOrCreateDefaultWorkspace(userId)
  const { workspaceId } = yield* store.createWorkspace({ userId, name: secret, description: secret })
  const key = { userId: other, workspaceId }
  yield* members.addMember({ ...key, role: 'viewer' })
  yield* Effect.flip(store.removeWorkspace(key))
  yield* members.setRole({ ...key, role: 'editor' })
  yield* members.listMembers(workspaceId)
  yield* store.setActiveWorkspace(key)
  yield* store.updateWorkspace({ ...key, name: secret })
  yield* store.getWorkspaceRole(key)
  yield* store.listUserWorkspaces(userId)
  yield* members.removeMember(key)
  yield* store.removeWorkspace({ userId, workspaceId })
  const first = message({ id: 'a', clock: 2 })
  yield* gateway.push({
    ...scope(),
    ops: [
      first,
      first,
      message({ id: 'b' }),
      message({ id: 'a' }),
      message({ id: 'c', clock: -1 }),
      del({ id: 'd', clock: 3 }),
    ],
  })
  yield* gateway.pushOne({ ...scope(), op: message({ id: 'e', clock: 4 }) })
  yield* Effect.flip(gateway.pushOne({ ...scope(), op: message({ id: 'e', clock: 4 }) }))
  yield* gateway.pull({ ...scope(), cursor: 1, limit: 2 })
  yield* Effect.flip(gateway.pull({ ...scope(), cursor: -1 }))
  yield* gateway.push({
    ...scope('w2'),
    ops: ['a', 'b', 'c'].map((pk) =>
      pk === 'a' ? message({ pk, payload: { content: secret } }) : putWhole('kv', pk),
    ),
  })
  const page = yield* gateway.snapshot({ ...scope('w2'), pageSize: 1, tables: ['messages', 'kv'] })
  yield* gateway.snapshot({ ...scope('w2'), pageSize: 1, pageToken: page.nextPageToken! })
  yield* Effect.flip(gateway.snapshot({ ...scope('w2'), pageSize: 1, pageToken: secret }))
  yield* Stream.runDrain(Stream.take(gateway.changes('w1', 0), 1))
  yield* gateway.updateCursor({ ...scope(), deviceId: 'd1', version: 4 })
  yield* Effect.sleep(5)
  yield* gateway.gcTombstones({ ...scope(), retentionSeconds: 1e-3 })
  yield* gateway.gcChangeLog({ ...scope(), retentionSeconds: 1e-3 })
  const intents = yield* UploadIntents
  const file = { ...scope(), hash: secret, mimeType: secret, sizeBytes: 7 }
  yield* intents.reserve({ ...file, intentId: 'i1', expiresAt: 1e10 })
  yield* intents.reserve({ ...file, intentId: 'i2', expiresAt: 1e10 })
  yield* intents.consume({ ...file, intentId: 'i1', storageId: secret })
  yield* intents.cancel({ ...scope(), intentId: 'i2' })
  yield* Effect.flip(intents.cancel({ ...scope(), intentId: 'i2' }))
  const files = yield* FileReferences
  yield* gateway.push({ ...scope(), ops: [message({ pk: 'm2', payload: { file_hashes: [secret, 'b'] } })] })
  yield* files.query({ ...scope(), kind: 'reference_edges', limit: 1 })
  yield* Effect.flip(files.query({ ...scope(), kind: secret as never, hash: secret }))
  const maintenance = yield* Maintenance
  yield* maintenance.begin('server')
  yield* maintenance.complete('server')
  yield* maintenance.fail('host', secret)
  yield* maintenance.state
  const limits = yield* RateLimits
  yield* limits.check({ key: secret, windowMs: 1_000, maxRequests: 1 })
  yield* limits.stats({ key: secret, windowMs: 1_000, maxRequests: 1 })
  yield* (yield* DatabaseReport).facts
  yield* (yield* DatabaseReport).answers
  const jobs = yield* BackgroundJobs
  const id = yield* jobs.create({
    ...{ userId, threadId: secret, messageId: secret, model: secret, execution: secret },
  })
  yield* jobs.update({ id, contentChunk: secret, workflowState: secret })
  yield* Effect.flip(jobs.update({ id, contentChunk: secret, leaseOwner: secret }))
  const lease = { owner: secret, now: 1, leaseExpiresAt: 2 }
  yield* jobs.claim({ id, ...lease })
  yield* jobs.claimNext(lease)
  yield* jobs.renewLease({ id, ...lease })
  yield* jobs.updateExecution({ id, execution: secret, owner: secret })
  yield* jobs.get({ id, userId })
  yield* jobs.complete({ id, content: secret })
  yield* jobs.fail({ id, error: secret })
  yield* jobs.abort({ id, userId })
  yield* jobs.isAborted({ id })
  yield* jobs.cleanUp({})
  yield* jobs.activeCount
  const webhooks = yield* Webhooks
  const owner = { userId: 'ann', workspaceId: 'w1' }
  const { id: webhookId } = yield* webhooks.createWebhook({
    scope: 'user',
    ...owner,
    url: `https://${secret}.example/${secret}`,
    label: secret,
    events: [secret],
    customHooks: [secret],
    signingSecretEnc: secret,
    enabled: true,
  })
  yield* webhooks.updateWebhook({ webhookId, patch: { label: secret, signingSecretEnc: secret } })
  yield* Effect.flip(webhooks.updateWebhook({ webhookId, patch: { userId: secret } }))
  yield* Effect.flip(webhooks.updateWebhook({ webhookId: secret, patch: {} }))
  yield* webhooks.getWebhook(webhookId)
  yield* webhooks.listWebhooks(owner)
  yield* webhooks.listAdminWebhooks
  yield* webhooks.listWebhooksByEvent({ eventType: secret, scope: 'user', workspaceId: 'w1' })
  yield* webhooks.listWebhooksByCustomHook(secret)
  yield* webhooks.listActiveCustomHookNames
  yield* webhooks.updateWebhookHealth({ webhookId, health: 'failing' })
  yield* webhooks.disableAllWebhooks(owner)
  const { id: deliveryId } = yield* webhooks.createDelivery({
    webhookId,
    eventId: secret,
    eventType: secret,
    attempt: 1,
    requestPayload: secret,
  })
  yield* webhooks.claimDeliveries({ workerId: secret, limit: 1 })
  yield* webhooks.updateDelivery({ deliveryId, patch: { errorMessage: secret, responseBody: secret } })
  yield* webhooks.listDeliveries({ webhookId, since: 0 })
  yield* webhooks.listEndedDeliveries({ webhookId, limit: 1 })
  yield* webhooks.resetStaleDeliveries({ olderThanMs: 0 })
  yield* webhooks.cancelDeliveries(webhookId)
  yield* webhooks.purgeDeliveries({ before: 1 })
  yield* webhooks.deleteDeliveries(webhookId)
  yield* webhooks.deleteWebhook(webhookId)
  const invitedInto = yield* callPeople({ userId, other })
  return { userId, other, workspaceId, invitedInto }
})

describe.each(layers)('spans on %s', (_name, layer) => {
  const seen = async () => {
    const { spans, tracer } = listener()
    const ids = await Effect.runPromise(
      callAll.pipe(Effect.provide(layer), quietly, Effect.withTracer(tracer)),
    )
    const of = (name: string) => spans.filter((span) => span.name === name)
    return { spans, of, ids }
  }

  it('there is one for every method, and none tells what users wrote', async () => {
    const { spans } = await seen()
    const services = [
      ...['SyncGateway', 'FileReferences', 'UploadIntents', 'WorkspaceStore', 'Memberships', 'Maintenance'],
      ...['RateLimits', 'DatabaseReport'],
      'BackgroundJobs',
      'Webhooks',
      ...['Invites', 'Administration', 'WorkspaceSettings', 'DeploymentAdmins', 'Erasure'],
    ]
    const methods = services.flatMap((service) => {
      const names = {
        SyncGateway: [
          'push',
          'pushOne',
          'pull',
          'snapshot',
          'changes',
          'updateCursor',
          'gcChangeLog',
          'gcTombstones',
        ],
        WorkspaceStore: [
          'getOrCreateUser',
          'getUser',
          'listWorkspaceIds',
          'getOrCreateDefaultWorkspace',
          'getWorkspaceRole',
          'listUserWorkspaces',
          'createWorkspace',
          'updateWorkspace',
          'removeWorkspace',
          'setActiveWorkspace',
        ],
        FileReferences: ['query'],
        UploadIntents: ['reserve', 'consume', 'cancel'],
        RateLimits: ['check', 'stats'],
        DatabaseReport: ['facts', 'answers'],
        Maintenance: ['state', 'begin', 'complete', 'fail'],
        BackgroundJobs: [
          ...['create', 'get', 'update', 'complete', 'fail', 'abort', 'isAborted', 'claim', 'claimNext'],
          ...['renewLease', 'updateExecution', 'cleanUp', 'activeCount'],
        ],
        Invites: ['create', 'list', 'revoke', 'validate', 'consume', 'accept'],
        Administration: [
          'listWorkspaces',
          'getWorkspace',
          'listMembers',
          'createWorkspace',
          'removeWorkspace',
          'restoreWorkspace',
          'searchUsers',
          'upsertMember',
        ],
        WorkspaceSettings: ['get', 'set'],
        Erasure: ['previewPurge', 'purgeWorkspace', 'previewErasure', 'eraseUser'],
        DeploymentAdmins: ['list', 'grant', 'revoke', 'isAdmin'],
        Memberships: ['addMember', 'setRole', 'removeMember', 'listMembers'],
        Webhooks: [
          'createWebhook',
          'updateWebhook',
          'deleteWebhook',
          'getWebhook',
          'listWebhooks',
          'listAdminWebhooks',
          'listWebhooksByEvent',
          'listWebhooksByCustomHook',
          'listActiveCustomHookNames',
          'updateWebhookHealth',
          'disableAllWebhooks',
          'createDelivery',
          'updateDelivery',
          'listDeliveries',
          'listEndedDeliveries',
          'claimDeliveries',
          'resetStaleDeliveries',
          'cancelDeliveries',
          'deleteDeliveries',
          'purgeDeliveries',
        ],
      }[service]!
      return names.map((name) => `${service}.${name}`)
    })
    // The SQL library has spans of its own while the database is opened.
    const ours = spans.map(({ name }) => name).filter((name) => !name.startsWith('sql.'))
    expect([...new Set(ours)].sort()).toEqual(methods.sort())
    expect(JSON.stringify(spans.map(({ name, attributes }) => ({ name, attributes })))).not.toContain(secret)
  })

  it('a push tells its workspace, its size and what became of its ops', async () => {
    const { of } = await seen()
    expect(of('SyncGateway.push')[0]).toMatchObject({
      outcome: 'success',
      attributes: {
        'or3.workspace_id': 'w1',
        'or3.ops': 6,
        'or3.ops.applied': 2,
        'or3.ops.superseded': 1,
        'or3.ops.replayed': 1,
        'or3.ops.conflict': 1,
        'or3.ops.invalid': 1,
        'or3.server_version': 3,
        'or3.outcome': 'ok',
      },
    })
    expect(of('SyncGateway.pushOne').map(({ attributes }) => attributes['or3.outcome'])).toEqual([
      'ok',
      'IdempotencyReplay',
    ])
    expect(of('SyncGateway.push')[1]?.parent).toBe('SyncGateway.pushOne')
  })

  it('pulls, cursors, collections and store calls tell what they were about', async () => {
    const { of, ids } = await seen()
    expect(of('SyncGateway.pull')[0]?.attributes).toEqual({
      'or3.workspace_id': 'w1',
      'or3.cursor': 1,
      'or3.limit': 2,
      'or3.changes': 2,
      'or3.next_cursor': 3,
      'or3.has_more': true,
      'or3.outcome': 'ok',
    })
    expect(of('SyncGateway.pull')[1]).toMatchObject({
      outcome: 'failure',
      attributes: { 'or3.cursor': -1, 'or3.outcome': 'InvalidRequest' },
    })
    const [, last, refused] = of('SyncGateway.snapshot')
    expect(last?.attributes).toEqual({
      'or3.workspace_id': 'w2',
      'or3.page_size': 1,
      'or3.snapshot_id': expect.any(String),
      'or3.high_watermark': 3,
      'or3.items': 1,
      'or3.left_out': 1,
      'or3.has_more': false,
      'or3.outcome': 'ok',
    })
    expect(refused?.attributes).toMatchObject({ 'or3.outcome': 'InvalidPageToken' })
    expect(of('SyncGateway.updateCursor')[0]?.attributes).toMatchObject({ 'or3.server_version': 4 })
    expect(of('WorkspaceStore.removeWorkspace')[0]).toMatchObject({
      outcome: 'failure',
      attributes: {
        'or3.workspace_id': ids.workspaceId,
        'or3.user_id': ids.other,
        'or3.outcome': 'WorkspaceForbidden',
      },
    })
    const into = { 'or3.workspace_id': ids.invitedInto }
    expect(of('Invites.accept').map(({ attributes }) => attributes)).toEqual([
      { ...into, 'or3.outcome': 'ok' },
      { ...into, 'or3.outcome': 'InviteRefused' },
    ])
    expect(of('Invites.list')[0]?.attributes).toEqual({ ...into, 'or3.items': 3, 'or3.outcome': 'ok' })
    expect(of('Memberships.listMembers')[0]?.attributes).toMatchObject({ 'or3.members': 2 })
    const ofW1 = { 'or3.workspace_id': 'w1' }
    expect(of('FileReferences.query').map(({ attributes }) => attributes)).toEqual([
      {
        ...ofW1,
        'or3.kind': 'reference_edges',
        'or3.limit': 1,
        'or3.items': 1,
        'or3.has_more': true,
        'or3.outcome': 'ok',
      },
      { ...ofW1, 'or3.kind': undefined, 'or3.limit': undefined, 'or3.outcome': 'InvalidRequest' },
    ])
    expect(of('UploadIntents.reserve')[0]?.attributes).toEqual({
      ...ofW1,
      'or3.file_bytes': 7,
      'or3.outcome': 'ok',
    })
    expect(of('UploadIntents.cancel').map(({ attributes }) => attributes['or3.outcome'])).toEqual([
      'ok',
      'UploadIntentConflict',
    ])
  })

  it('a request that cannot be read is refused, and its span says so', async () => {
    const { spans, tracer } = listener()
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error(secret)
        },
      },
    )
    const error = await Effect.runPromise(
      Effect.flatMap(SyncGateway, (gateway) => Effect.flip(gateway.push(hostile as never))).pipe(
        Effect.provide(layer),
        quietly,
        Effect.withTracer(tracer),
      ),
    )
    expect(error).toMatchObject({ _tag: 'InvalidRequest' })
    expect(spans.at(-1)?.attributes).toEqual({ 'or3.outcome': 'InvalidRequest' })
  })

  it('there is none where nobody could see it, and one below a span of the caller', async () => {
    const names = (effect: Effect.Effect<unknown, unknown, SyncGateway>) =>
      Effect.runPromise(
        Effect.sandbox(effect).pipe(
          Effect.flip,
          Effect.map((cause) => Cause.pretty(cause)),
          Effect.provide(layer),
          quietly,
        ),
      )
    const fails = Effect.flatMap(SyncGateway, (gateway) => gateway.pull({ ...scope(), cursor: -1 }))
    expect(await names(fails)).not.toContain('SyncGateway.pull')
    expect(await names(Effect.withSpan(fails, 'mine'))).toContain('SyncGateway.pull')
  })
})

describe('metrics', () => {
  const value = (metric: Metric.Metric<any, any, any>) =>
    Effect.map(Metric.value(metric), (state: any) => state.count)
  const ops = (outcome: ProviderMetrics.OpResult) => ProviderMetrics.ops({ outcome })

  it.each(layers)('on %s count ops by outcome, calls, durations and what was collected', (_name, layer) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const watched = {
          applied: ops('applied'),
          superseded: ops('superseded'),
          replayed: ops('replayed'),
          conflict: ops('conflict'),
          invalid: ops('invalid'),
          pushes: ProviderMetrics.pushDuration,
          pulls: ProviderMetrics.pullDuration,
          pages: ProviderMetrics.snapshotDuration,
          leftOut: ProviderMetrics.leftOut,
          refused: ProviderMetrics.calls({ method: 'SyncGateway.pull', outcome: 'InvalidRequest' }),
          roles: ProviderMetrics.calls({ method: 'WorkspaceStore.getWorkspaceRole', outcome: 'ok' }),
        }
        const read = Effect.all(
          Object.fromEntries(Object.entries(watched).map(([name, metric]) => [name, value(metric)])),
        )
        const before = yield* read
        yield* Effect.provide(callAll, layer)
        const after = yield* read
        expect(
          Object.fromEntries(Object.keys(watched).map((name) => [name, after[name] - before[name]])),
        ).toEqual({
          applied: 7,
          superseded: 1,
          replayed: 2,
          conflict: 1,
          invalid: 1,
          pushes: 5,
          // One by itself, one that the stream made; a refused one has no duration.
          pulls: 2,
          pages: 2,
          leftOut: 1,
          refused: 1,
          roles: 1,
        })
      }).pipe(quietly),
    ),
  )

  it('count what upkeep collects, and carry the labels of the program', () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const gateway = yield* SyncGateway
        const upkeep = yield* Upkeep
        yield* gateway.push({ ...scope(), ops: [put(), put(), put()] })
        yield* Effect.sleep(1_100)
        yield* gateway.updateCursor({ ...scope(), deviceId: 'd1', version: 3 })
        const entries = ProviderMetrics.collected({ kind: 'log entries' })
        const mine = Metric.tagged(entries, 'program', 'mine')
        const [before, mineBefore] = [yield* value(entries), yield* value(mine)]
        const report = yield* Effect.tagMetrics(upkeep.collect({ retention: 1 }), 'program', 'mine')
        expect(report.entries).toBe(2)
        expect((yield* value(mine)) - mineBefore).toBe(2)
        expect((yield* value(entries)) - before).toBe(0)
      }).pipe(
        Effect.provide(Layer.provide(layerWithConfig, Config.layerOf({ dbPath: ':memory:' }))),
        quietly,
      ),
    ))

  it('tell how long the logs of a file are', async () => {
    const { folder, remove } = temporaryFolder()
    const dbPath = join(folder, 'telemetry.db')
    await Effect.runPromise(
      Effect.flatMap(SyncGateway, (gateway) => gateway.push({ ...scope(), ops: [put(), put(), put()] })).pipe(
        Effect.provide(Layer.provide(layerWithConfig, Config.layerOf({ dbPath }))),
        quietly,
      ),
    )
    expect((await Effect.runPromise(Metric.value(ProviderMetrics.logEntries))).value).toBe(3)
    remove()
  })
})
