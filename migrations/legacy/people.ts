/**
 * Adopts users, accounts, workspaces and memberships.
 */
import { Effect } from 'effect'
import { aside, count, flag, integer, rows, run, text } from './common.js'

const accounts = aside('auth_accounts')
const members = aside('workspace_members')
const workspaces = aside('workspaces')

const hasOwner = `EXISTS (
  SELECT 1 FROM workspace_members AS m WHERE m.workspace_id = workspaces.id AND m.role = 'owner')`

const statements = {
  users: `
    INSERT INTO users (id, email, display_name, active_workspace_id, created_at)
    SELECT ${text('id')}, ${text('email')}, ${text('display_name')}, ${text('active_workspace_id')},
      ${integer('created_at')}
    FROM ${aside('users')} WHERE id IS NOT NULL`,

  // An identity that signs in must find its user, and with it what that user is a member of.
  lostUsers: `
    INSERT INTO users (id, created_at)
    SELECT ${text('user_id')}, min(${integer('created_at')}) FROM ${accounts}
    WHERE user_id IS NOT NULL AND ${text('user_id')} NOT IN (SELECT id FROM users) GROUP BY ${text('user_id')}`,

  accounts: `
    INSERT OR IGNORE INTO auth_accounts (provider, provider_user_id, user_id, created_at)
    SELECT ${text('provider')}, ${text('provider_user_id')}, ${text('user_id')}, ${integer('created_at')}
    FROM ${accounts} ORDER BY created_at, rowid`,

  workspaces: `
    INSERT INTO workspaces (id, name, description, created_at, deleted, deleted_at)
    SELECT ${text('id')}, coalesce(${text('name')}, 'My Workspace'), ${text('description')}, ${integer('created_at')},
      ${flag('deleted')}, iif(${flag('deleted')}, ${integer('deleted_at')}, NULL)
    FROM ${workspaces} WHERE id IS NOT NULL`,

  // Nobody can sign in as a user who has neither a row nor an account, and nobody can enter a workspace that is not there.
  members: `
    INSERT OR IGNORE INTO workspace_members (workspace_id, user_id, role, created_at)
    SELECT ${text('workspace_id')}, ${text('user_id')}, iif(role IN ('owner', 'editor', 'viewer'), role, 'viewer'),
      ${integer('created_at')}
    FROM ${members}
    WHERE ${text('workspace_id')} IN (SELECT id FROM workspaces) AND ${text('user_id')} IN (SELECT id FROM users)
    ORDER BY created_at, rowid`,

  // Only where nobody else is owner: the creator may have been removed by the present ones.
  creatorOwns: `
    INSERT INTO workspace_members (workspace_id, user_id, role, created_at)
    SELECT workspaces.id, users.id, 'owner', workspaces.created_at
    FROM ${workspaces} AS l
    JOIN workspaces ON workspaces.id = ${text('l.id')}
    JOIN users ON users.id = ${text('l.owner_user_id')}
    WHERE NOT ${hasOwner}
    ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = 'owner'`,

  oldestMemberOwns: `
    UPDATE workspace_members SET role = 'owner' WHERE rowid IN (
      SELECT (SELECT m.rowid FROM workspace_members AS m WHERE m.workspace_id = workspaces.id
        ORDER BY m.created_at, m.user_id LIMIT 1)
      FROM workspaces WHERE deleted = 0 AND NOT ${hasOwner})`,

  // The next sign-in chooses another one.
  leaveWhereNoMember: `
    UPDATE users SET active_workspace_id = NULL
    WHERE active_workspace_id IS NOT NULL AND NOT EXISTS (
      SELECT 1 FROM workspaces AS w JOIN workspace_members AS m ON m.workspace_id = w.id
      WHERE w.id = users.active_workspace_id AND w.deleted = 0 AND m.user_id = users.id)`,
}

export const adoptPeople = (has: (table: string) => boolean) =>
  Effect.gen(function* () {
    const users = has('users') ? yield* run(statements.users) : 0
    const lostUsers = has('auth_accounts') ? yield* run(statements.lostUsers) : 0
    const adoptedAccounts = has('auth_accounts') ? yield* run(statements.accounts) : 0
    const adoptedWorkspaces = has('workspaces') ? yield* run(statements.workspaces) : 0
    const adoptedMembers = has('workspace_members') ? yield* run(statements.members) : 0
    const [roles] = has('workspace_members')
      ? yield* rows<{ n: number }>(
          `SELECT count(*) AS n FROM ${members} WHERE role IS NULL OR role NOT IN ('owner', 'editor', 'viewer')`,
        )
      : []
    const owners =
      (has('workspaces') ? yield* run(statements.creatorOwns) : 0) + (yield* run(statements.oldestMemberOwns))
    const homeless = yield* run(statements.leaveWhereNoMember)
    const ownerless = yield* count(`workspaces WHERE deleted = 0 AND NOT ${hasOwner}`)
    return {
      adopted: { users: users + lostUsers, workspaces: adoptedWorkspaces },
      notes: {
        'users restored': lostUsers,
        'accounts left out': has('auth_accounts') ? (yield* count(accounts)) - adoptedAccounts : 0,
        'memberships left out': has('workspace_members') ? (yield* count(members)) - adoptedMembers : 0,
        'unknown roles made viewer': roles?.n ?? 0,
        'workspaces given an owner': owners,
        'workspaces of nobody': ownerless,
        'active workspaces cleared': homeless,
      },
    }
  })
