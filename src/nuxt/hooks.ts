/**
 * Tells the host's hooks what a push has applied: after its commit, in order, and without the push waiting for them.
 */
import { type Duration, Effect, Exit, Fiber, Option, Queue, Scope } from 'effect'
import { type LimitedWarning, limitedWarning } from '../layers/logLimit.js'
import { epochSeconds, letOthersGo } from '../layers/time.js'
import type { Operation, PendingOp } from '../services/SyncDomain.js'
import type { OpOutcome, PushRequest, SyncGateway } from '../services/SyncGateway.js'

/**
 * What is told of an applied op: a name such as `db.threads.create:action:after`, and the op's payload with the record's `id`, the
 * `workspace_id`, the session's `user_id`, `updated_at` (the payload's own, else the server's time in epoch seconds) and, for a
 * delete, `deleted: true`.
 */
export type EmitHook = (name: string, payload: Readonly<Record<string, unknown>>) => Promise<void>

/** One call of a hook. */
interface HookCall {
  readonly name: string
  readonly payload: Readonly<Record<string, unknown>>
  /** Of the op, in its workspace. */
  readonly version: number
  /** Characters of the op's payload as JSON. */
  readonly size: number
}

/** The hooks' names for the tables whose records have a life. */
const namesOf = new Map([
  ['threads', 'threads'],
  ['messages', 'messages'],
  ['posts', 'documents'],
])

const hookName = (table: string, operation: Operation, wasExisting: boolean): string | undefined => {
  if (table === 'notifications') return operation === 'put' ? 'notify:action:push' : undefined
  const name = namesOf.get(table)
  if (name === undefined) return undefined
  if (operation === 'delete') return `db.${name}.delete:action:soft:after`
  return `db.${name}.${wasExisting ? 'update' : 'create'}:action:after`
}

const payloadOf = ({ pk, operation, payload }: PendingOp, request: PushRequest, now: number) => {
  const fields = (payload ?? {}) as Readonly<Record<string, unknown>>
  const { scope, caller } = request
  return {
    ...fields,
    id: pk,
    workspace_id: scope.workspaceId,
    ...(caller === undefined ? {} : { user_id: caller.userId }),
    updated_at: fields.updated_at ?? now,
    ...(operation === 'delete' ? { deleted: true } : {}),
  }
}

/** What the hooks are to be told of a push: the ops that were applied now. `now` in epoch seconds. */
const hookCalls = (
  request: PushRequest,
  outcomes: ReadonlyArray<OpOutcome>,
  now: number,
): ReadonlyArray<HookCall> =>
  outcomes.flatMap((outcome, index) => {
    if (outcome._tag !== 'OpAccepted' || !outcome.applied) return []
    const op = request.ops[index]!
    const name = hookName(op.tableName, op.operation, outcome.wasExisting)
    if (name === undefined) return []
    const size = op.payload === undefined ? 0 : JSON.stringify(op.payload).length
    return [{ name, payload: payloadOf(op, request, now), version: outcome.serverVersion, size }]
  })

/** Keep what hooks can cost bounded, whatever they do. */
export const hookBounds = {
  /** Characters of the payloads of all calls that have not ended; beyond them new calls are dropped. */
  payloads: 16 * 1024 * 1024,
  /** The number of these calls. */
  waiting: 100_000,
  /** Calls that are put in order at once. */
  turn: 100,
  /** How long the next one waits for a call to end. */
  patience: '10 seconds',
  /** How long a call is followed; so only a few that hang are at a time. */
  followed: '1 minute',
  /** How long the closing provider waits for all of them. */
  farewell: '2 seconds',
} as const

/** Keeps a Worker alive until a promise has ended, though its answer has been given. */
export type WaitUntil = (promise: Promise<unknown>) => void

/** Tells hooks of pushes. */
export interface Teller {
  /** What a push did. Cannot fail, and waits for nothing; in a Worker that cannot be kept alive, for the hooks. */
  readonly tell: (request: PushRequest, outcomes: ReadonlyArray<OpOutcome>) => Effect.Effect<void>
  /** Waits a little for what was told, then tells no more. */
  readonly close: Effect.Effect<void>
}

/** A broken hook breaks at every push. Its name is told and no payload, which is users' business. */
const faultsIn = (scope: Scope.Scope) =>
  Scope.extend(
    limitedWarning((count) => `${count} more faults of the host's hooks were not logged`),
    scope,
  )

const callOf =
  (emit: EmitHook, warn: LimitedWarning, followed: Duration.DurationInput = hookBounds.followed) =>
  ({ name, payload }: HookCall) =>
    Effect.tryPromise(async () => emit(name, payload)).pipe(
      Effect.catchAll(({ error }) =>
        warn(`the host's hook ${name} failed with ${error instanceof Error ? error.name : typeof error}`),
      ),
      Effect.timeoutOption(followed),
    )

/**
 * A teller for Workers, where nothing goes on in the background but what the call itself is kept alive for. Of each push its hooks are
 * told one after the other.
 */
export const hooksInCalls = (emit: EmitHook, waitUntil: WaitUntil | undefined): Effect.Effect<Teller> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const call = callOf(emit, yield* faultsIn(scope), hookBounds.patience)
    return {
      tell: (request, outcomes) =>
        Effect.gen(function* () {
          const calls = hookCalls(request, outcomes, yield* epochSeconds)
          const telling = Effect.forEach(calls, call, { discard: true })
          if (calls.length === 0) return
          if (waitUntil === undefined) return yield* telling
          const fiber = yield* Effect.forkDaemon(telling)
          waitUntil(new Promise<void>((resolve) => fiber.addObserver(() => resolve())))
        }).pipe(Effect.catchAllCause((cause) => Effect.logError('unexpected failure', cause))),
      close: Scope.close(scope, Exit.void),
    }
  })

/** A teller for the host's emitter. Runs until it is closed. */
export const hooksThrough = (emit: EmitHook): Effect.Effect<Teller> =>
  Effect.gen(function* () {
    const waiting = yield* Queue.unbounded<HookCall>()
    const scope = yield* Scope.make()
    const warn = yield* faultsIn(scope)
    /** What waits, or is called and still waited for. */
    let untold = 0
    let payloads = 0

    const letIn = (hook: HookCall): boolean => {
      if (untold >= hookBounds.waiting || payloads + hook.size > hookBounds.payloads) return false
      untold += 1
      payloads += hook.size
      return waiting.unsafeOffer(hook)
    }

    const call = callOf(emit, warn)

    const tellOne = (hook: HookCall) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkIn(call(hook), scope)
        const ended = yield* Effect.timeoutOption(Fiber.join(fiber), hookBounds.patience)
        if (Option.isNone(ended)) {
          yield* warn(`the host's hook ${hook.name} did not end within ${hookBounds.patience}`)
        }
        untold -= 1
        payloads -= hook.size
      })

    /** Pushes that commit one right after the other may come here the other way round. */
    const inOrder = (calls: Iterable<HookCall>) => [...calls].sort((a, b) => a.version - b.version)

    yield* Queue.takeBetween(waiting, 1, hookBounds.turn).pipe(
      // The push's answer goes first.
      Effect.tap(letOthersGo),
      Effect.flatMap((calls) => Effect.forEach(inOrder(calls), tellOne, { discard: true })),
      Effect.forever,
      Effect.forkIn(scope),
    )

    const farewell = Effect.sleep('5 millis').pipe(
      Effect.repeat({ while: () => untold > 0 }),
      Effect.timeoutOption(hookBounds.farewell),
    )

    return {
      tell: (request, outcomes) =>
        Effect.flatMap(epochSeconds, (now) => {
          const calls = hookCalls(request, outcomes, now)
          const dropped = calls.filter((hook) => !letIn(hook)).length
          return dropped === 0
            ? Effect.void
            : warn(`${dropped} calls of the host's hooks were dropped, as ${untold} wait already`)
        }).pipe(Effect.catchAllCause((cause) => Effect.logError('unexpected failure', cause))),
      close: Effect.gen(function* () {
        yield* farewell
        if (untold > 0) {
          yield* Effect.logWarning(
            `calls of the host's hooks that had not ended when the server did: ${untold}`,
          )
        }
        yield* Scope.close(scope, Exit.void)
      }),
    }
  })

/** A gateway whose pushes the teller hears of; the same one without a teller. */
export const telling = (gateway: SyncGateway['Type'], teller: Teller | undefined): SyncGateway['Type'] =>
  teller === undefined
    ? gateway
    : {
        ...gateway,
        push: (request) =>
          Effect.tap(gateway.push(request), ({ outcomes }) => teller.tell(request, outcomes)),
      }
