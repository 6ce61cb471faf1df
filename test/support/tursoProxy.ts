/**
 * A server in this process that `@libsql/client` talks to, with an engine behind it; where tests put in latency and faults, and
 * see what was sent.
 *
 * The engine in `turso` 0.6.0 knows two kinds of requests. The others that the client sends are answered here. Its one connection
 * is everybody's: where a pipeline leaves a transaction open, that is rolled back, as a server does when a stream is closed.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A request of the client: what it asks for, and all SQL in it but that of transactions. */
export interface Trip {
  readonly kinds: ReadonlyArray<string>
  readonly statements: ReadonlyArray<string>
}

export interface Fault {
  /**
   * What becomes of the answer: the socket is closed or reset in its place, it never comes, half of it does, or one with this
   * status in its place.
   */
  readonly answer: 'closed' | 'reset' | 'never' | 'half' | number
  /** Whether the server does what was asked. */
  readonly executed: boolean
}

/** The n-th trip from now on, or all that are so. */
export type Which = number | ((trip: Trip) => boolean)

export interface Proxy {
  readonly url: string
  /** Put into each round trip, in ms. */
  latency: number
  /** Asked of each request from now on; others get 401. */
  token: string | undefined
  /** Round trips so far. */
  readonly count: number
  /** The last ones, the newest at the end. */
  readonly trips: ReadonlyArray<Trip>
  /** Those that a body made. */
  during<A>(body: () => Promise<A>): Promise<readonly [result: A, trips: ReadonlyArray<Trip>]>
  fail(which: Which, fault: Fault): void
  /** Takes latency and faults away, and closes what waits for ever. */
  heal(): void
  close(): Promise<void>
}

/** What stands behind; see `TursoProcess`. */
interface Engine {
  send(body: string): Promise<{ readonly status: number; readonly body: string }>
}

interface Stmt {
  readonly sql?: string
  readonly sql_id?: number
}

interface Batch {
  readonly steps: ReadonlyArray<{ readonly stmt: Stmt }>
}

interface HranaRequest extends Stmt {
  readonly type: string
  readonly stmt?: Stmt
  readonly batch?: Batch
}

type HranaResult = { readonly type: string } & Record<string, unknown>

/** The client's requests as the engine understands them, and how its results become the client's. */
interface Translation {
  readonly trip: Trip
  readonly body: string
  readonly answer: (body: string) => string
}

const rollback = {
  type: 'batch',
  batch: {
    steps: [{ stmt: { sql: 'ROLLBACK' }, condition: { type: 'not', cond: { type: 'is_autocommit' } } }],
  },
}

const isForEngine = ({ type }: HranaRequest) => type === 'execute' || type === 'batch'

const answeredHere: Readonly<Record<string, object>> = {
  store_sql: {},
  close_sql: {},
  close: {},
  get_autocommit: { is_autocommit: true },
}

const resultHere = ({ type }: HranaRequest): HranaResult =>
  Object.hasOwn(answeredHere, type)
    ? { type: 'ok', response: { type, ...answeredHere[type] } }
    : { type: 'error', error: { message: `the test server knows no ${type}`, code: 'NOT_SUPPORTED' } }

const isOfTransactions = /^(BEGIN|COMMIT|ROLLBACK)\b/

const translate = (text: string): Translation => {
  const { requests } = JSON.parse(text) as { readonly requests: ReadonlyArray<HranaRequest> }
  const stored = new Map<number, string>()
  const statements: Array<string> = []
  const withSql = ({ sql_id: id, ...stmt }: Stmt): Stmt => {
    const sql = id === undefined ? stmt.sql! : stored.get(id)!
    if (!isOfTransactions.test(sql)) statements.push(sql)
    return { ...stmt, sql }
  }
  const forEngine: Array<unknown> = []
  for (const request of requests) {
    if (request.type === 'store_sql') stored.set(request.sql_id!, request.sql!)
    if (request.stmt !== undefined) forEngine.push({ ...request, stmt: withSql(request.stmt) })
    if (request.batch !== undefined) {
      const steps = request.batch.steps.map((step) => ({ ...step, stmt: withSql(step.stmt) }))
      forEngine.push({ ...request, batch: { steps } })
    }
  }
  return {
    trip: { kinds: requests.map(({ type }) => type), statements },
    body: JSON.stringify({ requests: [...forEngine, rollback] }),
    answer: (body) => {
      const { results } = JSON.parse(body) as { readonly results: ReadonlyArray<HranaResult> }
      const next = results.values()
      const all = requests.map((request) => (isForEngine(request) ? next.next().value! : resultHere(request)))
      return JSON.stringify({ baton: null, base_url: null, results: all })
    },
  }
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const answerWith = (response: ServerResponse, status: number, body: string) => {
  const type = status === 200 ? 'application/json' : 'text/plain'
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
}

/** Trips that are remembered. */
const tripsKept = 1_000

export const startTursoProxy = async (engine: Engine): Promise<Proxy> => {
  let latency = 0
  let token: string | undefined
  let count = 0
  const trips: Array<Trip> = []
  let faults: Array<{ readonly applies: (trip: Trip) => boolean; readonly fault: Fault }> = []
  const waiting = new Set<ServerResponse>()

  const faultOf = (trip: Trip): Fault | undefined =>
    // All are asked, since they count.
    faults.filter(({ applies }) => applies(trip))[0]?.fault

  const spoil = (response: ServerResponse, { answer }: Fault, body: string) => {
    const socket = response.socket!
    if (answer === 'never') waiting.add(response)
    else if (answer === 'closed') socket.destroy()
    else if (answer === 'reset') socket.resetAndDestroy()
    else if (answer === 'half') {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      })
      response.write(body.slice(0, body.length / 2), () => socket.destroy())
    } else answerWith(response, answer, 'put in by a test')
  }

  const pipeline = async (request: IncomingMessage, response: ServerResponse) => {
    const { trip, body, answer } = translate(await bodyOf(request))
    count++
    trips.push(trip)
    if (trips.length > tripsKept) trips.shift()
    const fault = faultOf(trip)
    if (latency > 0) await sleep(latency / 2)
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      return answerWith(response, 401, 'Unauthorized')
    }
    if (fault?.executed === false) return spoil(response, fault, '')
    const { status, body: results } = await engine.send(body)
    if (latency > 0) await sleep(latency / 2)
    const answered = status === 200 ? answer(results) : results
    if (fault === undefined) answerWith(response, status, answered)
    else spoil(response, fault, answered)
  }

  const server = createServer((request, response) => {
    if (request.method !== 'POST' || request.url !== '/v2/pipeline') {
      return answerWith(response, request.url === '/v2' ? 200 : 404, '')
    }
    // Without an engine there is nobody who answers.
    pipeline(request, response).catch(() => response.socket?.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const heal = () => {
    latency = 0
    faults = []
    for (const response of waiting) response.socket?.destroy()
    waiting.clear()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get latency() {
      return latency
    },
    set latency(given) {
      latency = given
    },
    get token() {
      return token
    },
    set token(given) {
      token = given
    },
    get count() {
      return count
    },
    trips,
    during: async (body) => {
      const before = count
      const result = await body()
      return [result, trips.slice(trips.length - (count - before))] as const
    },
    fail: (which, fault) => {
      let left = typeof which === 'number' ? which : 0
      faults.push({ applies: typeof which === 'number' ? () => --left === 0 : which, fault })
    },
    heal,
    close: async () => {
      heal()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
