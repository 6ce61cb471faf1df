/**
 * Invites in memory: the rules written for clarity.
 *
 * Time and ids are drawn first; then every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import { IdGenerator } from '../../services/IdGenerator.js'
import { InviteNotFound, Invites } from '../../services/Invites.js'
import {
  checkAcceptance,
  checkClaim,
  type CheckedClaim,
  checkConsumption,
  checkInviteQuery,
  checkNewInvite,
  checkRevocation,
  expiresTooEarly,
  higherRole,
  mayInvite,
  statusAt,
  usableFor,
  usableWith,
} from '../../services/inviteRules.js'
import { observeService } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import { type KeptInvite, requireUser, requireWorkspace, signIn, StoreState } from './StoreState.js'

/** The one that was made later is the younger one of a second. */
const newestFirst = <A extends Pick<KeptInvite, 'createdAt'>>(invites: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...invites].reverse().sort((a, b) => b.createdAt - a.createdAt)

const make = Effect.gen(function* () {
  const ids = yield* IdGenerator
  const state = yield* StoreState
  const { admins, invites, workspaces } = state

  const fresh = Effect.all({ id: ids.next, now: epochSeconds })

  const requireInviter = (workspaceId: string, userId: string) =>
    Either.flatMap(requireWorkspace(state, workspaceId), ({ members }) =>
      mayInvite(members.get(userId)?.role ?? null, admins.has(userId)),
    )

  /** In the order in which they were made. */
  const invitesOf = (workspaceId: string) =>
    [...invites.values()].filter((invite) => invite.workspaceId === workspaceId)

  /** Those of a live workspace. */
  const invitesInto = (workspaceId: string) =>
    Either.isRight(requireWorkspace(state, workspaceId)) ? invitesOf(workspaceId) : []

  /** A pending one, else the newest. */
  const best = (found: ReadonlyArray<KeptInvite>, now: number): KeptInvite | undefined => {
    const sorted = newestFirst(found)
    return sorted.find((invite) => statusAt(invite, now) === 'pending') ?? sorted[0]
  }

  const byToken = ({ workspaceId, tokenHash }: CheckedClaim, now: number) =>
    best(
      invitesInto(workspaceId).filter((invite) => invite.tokenHash === tokenHash),
      now,
    )

  const byEmail = ({ workspaceId, email, tokenHash }: CheckedClaim, now: number) => {
    const found = invitesInto(workspaceId).filter((invite) => invite.email === email)
    const exact = found.filter((invite) => invite.tokenHash === tokenHash)
    return best(exact.length > 0 ? exact : found, now)
  }

  /** The role that the user has then. */
  const use = (invite: KeptInvite, userId: string, now: number) => {
    const { members } = workspaces.get(invite.workspaceId)!
    const known = members.get(userId)
    const role = known === undefined ? invite.role : higherRole(known.role, invite.role)
    members.set(userId, { role, since: known?.since ?? now })
    const accepted = { status: 'accepted', acceptedAt: now, acceptedUserId: userId, updatedAt: now } as const
    invites.set(invite.id, { ...invite, ...accepted })
    return role
  }

  return observeService<Invites['Type']>('Invites', {
    create: (request) =>
      Effect.flatMap(fresh, ({ id, now }) =>
        Either.gen(function* () {
          const { userId, ...said } = yield* checkNewInvite(request)
          if (said.expiresAt <= now) return yield* expiresTooEarly()
          yield* requireInviter(said.workspaceId, userId)
          invites.set(id, {
            id,
            ...said,
            status: 'pending',
            invitedByUserId: userId,
            acceptedAt: null,
            acceptedUserId: null,
            revokedAt: null,
            createdAt: now,
            updatedAt: now,
          })
          return { inviteId: id }
        }),
      ),

    list: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, status, limit } = yield* checkInviteQuery(request)
          yield* requireWorkspace(state, workspaceId)
          return newestFirst(invitesOf(workspaceId))
            .map((invite) => ({ ...invite, status: statusAt(invite, now) }))
            .filter((invite) => status === null || invite.status === status)
            .slice(0, limit)
        }),
      ),

    revoke: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, inviteId, userId } = yield* checkRevocation(request)
          yield* requireInviter(workspaceId, userId)
          const invite = invites.get(inviteId)
          if (invite?.workspaceId !== workspaceId) return yield* Either.left(new InviteNotFound({}))
          if (statusAt(invite, now) !== 'pending') return
          invites.set(inviteId, { ...invite, status: 'revoked', revokedAt: now, updatedAt: now })
        }),
      ),

    validate: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const claim = yield* checkClaim(request)
          const { role } = yield* usableFor(byToken(claim, now), claim.email, now)
          return { role }
        }),
      ),

    consume: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { claim, userId } = yield* checkConsumption(request)
          yield* requireUser(state, userId)
          const invite = byEmail(claim, now)
          yield* usableWith(invite, claim.tokenHash, now)
          return { role: use(invite!, userId, now) }
        }),
      ),

    accept: (request) =>
      Effect.flatMap(fresh, (drawn) =>
        Either.gen(function* () {
          const { claim, identity } = yield* checkAcceptance(request)
          const invite = byToken(claim, drawn.now)
          yield* usableFor(invite, claim.email, drawn.now)
          const user = signIn(state, identity, drawn)
          user.active = claim.workspaceId
          const role = use(invite!, user.id, drawn.now)
          return { userId: user.id, role, createdUser: user.id === drawn.id }
        }),
      ),
  })
})

/** On the state of the in-memory workspace store. */
export const layer: Layer.Layer<Invites, never, StoreState | IdGenerator> = Layer.effect(Invites, make)
