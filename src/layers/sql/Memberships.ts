/**
 * Memberships on SQLite. Every change is decided and made inside one write transaction, so two callers cannot each take away
 * what the other one counted on.
 */
import { Effect, Either, Layer } from 'effect'
import {
  AlreadyMember,
  LastOwner,
  type Member,
  MemberNotFound,
  Memberships,
} from '../../services/Memberships.js'
import type { Role } from '../../services/WorkspaceStore.js'
import { checkId, checkMember, checkMembership } from '../../services/workspaceRules.js'
import { observeMemberships } from '../../services/telemetry.js'
import type { Connection } from '../synchronous/connection.js'
import { Database } from '../synchronous/Database.js'
import { epochSeconds } from '../time.js'
import { requireUser, requireWorkspace, workspaceSql } from './workspaceSql.js'

interface MemberRow {
  readonly user_id: string
  readonly role: Role
  readonly created_at: number
  readonly email: string | null
  readonly display_name: string | null
}

const toMember = (row: MemberRow): Member => ({
  userId: row.user_id,
  role: row.role,
  memberSince: row.created_at,
  ...(row.email === null ? {} : { email: row.email }),
  ...(row.display_name === null ? {} : { displayName: row.display_name }),
})

/** The role of a member; the workspace is known to be live. */
const currentRole = (
  connection: Connection,
  workspaceId: string,
  userId: string,
): Either.Either<Role, MemberNotFound> => {
  const row = connection.first<{ role: Role }>(workspaceSql.memberRole, workspaceId, userId)
  return row === undefined ? Either.left(new MemberNotFound({})) : Either.right(row.role)
}

const requireOtherOwner = (
  connection: Connection,
  workspaceId: string,
  userId: string,
): Either.Either<void, LastOwner> =>
  connection.first(workspaceSql.otherOwner, workspaceId, userId) === undefined
    ? Either.left(new LastOwner({}))
    : Either.void

const make = Effect.gen(function* () {
  const { snapshot, write } = yield* Database

  return observeMemberships({
    addMember: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, role } = yield* checkMember(request)
        const now = yield* epochSeconds
        yield* write('add member', (connection) =>
          Either.gen(function* () {
            yield* requireWorkspace(connection, workspaceId)
            yield* requireUser(connection, userId)
            const row = connection.first<{ role: Role }>(workspaceSql.memberRole, workspaceId, userId)
            if (row === undefined) {
              connection.run(workspaceSql.insertMember, workspaceId, userId, role, now)
            } else if (row.role !== role) {
              return yield* Either.left(new AlreadyMember({ role: row.role }))
            }
          }),
        )
      }),

    setRole: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, role } = yield* checkMember(request)
        yield* write('set role', (connection) =>
          Either.gen(function* () {
            yield* requireWorkspace(connection, workspaceId)
            const known = yield* currentRole(connection, workspaceId, userId)
            if (known === role) return
            if (known === 'owner') yield* requireOtherOwner(connection, workspaceId, userId)
            connection.run(workspaceSql.setRole, role, workspaceId, userId)
          }),
        )
      }),

    removeMember: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId } = yield* checkMembership(request)
        yield* write('remove member', (connection) =>
          Either.gen(function* () {
            yield* requireWorkspace(connection, workspaceId)
            const known = yield* currentRole(connection, workspaceId, userId)
            if (known === 'owner') yield* requireOtherOwner(connection, workspaceId, userId)
            connection.run(workspaceSql.removeMember, workspaceId, userId)
            connection.run(workspaceSql.rehomeUser, { workspaceId, userId })
          }),
        )
      }),

    listMembers: (id) =>
      Effect.gen(function* () {
        const workspaceId = yield* checkId('workspace id', id)
        const rows = yield* snapshot('list members', (connection) =>
          Either.map(requireWorkspace(connection, workspaceId), () =>
            connection.all<MemberRow>(workspaceSql.members, workspaceId),
          ),
        )
        return rows.map(toMember)
      }),
  })
})

/** Memberships in the tables of the workspace store. */
export const layer: Layer.Layer<Memberships, never, Database> = Layer.effect(Memberships, make)
