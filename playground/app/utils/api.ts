/**
 * Requests to the host. Fails with what the host says is wrong.
 */
export class RequestError extends Error {
  override readonly name = 'RequestError'

  constructor(
    message: string,
    /** Absent without an answer. */
    readonly status?: number,
  ) {
    super(message)
  }
}

const send = async <A>(path: string, init: RequestInit): Promise<A> => {
  const response = await fetch(path, init).catch(() => {
    throw new RequestError('The server does not answer')
  })
  const body = (await response.json().catch(() => ({}))) as { readonly statusMessage?: string }
  if (!response.ok) {
    throw new RequestError(body.statusMessage || `The server answered ${response.status}`, response.status)
  }
  return body as A
}

export const get = <A>(path: string) => send<A>(path, {})

export const post = <A = unknown>(path: string, body: unknown) =>
  send<A>(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
