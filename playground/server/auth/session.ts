/**
 * Who asks, in which workspace, with which role: found out once per request and left on the event for the provider.
 */
import { randomUUID } from 'node:crypto'
import { createError, type H3Event } from 'h3'
import { useRuntimeConfig } from 'nitropack/runtime'
import type { AuthWorkspaceStore } from 'or3-provider-sqlite/adapters'
import { signedInName } from './signIn'
import { getAuthWorkspaceStore } from './store/registry'

type Role = 'owner' | 'editor' | 'viewer'

export interface Session {
  readonly authenticated: true
  readonly provider: string
  readonly user: { readonly id: string; readonly displayName: string }
  readonly workspace: { readonly id: string; readonly name: string }
  readonly role: Role
}

type Permission = 'workspace.read' | 'workspace.write'

const grants: Record<Permission, ReadonlyArray<Role>> = {
  'workspace.read': ['owner', 'editor', 'viewer'],
  'workspace.write': ['owner', 'editor'],
}

/** The store of the selected provider; asked for anew each time, as OR3 Chat does. */
export const currentStore = (): AuthWorkspaceStore => {
  const id = useRuntimeConfig().public.sync.provider
  const store = getAuthWorkspaceStore(id)
  if (store === undefined) {
    throw createError({ statusCode: 500, statusMessage: `No workspace store named ${id} is registered` })
  }
  return store
}

const signedIn = async (name: string): Promise<Session> => {
  const { provider } = useRuntimeConfig().auth
  const { userId } = await currentStore().getOrCreateUser({
    provider,
    providerUserId: name,
    displayName: name,
  })
  const { workspaceId, workspaceName } = await currentStore().getOrCreateDefaultWorkspace(userId)
  const role = await currentStore().getWorkspaceRole({ userId, workspaceId })
  if (role === null) throw createError({ statusCode: 403, statusMessage: 'Not a member of the workspace' })
  return {
    authenticated: true,
    provider,
    user: { id: userId, displayName: name },
    workspace: { id: workspaceId, name: workspaceName },
    role,
  }
}

const resolved = new WeakMap<H3Event, Promise<Session | null>>()

const resolve = async (event: H3Event): Promise<Session | null> => {
  const name = useRuntimeConfig().auth.enabled ? signedInName(event) : undefined
  const session = name === undefined ? null : await signedIn(name)
  event.context[`__or3_session_context_${randomUUID()}`] = session ?? { authenticated: false }
  return session
}

/** The request's session; null when nobody is signed in. */
export const resolveSession = (event: H3Event): Promise<Session | null> => {
  const known = resolved.get(event) ?? resolve(event)
  resolved.set(event, known)
  return known
}

/** Fails with 401 when nobody is signed in. */
export const requireSession = async (event: H3Event): Promise<Session> => {
  const session = await resolveSession(event)
  if (session === null) throw createError({ statusCode: 401, statusMessage: 'Unauthorized' })
  return session
}

/** Fails with 401 without a session, and with 403 for another workspace or a role that may not. */
export const requirePermission = async (event: H3Event, workspaceId: string, permission: Permission) => {
  const { workspace, role } = await requireSession(event)
  if (workspace.id !== workspaceId || !grants[permission].includes(role)) {
    throw createError({ statusCode: 403, statusMessage: 'Forbidden' })
  }
}
