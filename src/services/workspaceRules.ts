/**
 * The rules of the workspace store's input, shared by its implementations.
 */
import { Either, Schema } from 'effect'
import { isStorableId } from './opRules.js'
import { InvalidWorkspaceInput, Role, type UserProfile } from './WorkspaceStore.js'

/** The name a user's first workspace is given. */
export const defaultWorkspaceName = 'My Workspace'

/** A user as a caller is told; what is not known is absent. */
export const profileOf = (userId: string, email: string | null, displayName: string | null): UserProfile => ({
  userId,
  ...(email === null ? {} : { email }),
  ...(displayName === null ? {} : { displayName }),
})

const workspaceLimits = { name: 100, description: 1_000, profile: 1_000 } as const

type Checked<A> = Either.Either<A, InvalidWorkspaceInput>

const refuse = (field: string, detail: string) => Either.left(new InvalidWorkspaceInput({ field, detail }))

const isRole = Schema.is(Role)

type Fields = Record<string, unknown>

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}

/** An id of 1..256 characters. */
export const checkId = (label: string, value: unknown): Checked<string> =>
  isStorableId(value) ? Either.right(value) : refuse(label, `A ${label} has 1 to 256 characters.`)

const checkName = (value: unknown): Checked<string> => {
  const name = typeof value === 'string' ? value.trim() : ''
  return name.length >= 1 && name.length <= workspaceLimits.name && name.isWellFormed()
    ? Either.right(name)
    : refuse('name', `A workspace's name has 1 to ${workspaceLimits.name} characters.`)
}

/** Undefined for "not said", null for "none". */
const checkText = (field: string, limit: number, value: unknown): Checked<string | null | undefined> => {
  if (value === undefined || value === null) return Either.right(value)
  if (typeof value !== 'string' || value.length > limit || !value.isWellFormed()) {
    return refuse(field, `The ${field} has at most ${limit} characters.`)
  }
  return Either.right(value === '' ? null : value)
}

/** Asked for by every request of a session, hence without the comforts of `Either.all`, as is a membership below. */
export const checkIdentity = (identity: unknown) => {
  const { provider, providerUserId, email, displayName } = fields(identity)
  const issuer = checkId('provider', provider)
  if (Either.isLeft(issuer)) return Either.left(issuer.left)
  const subject = checkId('provider user id', providerUserId)
  if (Either.isLeft(subject)) return Either.left(subject.left)
  const address = checkText('email', workspaceLimits.profile, email)
  if (Either.isLeft(address)) return Either.left(address.left)
  const name = checkText('display name', workspaceLimits.profile, displayName)
  if (Either.isLeft(name)) return Either.left(name.left)
  return Either.right({
    provider: issuer.right,
    providerUserId: subject.right,
    email: address.right,
    displayName: name.right,
  })
}

export const checkIdentityKey = (identity: unknown) => {
  const { provider, providerUserId } = fields(identity)
  return Either.all({
    provider: checkId('provider', provider),
    providerUserId: checkId('provider user id', providerUserId),
  })
}

/** Asked for by every request of a session, hence without the comforts of `Either.all`. */
export const checkMembership = (
  request: unknown,
): Checked<{ readonly userId: string; readonly workspaceId: string }> => {
  const { userId, workspaceId } = fields(request)
  const user = checkId('user id', userId)
  if (Either.isLeft(user)) return Either.left(user.left)
  const workspace = checkId('workspace id', workspaceId)
  if (Either.isLeft(workspace)) return Either.left(workspace.left)
  return Either.right({ userId: user.right, workspaceId: workspace.right })
}

export const checkMember = (request: unknown) => {
  const { userId, workspaceId, role } = fields(request)
  return Either.all({
    userId: checkId('user id', userId),
    workspaceId: checkId('workspace id', workspaceId),
    role: isRole(role) ? Either.right(role) : refuse('role', `A role is one of ${Role.literals.join(', ')}.`),
  })
}

export const checkWorkspace = (request: unknown) => {
  const { userId, name, description } = fields(request)
  return Either.all({
    userId: checkId('user id', userId),
    name: checkName(name),
    description: checkText('description', workspaceLimits.description, description),
  })
}
