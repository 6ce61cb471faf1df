/**
 * Memberships on SQLite. Every change is decided and made inside one write transaction, so two callers cannot each take away
 * what the other one counted on.
 */
import type { Connection } from '@effect/sql/SqlConnection'
import { Effect, Layer } from 'effect'
import {
  AlreadyMember,
  LastOwner,
  type Member,
  MemberNotFound,
  Memberships,
} from '../services/Memberships.js'
import { SchemaMigrator } from '../services/SchemaMigrator.js'
import type { Role } from '../services/WorkspaceStore.js'
import { checkId, checkMember, checkMembership } from '../services/workspaceRules.js'
import { Database } from './Database.js'
import { all } from './statement.js'
import { epochSeconds } from './time.js'
import { one, requireUser, requireWorkspace, workspaceSql } from './workspaceSql.js'

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
const currentRole = (connection: Connection, workspaceId: string, userId: string) =>
  Effect.flatMap(one<{ role: Role }>(connection, workspaceSql.memberRole, [workspaceId, userId]), (row) =>
    row === undefined ? Effect.fail(new MemberNotFound({})) : Effect.succeed(row.role),
  )

const requireOtherOwner = (connection: Connection, workspaceId: string, userId: string) =>
  Effect.filterOrFail(
    one(connection, workspaceSql.otherOwner, [workspaceId, userId]),
    (row) => row !== undefined,
    () => new LastOwner({}),
  )

const make = Effect.gen(function* () {
  yield* SchemaMigrator
  const { snapshot, write } = yield* Database

  return Memberships.of({
    addMember: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, role } = yield* checkMember(request)
        const now = yield* epochSeconds
        yield* write('add member', (connection) =>
          Effect.gen(function* () {
            yield* requireWorkspace(connection, workspaceId)
            yield* requireUser(connection, userId)
            const row = yield* one<{ role: Role }>(connection, workspaceSql.memberRole, [workspaceId, userId])
            if (row === undefined) {
              yield* all(connection, workspaceSql.insertMember, [workspaceId, userId, role, now])
            } else if (row.role !== role) {
              return yield* new AlreadyMember({ role: row.role })
            }
          }),
        )
      }),

    setRole: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId, role } = yield* checkMember(request)
        yield* write('set role', (connection) =>
          Effect.gen(function* () {
            yield* requireWorkspace(connection, workspaceId)
            const known = yield* currentRole(connection, workspaceId, userId)
            if (known === role) return
            if (known === 'owner') yield* requireOtherOwner(connection, workspaceId, userId)
            yield* all(connection, workspaceSql.setRole, [role, workspaceId, userId])
          }),
        )
      }),

    removeMember: (request) =>
      Effect.gen(function* () {
        const { workspaceId, userId } = yield* checkMembership(request)
        yield* write('remove member', (connection) =>
          Effect.gen(function* () {
            yield* requireWorkspace(connection, workspaceId)
            const known = yield* currentRole(connection, workspaceId, userId)
            if (known === 'owner') yield* requireOtherOwner(connection, workspaceId, userId)
            yield* all(connection, workspaceSql.removeMember, [workspaceId, userId])
            yield* all(connection, workspaceSql.rehomeUser, [{ workspaceId, userId }])
          }),
        )
      }),

    listMembers: (id) =>
      Effect.gen(function* () {
        const workspaceId = yield* checkId('workspace id', id)
        const rows = yield* snapshot('list members', (connection) =>
          Effect.zipRight(
            requireWorkspace(connection, workspaceId),
            all<MemberRow>(connection, workspaceSql.members, [workspaceId]),
          ),
        )
        return rows.map(toMember)
      }),
  })
})

/** Needs the migrator, so that no statement runs before the schema is there. */
export const layer: Layer.Layer<Memberships, never, Database | SchemaMigrator> = Layer.effect(
  Memberships,
  make,
)
