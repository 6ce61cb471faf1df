/**
 * The single layers, put together by another program, which brings an `IdGenerator` of its own.
 */
import { describe, expect, layer } from '@effect/vitest'
import { Effect, Layer } from 'effect'
import {
  DatabaseLayer,
  FileReferences,
  FileReferencesLayer,
  IdGeneratorLayer,
  Maintenance,
  MaintenanceLayer,
  Memberships,
  MembershipsLayer,
  MemoryLayers,
  ProviderConfigLayer,
  SchemaMigratorLayer,
  SyncGateway,
  SyncGatewayLayer,
  UploadIntents,
  UploadIntentsLayer,
  Upkeep,
  UpkeepLayer,
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
  UpkeepLayer.layer,
  MaintenanceLayer.layer,
).pipe(
  Layer.provide(DatabaseLayer.layer),
  Layer.provide(SchemaMigratorLayer.layer),
  Layer.provide(ProviderConfigLayer.layerOf({ dbPath: ':memory:' })),
)

const inMemory = Layer.mergeAll(MemoryLayers.syncGateway, MemoryLayers.workspaces, MemoryLayers.maintenance)

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
        yield* (yield* SyncGateway).push({ ...scope(workspaceId), ops: [put({ table: 'file_meta' })] })
        const file = { hash: 'new', mimeType: 'image/png', sizeBytes: 1, expiresAt: 2e9 }
        yield* (yield* UploadIntents).reserve({ ...scope(workspaceId), intentId: 'i', ...file })
        const files = yield* FileReferences
        const query = { ...scope(workspaceId), limit: 1 } as const
        expect((yield* files.query({ ...query, kind: 'live_metadata' })).items).toHaveLength(1)
        expect((yield* files.query({ ...query, kind: 'active_reservations' })).items).toHaveLength(1)
        expect(yield* (yield* Maintenance).state).toMatchObject({ enabled: false, state: 'idle' })
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
