/**
 * What each call costs where the engine is behind a network: round trips, counted exactly, so that one more is noticed.
 */
import { randomUUID } from 'node:crypto'
import { Duration, Effect, Layer, Logger, Option } from 'effect'
import { describe, expect, it, vi } from 'vitest'
import { stepSize as jobsInAStep } from '../../src/layers/sql/backgroundJobsSql.js'
import type { Batches } from '../../src/layers/sql/Batches.js'
import { stepSize } from '../../src/layers/sql/retention.js'
import { stepSize as deliveryStep } from '../../src/layers/sql/webhooksSql.js'
import {
  DatabaseReport,
  BackgroundJobs,
  Administration,
  Erasure,
  DeploymentAdmins,
  FileReferences,
  Invites,
  Maintenance,
  Memberships,
  type PendingOp,
  RateLimits,
  storageKinds,
  SyncGateway,
  syncedTables,
  UploadIntents,
  Upkeep,
  Webhooks,
  WorkspaceSettings,
  WorkspaceStore,
} from '../../src/services/index.js'
import { batchLayer, committingWith } from '../support/layerSubjects.js'
import { del, put, scope } from '../support/ops.js'
import { putWhole } from '../support/records.js'

interface Cost {
  reads: number
  writes: number
  /** That came back. */
  rows: number
}

/** The engine, and what it was asked for. */
const counted = (cost: Cost) =>
  committingWith(({ read, write }) => {
    const counting =
      (run: Batches['Type']['read'], kind: 'reads' | 'writes'): Batches['Type']['read'] =>
      (operation, batch) =>
        Effect.suspend(() => {
          cost[kind]++
          return run(operation, {
            ...batch,
            read: (results) => {
              cost.rows += results.flat().length
              return batch.read(results)
            },
          })
        })
    return { read: counting(read, 'reads'), write: counting(write, 'writes') }
  })

type Services = Layer.Layer.Success<ReturnType<typeof batchLayer>>

/** What a call costs after what was done before it. */
const costOf = async <A>(
  before: Effect.Effect<A, unknown, Services>,
  call: (prepared: A) => Effect.Effect<unknown, unknown, Services>,
): Promise<Cost> => {
  const cost: Cost = { reads: 0, writes: 0, rows: 0 }
  await Effect.gen(function* () {
    const prepared = yield* before
    Object.assign(cost, { reads: 0, writes: 0, rows: 0 })
    yield* call(prepared)
  }).pipe(
    Effect.provide(
      Layer.provide(
        batchLayer(counted(cost), { dbPath: ':memory:', gcInterval: Option.none() }),
        Logger.remove(Logger.defaultLogger),
      ),
    ),
    Effect.runPromise,
  )
  return cost
}

const push = (ops: ReadonlyArray<PendingOp>, more = {}) =>
  Effect.flatMap(SyncGateway, (gateway) => gateway.push({ ...scope(), ...more, ops }))

const nothing = Effect.void
const many = (count: number, make: (index: number) => PendingOp) =>
  Array.from({ length: count }, (_, index) => make(index))

const mixed = many(1_000, (index) => {
  const table = syncedTables[index % syncedTables.length]!
  const parts = { table, pk: `pk${index % 300}`, clock: index, id: `op${index}` }
  return index % 5 === 0 ? del(parts) : put(parts)
})

type Case = readonly [
  name: string,
  trips: number,
  before: Effect.Effect<any, unknown, Services>,
  call: (prepared: any) => Effect.Effect<unknown, unknown, Services>,
]

const ada = { provider: 'p', providerUserId: 'ada', email: 'a@b.c' }

const user = Effect.flatMap(WorkspaceStore, (store) => store.getOrCreateUser(ada))
const member = Effect.gen(function* () {
  const store = yield* WorkspaceStore
  const { userId } = yield* user
  return { userId, ...(yield* store.createWorkspace({ userId, name: 'Home' })) }
})
const members = Effect.gen(function* () {
  const owner = yield* member
  const store = yield* WorkspaceStore
  const { userId } = yield* store.getOrCreateUser({ ...ada, providerUserId: 'bob' })
  yield* (yield* Memberships).addMember({ ...owner, userId, role: 'editor' })
  return { ...owner, userId }
})

const purgedOne = Effect.gen(function* () {
  const owner = yield* member
  yield* (yield* WorkspaceStore).removeWorkspace(owner)
  yield* (yield* Erasure).purgeWorkspace(owner)
  return owner
})

const erasedOne = Effect.gen(function* () {
  const owner = yield* member
  yield* (yield* Erasure).eraseUser(owner)
  return owner
})

const limit = { key: 'k', windowMs: 60_000, maxRequests: 100 }
const limits = <A, E>(call: (limits: RateLimits['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(RateLimits, call)
const checked = limits((limits) => limits.check(limit))

const gateway = <A, E>(call: (gateway: SyncGateway['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(SyncGateway, call)
const store = <A, E>(call: (store: WorkspaceStore['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(WorkspaceStore, call)
const memberships = <A, E>(call: (memberships: Memberships['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(Memberships, call)
const intents = <A, E>(call: (intents: UploadIntents['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(UploadIntents, call)

const webhooks = <A, E>(call: (webhooks: Webhooks['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(Webhooks, call)

const owner = { userId: 'ann', workspaceId: 'w1' }
const webhook = webhooks((webhooks) =>
  webhooks.createWebhook({
    scope: 'user',
    ...owner,
    url: 'https://example.org',
    label: '',
    events: ['e'],
    customHooks: ['h'],
    signingSecretEnc: '',
    enabled: true,
  }),
)
const delivery = Effect.flatMap(webhook, ({ id: webhookId }) =>
  webhooks((webhooks) => webhooks.createDelivery({ webhookId, eventId: 'i', eventType: 'e', attempt: 1 })),
)
/** More than fit into one step. */
const deliveries = (count: number) =>
  Effect.flatMap(webhook, ({ id: webhookId }) =>
    Effect.as(
      webhooks((webhooks) =>
        Effect.replicateEffect(
          webhooks.createDelivery({ webhookId, eventId: 'i', eventType: 'e', attempt: 1 }),
          count,
        ),
      ),
      webhookId,
    ),
  )

/** Every call about webhooks. */
const webhookCalls: ReadonlyArray<Case> = [
  ['a registration', 1, nothing, () => webhook],
  [
    'its change',
    1,
    webhook,
    ({ id: webhookId }) =>
      webhooks((webhooks) =>
        webhooks.updateWebhook({ webhookId, patch: { events: ['a'], customHooks: ['b'], enabled: false } }),
      ),
  ],
  ['its removal', 1, delivery, ({ webhookId }) => webhooks((webhooks) => webhooks.deleteWebhook(webhookId))],
  ['a look at it', 1, webhook, ({ id }) => webhooks((webhooks) => webhooks.getWebhook(id))],
  ['those of a user', 1, webhook, () => webhooks((webhooks) => webhooks.listWebhooks(owner))],
  ['those of the operators', 1, webhook, () => webhooks((webhooks) => webhooks.listAdminWebhooks)],
  [
    'those of an event',
    1,
    webhook,
    () =>
      webhooks((webhooks) =>
        webhooks.listWebhooksByEvent({ eventType: 'e', scope: 'admin', workspaceId: 'w1' }),
      ),
  ],
  ['those of a hook', 1, webhook, () => webhooks((webhooks) => webhooks.listWebhooksByCustomHook('h'))],
  ['the hooks', 1, webhook, () => webhooks((webhooks) => webhooks.listActiveCustomHookNames)],
  [
    'its health',
    1,
    webhook,
    ({ id: webhookId }) =>
      webhooks((webhooks) => webhooks.updateWebhookHealth({ webhookId, health: 'failing' })),
  ],
  ['disabling', 1, webhook, () => webhooks((webhooks) => webhooks.disableAllWebhooks(owner))],
  [
    'a delivery',
    1,
    webhook,
    ({ id: webhookId }) =>
      webhooks((webhooks) =>
        webhooks.createDelivery({ webhookId, eventId: 'i', eventType: 'e', attempt: 1 }),
      ),
  ],
  [
    'what became of it',
    1,
    delivery,
    ({ id: deliveryId }) =>
      webhooks((webhooks) => webhooks.updateDelivery({ deliveryId, patch: { status: 'success' } })),
  ],
  [
    'its log',
    1,
    delivery,
    ({ webhookId }) => webhooks((webhooks) => webhooks.listDeliveries({ webhookId, since: 0 })),
  ],
  [
    'those that have ended',
    1,
    delivery,
    ({ webhookId }) => webhooks((webhooks) => webhooks.listEndedDeliveries({ webhookId, limit: 5 })),
  ],
  [
    'a claim',
    1,
    delivery,
    () => webhooks((webhooks) => webhooks.claimDeliveries({ workerId: 'me', limit: 10 })),
  ],
  [
    'what was left',
    1,
    delivery,
    () => webhooks((webhooks) => webhooks.resetStaleDeliveries({ olderThanMs: 0 })),
  ],
  [
    'cancelling',
    1,
    delivery,
    ({ webhookId }) => webhooks((webhooks) => webhooks.cancelDeliveries(webhookId)),
  ],
  [
    'clearing a log',
    1,
    delivery,
    ({ webhookId }) => webhooks((webhooks) => webhooks.deleteDeliveries(webhookId)),
  ],
  ['purging', 1, delivery, () => webhooks((webhooks) => webhooks.purgeDeliveries({ before: 2e12 }))],
  [
    'the removal of one with many deliveries',
    2,
    deliveries(2 * deliveryStep),
    (webhookId) => webhooks((webhooks) => webhooks.deleteWebhook(webhookId)),
  ],
]
const invites = <A, E>(call: (invites: Invites['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(Invites, call)
const erasing = <A, E>(call: (erasure: Erasure['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(Erasure, call)
const administration = <A, E>(call: (administration: Administration['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(Administration, call)
const settings = <A, E>(call: (settings: WorkspaceSettings['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(WorkspaceSettings, call)
const admins = <A, E>(call: (admins: DeploymentAdmins['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(DeploymentAdmins, call)

/** A member who is invited once more. */
const invited = Effect.gen(function* () {
  const { userId, workspaceId } = yield* member
  const claim = { workspaceId, email: 'eve@b.c', tokenHash: 'h' }
  const { inviteId } = yield* (yield* Invites).create({
    ...claim,
    role: 'editor',
    invitedByUserId: userId,
    expiresAt: 2e10,
  })
  return { userId, claim, workspaceId, inviteId }
})

const file = { ...scope(), intentId: 'i', hash: 'h', mimeType: 'm', sizeBytes: 1 }
const reserved = intents((intents) => intents.reserve({ ...file, expiresAt: 2e10 }))

const jobs = <A, E>(call: (jobs: BackgroundJobs['Type']) => Effect.Effect<A, E>) =>
  Effect.flatMap(BackgroundJobs, call)
const newJob = { userId: 'u', threadId: 't', messageId: 'm', model: 'm', execution: {}, toolCalls: [] }
const manyJobs = { maxConcurrentJobs: Infinity, maxConcurrentJobsPerUser: Infinity }
const job = jobs((jobs) => jobs.create({ ...newJob, workflowState: {} }))
const lease = { owner: 'w', now: 1, leaseExpiresAt: 2 }
const claimedJob = Effect.tap(job, (id) => jobs((jobs) => jobs.claim({ id, ...lease })))
/** With some content. */
const writtenJob = Effect.tap(job, (id) =>
  jobs((jobs) => Effect.repeatN(jobs.update({ id, contentChunk: 'x'.repeat(10_000) }), 20)),
)

const snapshotOf = (request: { readonly pageSize: number; readonly pageToken?: string }) =>
  gateway((gateway) => gateway.snapshot({ ...scope(), ...request }))

const filledTables = push(many(700, (index) => putWhole(syncedTables[index % 7]!, `pk${index}`)))

/** Nothing of a job takes more than one, however much it has. */
const ofJobs: ReadonlyArray<Case> = [
  ['a new one', 1, nothing, () => job],
  [
    'one that is known',
    1,
    jobs((jobs) => jobs.create({ ...newJob, idempotencyKey: 'k' })),
    () => jobs((jobs) => jobs.create({ ...newJob, idempotencyKey: 'k' })),
  ],
  [
    'one too many',
    1,
    nothing,
    () => Effect.flip(jobs((jobs) => jobs.create({ ...newJob, limits: { maxConcurrentJobs: 0 } }))),
  ],
  ['a look at one', 1, writtenJob, (id) => jobs((jobs) => jobs.get({ id, userId: 'u' }))],
  ['a chunk', 1, writtenJob, (id) => jobs((jobs) => jobs.update({ id, contentChunk: 'x' }))],
  [
    'a chunk and all else',
    1,
    claimedJob,
    (id) =>
      jobs((jobs) =>
        jobs.update({
          id,
          contentChunk: 'x',
          chunksReceived: 1,
          toolCalls: [],
          workflowState: null,
          leaseOwner: 'w',
        }),
      ),
  ],
  [
    'a chunk of one that is lost',
    1,
    job,
    (id) => Effect.flip(jobs((jobs) => jobs.update({ id, contentChunk: 'x', leaseOwner: 'w' }))),
  ],
  ['the end', 1, writtenJob, (id) => jobs((jobs) => jobs.complete({ id, content: 'x' }))],
  ['a bad end', 1, job, (id) => jobs((jobs) => jobs.fail({ id, error: 'x' }))],
  ['an early end', 1, job, (id) => jobs((jobs) => jobs.abort({ id, userId: 'u' }))],
  ['the question whether it was', 1, job, (id) => jobs((jobs) => jobs.isAborted({ id }))],
  ['a lease', 1, writtenJob, (id) => jobs((jobs) => jobs.claim({ id, ...lease }))],
  ['a lease of the next', 1, writtenJob, () => jobs((jobs) => jobs.claimNext(lease))],
  ['a lease of none', 1, nothing, () => jobs((jobs) => jobs.claimNext(lease))],
  ['a longer lease', 1, claimedJob, (id) => jobs((jobs) => jobs.renewLease({ id, ...lease }))],
  [
    'an execution',
    1,
    claimedJob,
    (id) => jobs((jobs) => jobs.updateExecution({ id, execution: 1, owner: 'w' })),
  ],
  ['their number', 1, job, () => jobs((jobs) => jobs.activeCount)],
  ['a clean-up of nothing', 1, job, () => jobs((jobs) => jobs.cleanUp({}))],
  [
    'a clean-up in steps',
    3,
    Effect.zipRight(
      Effect.repeatN(
        jobs((jobs) => jobs.create({ ...newJob, limits: manyJobs })),
        2 * jobsInAStep,
      ),
      Effect.sleep(5),
    ),
    () => jobs((jobs) => jobs.cleanUp({ limits: { jobTimeoutMs: 1 } })),
  ],
  [
    'a clean-up of much content, two jobs in a step',
    3,
    Effect.zipRight(
      Effect.repeatN(
        Effect.flatMap(job, (id) => jobs((jobs) => jobs.complete({ id, content: 'x'.repeat(3 * 2 ** 20) }))),
        4,
      ),
      Effect.sleep(5),
    ),
    () => jobs((jobs) => jobs.cleanUp({ limits: { completedJobRetentionMs: 1 } })),
  ],
  [
    'a clean-up of many pieces, a job in a step',
    2,
    Effect.zipRight(
      Effect.repeatN(
        Effect.flatMap(job, (id) =>
          jobs((jobs) =>
            Effect.zipRight(
              Effect.repeatN(jobs.update({ id, contentChunk: 'x' }), jobsInAStep),
              jobs.fail({ id, error: '' }),
            ),
          ),
        ),
        1,
      ),
      Effect.sleep(5),
    ),
    () => jobs((jobs) => jobs.cleanUp({ limits: { completedJobRetentionMs: 1 } })),
  ],
]

const pushes: ReadonlyArray<Case> = [
  ['of one op', 1, nothing, () => push([put()])],
  ['of 1,000 ops', 1, nothing, () => push(mixed)],
  [
    'of 1,000 ops that meet records',
    1,
    push(mixed.map((op) => ({ ...op, stamp: { ...op.stamp, opId: randomUUID() } }))),
    () => push(mixed),
  ],
  [
    'of several megabytes',
    1,
    nothing,
    () => push(many(30, (n) => put({ pk: `${n}`, payload: { text: 'x'.repeat(200_000) } }))),
  ],
  [
    'of ops that share ids and records',
    1,
    nothing,
    () => push([put({ id: 'a' }), put({ id: 'a' }), put({ id: 'a', clock: 2 })]),
  ],
  ['of odd ids', 1, nothing, () => push([put({ odd: 'no uuid' })])],
  [
    'of notifications',
    1,
    nothing,
    () =>
      push([put({ table: 'notifications' }), del({ table: 'notifications', clock: 2 })], {
        caller: { userId: 'u', workspaceId: 'w1' },
      }),
  ],
  ['of nothing valid', 1, nothing, () => push([put({ table: 'none' })])],
  ['that was made before', 2, push(mixed), () => push(mixed)],
  [
    'that is refused for one op',
    2,
    push([put({ table: 'notifications', pk: 'n', payload: { user_id: 'v' } })]),
    () =>
      push([put(), put({ table: 'notifications', pk: 'n', clock: 2 })], {
        caller: { userId: 'u', workspaceId: 'w1' },
      }),
  ],
]

const reads: ReadonlyArray<Case> = [
  ['a page of a pull', 1, push(mixed), () => gateway((gateway) => gateway.pull({ ...scope(), cursor: 0 }))],
  [
    'a page of some tables',
    1,
    push(mixed),
    () => gateway((gateway) => gateway.pull({ ...scope(), cursor: 0, tables: ['kv'] })),
  ],
  ['a snapshot across all tables', 1, filledTables, () => snapshotOf({ pageSize: 1_000 })],
  ['its first page', 1, filledTables, () => snapshotOf({ pageSize: 150 })],
  [
    'a page between tables',
    1,
    Effect.flatMap(filledTables, () => snapshotOf({ pageSize: 95 })),
    ({ nextPageToken }) => snapshotOf({ pageSize: 10, pageToken: nextPageToken }),
  ],
  ['a snapshot of nothing', 1, nothing, () => snapshotOf({ pageSize: 10 })],
  ['a role', 1, member, (membership) => store((store) => store.getWorkspaceRole(membership))],
  [
    'the default workspace',
    1,
    Effect.tap(member, ({ userId }) => store((store) => store.getOrCreateDefaultWorkspace(userId))),
    ({ userId }) => store((store) => store.getOrCreateDefaultWorkspace(userId)),
  ],
  ['an identity that is known', 1, user, () => user],
  ['a user', 1, user, () => store((store) => store.getUser(ada))],
  ['the workspaces of a user', 1, member, ({ userId }) => store((store) => store.listUserWorkspaces(userId))],
  ['a window of a rate limit', 1, checked, () => limits((limits) => limits.stats(limit))],
  ['the next checks of a rate limit', 0, checked, () => Effect.repeatN(checked, 5)],
  ['a report', 1, nothing, () => Effect.flatMap(DatabaseReport, ({ facts }) => facts)],
  ['a health check', 1, nothing, () => Effect.flatMap(DatabaseReport, ({ answers }) => answers)],
  ['all workspaces', 1, member, () => store((store) => store.listWorkspaceIds)],
  ['the members', 1, member, ({ workspaceId }) => memberships((members) => members.listMembers(workspaceId))],
  ['the invites', 1, invited, ({ workspaceId }) => invites((invites) => invites.list({ workspaceId }))],
  ['what an invite gives', 1, invited, ({ claim }) => invites((invites) => invites.validate(claim))],
  [
    'a page of all workspaces',
    1,
    member,
    () => administration(({ listWorkspaces }) => listWorkspaces({ search: 'h', page: 1, perPage: 5 })),
  ],
  [
    'one workspace',
    1,
    member,
    ({ workspaceId }) => administration(({ getWorkspace }) => getWorkspace({ workspaceId })),
  ],
  [
    'its members',
    1,
    member,
    ({ workspaceId }) => administration(({ listMembers }) => listMembers({ workspaceId })),
  ],
  ['users by name', 1, user, () => administration(({ searchUsers }) => searchUsers({ query: 'a' }))],
  [
    'a setting',
    1,
    member,
    ({ workspaceId }) => settings((settings) => settings.get({ workspaceId, key: 'k' })),
  ],
  ['the administrators', 1, user, () => admins(({ list }) => list)],
  ['whether somebody is one', 1, user, ({ userId }) => admins(({ isAdmin }) => isAdmin(userId))],
  ...storageKinds.map((kind): Case => [
    `files: ${kind}`,
    1,
    filledTables,
    () => Effect.flatMap(FileReferences, (files) => files.query({ ...scope(), kind })),
  ]),
  [
    'the backlog where nothing waits',
    1,
    push(mixed),
    () => Effect.flatMap(Maintenance, ({ state }) => state),
  ],
]

const writes: ReadonlyArray<Case> = [
  [
    'a cursor',
    1,
    push([put()]),
    () => gateway((gateway) => gateway.updateCursor({ ...scope(), deviceId: 'd', version: 1 })),
  ],
  ['a new user', 2, nothing, () => user],
  ['a first workspace', 2, user, ({ userId }) => store((store) => store.getOrCreateDefaultWorkspace(userId))],
  ['a workspace', 1, user, ({ userId }) => store((store) => store.createWorkspace({ userId, name: 'n' }))],
  [
    'a new name',
    1,
    member,
    (membership) => store((store) => store.updateWorkspace({ ...membership, name: 'n' })),
  ],
  ['the active workspace', 1, member, (membership) => store((store) => store.setActiveWorkspace(membership))],
  ['a removal', 1, member, (membership) => store((store) => store.removeWorkspace(membership))],
  [
    'a new member',
    1,
    Effect.all([member, store((store) => store.getOrCreateUser({ ...ada, providerUserId: 'eve' }))]),
    ([{ workspaceId }, { userId }]) =>
      memberships((members) => members.addMember({ workspaceId, userId, role: 'viewer' })),
  ],
  [
    'a new role',
    1,
    members,
    (membership) => memberships((members) => members.setRole({ ...membership, role: 'viewer' })),
  ],
  [
    'a member who goes',
    1,
    members,
    (membership) => memberships((members) => members.removeMember(membership)),
  ],
  [
    'an invite',
    1,
    member,
    ({ userId, workspaceId }) =>
      invites((invites) =>
        invites.create({
          workspaceId,
          email: 'eve@b.c',
          role: 'viewer',
          invitedByUserId: userId,
          expiresAt: 2e10,
          tokenHash: 'h',
        }),
      ),
  ],
  [
    'an invite that is revoked',
    1,
    invited,
    ({ userId, workspaceId, inviteId }) =>
      invites((invites) => invites.revoke({ workspaceId, inviteId, revokedByUserId: userId })),
  ],
  [
    'an invite that is used by a user',
    1,
    invited,
    ({ userId, claim }) => invites((invites) => invites.consume({ ...claim, acceptedUserId: userId })),
  ],
  [
    'an invite that is used by somebody new',
    1,
    invited,
    ({ claim }) => invites((invites) => invites.accept({ ...claim, provider: 'p', providerUserId: 'eve' })),
  ],
  [
    'a workspace of somebody',
    1,
    user,
    ({ userId }) =>
      administration(({ createWorkspace }) => createWorkspace({ name: 'n', ownerUserId: userId })),
  ],
  [
    'a removal by an administrator',
    1,
    member,
    ({ workspaceId }) =>
      administration(({ removeWorkspace }) => removeWorkspace({ workspaceId, deletedAt: 1 })),
  ],
  [
    'a workspace that is back',
    1,
    member,
    ({ workspaceId }) => administration(({ restoreWorkspace }) => restoreWorkspace({ workspaceId })),
  ],
  [
    'a purge of what is purged already',
    1,
    purgedOne,
    ({ workspaceId }) => erasing(({ purgeWorkspace }) => purgeWorkspace({ workspaceId })),
  ],
  [
    'erasing again, since something may have come for them',
    8,
    erasedOne,
    ({ userId }) => erasing(({ eraseUser }) => eraseUser({ userId })),
  ],
  ...(['a@b.c', 'ada', 'new'] as const).map((emailOrProviderId): Case => [
    `a role of ${emailOrProviderId}`,
    1,
    member,
    ({ workspaceId }) =>
      administration(({ upsertMember }) =>
        upsertMember({ workspaceId, emailOrProviderId, role: 'owner', provider: 'p' }),
      ),
  ]),
  [
    'a setting that is set',
    1,
    member,
    ({ workspaceId }) => settings((settings) => settings.set({ workspaceId, key: 'k', value: 'v' })),
  ],
  ['a new administrator', 1, user, ({ userId }) => admins(({ grant }) => grant({ userId }))],
  ['an administrator who goes', 1, user, ({ userId }) => admins(({ revoke }) => revoke({ userId }))],
  ['room for a file', 1, nothing, () => reserved],
  [
    'an upload that ends',
    1,
    reserved,
    () => intents((intents) => intents.consume({ ...file, storageId: 's' })),
  ],
  ['an upload that is given up', 1, reserved, () => intents((intents) => intents.cancel(file))],
  ['the first check of a rate limit', 1, nothing, () => checked],
  ['a leap', 2, push([put()]), () => gateway((gateway) => gateway.pull({ ...scope(), cursor: 100 }))],
]

describe.each([
  ['a push', pushes],
  ['reading', reads],
  ['writing', writes],
  ['of background jobs', ofJobs],
  ['webhooks', webhookCalls],
] as const)('%s takes as many round trips as it says:', (_kind, cases) => {
  it.each(cases)('%s: %i', async (_name, trips, before, call) => {
    const { reads, writes } = await costOf(before, call)
    expect(reads + writes).toBe(trips)
  })
})

describe('a poll with nothing new', () => {
  it('takes one round trip, and one row', async () => {
    const cost = await costOf(push(mixed), ({ serverVersion }) =>
      gateway((gateway) => gateway.pull({ ...scope(), cursor: serverVersion })),
    )
    expect(cost).toEqual({ reads: 1, writes: 0, rows: 1 })
  })
})

describe('a collection', () => {
  const old = 40 * 86_400
  const retentionSeconds = 30 * 86_400

  /** A log of some entries, all of them deletes of their own records, that every device has passed, and that are old. */
  const aged = (entries: number) =>
    Effect.gen(function* () {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - old * 1_000 })
      const gateway = yield* SyncGateway
      for (let at = 0; at < entries; at += 1_000) {
        yield* push(many(Math.min(1_000, entries - at), (index) => del({ pk: `pk${at + index}` })))
      }
      vi.useRealTimers()
      yield* push([put({ pk: 'last' })])
      yield* gateway.updateCursor({ ...scope(), deviceId: 'd', version: entries + 1 })
    }).pipe(Effect.ensuring(Effect.sync(() => vi.useRealTimers())))

  const request = { ...scope(), retentionSeconds }
  const tripsOf = async (entries: number, call: Effect.Effect<unknown, unknown, Services>) => {
    const { reads, writes } = await costOf(aged(entries), () => call)
    return reads + writes
  }

  it.each([
    [0, 1],
    [stepSize, 2],
    [3 * stepSize, 4],
  ])('of a log with %i old entries: %i', async (entries, trips) => {
    expect(
      await tripsOf(
        entries,
        gateway((gateway) => gateway.gcChangeLog(request)),
      ),
    ).toBe(trips)
  })

  it.each([
    [0, 1],
    [stepSize, 2],
    [3 * stepSize, 4],
  ])('of %i old tombstones: %i', async (entries, trips) => {
    expect(
      await tripsOf(
        entries,
        gateway((gateway) => gateway.gcTombstones(request)),
      ),
    ).toBe(trips)
  })

  it('of all workspaces where nothing waits: one for fifty of them, and one besides', async () => {
    const call = Effect.flatMap(Upkeep, ({ collect, tidy }) =>
      Effect.zipRight(collect({ retention: Duration.days(30) }), tidy),
    )
    expect(await tripsOf(0, call)).toBe(2)
    const others = Effect.forEach(Array.from({ length: 119 }), (_none, index) =>
      gateway((gateway) => gateway.push({ ...scope(`other ${index}`), ops: [put()] })),
    )
    const { reads, writes } = await costOf(Effect.zipRight(aged(0), others), () => call)
    expect({ reads, writes }).toEqual({ reads: 3, writes: 1 })
  })

  it('is told of beforehand in a few', async () => {
    const call = Effect.flatMap(Maintenance, ({ state }) => state)
    expect(await tripsOf(2_000, call)).toBeLessThanOrEqual(1 + 3)
  })
})

describe('a snapshot of keys that JavaScript and SQLite order in different ways', () => {
  const keys = ['\uffff', '\u{10000}', '\ue000', '\ud7ff', 'a', '\uffff\u{10000}', '\uffff\uffff']

  it('takes one trip where all that is left goes into the page', async () => {
    const pushed = push(keys.map((pk) => putWhole('kv', pk)))
    const { reads } = await costOf(pushed, () => snapshotOf({ pageSize: 100 }))
    expect(reads).toBe(1)
  })

  it('takes a few more for a page that begins after a key of a thousand of them', async () => {
    const long = ['\uffff'.repeat(1_024), '\u{10000}'.repeat(512), 'a']
    const begun = Effect.flatMap(push(long.map((pk) => putWhole('kv', pk))), () =>
      snapshotOf({ pageSize: 2 }),
    )
    const { reads } = await costOf(begun, ({ nextPageToken }) =>
      snapshotOf({ pageSize: 2, pageToken: nextPageToken! }),
    )
    expect(reads).toBeLessThanOrEqual(3)
  })
})
