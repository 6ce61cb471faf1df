/**
 * What administrators see and do, in memory: the rules written for clarity.
 *
 * Time and ids are drawn first; then every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import {
  Administration,
  AmbiguousUser,
  UnknownEmail,
  type WorkspaceOverview,
} from '../../services/Administration.js'
import {
  checkAssignment,
  checkNewWorkspace,
  checkRemoval,
  checkUserQuery,
  checkWorkspaceKey,
  checkWorkspaceQuery,
  type CheckedAssignment,
  isIn,
} from '../../services/administrationRules.js'
import { foldedEmail } from '../../services/emails.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import { LastOwner } from '../../services/Memberships.js'
import { observeService } from '../../services/telemetry.js'
import { profileOf } from '../../services/workspaceRules.js'
import { UserNotFound, WorkspaceNotFound } from '../../services/WorkspaceStore.js'
import { epochSeconds } from '../time.js'
import {
  addWorkspace,
  type Fresh,
  hasOtherOwner,
  membersOf,
  oldestFirst,
  removeWorkspace,
  requireUser,
  requireWorkspace,
  revokeMadeBy,
  signIn,
  StoreState,
  type User,
  type Workspace,
} from './StoreState.js'

const make = Effect.gen(function* () {
  const ids = yield* IdGenerator
  const state = yield* StoreState
  const { accounts, users, erased, workspaces } = state

  const fresh = Effect.all({ id: ids.next, now: epochSeconds })

  /** Also a removed one, but none that was purged. */
  const requireKnown = (workspaceId: string): Either.Either<Workspace, WorkspaceNotFound> => {
    const workspace = workspaces.get(workspaceId)
    return workspace === undefined || workspace.isPurged
      ? Either.left(new WorkspaceNotFound({}))
      : Either.right(workspace)
  }

  const overview = ({
    id,
    name,
    description,
    createdAt,
    removedAt,
    members,
  }: Workspace): WorkspaceOverview => {
    const [owner] = [...members]
      .filter(([, { role }]) => role === 'owner')
      .sort(([a, { since }], [b, { since: other }]) => since - other || (a < b ? -1 : 1))
      .map(([userId]) => users.get(userId)!)
    return {
      id,
      name,
      ...(description === null ? {} : { description }),
      createdAt,
      deleted: removedAt !== null,
      ...(removedAt === null ? {} : { deletedAt: removedAt }),
      ...(owner === undefined ? {} : { ownerUserId: owner.id }),
      ...(owner === undefined || owner.email === null ? {} : { ownerEmail: owner.email }),
      memberCount: members.size,
    }
  }

  /** Whose provider user id it is. */
  const usersOf = (providerUserId: string, provider: string | null): ReadonlyArray<User> => {
    const found = [...accounts].filter(([account]) => {
      const [of, id] = account.split('\0')
      return id === providerUserId && (provider === null || of === provider)
    })
    return [...new Set(found.map(([, user]) => user))]
  }

  const only = ([user, ...others]: ReadonlyArray<User>) =>
    others.length > 0 ? Either.left(new AmbiguousUser({})) : Either.right(user)

  /** Makes a user of whom nobody knows, where a provider is given. */
  const find = (whom: CheckedAssignment['whom'], drawn: Fresh) =>
    Either.gen(function* () {
      if ('email' in whom) {
        const { email } = whom
        const found = yield* only(
          [...users.values()].filter((user) => user.email !== null && foldedEmail(user.email) === email),
        )
        return found ?? (yield* Either.left(new UnknownEmail({})))
      }
      const { id, provider } = whom
      const known = (yield* only(usersOf(id, provider))) ?? users.get(id)
      if (known !== undefined) return known
      if (provider === null || erased.has(id)) return yield* Either.left(new UserNotFound({}))
      return signIn(state, { provider, providerUserId: id, email: undefined, displayName: undefined }, drawn)
    })

  return observeService<Administration['Type']>('Administration', {
    listWorkspaces: (request) =>
      Effect.suspend(() =>
        Either.map(checkWorkspaceQuery(request), ({ search, includeDeleted, page, perPage }) => {
          const all = [...workspaces.values()]
            .filter(({ removedAt, isPurged }) => removedAt === null || (includeDeleted === true && !isPurged))
            .filter(({ id, name }) => isIn(search, name) || id === search)
            .sort(oldestFirst)
          const before = (page - 1) * perPage
          return { items: all.slice(before, before + perPage).map(overview), total: all.length }
        }),
      ),

    getWorkspace: (request) =>
      Effect.suspend(() => Either.map(Either.flatMap(checkWorkspaceKey(request), requireKnown), overview)),

    listMembers: (request) =>
      Effect.suspend(() =>
        Either.map(Either.flatMap(checkWorkspaceKey(request), requireKnown), (workspace) =>
          membersOf(state, workspace),
        ),
      ),

    createWorkspace: (request) =>
      Effect.flatMap(fresh, (drawn) =>
        Either.gen(function* () {
          const { userId, name, description } = yield* checkNewWorkspace(request)
          yield* requireUser(state, userId)
          return { workspaceId: addWorkspace(state, drawn, userId, name, description ?? null).id }
        }),
      ),

    removeWorkspace: (request) =>
      Effect.suspend(() =>
        Either.gen(function* () {
          const { workspaceId, deletedAt } = yield* checkRemoval(request)
          const workspace = yield* requireKnown(workspaceId)
          if (workspace.removedAt === null) removeWorkspace(state, workspace, deletedAt)
        }),
      ),

    restoreWorkspace: (request) =>
      Effect.suspend(() =>
        Either.map(Either.flatMap(checkWorkspaceKey(request), requireKnown), (workspace) => {
          workspace.removedAt = null
        }),
      ),

    searchUsers: (request) =>
      Effect.suspend(() =>
        Either.map(checkUserQuery(request), ({ query, limit }) => {
          const named = new Set(usersOf(query, null))
          return [...users.values()]
            .filter(
              (user) =>
                query === '' ||
                isIn(query, user.email) ||
                isIn(query, user.displayName) ||
                user.id === query ||
                named.has(user),
            )
            .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
            .slice(0, limit)
            .map(({ id, email, displayName }) => profileOf(id, email, displayName))
        }),
      ),

    upsertMember: (request) =>
      Effect.flatMap(fresh, (drawn) =>
        Either.gen(function* () {
          const { workspaceId, whom, role } = yield* checkAssignment(request)
          const workspace = yield* requireWorkspace(state, workspaceId)
          const { id: userId } = yield* find(whom, drawn)
          const known = workspace.members.get(userId)
          const isLastOwner = known?.role === 'owner' && !hasOtherOwner(workspace, userId)
          if (isLastOwner && role !== 'owner') return yield* Either.left(new LastOwner({}))
          workspace.members.set(userId, { role, since: known?.since ?? drawn.now })
          if (known?.role === 'owner') revokeMadeBy(state, workspace, userId, drawn.now)
          return { userId }
        }),
      ),
  })
})

/** On the state of the in-memory workspace store. */
export const layer: Layer.Layer<Administration, never, StoreState | IdGenerator> = Layer.effect(
  Administration,
  make,
)
