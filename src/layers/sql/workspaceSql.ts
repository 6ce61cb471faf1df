/**
 * The statements of the workspace store and of memberships. A change says itself when it applies, so that a call that is
 * refused changes nothing, wherever it runs.
 */
import { statement } from './batch.js'

/** The live workspaces of a user, the oldest first; `userId` is an expression. */
const liveOf = (userId: string) => `
  FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
  WHERE m.user_id = ${userId} ORDER BY w.created_at, w.id`

/** Where a user without an active workspace goes. */
const newHome = `(SELECT w.id ${liveOf('users.id')} LIMIT 1)`

const isLive = `EXISTS (SELECT 1 FROM workspaces WHERE id = :workspaceId AND deleted = 0)`
const isUser = `EXISTS (SELECT 1 FROM users WHERE id = :userId AND erased_at IS NULL)`
const hasRole = (roles: string) => `EXISTS (
  SELECT 1 FROM workspace_members WHERE workspace_id = :workspaceId AND user_id = :userId ${roles})`
const hasOtherOwner = `EXISTS (
  SELECT 1 FROM workspace_members WHERE workspace_id = :workspaceId AND user_id <> :userId AND role = 'owner')`

const account = `FROM auth_accounts WHERE provider = :provider AND provider_user_id = :providerUserId`

/** The active workspace, if it is live and the user still a member. */
const activeOf = (userId: string) => `
  FROM users AS u
  JOIN workspaces AS w ON w.id = u.active_workspace_id AND w.deleted = 0
  JOIN workspace_members AS m ON m.workspace_id = w.id AND m.user_id = u.id
  WHERE u.id = ${userId}`

const role = `
  FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
  WHERE m.workspace_id = :workspaceId AND m.user_id = :userId`

export const workspaceSql = {
  account: statement(`
    SELECT users.id, users.email, users.display_name FROM auth_accounts JOIN users ON users.id = auth_accounts.user_id
    WHERE auth_accounts.provider = :provider AND auth_accounts.provider_user_id = :providerUserId`),
  insertUser: statement(`
    INSERT INTO users (id, email, folded_email, display_name, created_at)
    SELECT :freshId, :email, :foldedEmail, :displayName, :now WHERE NOT EXISTS (SELECT 1 ${account})`),
  /** For a user who was inserted. */
  insertAccount: statement(`
    INSERT INTO auth_accounts (provider, provider_user_id, user_id, created_at)
    SELECT :provider, :providerUserId, id, :now FROM users WHERE id = :freshId`),
  /** What was not said stays. */
  updateProfile: statement(`
    UPDATE users SET email = iif(:saysEmail, :email, email), folded_email = iif(:saysEmail, :foldedEmail, folded_email),
      display_name = iif(:saysName, :displayName, display_name)
    WHERE id = (SELECT user_id ${account})
      AND (:saysEmail AND email IS NOT :email OR :saysName AND display_name IS NOT :displayName)`),

  user: statement(`SELECT id FROM users WHERE id = :userId AND erased_at IS NULL`),
  activeWorkspace: statement(`SELECT w.id, w.name ${activeOf(':userId')}`),
  role: statement(`SELECT m.role ${role}`),
  list: statement(`
    SELECT w.id, w.name, w.description, w.created_at, m.role, w.id IS u.active_workspace_id AS is_active
    FROM workspace_members AS m
    JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
    JOIN users AS u ON u.id = m.user_id
    WHERE m.user_id = :userId ORDER BY w.created_at, w.id`),
  allLive: statement(`SELECT id FROM workspaces WHERE deleted = 0 ORDER BY created_at, id`),

  insertWorkspace: statement(`
    INSERT INTO workspaces (id, name, description, created_at)
    SELECT :freshId, :name, :description, :now WHERE ${isUser}`),
  /** For a user who is in no live one. */
  insertFirstWorkspace: statement(`
    INSERT INTO workspaces (id, name, description, created_at)
    SELECT :freshId, :name, NULL, :now WHERE ${isUser} AND NOT EXISTS (SELECT 1 ${liveOf(':userId')})`),
  insertOwner: statement(`
    INSERT INTO workspace_members (workspace_id, user_id, role, created_at)
    SELECT id, :userId, 'owner', :now FROM workspaces WHERE id = :freshId`),
  chooseActive: statement(`
    UPDATE users SET active_workspace_id = ${newHome}
    WHERE id = :userId AND NOT EXISTS (SELECT 1 ${activeOf(':userId')})`),
  setActive: statement(`
    UPDATE users SET active_workspace_id = :workspaceId WHERE id = :userId AND EXISTS (SELECT 1 ${role})`),

  update: statement(`
    UPDATE workspaces SET name = :name, description = iif(:saysDescription, :description, description)
    WHERE id = :workspaceId AND deleted = 0 AND ${hasRole(`AND role IN ('owner', 'editor')`)}`),
  remove: statement(`
    UPDATE workspaces SET deleted = 1, deleted_at = :now
    WHERE id = :workspaceId AND deleted = 0 AND ${hasRole(`AND role = 'owner'`)}`),
  /** After a workspace is gone. */
  rehomeMembers: statement(`
    UPDATE users SET active_workspace_id = ${newHome}
    WHERE active_workspace_id = :workspaceId AND id IN (SELECT user_id FROM workspace_members WHERE workspace_id = :workspaceId)
      AND EXISTS (SELECT 1 FROM workspaces WHERE id = :workspaceId AND deleted = 1)`),

  liveWorkspace: statement(`SELECT id FROM workspaces WHERE id = :workspaceId AND deleted = 0`),
  memberRole: statement(`
    SELECT role FROM workspace_members WHERE workspace_id = :workspaceId AND user_id = :userId`),
  otherOwner: statement(`
    SELECT user_id FROM workspace_members WHERE workspace_id = :workspaceId AND user_id <> :userId AND role = 'owner' LIMIT 1`),
  members: statement(`
    SELECT m.user_id, m.role, m.created_at, u.email, u.display_name
    FROM workspace_members AS m JOIN users AS u ON u.id = m.user_id
    WHERE m.workspace_id = :workspaceId ORDER BY m.created_at, m.user_id`),
  insertMember: statement(`
    INSERT INTO workspace_members (workspace_id, user_id, role, created_at)
    SELECT :workspaceId, :userId, :role, :now WHERE ${isLive} AND ${isUser} AND NOT ${hasRole('')}`),
  /** The last owner stays one. */
  setRole: statement(`
    UPDATE workspace_members SET role = :role
    WHERE workspace_id = :workspaceId AND user_id = :userId AND role <> :role AND ${isLive}
      AND (role <> 'owner' OR ${hasOtherOwner})`),
  /** The last owner stays. */
  removeMember: statement(`
    DELETE FROM workspace_members
    WHERE workspace_id = :workspaceId AND user_id = :userId AND ${isLive} AND (role <> 'owner' OR ${hasOtherOwner})`),
  /** After a membership is gone. */
  rehomeUser: statement(`
    UPDATE users SET active_workspace_id = ${newHome}
    WHERE id = :userId AND active_workspace_id = :workspaceId AND NOT ${hasRole('')} AND ${isLive}`),
}
