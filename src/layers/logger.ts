/**
 * Log lines with one prefix, on the console that the host already collects.
 */
import { Cause, HashMap, type Layer, Logger, LogLevel } from 'effect'

const prefix = '[or3-provider-sqlite]'

const text = (message: unknown): string => {
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ')
}

const write = Logger.make(({ annotations, cause, logLevel, message }) => {
  const details = [...HashMap.entries(annotations)].map(([key, value]) => ` ${key}=${String(value)}`).join('')
  const reason = Cause.isEmpty(cause) ? '' : `\n${Cause.pretty(cause)}`
  const line = `${prefix} ${text(message)}${details}${reason}`
  if (LogLevel.greaterThanEqual(logLevel, LogLevel.Error)) console.error(line)
  else if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) console.warn(line)
  else console.log(line)
})

/** Replaces Effect's default logger. */
export const layer: Layer.Layer<never> = Logger.replace(Logger.defaultLogger, write)
