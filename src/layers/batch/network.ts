/**
 * Batches over a network: what is sent again, and how long a call may take.
 *
 * A read is repeated when the network fails, a change only when it cannot have been executed. What was perhaps executed is the
 * caller's to repeat: a push is recognised by its op ids.
 */
import { type Cause, type Duration, Effect, Schedule } from 'effect'
import { StorageError, type StorageReason } from '../../services/StorageError.js'
import type { Batch, Results, Statement } from '../sql/batch.js'
import type { Batches } from '../sql/Batches.js'

/** What a failure of a client comes to. */
export interface Failure {
  readonly reason: StorageReason
  /** Whether the statements can have been executed. Only if not, a change may be sent again. */
  readonly execution: 'never' | 'perhaps'
}

/** Others write: usually over in no time. */
const whileBusy = Schedule.jittered(
  Schedule.exponential('10 millis').pipe(Schedule.union(Schedule.spaced('200 millis'))),
)

/** A server that starts again takes longer; but people wait, and devices try again by themselves. */
const whileUnreachable = Schedule.jittered(Schedule.exponential('100 millis')).pipe(
  Schedule.intersect(Schedule.recurs(3)),
)

type Mode = 'read' | 'write'

interface Client {
  /** Once, all statements or none. Fails with whatever the client throws. */
  readonly send: (
    statements: ReadonlyArray<Statement>,
    mode: Mode,
  ) => Effect.Effect<Results, Cause.UnknownException>
  /** Undefined for what is no failure of the database, but a bug. */
  readonly failureOf: (error: unknown) => Failure | undefined
  /** Of a call, with all that is sent again. */
  readonly timeout: Duration.Duration
}

export const batchesOver = ({ send, failureOf, timeout }: Client): Pick<Batches['Type'], Mode> => {
  const once = (operation: string, statements: ReadonlyArray<Statement>, mode: Mode) =>
    Effect.catchAll(send(statements, mode), ({ error }) => {
      const failure = failureOf(error)
      return failure === undefined
        ? Effect.die(error)
        : new StorageError({ operation, reason: failure.reason, cause: error })
    })
  /** What was not executed, and a read always. */
  const mayRepeat = (error: StorageError, mode: Mode) => {
    const failure = failureOf(error.cause)
    if (failure === undefined || failure.reason === 'timeout') return false
    return error.isRetryable && (mode === 'read' || failure.execution === 'never')
  }
  const run =
    (mode: Mode) =>
    <A, E>(operation: string, { statements, read }: Batch<A, E>): Effect.Effect<A, E | StorageError> =>
      Effect.suspend(() => {
        // What the attempts before failed with says more than that there was no time for another.
        let last: StorageError | undefined
        return once(operation, statements, mode).pipe(
          Effect.retry({ schedule: whileBusy, while: ({ reason }) => reason === 'busy' }),
          Effect.tapError((error) => Effect.sync(() => (last = error))),
          Effect.retry({ schedule: whileUnreachable, while: (error) => mayRepeat(error, mode) }),
          Effect.timeoutFail({
            duration: timeout,
            onTimeout: () => last ?? new StorageError({ operation, reason: 'timeout' }),
          }),
          Effect.flatMap(read),
        )
      })
  return { read: run('read'), write: run('write') }
}
