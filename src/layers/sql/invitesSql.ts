/**
 * The statements of invites. Changes say themselves when they apply, by the rules of `services/inviteRules.ts`.
 *
 * An acceptance first marks the invite with an id that is this call's alone. What follows looks for that mark, so of two calls for
 * one invite the second finds none, and does nothing.
 */
import { statement } from './batch.js'

/** Invites removed in one step. */
export const stepSize = 500

const isLive = `EXISTS (SELECT 1 FROM workspaces WHERE id = :workspaceId AND deleted = 0)`
const isAdmin = `EXISTS (SELECT 1 FROM deployment_admins WHERE user_id = :userId)`
const isInviter = `(${isAdmin} OR EXISTS (
  SELECT 1 FROM workspace_members WHERE workspace_id = :workspaceId AND user_id = :userId AND role = 'owner'))`

const isPending = `status = 'pending' AND expires_at > :now`

/** The later row is the younger one of a second: no row gets a number below one that is there, and copies keep the order. */
const newestFirst = `created_at DESC, rowid DESC`

/** A pending one, else the newest. */
const bestFirst = `(${isPending}) DESC, ${newestFirst}`

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

const hasOtherOwner = `EXISTS (
  SELECT 1 FROM workspace_members AS o
  WHERE o.workspace_id = :workspaceId AND o.user_id <> m.user_id AND o.role = 'owner')`

/** Whether a member may go, or be what they are to be, by the rules of memberships. */
const changes = (userId: string, what: string) => `${isLive} AND EXISTS (
  SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = :workspaceId AND m.user_id = ${userId} AND (${what}))`

const revoked = `status = 'revoked', revoked_at = :now, updated_at = :now`

/** Open invites that somebody made who is about to be no owner any more, unless they may invite all the same. */
const revokeMadeBy = (who: string, change: string) =>
  statement(`
    UPDATE workspace_invites INDEXED BY workspace_invites_open SET ${revoked}
    WHERE workspace_id = :workspaceId AND invited_by_user_id = ${who} AND ${isPending}
      AND NOT EXISTS (SELECT 1 FROM deployment_admins WHERE user_id = invited_by_user_id)
      AND ${changes('invited_by_user_id', change)}`)

const goes = `m.role <> 'owner' OR ${hasOtherOwner}`

/** Before a role is set; who it is of, an expression. */
export const revokeOfDemoted = (who: string) =>
  revokeMadeBy(who, `m.role = 'owner' AND :role <> 'owner' AND ${hasOtherOwner}`)

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
    ORDER BY ${newestFirst} LIMIT :limit`),

  /** Those that ended before a time: some of them. */
  dropEnded: statement(`
    DELETE FROM workspace_invites INDEXED BY sqlite_autoindex_workspace_invites_1 WHERE id IN (
      SELECT id FROM workspace_invites INDEXED BY workspace_invites_by_end
      WHERE iif(status = 'pending', expires_at, updated_at) < :endedBefore LIMIT ${stepSize})
    RETURNING 1 AS dropped`),

  invite: statement(`SELECT id FROM workspace_invites WHERE id = :inviteId AND workspace_id = :workspaceId`),
  revoke: statement(`
    UPDATE workspace_invites SET status = 'revoked', revoked_at = :now, updated_at = :now
    WHERE id = :inviteId AND workspace_id = :workspaceId AND ${isPending} AND ${isLive} AND ${isInviter}`),

  /** Before a member is removed. */
  ofLeaver: {
    revokeMade: revokeMadeBy(':userId', goes),
    revokeAddressed: statement(`
      UPDATE workspace_invites INDEXED BY workspace_invites_by_email SET ${revoked}
      WHERE workspace_id = :workspaceId AND email = (SELECT folded_email FROM users WHERE id = :userId) AND ${isPending}
        AND ${changes(':userId', goes)}`),
  },
  revokeOfDemoted: revokeOfDemoted(':userId'),

  byToken: statement(`SELECT ${stored} ${byToken}`),
  byEmail: statement(`SELECT ${stored} ${byEmail}`),

  consume: statement(`
    ${mark(':userId')}
    WHERE id = (SELECT id ${byEmail}) AND token_hash = :tokenHash AND ${isPending}
      AND EXISTS (SELECT 1 FROM users WHERE id = :userId AND erased_at IS NULL)`),
  accept: statement(`
    ${mark(`coalesce(${known}, :freshId)`)}
    WHERE id = (SELECT id ${byToken}) AND email = :email AND ${isPending}`),
  /** For an identity that nobody is known by. */
  insertUser: statement(`
    INSERT INTO users (id, email, folded_email, display_name, created_at)
    SELECT :freshId, :profileEmail, :foldedEmail, :displayName, :now ${accepted} AND accepted_user_id = :freshId`),
  /** What was not said of the profile stays. */
  updateUser: statement(`
    UPDATE users SET email = :profileEmail, folded_email = :foldedEmail, display_name = iif(:saysName, :displayName, display_name),
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
