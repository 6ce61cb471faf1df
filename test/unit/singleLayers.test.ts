/**
 * The single layers, put together by another program, which brings an `IdGenerator` of its own.
 */
import { describe, expect, layer } from '@effect/vitest'
import { Effect, Layer } from 'effect'
import {
  Administration,
  AdministrationLayer,
  DatabaseLayer,
  DatabaseReport,
  DatabaseReportLayer,
  DeploymentAdmins,
  DeploymentAdminsLayer,
  Erasure,
  ErasureLayer,
  FileReferences,
  FileReferencesLayer,
  IdGeneratorLayer,
  Invites,
  InvitesLayer,
  Maintenance,
  MaintenanceLayer,
  Memberships,
  MembershipsLayer,
  MemoryLayers,
  ProviderConfigLayer,
  RateLimits,
  RateLimitsLayer,
  SchemaMigratorLayer,
  SyncGateway,
  SyncGatewayLayer,
  UploadIntents,
  UploadIntentsLayer,
  Upkeep,
  UpkeepLayer,
  WorkspaceSettings,
  WorkspaceSettingsLayer,
  Webhooks,
  WebhooksLayer,
  WorkspaceStore,
  WorkspaceStoreLayer,
} from '../../src/index.js'
import { put, scope } from '../support/ops.js'

const onSqlite = Layer.mergeAll(
  SyncGatewayLayer.layer,
  FileReferencesLayer.layer,
  UploadIntentsLayer.layer,
  WorkspaceStoreLayer.layer,
  MembershipsLayer.layer,
  InvitesLayer.layer,
  AdministrationLayer.layer,
  WorkspaceSettingsLayer.layer,
  DeploymentAdminsLayer.layer,
  ErasureLayer.layer,
  UpkeepLayer.layer,
  RateLimitsLayer.layer,
  DatabaseReportLayer.layer,
  MaintenanceLayer.layer,
  WebhooksLayer.layer,
).pipe(
  Layer.provide(DatabaseLayer.layer),
  Layer.provide(SchemaMigratorLayer.layer),
  Layer.provide(ProviderConfigLayer.layerOf({ dbPath: ':memory:' })),
)

const inMemory = Layer.mergeAll(
  MemoryLayers.syncGateway,
  MemoryLayers.workspaces,
  MemoryLayers.maintenance,
  MemoryLayers.rateLimits,
  MemoryLayers.webhooks,
  MemoryLayers.erasure,
)

describe.each([
  ['sqlite', onSqlite],
  ['memory', inMemory],
])('the single layers on %s', (_name, services) => {
  layer(Layer.provide(services, IdGeneratorLayer.layerSequential))((it) => {
    it.effect('give the services', () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const { userId } = yield* store.getOrCreateUser({ provider: 'test', providerUserId: 'ann' })
        const { workspaceId } = yield* store.createWorkspace({ userId, name: 'Home' })
        expect([userId, workspaceId].every((id) => /^id-\d+$/.test(id))).toBe(true)
        const members = yield* (yield* Memberships).listMembers(workspaceId)
        expect(members).toMatchObject([{ userId, role: 'owner' }])
        const invite = { workspaceId, email: 'bob@b.c', tokenHash: 'h' }
        const inviting = { ...invite, role: 'viewer', invitedByUserId: userId, expiresAt: 2e10 } as const
        expect(yield* (yield* Invites).create(inviting)).toMatchObject({
          inviteId: expect.stringMatching(/^id-/),
        })
        expect(yield* (yield* Invites).validate(invite)).toEqual({ role: 'viewer' })
        expect(yield* (yield* Administration).getWorkspace({ workspaceId })).toMatchObject({ memberCount: 1 })
        yield* (yield* WorkspaceSettings).set({ workspaceId, key: 'k', value: 'v' })
        expect(yield* (yield* WorkspaceSettings).get({ workspaceId, key: 'k' })).toBe('v')
        yield* (yield* DeploymentAdmins).grant({ userId })
        expect(yield* (yield* DeploymentAdmins).isAdmin(userId)).toBe(true)
        yield* (yield* SyncGateway).push({ ...scope(workspaceId), ops: [put({ table: 'file_meta' })] })
        const file = { hash: 'new', mimeType: 'image/png', sizeBytes: 1, expiresAt: 2e9 }
        yield* (yield* UploadIntents).reserve({ ...scope(workspaceId), intentId: 'i', ...file })
        const files = yield* FileReferences
        const query = { ...scope(workspaceId), limit: 1 } as const
        expect((yield* files.query({ ...query, kind: 'live_metadata' })).items).toHaveLength(1)
        expect((yield* files.query({ ...query, kind: 'active_reservations' })).items).toHaveLength(1)
        const limit = { key: 'k', windowMs: 1_000, maxRequests: 1 }
        expect(yield* (yield* RateLimits).check(limit)).toEqual({ allowed: true, remaining: 0 })
        expect(yield* (yield* DatabaseReport).facts).toMatchObject({ users: 1, workspaces: 1 })
        yield* (yield* DatabaseReport).answers
        expect(yield* (yield* Webhooks).listAdminWebhooks).toEqual([])
        expect(yield* (yield* Maintenance).state).toMatchObject({ enabled: false, state: 'idle' })
        yield* (yield* Administration).removeWorkspace({ workspaceId, deletedAt: 1 })
        const purged = yield* (yield* Erasure).purgeWorkspace({ workspaceId })
        expect(purged).toMatchObject({ records: 1, members: 1, invites: 1 })
      }),
    )
  })
})

layer(Layer.provide(onSqlite, IdGeneratorLayer.layer))((it) => {
  it.effect('upkeep is one of them on SQLite', () =>
    Effect.gen(function* () {
      yield* (yield* SyncGateway).push({ ...scope(), ops: [put()] })
      expect(yield* (yield* Upkeep).collect({ retention: '1 day' })).toMatchObject({ workspaces: 1 })
    }),
  )
})
