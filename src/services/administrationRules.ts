/**
 * The rules of what administrators ask for. Shared by every implementation.
 */
import { Either } from 'effect'
import { foldedEmail } from './emails.js'
import { boundedIn, type Checked, idIn, nullableIn, refuseField, textIn, readFields } from './inputRules.js'
import { roleIn, secondsIn } from './inviteRules.js'
import { checkWorkspace } from './workspaceRules.js'

/** As every engine's `lower` does it. */
export const asciiLower = (text: string): string => text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase())

/** Whether a part is in a text. */
export const isIn = (part: string, text: string | null): boolean =>
  text !== null && asciiLower(text).includes(asciiLower(part))

const searchIn = (field: string, value: unknown) => textIn(field, value, 320, 0)

/** So that the number of workspaces before it is a safe integer. */
const lastPage = 2 ** 40

export const checkWorkspaceQuery = (request: unknown) => {
  const { search, includeDeleted, page, perPage } = readFields(request)
  return Either.all({
    search: searchIn('search', search ?? ''),
    includeDeleted: nullableIn(includeDeleted, (value) =>
      typeof value === 'boolean' ? Either.right(value) : refuseField('includeDeleted', 'is true or false'),
    ),
    page: boundedIn('page', page, lastPage),
    perPage: boundedIn('perPage', perPage, 100),
  })
}

export type CheckedWorkspaceQuery = Either.Either.Right<ReturnType<typeof checkWorkspaceQuery>>

export const checkWorkspaceKey = (request: unknown): Checked<string> =>
  idIn('workspaceId', readFields(request).workspaceId)

export const checkRemoval = (request: unknown) => {
  const { workspaceId, deletedAt } = readFields(request)
  return Either.all({
    workspaceId: idIn('workspaceId', workspaceId),
    deletedAt: secondsIn('deletedAt', deletedAt),
  })
}

export const checkNewWorkspace = (request: unknown) => {
  const { ownerUserId, name, description } = readFields(request)
  return checkWorkspace({ userId: ownerUserId, name, description })
}

export const checkUserQuery = (request: unknown) => {
  const { query, limit } = readFields(request)
  return Either.all({ query: searchIn('query', query), limit: boundedIn('limit', limit ?? 20, 100) })
}

export type CheckedUserQuery = Either.Either.Right<ReturnType<typeof checkUserQuery>>

/** By which somebody goes. */
type Whom = { readonly email: string } | { readonly id: string; readonly provider: string | null }

const whomIn = (given: unknown, provider: unknown): Checked<Whom> =>
  typeof given === 'string' && given.includes('@')
    ? Either.map(textIn('emailOrProviderId', given.trim(), 320), (text) => ({ email: foldedEmail(text) }))
    : Either.all({
        id: idIn('emailOrProviderId', given),
        provider: nullableIn(provider, (value) => idIn('provider', value)),
      })

export const checkAssignment = (request: unknown) => {
  const { workspaceId, emailOrProviderId, role, provider } = readFields(request)
  return Either.all({
    workspaceId: idIn('workspaceId', workspaceId),
    whom: whomIn(emailOrProviderId, provider),
    role: roleIn(role),
  })
}

export type CheckedAssignment = Either.Either.Right<ReturnType<typeof checkAssignment>>
