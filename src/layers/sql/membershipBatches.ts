/**
 * The calls of memberships as batches. Each is decided and made at once, so two callers cannot each take away what the other one
 * counted on.
 */
import { Either } from 'effect'
import { AlreadyMember, LastOwner, type Member, MemberNotFound } from '../../services/Memberships.js'
import { type Role, UserNotFound, WorkspaceNotFound } from '../../services/WorkspaceStore.js'
import { profileOf } from '../../services/workspaceRules.js'
import { type Batch, firstOf, type Results, type Row } from './batch.js'
import { invitesSql } from './invitesSql.js'
import type { Membership } from './workspaceBatches.js'
import { workspaceSql } from './workspaceSql.js'

/** A member who has the role already stays one. `now` in epoch seconds. */
export const addMember = (
  membership: Membership,
  role: Role,
  now: number,
): Batch<void, WorkspaceNotFound | UserNotFound | AlreadyMember> => {
  const params = { ...membership, role, now }
  return {
    statements: [
      workspaceSql.liveWorkspace(params),
      workspaceSql.user(params),
      workspaceSql.memberRole(params),
      workspaceSql.insertMember(params),
    ],
    read: (results) => {
      const member = firstOf(results, 2)
      if (firstOf(results, 0) === undefined) return Either.left(new WorkspaceNotFound({}))
      if (firstOf(results, 1) === undefined) return Either.left(new UserNotFound({}))
      return member === undefined || member.role === role
        ? Either.void
        : Either.left(new AlreadyMember({ role: member.role }))
    },
  }
}

type Refusal = WorkspaceNotFound | MemberNotFound | LastOwner

/** What has to be known before a member's role is taken away. */
const before = (membership: Membership) => [
  workspaceSql.liveWorkspace(membership),
  workspaceSql.memberRole(membership),
  workspaceSql.otherOwner(membership),
]

/** `role` is the new one, if there is one. */
const mayChange = (results: Results, role?: Role): Either.Either<void, Refusal> => {
  const member = firstOf(results, 1)
  if (firstOf(results, 0) === undefined) return Either.left(new WorkspaceNotFound({}))
  if (member === undefined) return Either.left(new MemberNotFound({}))
  const isLastOwner = member.role === 'owner' && firstOf(results, 2) === undefined
  return isLastOwner && role !== 'owner' ? Either.left(new LastOwner({})) : Either.void
}

/** What an owner had made who is none any more is revoked. `now` in epoch seconds. */
export const setRole = (membership: Membership, role: Role, now: number): Batch<void, Refusal> => ({
  statements: [
    ...before(membership),
    invitesSql.revokeOfDemoted({ ...membership, role, now }),
    workspaceSql.setRole({ ...membership, role }),
  ],
  read: (results) => mayChange(results, role),
})

/** What is addressed to the member, or was made by them, is revoked. `now` in epoch seconds. */
export const removeMember = (membership: Membership, now: number): Batch<void, Refusal> => ({
  statements: [
    ...before(membership),
    invitesSql.ofLeaver.revokeMade({ ...membership, now }),
    invitesSql.ofLeaver.revokeAddressed({ ...membership, now }),
    workspaceSql.removeMember(membership),
    workspaceSql.rehomeUser(membership),
  ],
  read: (results) => mayChange(results),
})

export const toMember = (row: Row): Member => ({
  ...profileOf(row.user_id, row.email, row.display_name),
  role: row.role,
  memberSince: row.created_at,
})

export const listMembers = (workspaceId: string): Batch<ReadonlyArray<Member>, WorkspaceNotFound> => ({
  statements: [workspaceSql.liveWorkspace({ workspaceId }), workspaceSql.members({ workspaceId })],
  read: (results) =>
    firstOf(results, 0) === undefined
      ? Either.left(new WorkspaceNotFound({}))
      : Either.right(results[1]!.map(toMember)),
})
