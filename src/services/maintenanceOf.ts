/**
 * The account of maintenance runs: the same for every implementation, but for the backlog.
 */
import { Clock, DateTime, Effect, Option, Ref } from 'effect'
import { Maintenance, type MaintenanceRunner } from './Maintenance.js'
import { observeMaintenance } from './telemetry.js'

interface Account {
  readonly running: ReadonlyArray<MaintenanceRunner>
  /** Epoch milliseconds. */
  readonly lastRun?: number
  /** Of the last run to end. */
  readonly lastError?: string
}

const longestError = 500

/** What was given may be anything. */
const textOf = (message: unknown) =>
  typeof message === 'string' && message.trim() !== '' ? message.slice(0, longestError) : 'unknown error'

const timeOf = (given: unknown, now: number) => {
  const time = typeof given === 'string' ? DateTime.make(given) : Option.none()
  const millis = Option.match(time, { onNone: () => now, onSome: DateTime.toEpochMillis })
  return millis >= 0 && millis <= now ? millis : now
}

const without = (running: Account['running'], runner: MaintenanceRunner) =>
  running.filter((other) => other !== runner)

export const maintenanceOf = ({
  enabled,
  backlog,
}: {
  readonly enabled: boolean
  readonly backlog: Effect.Effect<number | undefined>
}): Effect.Effect<Maintenance['Type']> =>
  Effect.map(Ref.make<Account>({ running: [] }), (account) =>
    observeMaintenance({
      state: Effect.gen(function* () {
        const waiting = yield* backlog
        const { running, lastRun, lastError } = yield* Ref.get(account)
        return {
          enabled,
          state: running.length > 0 ? 'running' : lastError === undefined ? 'idle' : 'failed',
          ...(lastRun === undefined ? {} : { lastRun: DateTime.formatIso(DateTime.unsafeMake(lastRun)) }),
          ...(waiting === undefined ? {} : { backlog: waiting }),
          ...(lastError === undefined ? {} : { lastError }),
        }
      }),
      begin: (runner) =>
        Ref.update(account, (known) => ({ ...known, running: [...without(known.running, runner), runner] })),
      complete: (runner, given) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Ref.update(account, ({ running, lastRun = 0 }) => ({
            running: without(running, runner),
            lastRun: Math.max(lastRun, timeOf(given, now)),
          })),
        ),
      fail: (runner, message) =>
        Ref.update(account, (known) => ({
          ...known,
          running: without(known.running, runner),
          lastError: textOf(message),
        })),
    }),
  )
