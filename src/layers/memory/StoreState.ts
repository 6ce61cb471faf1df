/**
 * What the in-memory store remembers. A service of its own, so that the workspace store and the memberships share it.
 */
import { Context, Either, Layer } from 'effect'
import type { JobStatus } from '../../services/BackgroundJobs.js'
import type { StoredDelivery } from '../../services/deliveryRules.js'
import { foldedEmail } from '../../services/emails.js'
import { statusAt, type StoredInvite } from '../../services/inviteRules.js'
import type { Invite } from '../../services/Invites.js'
import type { CheckedCreate } from '../../services/jobRules.js'
import type { Member } from '../../services/Memberships.js'
import type { Webhook } from '../../services/Webhooks.js'
import { profileOf } from '../../services/workspaceRules.js'
import { type Role, UserNotFound, WorkspaceNotFound } from '../../services/WorkspaceStore.js'

export interface User {
  readonly id: string
  email: string | null
  displayName: string | null
  active: string | null
  /** Epoch seconds. */
  readonly createdAt: number
}

export interface Membership {
  readonly role: Role
  /** Epoch seconds. */
  readonly since: number
}

export interface Workspace {
  readonly id: string
  name: string
  description: string | null
  /** Epoch seconds. */
  readonly createdAt: number
  /** Epoch seconds; null while it is live. */
  removedAt: number | null
  isPurged: boolean
  /** By user id. */
  readonly members: Map<string, Membership>
}

/** An invite as it is kept: one that has expired is still pending. */
export interface KeptInvite extends Omit<Invite, 'status'>, StoredInvite {
  readonly status: StoredInvite['status']
}

export interface Admin {
  readonly createdAt: number
  readonly createdBy: string | null
}

/** Documents are JSON as text, so that nobody else holds a part of them. */
export interface StoredJob extends Omit<CheckedCreate, 'limits'> {
  readonly id: string
  readonly startedAt: number
  status: JobStatus
  chunks: Array<string>
  /** The first half of a character that stood at the end of the last chunk. */
  high: number | null
  contentLength: number
  chunksReceived: number
  lastActivityAt: number
  completedAt?: number
  error?: string
  toolCalls: string | null
  workflowState: string | null
  execution: string | null
  leaseOwner: string | null
  leaseExpiresAt: number
  attempts: number
}

export class StoreState extends Context.Tag('or3-provider-sqlite/memory/StoreState')<
  StoreState,
  {
    /** By provider and provider user id; neither holds a NUL. */
    readonly accounts: Map<string, User>
    readonly users: Map<string, User>
    /** The ids of users who were erased. */
    readonly erased: Set<string>
    readonly workspaces: Map<string, Workspace>
    /** By id. */
    readonly invites: Map<string, KeptInvite>
    /** By workspace id and key; neither holds a NUL. */
    readonly settings: Map<string, string>
    /** By user id. */
    readonly admins: Map<string, Admin>
    /** By id. */
    readonly jobs: Map<string, StoredJob>
    /** By id. */
    readonly webhooks: Map<string, Webhook>
    /** By id. */
    readonly deliveries: Map<string, StoredDelivery>
  }
>() {}

type State = StoreState['Type']

export const emptyState = (): State => ({
  accounts: new Map(),
  users: new Map(),
  erased: new Set(),
  workspaces: new Map(),
  invites: new Map(),
  settings: new Map(),
  admins: new Map(),
  jobs: new Map(),
  webhooks: new Map(),
  deliveries: new Map(),
})

export const layer: Layer.Layer<StoreState> = Layer.sync(StoreState, emptyState)

/** What makes something new: its id, and the time in epoch seconds. */
export interface Fresh {
  readonly id: string
  readonly now: number
}

/** The user behind an identity, made at first sight. What is not said of the profile stays. */
export const signIn = (
  state: State,
  {
    provider,
    providerUserId,
    email,
    displayName,
  }: {
    readonly provider: string
    readonly providerUserId: string
    readonly email: string | null | undefined
    readonly displayName: string | null | undefined
  },
  { id, now }: Fresh,
): User => {
  const account = `${provider}\0${providerUserId}`
  const user = state.accounts.get(account) ?? {
    id,
    email: null,
    displayName: null,
    active: null,
    createdAt: now,
  }
  state.accounts.set(account, user)
  state.users.set(user.id, user)
  if (email !== undefined) user.email = email
  if (displayName !== undefined) user.displayName = displayName
  return user
}

/** A new workspace of this owner. */
export const addWorkspace = (
  state: State,
  { id, now }: Fresh,
  ownerId: string,
  name: string,
  description: string | null,
): Workspace => {
  const members = new Map([[ownerId, { role: 'owner' as const, since: now }]])
  const workspace = { id, name, description, createdAt: now, removedAt: null, isPurged: false, members }
  state.workspaces.set(id, workspace)
  return workspace
}

export const requireUser = (state: State, userId: string): Either.Either<User, UserNotFound> =>
  Either.fromNullable(state.users.get(userId), () => new UserNotFound({}))

export const requireWorkspace = (
  state: State,
  workspaceId: string,
): Either.Either<Workspace, WorkspaceNotFound> => {
  const workspace = state.workspaces.get(workspaceId)
  return workspace === undefined || workspace.removedAt !== null
    ? Either.left(new WorkspaceNotFound({}))
    : Either.right(workspace)
}

export const oldestFirst = (a: Workspace, b: Workspace): number =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)

/** A user's live workspaces, oldest first. */
export const workspacesOf = (state: State, userId: string): ReadonlyArray<Workspace> =>
  [...state.workspaces.values()]
    .filter(({ removedAt, members }) => removedAt === null && members.has(userId))
    .sort(oldestFirst)

/** The members of a workspace, oldest membership first. */
export const membersOf = ({ users }: State, { members }: Workspace): ReadonlyArray<Member> =>
  [...members]
    .map(([userId, { role, since }]) => {
      const { email, displayName } = users.get(userId)!
      return { ...profileOf(userId, email, displayName), role, memberSince: since }
    })
    .sort((a, b) => a.memberSince - b.memberSince || (a.userId < b.userId ? -1 : 1))

/** Removes a live workspace. */
export const removeWorkspace = (state: State, workspace: Workspace, at: number): void => {
  workspace.removedAt = at
  for (const user of state.users.values()) rehome(state, user, workspace.id)
}

/** Whether a member could go who is an owner. */
export const hasOtherOwner = ({ members }: Workspace, userId: string): boolean =>
  [...members].some(([id, { role }]) => id !== userId && role === 'owner')

/** Revokes the open invites into a workspace that somebody made, unless they may still invite. */
export const revokeMadeBy = (state: State, workspace: Workspace, userId: string, now: number): void => {
  if (state.admins.has(userId) || workspace.members.get(userId)?.role === 'owner') return
  revokeInvites(state, workspace, ({ invitedByUserId }) => invitedByUserId === userId, now)
}

/** Ends a membership: whoever goes does not come back by an invite that they made or that is addressed to them. */
export const removeMember = (state: State, workspace: Workspace, user: User, now: number): void => {
  const address = user.email === null ? undefined : foldedEmail(user.email)
  workspace.members.delete(user.id)
  revokeMadeBy(state, workspace, user.id, now)
  revokeInvites(state, workspace, ({ email }) => email === address, now)
  rehome(state, user, workspace.id)
}

const revokeInvites = (
  { invites }: State,
  { id }: Workspace,
  holds: (invite: KeptInvite) => boolean,
  now: number,
): void => {
  for (const invite of invites.values()) {
    if (invite.workspaceId !== id || statusAt(invite, now) !== 'pending' || !holds(invite)) continue
    invites.set(invite.id, { ...invite, status: 'revoked', revokedAt: now, updatedAt: now })
  }
}

/** After a workspace or a membership is gone: whoever had it active goes to the oldest live membership, else to none. */
const rehome = (state: State, user: User, workspaceId: string): void => {
  if (user.active === workspaceId) user.active = workspacesOf(state, user.id)[0]?.id ?? null
}
