/**
 * Where providers put their sync gateway. Like OR3 Chat's, it keeps one instance per id until the id is registered again.
 */
import type { SyncGatewayAdapter } from 'or3-provider-sqlite/adapters'

interface GatewayRegistration {
  readonly id: string
  readonly order?: number
  readonly create: () => SyncGatewayAdapter
}

const gateways = new Map<string, GatewayRegistration>()
const instances = new Map<string, SyncGatewayAdapter>()

export const registerSyncGatewayAdapter = (item: GatewayRegistration) => {
  gateways.set(item.id, item)
  instances.delete(item.id)
}

export const getSyncGatewayAdapter = (id: string): SyncGatewayAdapter | undefined => {
  const instance = instances.get(id) ?? gateways.get(id)?.create()
  if (instance !== undefined) instances.set(id, instance)
  return instance
}
