/**
 * How a command ends that cannot do what it was asked for: one line, and an exit code.
 */
import { Data, Effect } from 'effect'
import { storageMessage } from '../layers/causes.js'
import type { StorageError } from '../services/StorageError.js'

export const exitCodes = { failed: 1, usage: 2, interrupted: 130 } as const

export class Failure extends Data.TaggedError('Failure')<{
  readonly message: string
  readonly exitCode: number
}> {}

/** The arguments or the settings are wrong. Nothing was done. */
export const usage = (message: string) => new Failure({ message, exitCode: exitCodes.usage })

/** What was asked for did not succeed. */
export const failed = (message: string) => new Failure({ message, exitCode: exitCodes.failed })

/** Of a number among the options. */
export const within = (option: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER) =>
  value >= least && value <= most
    ? Effect.void
    : usage(
        `${option} is ${value}, but goes from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`,
      )

const tagOf = (error: unknown) => (error as { readonly _tag?: unknown } | null)?._tag

export const exitCodeOf = (error: unknown): number => {
  if (error instanceof Failure) return error.exitCode
  return tagOf(error) === 'InvalidSettings' || tagOf(error) === 'InvalidRequest'
    ? exitCodes.usage
    : exitCodes.failed
}

/** One line, whatever the error. */
export const lineOf = (error: unknown): string => {
  const { message } = error as { readonly message?: unknown }
  const own = typeof message === 'string' && message !== '' ? message : String(error)
  const line = tagOf(error) === 'StorageError' ? storageMessage(error as StorageError) : own
  return line.replaceAll(/\s*\n\s*/g, ' ')
}
