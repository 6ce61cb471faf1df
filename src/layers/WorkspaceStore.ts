/**
 * The workspace store on SQLite.
 *
 * What every session asks (identity, default workspace, role) is answered by one indexed read; only when there is something
 * to change is it asked again, and changed, inside a write transaction.
 */
import type { Connection } from '@effect/sql/SqlConnection'
import { Effect, Layer } from 'effect'
import { IdGenerator } from '../services/IdGenerator.js'
import { SchemaMigrator } from '../services/SchemaMigrator.js'
import { type Role, type WorkspaceSummary, WorkspaceStore } from '../services/WorkspaceStore.js'
import {
  checkId,
  checkIdentity,
  checkMembership,
  checkWorkspace,
  defaultWorkspaceName,
} from '../services/workspaceRules.js'
import { Database } from './Database.js'
import { all } from './statement.js'
import { epochSeconds } from './time.js'
import {
  insertWorkspace,
  one,
  requireMember,
  requireRole,
  requireUser,
  workspaceSql,
} from './workspaceSql.js'

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

const asDefault = (row: WorkspaceRow) => ({ workspaceId: row.id, workspaceName: row.name })

const make = Effect.gen(function* () {
  yield* SchemaMigrator
  const database = yield* Database
  const ids = yield* IdGenerator

  const getOrCreateUser: WorkspaceStore['Type']['getOrCreateUser'] = (identity) =>
    Effect.gen(function* () {
      const { provider, providerUserId, email, displayName } = yield* checkIdentity(identity)
      const find = (connection: Connection) =>
        one<AccountRow>(connection, workspaceSql.account, [provider, providerUserId])
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

      const known = yield* database.read('find user', find)
      if (known !== undefined && isCurrent(known)) return { userId: known.id }
      const now = yield* epochSeconds
      const freshId = yield* ids.next
      return yield* database.write('save user', (connection) =>
        Effect.gen(function* () {
          const account = yield* find(connection)
          if (account !== undefined) {
            if (!isCurrent(account)) {
              yield* all(connection, workspaceSql.updateProfile, [...profile(account), account.id])
            }
            return { userId: account.id }
          }
          yield* all(connection, workspaceSql.insertUser, [freshId, ...profile(), now])
          yield* all(connection, workspaceSql.insertAccount, [provider, providerUserId, freshId, now])
          return { userId: freshId }
        }),
      )
    })

  const getOrCreateDefaultWorkspace: WorkspaceStore['Type']['getOrCreateDefaultWorkspace'] = (id) =>
    Effect.gen(function* () {
      const userId = yield* checkId('user id', id)
      const active = (connection: Connection) =>
        one<WorkspaceRow>(connection, workspaceSql.activeWorkspace, [userId])
      const known = yield* database.read('find default workspace', active)
      if (known !== undefined) return asDefault(known)
      const now = yield* epochSeconds
      const freshId = yield* ids.next
      return yield* database.write('choose default workspace', (connection) =>
        Effect.gen(function* () {
          const current = yield* active(connection)
          if (current !== undefined) return asDefault(current)
          yield* requireUser(connection, userId)
          let chosen = yield* one<WorkspaceRow>(connection, workspaceSql.oldestWorkspace, [userId])
          if (chosen === undefined) {
            chosen = { id: freshId, name: defaultWorkspaceName }
            yield* insertWorkspace(connection, { ...chosen, ownerId: userId, description: null, now })
          }
          yield* all(connection, workspaceSql.setActive, [chosen.id, userId])
          return asDefault(chosen)
        }),
      )
    })

  return WorkspaceStore.of({
    getOrCreateUser,
    getOrCreateDefaultWorkspace,

    getWorkspaceRole: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        const row = yield* database.read('find role', (connection) =>
          one<{ role: Role }>(connection, workspaceSql.role, [workspaceId, userId]),
        )
        return row?.role ?? null
      }),

    listUserWorkspaces: (id) =>
      Effect.gen(function* () {
        const userId = yield* checkId('user id', id)
        const rows = yield* database.read('list workspaces', (connection) =>
          all<ListedRow>(connection, workspaceSql.list, [userId]),
        )
        return rows.map(summary)
      }),

    createWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, name, description } = yield* checkWorkspace(request)
        const now = yield* epochSeconds
        const workspaceId = yield* ids.next
        return yield* database.write('create workspace', (connection) =>
          Effect.gen(function* () {
            yield* requireUser(connection, userId)
            yield* insertWorkspace(connection, {
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
          Effect.gen(function* () {
            yield* requireRole(connection, userId, workspaceId, ['owner', 'editor'])
            yield* all(connection, workspaceSql.rename, [name, workspaceId])
            if (description !== undefined) {
              yield* all(connection, workspaceSql.describe, [description, workspaceId])
            }
          }),
        )
      }),

    removeWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        const now = yield* epochSeconds
        yield* database.write('remove workspace', (connection) =>
          Effect.gen(function* () {
            yield* requireRole(connection, userId, workspaceId, ['owner'])
            yield* all(connection, workspaceSql.remove, [now, workspaceId])
            yield* all(connection, workspaceSql.rehomeMembers, [{ workspaceId }])
          }),
        )
      }),

    setActiveWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, workspaceId } = yield* checkMembership(request)
        yield* database.write('set active workspace', (connection) =>
          Effect.zipRight(
            requireMember(connection, userId, workspaceId),
            all(connection, workspaceSql.setActive, [workspaceId, userId]),
          ),
        )
      }),
  })
})

/** Needs the migrator, so that no statement runs before the schema is there. */
export const layer: Layer.Layer<WorkspaceStore, never, Database | SchemaMigrator | IdGenerator> =
  Layer.effect(WorkspaceStore, make)
