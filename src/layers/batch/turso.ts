/**
 * The engine of Turso and libSQL: batches over HTTP, or on a file by the client's own SQLite.
 *
 * A read is repeated when the network fails, a change only when it cannot have been executed. What was perhaps executed is the
 * caller's to repeat: a push is recognised by its op ids.
 */
import type { Client, InStatement, ResultSet } from '@libsql/client'
import { Effect, Layer, Option, Redacted } from 'effect'
import { ProviderConfig, type ProviderSettings } from '../../services/ProviderConfig.js'
import { DatabaseOpenError } from '../../services/StorageError.js'
import type { Param, Row, Statement } from '../sql/batch.js'
import { Batches } from '../sql/Batches.js'
import { batchesOver } from './network.js'
import { conceal, failureOf } from './tursoErrors.js'
import { wellFormed } from './wellFormed.js'

type Create = (config: Record<string, unknown>) => Client

/** Only the part that is needed: the one for files has native code. A name in a variable is left alone by bundlers. */
const load = (isFile: boolean) =>
  Effect.tryPromise(async (): Promise<Create> => {
    const name = isFile ? '@libsql/client/sqlite3' : '@libsql/client/http'
    return ((await import(name)) as { readonly createClient: Create }).createClient
  })

/** The client sends every number as a floating one unless it is told better. */
const toArgument = (value: Param) => {
  if (typeof value === 'string') return wellFormed(value)
  return Number.isInteger(value) ? BigInt(value as number) : value
}

const toInput = ({ sql, params }: Statement) => ({ sql, args: params.map(toArgument) }) as InStatement

const rowsOf = ({ columns, rows }: ResultSet): ReadonlyArray<Row> =>
  rows.map((row) => Object.fromEntries(columns.map((column, place) => [column, row[place]])))

/** Every server of libSQL takes HTTP where it takes web sockets, which would have to be mended when they break. */
const overHttp = (url: string) => url.replace(/^ws/, 'http')

/** A client that is asked one thing at a time, so that a call that ends early can take its own request back. */
interface Lane {
  readonly client: Client
  /** Of the call that has it. */
  signal: AbortSignal
}

/** Requests under way at once; further calls wait, no longer than their time-out. */
const laneCount = 20

const makeLane = ({ dbPath, authToken }: ProviderSettings, create: Create): Lane => {
  const lane: Lane = {
    client: create({
      url: overHttp(dbPath),
      authToken: Option.getOrUndefined(Option.map(authToken, Redacted.value)),
      // SQLite's own waiting would block the event loop.
      timeout: 0,
      fetch: (request: Request) => fetch(request, { signal: lane.signal }),
    }),
    signal: AbortSignal.abort(),
  }
  return lane
}

/** Lanes as they are needed, lent one by one. */
const makeLanes = (make: () => Lane, first: Lane) =>
  Effect.gen(function* () {
    const lanes = [first]
    const free = [first]
    const permits = yield* Effect.makeSemaphore(laneCount)
    yield* Effect.addFinalizer(() => Effect.sync(() => lanes.forEach(({ client }) => client.close())))
    const take = Effect.sync(() => {
      const lane = free.pop() ?? make()
      if (!lanes.includes(lane)) lanes.push(lane)
      return lane
    })
    return <A>(use: (client: Client) => Promise<A>) =>
      permits.withPermits(1)(
        Effect.acquireUseRelease(
          take,
          (lane) =>
            Effect.tryPromise((signal) => {
              lane.signal = signal
              return use(lane.client)
            }),
          (lane) => Effect.sync(() => free.push(lane)),
        ),
      )
  })

type Lend = Effect.Effect.Success<ReturnType<typeof makeLanes>>

const open = Effect.gen(function* () {
  const settings = yield* ProviderConfig
  const { dbPath } = settings
  const create = yield* load(dbPath.startsWith('file:')).pipe(
    Effect.mapError(
      (cause) =>
        new DatabaseOpenError({
          path: dbPath,
          detail: 'its engine needs a package that is not installed: run `npm install @libsql/client`',
          cause,
        }),
    ),
  )
  const make = () => makeLane(settings, create)
  const first = yield* Effect.try({
    try: make,
    catch: (cause) =>
      new DatabaseOpenError({
        path: dbPath,
        detail: 'libSQL cannot open it: check OR3_SQLITE_TURSO_URL',
        cause,
      }),
  })
  return batchesOn(yield* makeLanes(make, first), settings)
})

const batchesOn = (lend: Lend, { authToken, timeout }: ProviderSettings): Batches['Type'] => {
  const token = Option.map(authToken, Redacted.value)
  return batchesOver({
    timeout,
    failureOf,
    send: (statements, mode) =>
      lend(async (client) => {
        const inputs = statements.map(toInput)
        // One statement is a transaction of its own.
        const results =
          inputs.length === 1
            ? [await client.execute(inputs[0]!)]
            : await client.batch(inputs, mode === 'read' ? 'deferred' : 'write')
        return results.map(rowsOf)
      }).pipe(
        Effect.tapError(({ error }) =>
          Effect.sync(() => Option.isSome(token) && conceal(error, token.value)),
        ),
      ),
  })
}

/** Connects when it is first asked. Closes with its scope, without waiting for calls. */
export const layer: Layer.Layer<Batches, DatabaseOpenError, ProviderConfig> = Layer.scoped(Batches, open)
