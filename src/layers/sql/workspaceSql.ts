/**
 * The statements of the workspace store, and the checks that several of its methods share.
 */
import { Either } from 'effect'
import {
  type Role,
  UserNotFound,
  WorkspaceForbidden,
  WorkspaceNotFound,
} from '../../services/WorkspaceStore.js'
import type { Connection } from '../synchronous/connection.js'

/** Where a user without an active workspace goes. */
const newHome = `(
  SELECT w.id FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
  WHERE m.user_id = users.id ORDER BY w.created_at, w.id LIMIT 1)`

export const workspaceSql = {
  account: `
    SELECT users.id, users.email, users.display_name FROM auth_accounts JOIN users ON users.id = auth_accounts.user_id
    WHERE auth_accounts.provider = ? AND auth_accounts.provider_user_id = ?`,
  insertUser: `INSERT INTO users (id, email, display_name, created_at) VALUES (?, ?, ?, ?)`,
  insertAccount: `INSERT INTO auth_accounts (provider, provider_user_id, user_id, created_at) VALUES (?, ?, ?, ?)`,
  updateProfile: `UPDATE users SET email = ?, display_name = ? WHERE id = ?`,

  user: `SELECT id FROM users WHERE id = ?`,
  /** The active workspace, if it is live and the user still a member. */
  activeWorkspace: `
    SELECT w.id, w.name FROM users AS u
    JOIN workspaces AS w ON w.id = u.active_workspace_id AND w.deleted = 0
    JOIN workspace_members AS m ON m.workspace_id = w.id AND m.user_id = u.id
    WHERE u.id = ?`,
  oldestWorkspace: `
    SELECT w.id, w.name FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
    WHERE m.user_id = ? ORDER BY w.created_at, w.id LIMIT 1`,
  role: `
    SELECT m.role FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
    WHERE m.workspace_id = ? AND m.user_id = ?`,
  list: `
    SELECT w.id, w.name, w.description, w.created_at, m.role, w.id IS u.active_workspace_id AS is_active
    FROM workspace_members AS m
    JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
    JOIN users AS u ON u.id = m.user_id
    WHERE m.user_id = ? ORDER BY w.created_at, w.id`,

  insertWorkspace: `INSERT INTO workspaces (id, name, description, created_at) VALUES (?, ?, ?, ?)`,
  insertMember: `INSERT INTO workspace_members (workspace_id, user_id, role, created_at) VALUES (?, ?, ?, ?)`,
  rename: `UPDATE workspaces SET name = ? WHERE id = ?`,
  describe: `UPDATE workspaces SET description = ? WHERE id = ?`,
  remove: `UPDATE workspaces SET deleted = 1, deleted_at = ? WHERE id = ?`,
  setActive: `UPDATE users SET active_workspace_id = ? WHERE id = ?`,
  /** After a workspace is gone. */
  rehomeMembers: `
    UPDATE users SET active_workspace_id = ${newHome}
    WHERE active_workspace_id = :workspaceId AND id IN (SELECT user_id FROM workspace_members WHERE workspace_id = :workspaceId)`,
  /** After a membership is gone. */
  rehomeUser: `
    UPDATE users SET active_workspace_id = ${newHome} WHERE id = :userId AND active_workspace_id = :workspaceId`,

  allLive: `SELECT id FROM workspaces WHERE deleted = 0 ORDER BY created_at, id`,
  liveWorkspace: `SELECT id FROM workspaces WHERE id = ? AND deleted = 0`,
  memberRole: `SELECT role FROM workspace_members WHERE workspace_id = ? AND user_id = ?`,
  otherOwner: `SELECT user_id FROM workspace_members WHERE workspace_id = ? AND user_id <> ? AND role = 'owner' LIMIT 1`,
  members: `
    SELECT m.user_id, m.role, m.created_at, u.email, u.display_name
    FROM workspace_members AS m JOIN users AS u ON u.id = m.user_id
    WHERE m.workspace_id = ? ORDER BY m.created_at, m.user_id`,
  setRole: `UPDATE workspace_members SET role = ? WHERE workspace_id = ? AND user_id = ?`,
  removeMember: `DELETE FROM workspace_members WHERE workspace_id = ? AND user_id = ?`,
}

/** The role of a member of a live workspace; anybody else is told that there is no such workspace. */
export const requireMember = (
  connection: Connection,
  userId: string,
  workspaceId: string,
): Either.Either<Role, WorkspaceNotFound> => {
  const row = connection.first<{ role: Role }>(workspaceSql.role, workspaceId, userId)
  return row === undefined ? Either.left(new WorkspaceNotFound({})) : Either.right(row.role)
}

export const requireRole = (
  connection: Connection,
  userId: string,
  workspaceId: string,
  needs: ReadonlyArray<Role>,
) =>
  Either.filterOrLeft(
    requireMember(connection, userId, workspaceId),
    (role) => needs.includes(role),
    () => new WorkspaceForbidden({ needs }),
  )

export const requireUser = (connection: Connection, userId: string): Either.Either<void, UserNotFound> =>
  connection.first(workspaceSql.user, userId) === undefined ? Either.left(new UserNotFound({})) : Either.void

/** For trusted callers, who need no membership. */
export const requireWorkspace = (
  connection: Connection,
  workspaceId: string,
): Either.Either<void, WorkspaceNotFound> =>
  connection.first(workspaceSql.liveWorkspace, workspaceId) === undefined
    ? Either.left(new WorkspaceNotFound({}))
    : Either.void

/** A workspace and its owner's membership. */
export const insertWorkspace = (
  connection: Connection,
  workspace: {
    readonly id: string
    readonly ownerId: string
    readonly name: string
    readonly description: string | null
    readonly now: number
  },
) => {
  const { id, ownerId, name, description, now } = workspace
  connection.run(workspaceSql.insertWorkspace, id, name, description, now)
  connection.run(workspaceSql.insertMember, id, ownerId, 'owner', now)
}
