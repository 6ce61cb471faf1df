/**
 * Chains of causes, as drivers and clients throw them, and SQLite's result codes in them.
 */
import type { StorageError, StorageReason } from '../services/StorageError.js'

/** What a link of the chain may say. */
export interface Link {
  readonly code?: unknown
  readonly status?: unknown
  readonly name?: unknown
  readonly message?: unknown
  readonly cause?: unknown
}

/** From the outermost on. */
export function* linksOf(error: unknown): Generator<Link> {
  let current = error
  for (let depth = 0; depth < 10 && typeof current === 'object' && current !== null; depth++) {
    yield current
    current = (current as Link).cause
  }
}

/** The innermost message, its first line. */
export const rootMessage = (error: unknown): string => {
  let message = String(error)
  for (const link of linksOf(error)) if (typeof link.message === 'string') message = link.message
  return message.split('\n', 1)[0] ?? message
}

/** What failed, and what the driver says of it. */
export const storageMessage = (error: StorageError): string =>
  error.cause === undefined ? error.message : `${error.message}: ${rootMessage(error)}`

const reasons: ReadonlyArray<readonly [prefix: string, reason: StorageReason]> = [
  ['SQLITE_BUSY', 'busy'],
  ['SQLITE_LOCKED', 'busy'],
  // Processes that open the write-ahead log at the same moment.
  ['SQLITE_PROTOCOL', 'busy'],
  ['SQLITE_FULL', 'full'],
  ['SQLITE_READONLY', 'readonly'],
  ['SQLITE_PERM', 'readonly'],
  ['SQLITE_CORRUPT', 'corrupt'],
  ['SQLITE_NOTADB', 'corrupt'],
  ['SQLITE_CONSTRAINT', 'constraint'],
  ['SQLITE_IOERR', 'io'],
  ['SQLITE_CANTOPEN', 'io'],
  ['SQLITE_TOOBIG', 'tooLarge'],
]

/** What a result code such as `SQLITE_BUSY_SNAPSHOT` comes to. */
export const reasonOfCode = (code: string): StorageReason | undefined =>
  reasons.find(([prefix]) => code.startsWith(prefix))?.[1]
