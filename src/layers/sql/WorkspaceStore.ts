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
import { afterCheck } from '../afterCheck.js'
import { epochSeconds } from '../time.js'
import { Batches } from './Batches.js'
import * as workspaces from './workspaceBatches.js'

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  const ids = yield* IdGenerator
  const fresh = Effect.all({ now: epochSeconds, freshId: ids.next })
  /** What is found, else made. Every request asks for it, and a generator would cost it 2 us. */
  const foundOr = <A, E, F>(
    found: Effect.Effect<A | null, E>,
    make: (fresh: workspaces.Fresh) => Effect.Effect<A, F>,
  ): Effect.Effect<A, E | F> =>
    Effect.flatMap(found, (known): Effect.Effect<A, F> =>
      known === null ? Effect.flatMap(fresh, make) : Effect.succeed(known),
    )

  return observeStore({
    getOrCreateUser: (identity) =>
      afterCheck(checkIdentity(identity), ({ provider, providerUserId, email, displayName }) => {
        const key = { provider, providerUserId }
        const profile = { email, displayName }
        return foundOr(read('find user', workspaces.findCurrentUser(key, profile)), (made) =>
          write('save user', workspaces.saveUser(key, profile, made)),
        )
      }),

    getUser: (identity) =>
      afterCheck(checkIdentityKey(identity), (key) => read('find user', workspaces.findUser(key))),

    getOrCreateDefaultWorkspace: (id) =>
      afterCheck(checkId('user id', id), (userId) =>
        foundOr(read('find default workspace', workspaces.findDefault(userId)), (made) =>
          write('choose default workspace', workspaces.chooseDefault(userId, made)),
        ),
      ),

    getWorkspaceRole: (request) =>
      afterCheck(checkMembership(request), (membership) =>
        read('find role', workspaces.findRole(membership)),
      ),

    listWorkspaceIds: read('list workspaces', workspaces.listIds),

    listUserWorkspaces: (id) =>
      afterCheck(checkId('user id', id), (userId) => read('list workspaces', workspaces.listOf(userId))),

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
      afterCheck(checkMembership(request), (membership) =>
        write('set active workspace', workspaces.setActive(membership)),
      ),
  })
})

/** The store; new users and workspaces get ids of the `IdGenerator`. */
export const layer: Layer.Layer<WorkspaceStore, never, Batches | IdGenerator> = Layer.effect(
  WorkspaceStore,
  make,
)
