/**
 * What the sync endpoints have in common: body, session, permission, and then the selected provider's gateway.
 */
import { createError, defineEventHandler, type H3Event } from 'h3'
import { useRuntimeConfig } from 'nitropack/runtime'
import type { SyncGatewayAdapter } from 'or3-provider-sqlite/adapters'
import { requirePermission } from '../auth/session'
import { bodyOf } from '../validate'
import { getSyncGatewayAdapter } from './gateway/registry'

const currentGateway = (): SyncGatewayAdapter => {
  const id = useRuntimeConfig().public.sync.provider
  const gateway = getSyncGatewayAdapter(id)
  if (gateway === undefined) {
    throw createError({ statusCode: 500, statusMessage: `No sync gateway named ${id} is registered` })
  }
  return gateway
}

export const syncEndpoint = <A extends { readonly scope: { readonly workspaceId: string } }>(
  permission: Parameters<typeof requirePermission>[2],
  read: (body: Readonly<Record<string, unknown>>) => A,
  call: (gateway: SyncGatewayAdapter, event: H3Event, input: A) => Promise<unknown>,
) =>
  defineEventHandler(async (event) => {
    const { auth, sync } = useRuntimeConfig()
    if (!auth.enabled || !sync.enabled) throw createError({ statusCode: 404, statusMessage: 'Not Found' })
    const input = read(await bodyOf(event))
    await requirePermission(event, input.scope.workspaceId, permission)
    return (await call(currentGateway(), event, input)) ?? { ok: true }
  })
