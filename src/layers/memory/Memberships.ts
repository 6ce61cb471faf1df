/**
 * Memberships in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import { AlreadyMember, LastOwner, MemberNotFound, Memberships } from '../../services/Memberships.js'
import { checkId, checkMember, checkMembership } from '../../services/workspaceRules.js'
import { observeMemberships } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import {
  hasOtherOwner,
  membersOf,
  removeMember,
  requireUser,
  requireWorkspace,
  revokeMadeBy,
  StoreState,
  type Workspace,
} from './StoreState.js'

const make = Effect.gen(function* () {
  const state = yield* StoreState

  const requireMember = ({ members }: Workspace, userId: string) =>
    Either.fromNullable(members.get(userId), () => new MemberNotFound({}))

  /** Fails for the only owner. */
  const requireOtherOwner = (workspace: Workspace, userId: string) =>
    hasOtherOwner(workspace, userId) ? Either.void : Either.left(new LastOwner({}))

  return observeMemberships({
    addMember: (request) =>
      Effect.flatMap(epochSeconds, (since) =>
        Either.gen(function* () {
          const { workspaceId, userId, role } = yield* checkMember(request)
          const { members } = yield* requireWorkspace(state, workspaceId)
          yield* requireUser(state, userId)
          const known = members.get(userId)
          if (known === undefined) members.set(userId, { role, since })
          else if (known.role !== role) yield* Either.left(new AlreadyMember({ role: known.role }))
        }),
      ),

    setRole: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, userId, role } = yield* checkMember(request)
          const workspace = yield* requireWorkspace(state, workspaceId)
          const known = yield* requireMember(workspace, userId)
          if (known.role === role) return
          if (known.role === 'owner') yield* requireOtherOwner(workspace, userId)
          workspace.members.set(userId, { ...known, role })
          if (known.role === 'owner') revokeMadeBy(state, workspace, userId, now)
        }),
      ),

    removeMember: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, userId } = yield* checkMembership(request)
          const workspace = yield* requireWorkspace(state, workspaceId)
          const { role } = yield* requireMember(workspace, userId)
          if (role === 'owner') yield* requireOtherOwner(workspace, userId)
          removeMember(state, workspace, state.users.get(userId)!, now)
        }),
      ),

    listMembers: (id) =>
      Effect.suspend(() =>
        Either.gen(function* () {
          return membersOf(state, yield* requireWorkspace(state, yield* checkId('workspace id', id)))
        }),
      ),
  })
})

/** On the state of the in-memory workspace store. */
export const layer: Layer.Layer<Memberships, never, StoreState> = Layer.effect(Memberships, make)
