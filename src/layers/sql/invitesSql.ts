/**
 * The statements of invites. Changes say themselves when they apply, by the rules of `services/inviteRules.ts`.
 *
 * An acceptance first marks the invite with an id that is this call's alone. What follows looks for that mark, so of two calls for
 * one invite the second finds none, and does nothing.
 */
import { statement } from './batch.js'

const isLive = `EXISTS (SELECT 1 FROM workspaces WHERE id = :workspaceId AND deleted = 0)`
const isAdmin = `EXISTS (SELECT 1 FROM deployment_admins WHERE user_id = :userId)`
const isInviter = `(${isAdmin} OR EXISTS (
  SELECT 1 FROM workspace_members WHERE workspace_id = :workspaceId AND user_id = :userId AND role = 'owner'))`

const isPending = `status = 'pending' AND expires_at > :now`

/** A pending one, else the newest. */
const bestFirst = `(${isPending}) DESC, created_at DESC, id DESC`

const withToken = `
  FROM workspace_invites INDEXED BY workspace_invites_by_token
  WHERE workspace_id = :workspaceId AND token_hash = :tokenHash`
const byToken = `${withToken} AND ${isLive} ORDER BY ${bestFirst} LIMIT 1`
const byEmail = `
  FROM workspace_invites INDEXED BY workspace_invites_by_email
  WHERE workspace_id = :workspaceId AND email = :email AND ${isLive}
  ORDER BY token_hash = :tokenHash DESC, ${bestFirst} LIMIT 1`

const stored = `email, token_hash AS tokenHash, role, status, expires_at AS expiresAt`

/** The invite that this call has accepted. */
const accepted = `${withToken} AND acceptance_id = :freshId`

/** A user who is known by the identity. */
const known = `(SELECT user_id FROM auth_accounts WHERE provider = :provider AND provider_user_id = :providerUserId)`

const mark = (userId: string) => `
  UPDATE workspace_invites SET status = 'accepted', accepted_at = :now, updated_at = :now, acceptance_id = :freshId,
    accepted_user_id = ${userId}`

const rank = (role: string) => `(CASE ${role} WHEN 'owner' THEN 3 WHEN 'editor' THEN 2 ELSE 1 END)`

export const invitesSql = {
  /** Of a live workspace: what the user is there. */
  inviter: statement(`
    SELECT (SELECT role FROM workspace_members WHERE workspace_id = :workspaceId AND user_id = :userId) AS role,
      ${isAdmin} AS isAdmin
    FROM workspaces WHERE id = :workspaceId AND deleted = 0`),
  insert: statement(`
    INSERT INTO workspace_invites
      (id, workspace_id, email, role, status, invited_by_user_id, expires_at, token_hash, created_at, updated_at)
    SELECT :freshId, :workspaceId, :email, :role, 'pending', :userId, :expiresAt, :tokenHash, :now, :now
    WHERE ${isLive} AND ${isInviter}`),

  list: statement(`
    SELECT id, workspace_id AS workspaceId, email, role, status, invited_by_user_id AS invitedByUserId,
      expires_at AS expiresAt, token_hash AS tokenHash, accepted_at AS acceptedAt, accepted_user_id AS acceptedUserId,
      revoked_at AS revokedAt, created_at AS createdAt, updated_at AS updatedAt
    FROM workspace_invites INDEXED BY workspace_invites_by_age
    WHERE workspace_id = :workspaceId
      AND (:status IS NULL OR iif(status = 'pending' AND expires_at <= :now, 'expired', status) = :status)
    ORDER BY created_at DESC, id DESC LIMIT :limit`),

  invite: statement(`SELECT id FROM workspace_invites WHERE id = :inviteId AND workspace_id = :workspaceId`),
  revoke: statement(`
    UPDATE workspace_invites SET status = 'revoked', revoked_at = :now, updated_at = :now
    WHERE id = :inviteId AND workspace_id = :workspaceId AND ${isPending} AND ${isLive} AND ${isInviter}`),

  byToken: statement(`SELECT ${stored} ${byToken}`),
  byEmail: statement(`SELECT ${stored} ${byEmail}`),

  consume: statement(`
    ${mark(':userId')}
    WHERE id = (SELECT id ${byEmail}) AND token_hash = :tokenHash AND ${isPending}
      AND EXISTS (SELECT 1 FROM users WHERE id = :userId)`),
  accept: statement(`
    ${mark(`coalesce(${known}, :freshId)`)}
    WHERE id = (SELECT id ${byToken}) AND email = :email AND ${isPending}`),
  /** For an identity that nobody is known by. */
  insertUser: statement(`
    INSERT INTO users (id, email, display_name, created_at)
    SELECT :freshId, :profileEmail, :displayName, :now ${accepted} AND accepted_user_id = :freshId`),
  /** What was not said of the profile stays. */
  updateUser: statement(`
    UPDATE users SET email = :profileEmail, display_name = iif(:saysName, :displayName, display_name),
      active_workspace_id = :workspaceId
    WHERE id = (SELECT accepted_user_id ${accepted})`),
  /** Tells the role that the user has then. */
  join: statement(`
    INSERT INTO workspace_members (workspace_id, user_id, role, created_at)
    SELECT workspace_id, accepted_user_id, role, :now ${accepted}
    ON CONFLICT (workspace_id, user_id) DO UPDATE
      SET role = iif(${rank('excluded.role')} > ${rank('workspace_members.role')}, excluded.role, workspace_members.role)
    RETURNING user_id AS userId, role`),
}
