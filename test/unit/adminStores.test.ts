/**
 * The stores of administration as the host's registry takes them, while the database is open, after it is closed, and where it is
 * never opened.
 */
import { describe, expect, it } from 'vitest'
import { type Adapters, unopenedProvider } from '../../src/nuxt/adapters.js'
import { makeAdapters, statusOf } from '../support/adapterCalls.js'

const { provider } = makeAdapters()

const all = {
  supportsServerSideAdmin: true,
  supportsUserSearch: true,
  supportsWorkspaceList: true,
  supportsWorkspaceManagement: true,
  supportsDeploymentAdminGrants: true,
}

const storesIn = ({ adminStores }: Adapters) => [
  adminStores.createWorkspaceAccessStore(),
  adminStores.createWorkspaceSettingsStore(),
  adminStores.createAdminUserStore(),
]

/** What a call of every method comes to. */
const statusesOf = (adapters: Adapters) =>
  Promise.all(
    storesIn(adapters).flatMap((store) =>
      Object.values(store).map((call) => statusOf(() => (call as () => Promise<unknown>)())),
    ),
  )

describe('the stores of administration', () => {
  it('are what the registry takes, each one and the same', () => {
    const { adminStores } = provider()
    expect(Object.keys(adminStores).sort()).toEqual([
      'createAdminUserStore',
      'createWorkspaceAccessStore',
      'createWorkspaceSettingsStore',
      'getCapabilities',
      'id',
    ])
    expect(adminStores.id).toBe('sqlite')
    expect(adminStores.getCapabilities()).toEqual(all)
    const [first, again] = [storesIn(provider()), storesIn(provider())]
    for (const [index, store] of first.entries()) expect(again[index]).toBe(store)
    expect(first.map((store) => Object.keys(store).sort())).toEqual([
      [
        'createWorkspace',
        'getWorkspace',
        'listMembers',
        'listWorkspaces',
        'removeMember',
        'restoreWorkspace',
        'searchUsers',
        'setMemberRole',
        'softDeleteWorkspace',
        'upsertMember',
      ],
      ['get', 'set'],
      ['grantAdmin', 'isAdmin', 'listAdmins', 'revokeAdmin', 'searchUsers'],
    ])
  })

  it('answer 400 where nothing is asked for, and 200 where nothing need be', async () => {
    const told = await statusesOf(provider())
    expect(told.filter((status) => status === 200)).toHaveLength(1)
    expect(told.filter((status) => status === 400)).toHaveLength(told.length - 1)
  })

  it('refuse every call with 503 once the provider is closed', async () => {
    await provider().close()
    expect(new Set(await statusesOf(provider()))).toEqual(new Set([503]))
  })

  it('refuse every call with 503 where the database is never opened, and still say what they can do', async () => {
    expect(new Set(await statusesOf(unopenedProvider()))).toEqual(new Set([503]))
    expect(unopenedProvider().adminStores.getCapabilities()).toEqual(all)
    expect(unopenedProvider().adminStores.id).toBe('sqlite')
    const { workspaceStore } = unopenedProvider()
    const claim = { workspaceId: 'w', email: 'a@b', tokenHash: 'h' }
    expect(await statusOf(() => workspaceStore.validateInvite(claim))).toBe(503)
  })
})
