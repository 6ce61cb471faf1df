/**
 * The calls of the workspace store as batches.
 */
import { Either } from 'effect'
import { foldedEmail } from '../../services/emails.js'
import {
  type DefaultWorkspace,
  type Role,
  UserNotFound,
  type UserProfile,
  WorkspaceForbidden,
  WorkspaceNotFound,
  type WorkspaceSummary,
} from '../../services/WorkspaceStore.js'
import { defaultWorkspaceName, profileOf } from '../../services/workspaceRules.js'
import { type Batch, firstOf, type Row } from './batch.js'
import { workspaceSql } from './workspaceSql.js'

export type Identity = Readonly<Record<'provider' | 'providerUserId', string>>

/** Undefined is what was not said, null what was said to be none. */
export interface Profile {
  readonly email: string | null | undefined
  readonly displayName: string | null | undefined
}

export type Membership = Readonly<Record<'userId' | 'workspaceId', string>>

/** What makes a new row: its id, and the time in epoch seconds. */
export interface Fresh {
  readonly freshId: string
  readonly now: number
}

/** As a column: what the address is found by. */
export const foldedOf = (email: string | null | undefined): string | null =>
  typeof email === 'string' ? foldedEmail(email) : null

const mapped = <A>(row: Row | undefined, to: (row: Row) => A): A | null =>
  row === undefined ? null : to(row)

const profileIn = ({ id, email, display_name: name }: Row): UserProfile => profileOf(id, email, name)

export const findUser = (identity: Identity): Batch<UserProfile | null> => ({
  statements: [workspaceSql.account(identity)],
  read: (results) => Either.right(mapped(firstOf(results, 0), profileIn)),
})

/** The user of an identity if the profile says nothing new, else null. */
export const findCurrentUser = (
  identity: Identity,
  { email, displayName }: Profile,
): Batch<{ readonly userId: string } | null> => ({
  statements: [workspaceSql.account(identity)],
  read: (results) => {
    const row = firstOf(results, 0)
    const isCurrent =
      row !== undefined &&
      (email === undefined || row.email === email) &&
      (displayName === undefined || row.display_name === displayName)
    return Either.right(isCurrent ? { userId: row.id } : null)
  },
})

/** Adds the user of an identity that is new, else brings the profile up to date. */
export const saveUser = (
  identity: Identity,
  { email, displayName }: Profile,
  fresh: Fresh,
): Batch<{ readonly userId: string }> => {
  const said = { email: email ?? null, foldedEmail: foldedOf(email), displayName: displayName ?? null }
  const says = { saysEmail: email === undefined ? 0 : 1, saysName: displayName === undefined ? 0 : 1 }
  const params = { ...identity, ...said, ...says, ...fresh }
  return {
    statements: [
      workspaceSql.insertUser(params),
      workspaceSql.insertAccount(params),
      workspaceSql.updateProfile(params),
      workspaceSql.account(params),
    ],
    read: (results) => Either.right({ userId: firstOf(results, 3)!.id }),
  }
}

const asDefault = (row: Row): DefaultWorkspace => ({ workspaceId: row.id, workspaceName: row.name })

export const findDefault = (userId: string): Batch<DefaultWorkspace | null> => ({
  statements: [workspaceSql.activeWorkspace({ userId })],
  read: (results) => Either.right(mapped(firstOf(results, 0), asDefault)),
})

/** Makes the oldest workspace of a user without an active one active, or a new one if there is none. */
export const chooseDefault = (userId: string, fresh: Fresh): Batch<DefaultWorkspace, UserNotFound> => {
  const params = { userId, ...fresh, name: defaultWorkspaceName }
  return {
    statements: [
      workspaceSql.insertFirstWorkspace(params),
      workspaceSql.insertOwner(params),
      workspaceSql.chooseActive(params),
      workspaceSql.activeWorkspace(params),
    ],
    read: (results) => {
      const active = firstOf(results, 3)
      if (active === undefined) return Either.left(new UserNotFound({}))
      const chosen = asDefault(active)
      return Either.right(active.id === fresh.freshId ? { ...chosen, created: true } : chosen)
    },
  }
}

export const findRole = (membership: Membership): Batch<Role | null> => ({
  statements: [workspaceSql.role(membership)],
  read: (results) => Either.right(mapped(firstOf(results, 0), ({ role }) => role as Role)),
})

export const listIds: Batch<ReadonlyArray<string>> = {
  statements: [workspaceSql.allLive({})],
  read: ([rows]) => Either.right(rows!.map(({ id }) => id as string)),
}

const summary = (row: Row): WorkspaceSummary => ({
  id: row.id,
  name: row.name,
  ...(row.description === null ? {} : { description: row.description }),
  role: row.role,
  createdAt: row.created_at,
  isActive: row.is_active === 1,
})

export const listOf = (userId: string): Batch<ReadonlyArray<WorkspaceSummary>> => ({
  statements: [workspaceSql.list({ userId })],
  read: ([rows]) => Either.right(rows!.map(summary)),
})

export const createWorkspace = (
  userId: string,
  { name, description }: { readonly name: string; readonly description: string | null | undefined },
  fresh: Fresh,
): Batch<{ readonly workspaceId: string }, UserNotFound> => {
  const params = { userId, name, description: description ?? null, ...fresh }
  return {
    statements: [
      workspaceSql.user(params),
      workspaceSql.insertWorkspace(params),
      workspaceSql.insertOwner(params),
    ],
    read: (results) =>
      firstOf(results, 0) === undefined
        ? Either.left(new UserNotFound({}))
        : Either.right({ workspaceId: fresh.freshId }),
  }
}

/** The role of a member of a live workspace; anybody else is told that there is no such workspace. */
const requireRole = (
  row: Row | undefined,
  needs: ReadonlyArray<Role>,
): Either.Either<void, WorkspaceNotFound | WorkspaceForbidden> => {
  if (row === undefined) return Either.left(new WorkspaceNotFound({}))
  return needs.includes(row.role) ? Either.void : Either.left(new WorkspaceForbidden({ needs }))
}

/** A description that was not said stays. */
export const updateWorkspace = (
  membership: Membership,
  { name, description }: { readonly name: string; readonly description: string | null | undefined },
): Batch<void, WorkspaceNotFound | WorkspaceForbidden> => {
  const saysDescription = description === undefined ? 0 : 1
  const params = { ...membership, name, description: description ?? null, saysDescription }
  return {
    statements: [workspaceSql.role(params), workspaceSql.update(params)],
    read: (results) => requireRole(firstOf(results, 0), ['owner', 'editor']),
  }
}

/** `now` in epoch seconds. */
export const removeWorkspace = (
  membership: Membership,
  now: number,
): Batch<void, WorkspaceNotFound | WorkspaceForbidden> => {
  const params = { ...membership, now }
  return {
    statements: [workspaceSql.role(params), workspaceSql.remove(params), workspaceSql.rehomeMembers(params)],
    read: (results) => requireRole(firstOf(results, 0), ['owner']),
  }
}

export const setActive = (membership: Membership): Batch<void, WorkspaceNotFound> => ({
  statements: [workspaceSql.role(membership), workspaceSql.setActive(membership)],
  read: (results) =>
    firstOf(results, 0) === undefined ? Either.left(new WorkspaceNotFound({})) : Either.void,
})
