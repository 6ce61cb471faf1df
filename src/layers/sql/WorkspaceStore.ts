/**
 * The workspace store on any engine.
 *
 * What every session asks (identity, default workspace, role) is answered by one indexed read; only when there is something
 * to change does a batch follow that looks again, and changes it.
 */
import { Effect, Layer } from 'effect'
import { IdGenerator } from '../../services/IdGenerator.js'
import { WorkspaceStore } from '../../services/WorkspaceStore.js'
import {
  checkId,
  checkIdentity,
  checkIdentityKey,
  checkMembership,
  checkWorkspace,
} from '../../services/workspaceRules.js'
import { observeStore } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import { Batches } from './Batches.js'
import * as workspaces from './workspaceBatches.js'

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  const ids = yield* IdGenerator
  const fresh = Effect.all({ now: epochSeconds, freshId: ids.next })

  return observeStore({
    getOrCreateUser: (identity) =>
      Effect.gen(function* () {
        const { provider, providerUserId, ...profile } = yield* checkIdentity(identity)
        const key = { provider, providerUserId }
        const known = yield* read('find user', workspaces.findCurrentUser(key, profile))
        return known ?? (yield* write('save user', workspaces.saveUser(key, profile, yield* fresh)))
      }),

    getUser: (identity) =>
      Effect.flatMap(checkIdentityKey(identity), (key) => read('find user', workspaces.findUser(key))),

    getOrCreateDefaultWorkspace: (id) =>
      Effect.gen(function* () {
        const userId = yield* checkId('user id', id)
        const known = yield* read('find default workspace', workspaces.findDefault(userId))
        if (known !== null) return known
        return yield* write('choose default workspace', workspaces.chooseDefault(userId, yield* fresh))
      }),

    getWorkspaceRole: (request) =>
      Effect.flatMap(checkMembership(request), (membership) =>
        read('find role', workspaces.findRole(membership)),
      ),

    listWorkspaceIds: read('list workspaces', workspaces.listIds),

    listUserWorkspaces: (id) =>
      Effect.flatMap(checkId('user id', id), (userId) => read('list workspaces', workspaces.listOf(userId))),

    createWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, ...said } = yield* checkWorkspace(request)
        return yield* write('create workspace', workspaces.createWorkspace(userId, said, yield* fresh))
      }),

    updateWorkspace: (request) =>
      Effect.gen(function* () {
        const membership = yield* checkMembership(request)
        const said = yield* checkWorkspace(request)
        yield* write('update workspace', workspaces.updateWorkspace(membership, said))
      }),

    removeWorkspace: (request) =>
      Effect.gen(function* () {
        const membership = yield* checkMembership(request)
        yield* write('remove workspace', workspaces.removeWorkspace(membership, yield* epochSeconds))
      }),

    setActiveWorkspace: (request) =>
      Effect.flatMap(checkMembership(request), (membership) =>
        write('set active workspace', workspaces.setActive(membership)),
      ),
  })
})

/** The store; new users and workspaces get ids of the `IdGenerator`. */
export const layer: Layer.Layer<WorkspaceStore, never, Batches | IdGenerator> = Layer.effect(
  WorkspaceStore,
  make,
)
