/**
 * Where providers put their store of users and workspaces. Like OR3 Chat's, it calls `create` on every look-up.
 */
import type { AuthWorkspaceStore } from 'or3-provider-sqlite/adapters'

interface StoreRegistration {
  readonly id: string
  readonly order?: number
  readonly create: () => AuthWorkspaceStore
}

const stores = new Map<string, StoreRegistration>()

export const registerAuthWorkspaceStore = (item: StoreRegistration) => {
  stores.set(item.id, item)
}

export const getAuthWorkspaceStore = (id: string): AuthWorkspaceStore | undefined => stores.get(id)?.create()
