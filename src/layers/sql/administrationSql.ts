/**
 * The statements of administration, of settings and of administrators. Changes say themselves when they apply.
 */
import { statement } from './batch.js'
import { revokeOfDemoted } from './invitesSql.js'

const isLive = `EXISTS (SELECT 1 FROM workspaces WHERE id = :workspaceId AND deleted = 0)`
const isUser = `EXISTS (SELECT 1 FROM users WHERE id = :userId AND erased_at IS NULL)`

/** Without what was not asked for, so that a list of all reads no names. */
const matching = (searched: boolean, withRemoved: boolean) => {
  const conditions = [
    withRemoved ? 'purged_at IS NULL' : 'deleted = 0',
    ...(searched ? [`(instr(lower(name), :folded) > 0 OR id = :search)`] : []),
  ]
  return `FROM workspaces INDEXED BY workspaces_by_age WHERE ${conditions.join(' AND ')}`
}

const overview = (ids: string) => `
  SELECT w.id, w.name, w.description, w.created_at, w.deleted, w.deleted_at, u.id AS owner_id, u.email AS owner_email,
    (SELECT count(*) FROM workspace_members AS m WHERE m.workspace_id = w.id) AS members
  FROM ${ids}
  LEFT JOIN users AS u ON u.id = (
    SELECT o.user_id FROM workspace_members AS o WHERE o.workspace_id = w.id AND o.role = 'owner'
    ORDER BY o.created_at, o.user_id LIMIT 1)`

/** The page's ids are found in the index alone; the rest is looked up for these. */
const page = (searched: boolean, withRemoved: boolean) =>
  statement(`
    ${overview(`(SELECT id ${matching(searched, withRemoved)} ORDER BY created_at, id LIMIT :limit OFFSET :before) AS p
      CROSS JOIN workspaces AS w ON w.id = p.id`)}
    ORDER BY w.created_at, w.id`)

const total = (searched: boolean, withRemoved: boolean) =>
  statement(`SELECT count(*) AS total ${matching(searched, withRemoved)}`)

const both = <A>(of: (searched: boolean, withRemoved: boolean) => A) => ({
  all: { live: of(false, false), any: of(false, true) },
  searched: { live: of(true, false), any: of(true, true) },
})

/** Users by their address: two say that it is nobody's alone. */
const byEmail = `FROM users INDEXED BY users_by_folded_email WHERE folded_email = :email`
/** Accounts by the provider's id of a user. */
const byAccount = `
  FROM auth_accounts INDEXED BY auth_accounts_by_provider_user
  WHERE provider_user_id = :id AND (:provider IS NULL OR provider = :provider)`
const isNobodysAccount = `NOT EXISTS (SELECT 1 ${byAccount})`

/** The user who is meant, or NULL where it is nobody or not clear. */
const whoByEmail = `(SELECT iif(count(*) = 1, min(id), NULL) ${byEmail})`
const whoById = `coalesce((SELECT iif(count(DISTINCT user_id) = 1, min(user_id), NULL) ${byAccount}),
  (SELECT id FROM users WHERE id = :id AND erased_at IS NULL AND ${isNobodysAccount}))`

/** An only owner stays one. */
const assignment = (who: string) => ({
  /** Of a member: the role, and whether there is an owner besides. */
  member: statement(`
    SELECT m.role, EXISTS (
      SELECT 1 FROM workspace_members AS o
      WHERE o.workspace_id = m.workspace_id AND o.user_id <> m.user_id AND o.role = 'owner') AS hasOtherOwner
    FROM workspace_members AS m WHERE m.workspace_id = :workspaceId AND m.user_id = ${who}`),
  revokeInvites: revokeOfDemoted(who),
  setRole: statement(`
    UPDATE workspace_members SET role = :role
    WHERE workspace_id = :workspaceId AND user_id = ${who} AND role <> :role AND ${isLive}
      AND (role <> 'owner' OR EXISTS (
        SELECT 1 FROM workspace_members AS o
        WHERE o.workspace_id = :workspaceId AND o.user_id <> workspace_members.user_id AND o.role = 'owner'))`),
  insertMember: statement(`
    INSERT INTO workspace_members (workspace_id, user_id, role, created_at)
    SELECT :workspaceId, u.id, :role, :now FROM users AS u
    WHERE u.id = ${who} AND ${isLive} AND NOT EXISTS (
      SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = :workspaceId AND m.user_id = u.id)`),
})

export const administrationSql = {
  page: both(page),
  total: both(total),
  overview: statement(`${overview('workspaces AS w')} WHERE w.id = :workspaceId AND w.purged_at IS NULL`),

  workspace: statement(`SELECT id FROM workspaces WHERE id = :workspaceId AND purged_at IS NULL`),
  remove: statement(`
    UPDATE workspaces SET deleted = 1, deleted_at = :deletedAt WHERE id = :workspaceId AND deleted = 0`),
  restore: statement(`
    UPDATE workspaces SET deleted = 0, deleted_at = NULL WHERE id = :workspaceId AND deleted = 1 AND purged_at IS NULL`),

  searchUsers: statement(`
    SELECT id, email, display_name FROM users
    WHERE erased_at IS NULL AND (
      :query = '' OR instr(lower(email), :folded) > 0 OR instr(lower(display_name), :folded) > 0 OR id = :query
      OR id IN (SELECT user_id FROM auth_accounts INDEXED BY auth_accounts_by_provider_user WHERE provider_user_id = :query))
    ORDER BY created_at, id LIMIT :limit`),

  usersByEmail: statement(`SELECT id ${byEmail} LIMIT 2`),
  assignByEmail: assignment(whoByEmail),
  usersByAccount: statement(`SELECT DISTINCT user_id AS id ${byAccount} LIMIT 2`),
  userById: statement(`SELECT id, erased_at IS NOT NULL AS isErased FROM users WHERE id = :id`),
  /** For an id that nobody goes by, where it is said whose it is. */
  insertUser: statement(`
    INSERT INTO users (id, created_at) SELECT :freshId, :now
    WHERE :provider IS NOT NULL AND ${isLive} AND ${isNobodysAccount} AND NOT EXISTS (SELECT 1 FROM users WHERE id = :id)`),
  assignById: assignment(whoById),

  setting: statement(`
    SELECT s.value FROM workspaces AS w JOIN workspace_settings AS s ON s.workspace_id = w.id AND s.key = :key
    WHERE w.id = :workspaceId AND w.deleted = 0`),
  set: statement(`
    INSERT INTO workspace_settings (workspace_id, key, value, updated_at)
    SELECT id, :key, :value, :now FROM workspaces WHERE id = :workspaceId AND deleted = 0
    ON CONFLICT (workspace_id, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`),

  admins: statement(`
    SELECT a.user_id, a.created_at, a.created_by_user_id, u.email, u.display_name
    FROM deployment_admins AS a JOIN users AS u ON u.id = a.user_id ORDER BY a.created_at, a.user_id`),
  isAdmin: statement(`SELECT user_id FROM deployment_admins WHERE user_id = :userId`),
  grant: statement(`
    INSERT INTO deployment_admins (user_id, created_at, created_by_user_id)
    SELECT :userId, :now, :createdBy WHERE ${isUser} ON CONFLICT (user_id) DO NOTHING`),
  revoke: statement(`DELETE FROM deployment_admins WHERE user_id = :userId`),
}
