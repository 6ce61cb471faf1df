/**
 * The workspace store on SQLite.
 *
 * What every session asks (identity, default workspace, role) is answered by one indexed read; only when there is something
 * to change is it asked again, and changed, inside a write transaction.
 */
import { Effect, Either, Layer } from 'effect'
import { IdGenerator } from '../../services/IdGenerator.js'
import {
  type DefaultWorkspace,
  type Role,
  type WorkspaceSummary,
  WorkspaceStore,
} from '../../services/WorkspaceStore.js'
import {
  checkId,
  checkIdentity,
  checkIdentityKey,
  checkMembership,
  checkWorkspace,
  defaultWorkspaceName,
  profileOf,
} from '../../services/workspaceRules.js'
import { observeStore } from '../../services/telemetry.js'
import type { Connection } from '../synchronous/connection.js'
import { Database } from '../synchronous/Database.js'
import { epochSeconds } from '../time.js'
import { insertWorkspace, requireMember, requireRole, requireUser, workspaceSql } from './workspaceSql.js'

interface AccountRow {
  readonly id: string
  readonly email: string | null
  readonly display_name: string | null
}

interface WorkspaceRow {
  readonly id: string
  readonly name: string
}

interface ListedRow extends WorkspaceRow {
  readonly description: string | null
  readonly created_at: number
  readonly role: Role
  readonly is_active: 0 | 1
}

const summary = (row: ListedRow): WorkspaceSummary => ({
  id: row.id,
  name: row.name,
  ...(row.description === null ? {} : { description: row.description }),
  role: row.role,
  createdAt: row.created_at,
  isActive: row.is_active === 1,
})

const asDefault = (row: WorkspaceRow): DefaultWorkspace => ({ workspaceId: row.id, workspaceName: row.name })

const make = Effect.gen(function* () {
  const database = yield* Database
  const ids = yield* IdGenerator

  const getOrCreateUser: WorkspaceStore['Type']['getOrCreateUser'] = (identity) =>
    Effect.gen(function* () {
      const { provider, providerUserId, email, displayName } = yield* checkIdentity(identity)
      const find = (connection: Connection) =>
        connection.first<AccountRow>(workspaceSql.account, provider, providerUserId)
      /** What was not said stays. */
      const profile = (known?: AccountRow) =>
        [
          email === undefined ? (known?.email ?? null) : email,
          displayName === undefined ? (known?.display_name ?? null) : displayName,
        ] as const
      const isCurrent = (known: AccountRow) => {
        const [newEmail, newName] = profile(known)
        return known.email === newEmail && known.display_name === newName
      }

      const known = yield* database.direct('find user', find)
      if (known !== undefined && isCurrent(known)) return { userId: known.id }
      const now = yield* epochSeconds
      const freshId = yield* ids.next
      return yield* database.write('save user', (connection) => {
        const account = find(connection)
        if (account === undefined) {
          connection.run(workspaceSql.insertUser, freshId, ...profile(), now)
          connection.run(workspaceSql.insertAccount, provider, providerUserId, freshId, now)
        } else if (!isCurrent(account)) {
          connection.run(workspaceSql.updateProfile, ...profile(account), account.id)
        }
        return Either.right({ userId: account?.id ?? freshId })
      })
    })

  const getOrCreateDefaultWorkspace: WorkspaceStore['Type']['getOrCreateDefaultWorkspace'] = (id) =>
    Effect.gen(function* () {
      const userId = yield* checkId('user id', id)
      const active = (connection: Connection) =>
        connection.first<WorkspaceRow>(workspaceSql.activeWorkspace, userId)
      const known = yield* database.direct('find default workspace', active)
      if (known !== undefined) return asDefault(known)
      const now = yield* epochSeconds
      const freshId = yield* ids.next
      return yield* database.write('choose default workspace', (connection) =>
        Either.gen(function* () {
          const current = active(connection)
          if (current !== undefined) return asDefault(current)
          yield* requireUser(connection, userId)
          const other = connection.first<WorkspaceRow>(workspaceSql.oldestWorkspace, userId)
          const chosen = other ?? { id: freshId, name: defaultWorkspaceName }
          if (other === undefined) {
            insertWorkspace(connection, { ...chosen, ownerId: userId, description: null, now })
          }
          connection.run(workspaceSql.setActive, chosen.id, userId)
          return other === undefined ? { ...asDefault(chosen), created: true as const } : asDefault(other)
        }),
      )
    })

  return observeStore({
    getOrCreateUser,

    getUser: (identity) =>
      Effect.flatMap(checkIdentityKey(identity), ({ provider, providerUserId }) =>
        database.direct('find user', (connection) => {
          const known = connection.first<AccountRow>(workspaceSql.account, provider, providerUserId)
          return known === undefined ? null : profileOf(known.id, known.email, known.display_name)
        }),
      ),

    getOrCreateDefaultWorkspace,

    getWorkspaceRole: (request) =>
      Effect.flatMap(checkMembership(request), ({ userId, workspaceId }) =>
        database.direct(
          'find role',
          (connection) =>
            connection.first<{ role: Role }>(workspaceSql.role, workspaceId, userId)?.role ?? null,
        ),
      ),

    listWorkspaceIds: database.direct('list workspaces', (connection) =>
      connection.all<{ id: string }>(workspaceSql.allLive).map(({ id }) => id),
    ),

    listUserWorkspaces: (id) =>
      Effect.flatMap(checkId('user id', id), (userId) =>
        database.direct('list workspaces', (connection) =>
          connection.all<ListedRow>(workspaceSql.list, userId).map(summary),
        ),
      ),

    createWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, name, description } = yield* checkWorkspace(request)
        const now = yield* epochSeconds
        const workspaceId = yield* ids.next
        return yield* database.write('create workspace', (connection) =>
          Either.gen(function* () {
            yield* requireUser(connection, userId)
            insertWorkspace(connection, {
              id: workspaceId,
              ownerId: userId,
              name,
              description: description ?? null,
              now,
            })
            return { workspaceId }
          }),
        )
      }),

    updateWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        const { name, description } = yield* checkWorkspace(request)
        yield* database.write('update workspace', (connection) =>
          Either.gen(function* () {
            yield* requireRole(connection, userId, workspaceId, ['owner', 'editor'])
            connection.run(workspaceSql.rename, name, workspaceId)
            if (description !== undefined) {
              connection.run(workspaceSql.describe, description, workspaceId)
            }
          }),
        )
      }),

    removeWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        const now = yield* epochSeconds
        yield* database.write('remove workspace', (connection) =>
          Either.gen(function* () {
            yield* requireRole(connection, userId, workspaceId, ['owner'])
            connection.run(workspaceSql.remove, now, workspaceId)
            connection.run(workspaceSql.rehomeMembers, { workspaceId })
          }),
        )
      }),

    setActiveWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        yield* database.write('set active workspace', (connection) =>
          Either.map(requireMember(connection, userId, workspaceId), () => {
            connection.run(workspaceSql.setActive, workspaceId, userId)
          }),
        )
      }),
  })
})

/** The store; new users and workspaces get ids of the `IdGenerator`. */
export const layer: Layer.Layer<WorkspaceStore, never, Database | IdGenerator> = Layer.effect(
  WorkspaceStore,
  make,
)
