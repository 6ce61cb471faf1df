/**
 * The rules of invites, and of what is asked of them. Shared by every implementation.
 */
import { Either } from 'effect'
import { foldedEmail } from './emails.js'
import {
  boundedIn,
  type Checked,
  idIn,
  nullableIn,
  oneOfIn,
  refuseField,
  textIn,
  readFields,
} from './inputRules.js'
import { InviteRefused, InviteStatus } from './Invites.js'
import { checkIdentity } from './workspaceRules.js'
import { Role, WorkspaceForbidden, WorkspaceNotFound } from './WorkspaceStore.js'

/** An invite as it is stored, as far as it decides who may use it. */
export interface StoredInvite {
  readonly email: string
  readonly tokenHash: string
  readonly role: Role
  readonly status: Exclude<InviteStatus, 'expired'>
  /** Epoch seconds. */
  readonly expiresAt: number
}

export const statusAt = (
  { status, expiresAt }: Pick<StoredInvite, 'status' | 'expiresAt'>,
  now: number,
): InviteStatus => (status === 'pending' && expiresAt <= now ? 'expired' : status)

const refuse = (reason: InviteRefused['reason']) => Either.left(new InviteRefused({ reason }))

const usable = (invite: StoredInvite, now: number): Either.Either<StoredInvite, InviteRefused> => {
  switch (statusAt(invite, now)) {
    case 'pending':
      return Either.right(invite)
    case 'accepted':
      return refuse('already_used')
    case 'revoked':
      return refuse('revoked')
    case 'expired':
      return refuse('expired')
  }
}

/** Of an invite that was looked up by its token, in a live workspace. */
export const usableFor = (
  invite: StoredInvite | undefined,
  email: string,
  now: number,
): Either.Either<StoredInvite, InviteRefused> => {
  if (invite === undefined) return refuse('not_found')
  return invite.email === email ? usable(invite, now) : refuse('email_mismatch')
}

/** Of an invite that was looked up by its address, and by its token among those, in a live workspace. */
export const usableWith = (
  invite: StoredInvite | undefined,
  tokenHash: string,
  now: number,
): Either.Either<StoredInvite, InviteRefused> => {
  if (invite === undefined) return refuse('not_found')
  return invite.tokenHash === tokenHash ? usable(invite, now) : refuse('token_mismatch')
}

/** Whether somebody may invite into a live workspace. Whoever is no member is told that it does not exist. */
export const mayInvite = (
  role: Role | null,
  isAdmin: boolean,
): Either.Either<void, WorkspaceNotFound | WorkspaceForbidden> => {
  if (isAdmin || role === 'owner') return Either.void
  return Either.left(role === null ? new WorkspaceNotFound({}) : new WorkspaceForbidden({ needs: ['owner'] }))
}

const ranks: ReadonlyArray<Role> = ['viewer', 'editor', 'owner']

/** An invite never lowers a role. */
export const higherRole = (a: Role, b: Role): Role => (ranks.indexOf(a) < ranks.indexOf(b) ? b : a)

const emailIn = (value: unknown): Checked<string> => {
  const email = typeof value === 'string' ? foldedEmail(value) : ''
  return email.length >= 3 && email.includes('@')
    ? textIn('email', email, 320)
    : refuseField('email', 'is an e-mail address of 3 to 320 characters')
}

/** Above it, a time is in milliseconds: in seconds it would be in the year 5138. */
const latestSecond = 1e11

/** A time in epoch seconds, or in milliseconds; a fraction is dropped. */
export const secondsIn = (field: string, value: unknown): Checked<number> => {
  const time = typeof value === 'number' ? value : -1
  return Number.isSafeInteger(Math.floor(time)) && time >= 0
    ? Either.right(Math.floor(time > latestSecond ? time / 1_000 : time))
    : refuseField(field, 'is a time in seconds')
}

/** For how long an invite is kept after its end, in seconds: whoever comes with it meanwhile is told what became of it. */
export const keptAfterEnd = 30 * 86_400

export const roleIn = (value: unknown): Checked<Role> => oneOfIn('role', value, Role.literals)

const tokenHashIn = (value: unknown) => textIn('tokenHash', value, 256)

/** Whether the expiry is still to come is for those to say who know the time. */
export const checkNewInvite = (request: unknown) => {
  const { workspaceId, email, role, invitedByUserId, expiresAt, tokenHash } = readFields(request)
  return Either.all({
    workspaceId: idIn('workspaceId', workspaceId),
    email: emailIn(email),
    role: roleIn(role),
    userId: idIn('invitedByUserId', invitedByUserId),
    expiresAt: secondsIn('expiresAt', expiresAt),
    tokenHash: tokenHashIn(tokenHash),
  })
}

export type CheckedInvite = Either.Either.Right<ReturnType<typeof checkNewInvite>>

export const expiresTooEarly = () => refuseField('expiresAt', 'is not later than now')

export const checkInviteQuery = (request: unknown) => {
  const { workspaceId, status, limit } = readFields(request)
  return Either.all({
    workspaceId: idIn('workspaceId', workspaceId),
    status: nullableIn(status, (value) => oneOfIn('status', value, InviteStatus.literals)),
    limit: boundedIn('limit', limit ?? 100, 500),
  })
}

export type CheckedInviteQuery = Either.Either.Right<ReturnType<typeof checkInviteQuery>>

export const checkRevocation = (request: unknown) => {
  const { workspaceId, inviteId, revokedByUserId } = readFields(request)
  return Either.all({
    workspaceId: idIn('workspaceId', workspaceId),
    inviteId: idIn('inviteId', inviteId),
    userId: idIn('revokedByUserId', revokedByUserId),
  })
}

export type CheckedRevocation = Either.Either.Right<ReturnType<typeof checkRevocation>>

export const checkClaim = (request: unknown) => {
  const { workspaceId, email, tokenHash } = readFields(request)
  return Either.all({
    workspaceId: idIn('workspaceId', workspaceId),
    email: emailIn(email),
    tokenHash: tokenHashIn(tokenHash),
  })
}

export type CheckedClaim = Either.Either.Right<ReturnType<typeof checkClaim>>

export const checkConsumption = (request: unknown) =>
  Either.all({
    claim: checkClaim(request),
    userId: idIn('acceptedUserId', readFields(request).acceptedUserId),
  })

/** The profile keeps the address as it was given. */
export const checkAcceptance = (request: unknown) =>
  Either.all({ claim: checkClaim(request), identity: checkIdentity(readFields(request)) })
