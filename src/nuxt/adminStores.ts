/**
 * Administration, as the host's stores of promises.
 */
import { readFields } from '../services/inputRules.js'
import { Effect } from 'effect'
import type { Run } from './calls.js'
import type {
  AdminStoreProvider,
  AdminUserStore,
  WorkspaceAccessStore,
  WorkspaceMemberInfo,
  WorkspaceSettingsStore,
} from './hostAdmin.js'

const workspaceAccess = (run: Run): WorkspaceAccessStore => ({
  listMembers: async (request) =>
    run(({ administration }) =>
      Effect.map(administration.listMembers(request), (members) =>
        members.map(({ userId, email, role }): WorkspaceMemberInfo =>
          email === undefined ? { userId, role } : { userId, email, role },
        ),
      ),
    ),
  upsertMember: async (request) => run(({ administration }) => administration.upsertMember(request)),
  setMemberRole: async (request) =>
    run(({ memberships }) => memberships.setRole(readFields(request) as unknown as typeof request)),
  removeMember: async (request) =>
    run(({ memberships }) => memberships.removeMember(readFields(request) as unknown as typeof request)),
  listWorkspaces: async (query) => run(({ administration }) => administration.listWorkspaces(query)),
  getWorkspace: async (request) => run(({ administration }) => administration.getWorkspace(request)),
  createWorkspace: async (request) => run(({ administration }) => administration.createWorkspace(request)),
  softDeleteWorkspace: async (request) =>
    run(({ administration }) => administration.removeWorkspace(request)),
  restoreWorkspace: async (request) => run(({ administration }) => administration.restoreWorkspace(request)),
  searchUsers: async (query) => run(({ administration }) => administration.searchUsers(query)),
})

const workspaceSettings = (run: Run): WorkspaceSettingsStore => ({
  get: async (workspaceId, key) => run(({ settings }) => settings.get({ workspaceId, key })),
  set: async (workspaceId, key, value) => run(({ settings }) => settings.set({ workspaceId, key, value })),
})

const adminUsers = (run: Run): AdminUserStore => ({
  listAdmins: async () => run(({ admins }) => admins.list),
  grantAdmin: async (request) => run(({ admins }) => admins.grant(request)),
  revokeAdmin: async (request) => run(({ admins }) => admins.revoke(request)),
  isAdmin: async (request) => run(({ admins }) => admins.isAdmin(readFields(request).userId as string)),
  searchUsers: async (query) => run(({ administration }) => administration.searchUsers(query)),
})

/** The stores of administration. */
export const adminStoresOf = (id: string, run: Run): AdminStoreProvider => {
  const [access, settings, users] = [workspaceAccess(run), workspaceSettings(run), adminUsers(run)]
  return {
    id,
    createWorkspaceAccessStore: () => access,
    createWorkspaceSettingsStore: () => settings,
    createAdminUserStore: () => users,
    getCapabilities: () => ({
      supportsServerSideAdmin: true,
      supportsUserSearch: true,
      supportsWorkspaceList: true,
      supportsWorkspaceManagement: true,
      supportsDeploymentAdminGrants: true,
    }),
  }
}
