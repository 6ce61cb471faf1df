/**
 * Log lines with one prefix, on standard error: standard output is the program's own.
 */
import { Cause, HashMap, type Layer, Logger } from 'effect'

const prefix = '[or3-provider-sqlite]'

const text = (message: unknown): string => {
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ')
}

const write = Logger.make(({ annotations, cause, message }) => {
  const details = [...HashMap.entries(annotations)].map(([key, value]) => ` ${key}=${String(value)}`).join('')
  const reason = Cause.isEmpty(cause) ? '' : `\n${Cause.pretty(cause)}`
  console.error(`${prefix} ${text(message)}${details}${reason}`)
})

/** Replaces Effect's default logger. */
export const layer: Layer.Layer<never> = Logger.replace(Logger.defaultLogger, write)
