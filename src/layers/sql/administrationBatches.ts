/**
 * The calls of administration as batches. Each is decided and made at once.
 */
import { Either } from 'effect'
import { AmbiguousUser, UnknownEmail, type WorkspaceOverview } from '../../services/Administration.js'
import {
  asciiLower,
  type CheckedAssignment,
  type CheckedUserQuery,
  type CheckedWorkspaceQuery,
} from '../../services/administrationRules.js'
import { LastOwner, type Member } from '../../services/Memberships.js'
import {
  type Role,
  UserNotFound,
  type UserProfile,
  WorkspaceNotFound,
} from '../../services/WorkspaceStore.js'
import { profileOf } from '../../services/workspaceRules.js'
import { administrationSql } from './administrationSql.js'
import { type Batch, firstOf, type Row } from './batch.js'
import { toMember } from './membershipBatches.js'
import type { Fresh } from './workspaceBatches.js'
import { workspaceSql } from './workspaceSql.js'

const overviewIn = (row: Row): WorkspaceOverview => ({
  id: row.id,
  name: row.name,
  ...(row.description === null ? {} : { description: row.description }),
  createdAt: row.created_at,
  deleted: row.deleted === 1,
  ...(row.deleted_at === null ? {} : { deletedAt: row.deleted_at }),
  ...(row.owner_id === null ? {} : { ownerUserId: row.owner_id }),
  ...(row.owner_email === null ? {} : { ownerEmail: row.owner_email }),
  memberCount: row.members,
})

interface Page {
  readonly items: ReadonlyArray<WorkspaceOverview>
  readonly total: number
}

export const listWorkspaces = ({
  search,
  includeDeleted,
  page,
  perPage,
}: CheckedWorkspaceQuery): Batch<Page> => {
  const [found, which] = [
    search === '' ? 'all' : 'searched',
    includeDeleted === true ? 'any' : 'live',
  ] as const
  const params = { search, folded: asciiLower(search), limit: perPage, before: (page - 1) * perPage }
  return {
    statements: [administrationSql.page[found][which](params), administrationSql.total[found][which](params)],
    read: (results) =>
      Either.right({ items: results[0]!.map(overviewIn), total: firstOf(results, 1)!.total }),
  }
}

const orUnknown = <A>(row: Row | undefined, to: (row: Row) => A): Either.Either<A, WorkspaceNotFound> =>
  row === undefined ? Either.left(new WorkspaceNotFound({})) : Either.right(to(row))

export const getWorkspace = (workspaceId: string): Batch<WorkspaceOverview, WorkspaceNotFound> => ({
  statements: [administrationSql.overview({ workspaceId })],
  read: (results) => orUnknown(firstOf(results, 0), overviewIn),
})

export const listMembers = (workspaceId: string): Batch<ReadonlyArray<Member>, WorkspaceNotFound> => ({
  statements: [administrationSql.workspace({ workspaceId }), workspaceSql.members({ workspaceId })],
  read: (results) => orUnknown(firstOf(results, 0), () => results[1]!.map(toMember)),
})

/** `deletedAt` in epoch seconds. */
export const removeWorkspace = (workspaceId: string, deletedAt: number): Batch<void, WorkspaceNotFound> => {
  const params = { workspaceId, deletedAt }
  return {
    statements: [
      administrationSql.workspace(params),
      administrationSql.remove(params),
      workspaceSql.rehomeMembers(params),
    ],
    read: (results) => orUnknown(firstOf(results, 0), () => undefined),
  }
}

export const restoreWorkspace = (workspaceId: string): Batch<void, WorkspaceNotFound> => ({
  statements: [administrationSql.workspace({ workspaceId }), administrationSql.restore({ workspaceId })],
  read: (results) => orUnknown(firstOf(results, 0), () => undefined),
})

export const searchUsers = (query: CheckedUserQuery): Batch<ReadonlyArray<UserProfile>> => ({
  statements: [administrationSql.searchUsers({ ...query, folded: asciiLower(query.query) })],
  read: ([rows]) =>
    Either.right(rows!.map(({ id, email, display_name: name }) => profileOf(id, email, name))),
})

type Refusal = WorkspaceNotFound | UserNotFound | UnknownEmail | AmbiguousUser | LastOwner

/** Who it is of the users that were found, if it is one. */
const only = ([user, ...others]: ReadonlyArray<Row>): Either.Either<string | undefined, AmbiguousUser> =>
  others.length > 0 ? Either.left(new AmbiguousUser({})) : Either.right(user?.id)

const stays = (member: Row | undefined, role: Role): Either.Either<void, LastOwner> =>
  member?.role === 'owner' && member.hasOtherOwner === 0 && role !== 'owner'
    ? Either.left(new LastOwner({}))
    : Either.void

export const upsertMember = (
  { workspaceId, whom, role }: CheckedAssignment,
  fresh: Fresh,
): Batch<{ readonly userId: string }, Refusal> => {
  const params = { workspaceId, role, ...whom, ...fresh }
  const requireLive = (row: Row | undefined) => orUnknown(row, () => undefined)
  if ('email' in whom) {
    const { member, revokeInvites, setRole, insertMember } = administrationSql.assignByEmail
    return {
      statements: [
        workspaceSql.liveWorkspace(params),
        administrationSql.usersByEmail(params),
        member(params),
        revokeInvites(params),
        setRole(params),
        insertMember(params),
      ],
      read: (results) =>
        Either.gen(function* () {
          yield* requireLive(firstOf(results, 0))
          const userId = yield* only(results[1]!)
          if (userId === undefined) return yield* Either.left(new UnknownEmail({}))
          yield* stays(firstOf(results, 2), role)
          return { userId }
        }),
    }
  }
  const { member, revokeInvites, setRole, insertMember } = administrationSql.assignById
  const named = { ...params, providerUserId: whom.id }
  return {
    statements: [
      workspaceSql.liveWorkspace(named),
      administrationSql.usersByAccount(named),
      administrationSql.userById(named),
      administrationSql.insertUser(named),
      workspaceSql.insertAccount(named),
      member(named),
      revokeInvites(named),
      setRole(named),
      insertMember(named),
    ],
    read: (results) =>
      Either.gen(function* () {
        yield* requireLive(firstOf(results, 0))
        const named = firstOf(results, 2)
        const made = whom.provider === null ? undefined : fresh.freshId
        const byId = named === undefined ? made : named.isErased === 1 ? undefined : named.id
        const userId: string | undefined = (yield* only(results[1]!)) ?? byId
        if (userId === undefined) return yield* Either.left(new UserNotFound({}))
        yield* stays(firstOf(results, 5), role)
        return { userId }
      }),
  }
}
