/**
 * The engine of Turso and libSQL: batches over HTTP, or on a file by the client's own SQLite.
 *
 * A read is repeated when the network fails, a change only when it cannot have been executed. What was perhaps executed is the
 * caller's to repeat: a push is recognised by its op ids.
 */
import type { Client, InStatement, ResultSet } from '@libsql/client'
import { Effect, Layer, Option, Redacted, Schedule } from 'effect'
import { ProviderConfig, type ProviderSettings } from '../../services/ProviderConfig.js'
import { DatabaseOpenError, StorageError } from '../../services/StorageError.js'
import type { Batch, Param, Results, Row, Statement } from '../sql/batch.js'
import { Batches } from '../sql/Batches.js'
import { conceal, mayRepeat, toStorageError } from './tursoErrors.js'

type Create = (config: Record<string, unknown>) => Client

/** Only the part that is needed: the one for files has native code. A name in a variable is left alone by bundlers. */
const load = (isFile: boolean) =>
  Effect.tryPromise(async (): Promise<Create> => {
    const name = isFile ? '@libsql/client/sqlite3' : '@libsql/client/http'
    return ((await import(name)) as { readonly createClient: Create }).createClient
  })

/** Half a character, which no request can carry. */
const halves = /\p{Surrogate}/gu

/** The client sends every number as a floating one unless it is told better. */
const toArgument = (value: Param) => {
  if (typeof value === 'string') return value.replace(halves, '\ufffd')
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

/** Others write: usually over in no time. */
const whileBusy = Schedule.jittered(
  Schedule.exponential('10 millis').pipe(Schedule.union(Schedule.spaced('200 millis'))),
)

/** A server that starts again takes longer; but people wait, and devices try again by themselves. */
const whileUnreachable = Schedule.jittered(Schedule.exponential('100 millis')).pipe(
  Schedule.intersect(Schedule.recurs(3)),
)

const batchesOn = (lend: Lend, { authToken, timeout }: ProviderSettings): Batches['Type'] => {
  const token = Option.map(authToken, Redacted.value)
  const once = (operation: string, statements: ReadonlyArray<Statement>, mode: 'read' | 'write') =>
    lend(async (client): Promise<Results> => {
      const inputs = statements.map(toInput)
      // One statement is a transaction of its own.
      const results =
        inputs.length === 1
          ? [await client.execute(inputs[0]!)]
          : await client.batch(inputs, mode === 'read' ? 'deferred' : 'write')
      return results.map(rowsOf)
    }).pipe(
      Effect.catchAll(({ error }) => {
        if (Option.isSome(token)) conceal(error, token.value)
        return toStorageError(operation, error) ?? Effect.die(error)
      }),
    )
  const run =
    (mode: 'read' | 'write') =>
    <A, E>(operation: string, { statements, read }: Batch<A, E>): Effect.Effect<A, E | StorageError> =>
      Effect.suspend(() => {
        // What the attempts before failed with says more than that there was no time for another.
        let last: StorageError | undefined
        return once(operation, statements, mode).pipe(
          Effect.retry({ schedule: whileBusy, while: ({ reason }) => reason === 'busy' }),
          Effect.tapError((error) => Effect.sync(() => (last = error))),
          Effect.retry({ schedule: whileUnreachable, while: (error) => mayRepeat(error, mode === 'read') }),
          Effect.timeoutFail({
            duration: timeout,
            onTimeout: () => last ?? new StorageError({ operation, reason: 'timeout' }),
          }),
          Effect.flatMap(read),
        )
      })
  return { read: run('read'), write: run('write') }
}

/** Connects when it is first asked. Closes with its scope, without waiting for calls. */
export const layer: Layer.Layer<Batches, DatabaseOpenError, ProviderConfig> = Layer.scoped(Batches, open)
