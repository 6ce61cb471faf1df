/**
 * The calls of invites as batches. Each is decided and made at once, so of two who use one invite one gets in, and of the other
 * nothing stays.
 */
import { Either } from 'effect'
import { InviteNotFound, type Invite, type InviteRefused } from '../../services/Invites.js'
import {
  type CheckedClaim,
  type CheckedInvite,
  type CheckedInviteQuery,
  type CheckedRevocation,
  mayInvite,
  statusAt,
  type StoredInvite,
  usableFor,
  usableWith,
} from '../../services/inviteRules.js'
import {
  type Role,
  UserNotFound,
  type WorkspaceForbidden,
  WorkspaceNotFound,
} from '../../services/WorkspaceStore.js'
import { type Batch, firstOf, type Row } from './batch.js'
import { invitesSql } from './invitesSql.js'
import { foldedOf, type Fresh, type Identity, type Profile } from './workspaceBatches.js'
import { workspaceSql } from './workspaceSql.js'

const requireInviter = (row: Row | undefined): Either.Either<void, WorkspaceNotFound | WorkspaceForbidden> =>
  row === undefined
    ? Either.left(new WorkspaceNotFound({}))
    : mayInvite(row.role as Role | null, row.isAdmin === 1)

export const create = (
  invite: CheckedInvite,
  fresh: Fresh,
): Batch<{ readonly inviteId: string }, WorkspaceNotFound | WorkspaceForbidden> => {
  const params = { ...invite, ...fresh }
  return {
    statements: [invitesSql.inviter(params), invitesSql.insert(params)],
    read: (results) => Either.map(requireInviter(firstOf(results, 0)), () => ({ inviteId: fresh.freshId })),
  }
}

/** `now` in epoch seconds. */
export const list = (
  query: CheckedInviteQuery,
  now: number,
): Batch<ReadonlyArray<Invite>, WorkspaceNotFound> => {
  const params = { ...query, now }
  return {
    statements: [workspaceSql.liveWorkspace(params), invitesSql.list(params)],
    read: (results) =>
      firstOf(results, 0) === undefined
        ? Either.left(new WorkspaceNotFound({}))
        : Either.right(
            (results[1]! as ReadonlyArray<Invite & StoredInvite>).map((invite) => ({
              ...invite,
              status: statusAt(invite, now),
            })),
          ),
  }
}

/** `now` in epoch seconds. */
export const revoke = (
  revocation: CheckedRevocation,
  now: number,
): Batch<void, WorkspaceNotFound | WorkspaceForbidden | InviteNotFound> => {
  const params = { ...revocation, now }
  return {
    statements: [invitesSql.inviter(params), invitesSql.invite(params), invitesSql.revoke(params)],
    read: (results) =>
      Either.flatMap(requireInviter(firstOf(results, 0)), () =>
        firstOf(results, 1) === undefined ? Either.left(new InviteNotFound({})) : Either.void,
      ),
  }
}

/** `now` in epoch seconds. */
export const validate = (
  claim: CheckedClaim,
  now: number,
): Batch<{ readonly role: Role }, InviteRefused> => ({
  statements: [invitesSql.byToken({ ...claim, now })],
  read: (results) =>
    Either.map(usableFor(firstOf(results, 0) as StoredInvite | undefined, claim.email, now), ({ role }) => ({
      role,
    })),
})

export const consume = (
  claim: CheckedClaim,
  userId: string,
  fresh: Fresh,
): Batch<{ readonly role: Role }, UserNotFound | InviteRefused> => {
  const params = { ...claim, userId, ...fresh }
  return {
    statements: [
      workspaceSql.user(params),
      invitesSql.byEmail(params),
      invitesSql.consume(params),
      invitesSql.join(params),
    ],
    read: (results) => {
      if (firstOf(results, 0) === undefined) return Either.left(new UserNotFound({}))
      const invite = firstOf(results, 1) as StoredInvite | undefined
      return Either.map(usableWith(invite, claim.tokenHash, fresh.now), () => ({
        role: firstOf(results, 3)!.role,
      }))
    },
  }
}

/** Removes some that ended before a time, in epoch seconds; gives how many. */
export const dropEndedStep = (endedBefore: number): Batch<number> => ({
  statements: [invitesSql.dropEnded({ endedBefore })],
  read: ([dropped]) => Either.right(dropped!.length),
})

interface Acceptance {
  readonly userId: string
  readonly role: Role
  readonly createdUser: boolean
}

export const accept = (
  claim: CheckedClaim,
  identity: Identity,
  { email, displayName }: Profile,
  fresh: Fresh,
): Batch<Acceptance, InviteRefused> => {
  const params = {
    ...claim,
    ...identity,
    profileEmail: email ?? null,
    foldedEmail: foldedOf(email),
    displayName: displayName ?? null,
    saysName: displayName === undefined ? 0 : 1,
    ...fresh,
  }
  return {
    statements: [
      invitesSql.byToken(params),
      invitesSql.accept(params),
      invitesSql.insertUser(params),
      workspaceSql.insertAccount(params),
      invitesSql.updateUser(params),
      invitesSql.join(params),
    ],
    read: (results) => {
      const invite = firstOf(results, 0) as StoredInvite | undefined
      return Either.map(usableFor(invite, claim.email, fresh.now), () => {
        const { userId, role } = firstOf(results, 5)!
        return { userId, role, createdUser: userId === fresh.freshId }
      })
    },
  }
}
