/**
 * Who calls: the session that the host left on the event.
 */
import type { Caller } from '../services/SyncDomain.js'
import type { HostEvent } from './host.js'
import { unauthenticated } from './httpErrors.js'

/** The rest of the key varies per request. */
const keyPrefix = '__or3_session_context_'

interface HostSession {
  readonly authenticated?: unknown
  readonly user?: { readonly id?: unknown } | null
  readonly workspace?: { readonly id?: unknown } | null
}

/**
 * The same for a call that needs a session: 401 for an event with a context but none in it. The host's endpoints have resolved one
 * by then. Tools and tests have no event, or `{}`, and stay trusted, so a tool of the February host goes on working; a context
 * is what only a request has.
 */
export const callerOfSession = (event: HostEvent | undefined): Caller | undefined => {
  const caller = callerOf(event)
  if (caller === undefined && (event?.context ?? undefined) !== undefined) throw unauthenticated()
  return caller
}

/** The caller of a request; undefined for an event without session, which is trusted. Throws 401 for a session of nobody. */
export const callerOf = (event: HostEvent | undefined): Caller | undefined => {
  const context = event?.context
  if (context === undefined || context === null) return undefined
  const key = Object.keys(context).find((name) => name.startsWith(keyPrefix))
  if (key === undefined) return undefined
  const session = context[key] as HostSession | null | undefined
  const userId = session?.user?.id
  if (session?.authenticated !== true || typeof userId !== 'string') throw unauthenticated()
  const workspaceId = session.workspace?.id
  return { userId, workspaceId: typeof workspaceId === 'string' ? workspaceId : null }
}
