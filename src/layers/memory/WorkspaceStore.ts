/**
 * The workspace store in memory: the rules written for clarity.
 *
 * Time and ids are drawn first; then every call is one synchronous step (`Either.gen`), so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import { IdGenerator } from '../../services/IdGenerator.js'
import {
  type DefaultWorkspace,
  type Role,
  WorkspaceForbidden,
  WorkspaceNotFound,
  WorkspaceStore,
} from '../../services/WorkspaceStore.js'
import {
  checkId,
  checkIdentity,
  checkIdentityKey,
  checkMembership,
  checkWorkspace,
  defaultWorkspaceName,
  profileOf,
} from '../../services/workspaceRules.js'
import { observeStore } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import {
  addWorkspace,
  oldestFirst,
  removeWorkspace,
  requireUser,
  requireWorkspace,
  signIn,
  StoreState,
  workspacesOf,
} from './StoreState.js'

const make = Effect.gen(function* () {
  const ids = yield* IdGenerator
  const state = yield* StoreState
  const { accounts, users, workspaces } = state

  const fresh = Effect.all({ id: ids.next, now: epochSeconds })

  const requireMember = (userId: string, workspaceId: string) =>
    Either.flatMap(requireWorkspace(state, workspaceId), (workspace) => {
      const role = workspace.members.get(userId)?.role
      return role === undefined ? Either.left(new WorkspaceNotFound({})) : Either.right({ role, workspace })
    })

  const requireRole = (userId: string, workspaceId: string, needs: ReadonlyArray<Role>) =>
    Either.filterOrLeft(
      requireMember(userId, workspaceId),
      ({ role }) => needs.includes(role),
      () => new WorkspaceForbidden({ needs }),
    )

  return observeStore({
    getOrCreateUser: (identity) =>
      Effect.flatMap(fresh, (drawn) =>
        Either.map(checkIdentity(identity), (checked) => ({ userId: signIn(state, checked, drawn).id })),
      ),

    getUser: (identity) =>
      Effect.suspend(() =>
        Either.map(checkIdentityKey(identity), ({ provider, providerUserId }) => {
          const user = accounts.get(`${provider}\0${providerUserId}`)
          return user === undefined ? null : profileOf(user.id, user.email, user.displayName)
        }),
      ),

    getOrCreateDefaultWorkspace: (userId) =>
      Effect.flatMap(fresh, (drawn) =>
        Either.gen(function* () {
          const user = yield* requireUser(state, yield* checkId('user id', userId))
          const live = workspacesOf(state, user.id)
          const known = live.find(({ id }) => id === user.active) ?? live[0]
          const chosen = known ?? addWorkspace(state, drawn, user.id, defaultWorkspaceName, null)
          user.active = chosen.id
          const answer: DefaultWorkspace = { workspaceId: chosen.id, workspaceName: chosen.name }
          return known === undefined ? { ...answer, created: true } : answer
        }),
      ),

    getWorkspaceRole: (request) =>
      Effect.suspend(() =>
        Either.map(checkMembership(request), ({ userId, workspaceId }) =>
          Either.match(requireMember(userId, workspaceId), {
            onLeft: () => null,
            onRight: ({ role }) => role,
          }),
        ),
      ),

    listWorkspaceIds: Effect.sync(() =>
      [...workspaces.values()]
        .filter(({ removedAt }) => removedAt === null)
        .sort(oldestFirst)
        .map(({ id }) => id),
    ),

    listUserWorkspaces: (id) =>
      Effect.suspend(() =>
        Either.map(checkId('user id', id), (userId) =>
          workspacesOf(state, userId).map((workspace) => ({
            id: workspace.id,
            name: workspace.name,
            ...(workspace.description === null ? {} : { description: workspace.description }),
            role: workspace.members.get(userId)!.role,
            createdAt: workspace.createdAt,
            isActive: users.get(userId)?.active === workspace.id,
          })),
        ),
      ),

    createWorkspace: (request) =>
      Effect.flatMap(fresh, (drawn) =>
        Either.gen(function* () {
          const { userId, name, description } = yield* checkWorkspace(request)
          yield* requireUser(state, userId)
          return { workspaceId: addWorkspace(state, drawn, userId, name, description ?? null).id }
        }),
      ),

    updateWorkspace: (request) =>
      Effect.suspend(() =>
        Either.gen(function* () {
          const { userId, workspaceId } = yield* checkMembership(request)
          const { name, description } = yield* checkWorkspace(request)
          const { workspace } = yield* requireRole(userId, workspaceId, ['owner', 'editor'])
          workspace.name = name
          if (description !== undefined) workspace.description = description
        }),
      ),

    removeWorkspace: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { userId, workspaceId } = yield* checkMembership(request)
          const { workspace } = yield* requireRole(userId, workspaceId, ['owner'])
          removeWorkspace(state, workspace, now)
        }),
      ),

    setActiveWorkspace: (request) =>
      Effect.suspend(() =>
        Either.gen(function* () {
          const { userId, workspaceId } = yield* checkMembership(request)
          yield* requireMember(userId, workspaceId)
          users.get(userId)!.active = workspaceId
        }),
      ),
  })
})

/** A store whose state is at hand, or shared with `Memberships`. */
export const layerWithState: Layer.Layer<WorkspaceStore, never, StoreState | IdGenerator> = Layer.effect(
  WorkspaceStore,
  make,
)
