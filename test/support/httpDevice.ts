/**
 * A signed-in device that speaks HTTP with the host, as OR3 Chat's client does.
 */
import type { PendingOp, SyncChange } from '../../src/services/index.js'
import { checkPullAnswer, checkPushAnswer } from '../../src/nuxt/hostChecks.js'
import type { HostPushResult } from '../../src/nuxt/host.js'

export interface Answer<A = unknown> {
  readonly status: number
  readonly body: A
}

export interface Session {
  readonly user: { readonly id: string }
  readonly workspace: { readonly id: string; readonly name: string }
  readonly role: string
}

export interface PushAnswer {
  readonly results: ReadonlyArray<HostPushResult>
  readonly serverVersion: number
}

export interface PullAnswer {
  readonly changes: ReadonlyArray<SyncChange>
  readonly nextCursor: number
  readonly hasMore: boolean
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** One request. Text is sent as it is, anything else as JSON. */
export const request = async <A = unknown>(
  url: string,
  method: Method,
  body?: unknown,
  cookie = '',
): Promise<Answer<A> & { readonly cookie: string }> => {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...(cookie === '' ? {} : { cookie }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const set = response.headers.getSetCookie().map((value) => value.split(';', 1)[0])
  const answered: unknown = await response.json()
  return { status: response.status, body: answered as A, cookie: set.join('; ') }
}

/** What a client keeps in its outbox around an op. */
const pending = (op: PendingOp) => ({
  ...op,
  id: op.stamp.opId,
  createdAt: 1,
  attempts: 0,
  status: 'pending',
})

export interface Device {
  readonly session: Session
  readonly call: <A = unknown>(method: Method, path: string, body?: unknown) => Promise<Answer<A>>
  readonly push: (...ops: ReadonlyArray<PendingOp>) => Promise<Answer<PushAnswer>>
  readonly pull: (cursor?: number, limit?: number) => Promise<Answer<PullAnswer>>
}

/** Signs in as the name; its session's workspace is the one that `push` and `pull` use. */
export const signIn = async (url: string, name: string): Promise<Device> => {
  const { cookie, status } = await request(`${url}/api/dev/sign-in`, 'POST', { name })
  if (status !== 200) throw new Error(`the sign-in answered ${status}`)
  const call = async <A>(method: Method, path: string, body?: unknown): Promise<Answer<A>> => {
    const answer = await request<A>(`${url}${path}`, method, body, cookie)
    return { status: answer.status, body: answer.body }
  }
  const { body } = await call<{ session: Session }>('GET', '/api/auth/session')
  const scope = { workspaceId: body.session.workspace.id }
  return {
    session: body.session,
    call,
    push: async (...ops) => {
      const answer = await call<PushAnswer>('POST', '/api/sync/push', { scope, ops: ops.map(pending) })
      if (answer.status === 200) checkPushAnswer({ ops }, answer.body)
      return answer
    },
    pull: async (cursor = 0, limit = 100) => {
      const answer = await call<PullAnswer>('POST', '/api/sync/pull', { scope, cursor, limit })
      if (answer.status === 200) checkPullAnswer({ cursor }, answer.body)
      return answer
    },
  }
}
