/**
 * The workspace store in memory: the rules written for clarity. Every call is one synchronous step.
 */
import { Effect, Layer } from 'effect'
import { IdGenerator } from '../../services/IdGenerator.js'
import {
  type Role,
  UserNotFound,
  WorkspaceForbidden,
  WorkspaceNotFound,
  WorkspaceStore,
} from '../../services/WorkspaceStore.js'
import {
  checkId,
  checkIdentity,
  checkMembership,
  checkWorkspace,
  defaultWorkspaceName,
} from '../../services/workspaceRules.js'
import { epochSeconds } from '../time.js'

interface User {
  readonly id: string
  email: string | null
  displayName: string | null
  active: string | null
}

interface Workspace {
  readonly id: string
  name: string
  description: string | null
  readonly createdAt: number
  removed: boolean
  readonly roles: Map<string, Role>
}

const make = Effect.gen(function* () {
  const ids = yield* IdGenerator
  /** By provider and provider user id; neither holds a NUL. */
  const accounts = new Map<string, User>()
  const users = new Map<string, User>()
  const workspaces = new Map<string, Workspace>()

  const roleIn = (workspaceId: string | null, userId: string): Role | null => {
    const workspace = workspaceId === null ? undefined : workspaces.get(workspaceId)
    return workspace === undefined || workspace.removed ? null : (workspace.roles.get(userId) ?? null)
  }

  const workspacesOf = (userId: string): ReadonlyArray<Workspace> =>
    [...workspaces.values()]
      .filter(({ id }) => roleIn(id, userId) !== null)
      .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))

  const requireUser = (userId: string) =>
    Effect.suspend(() => {
      const user = users.get(userId)
      return user === undefined ? Effect.fail(new UserNotFound({})) : Effect.succeed(user)
    })

  const requireMember = (userId: string, workspaceId: string) =>
    Effect.suspend(() => {
      const role = roleIn(workspaceId, userId)
      return role === null
        ? Effect.fail(new WorkspaceNotFound({}))
        : Effect.succeed({ role, workspace: workspaces.get(workspaceId)! })
    })

  const requireRole = (userId: string, workspaceId: string, needs: ReadonlyArray<Role>) =>
    Effect.flatMap(requireMember(userId, workspaceId), ({ role, workspace }) =>
      needs.includes(role) ? Effect.succeed(workspace) : Effect.fail(new WorkspaceForbidden({ needs })),
    )

  const addWorkspace = (ownerId: string, name: string, description: string | null) =>
    Effect.gen(function* () {
      const createdAt = yield* epochSeconds
      const id = yield* ids.next
      const workspace: Workspace = {
        id,
        name,
        description,
        createdAt,
        removed: false,
        roles: new Map([[ownerId, 'owner']]),
      }
      workspaces.set(id, workspace)
      return workspace
    })

  return WorkspaceStore.of({
    getOrCreateUser: (identity) =>
      Effect.gen(function* () {
        const { provider, providerUserId, email, displayName } = yield* checkIdentity(identity)
        const account = `${provider}\0${providerUserId}`
        const id = yield* ids.next
        const user = accounts.get(account) ?? { id, email: null, displayName: null, active: null }
        accounts.set(account, user)
        users.set(user.id, user)
        if (email !== undefined) user.email = email
        if (displayName !== undefined) user.displayName = displayName
        return { userId: user.id }
      }),

    getOrCreateDefaultWorkspace: (id) =>
      Effect.gen(function* () {
        const user = yield* requireUser(yield* checkId('user id', id))
        const live = workspacesOf(user.id)
        const chosen =
          live.find((workspace) => workspace.id === user.active) ??
          live[0] ??
          (yield* addWorkspace(user.id, defaultWorkspaceName, null))
        user.active = chosen.id
        return { workspaceId: chosen.id, workspaceName: chosen.name }
      }),

    getWorkspaceRole: (request) =>
      Effect.map(checkMembership(request), ({ userId, workspaceId }) => roleIn(workspaceId, userId)),

    listUserWorkspaces: (id) =>
      Effect.map(checkId('user id', id), (userId) =>
        workspacesOf(userId).map((workspace) => ({
          id: workspace.id,
          name: workspace.name,
          ...(workspace.description === null ? {} : { description: workspace.description }),
          role: workspace.roles.get(userId)!,
          createdAt: workspace.createdAt,
          isActive: users.get(userId)?.active === workspace.id,
        })),
      ),

    createWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, name, description } = yield* checkWorkspace(request)
        yield* requireUser(userId)
        const { id } = yield* addWorkspace(userId, name, description ?? null)
        return { workspaceId: id }
      }),

    updateWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        const { name, description } = yield* checkWorkspace(request)
        const workspace = yield* requireRole(userId, workspaceId, ['owner', 'editor'])
        workspace.name = name
        if (description !== undefined) workspace.description = description
      }),

    removeWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        const workspace = yield* requireRole(userId, workspaceId, ['owner'])
        workspace.removed = true
        for (const user of users.values()) {
          if (user.active === workspaceId) user.active = workspacesOf(user.id)[0]?.id ?? null
        }
      }),

    setActiveWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        yield* requireMember(userId, workspaceId)
        users.get(userId)!.active = workspaceId
      }),
  })
})

export const layer: Layer.Layer<WorkspaceStore, never, IdGenerator> = Layer.effect(WorkspaceStore, make)
