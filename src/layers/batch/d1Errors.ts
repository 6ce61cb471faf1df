/**
 * The one place that knows how D1 fails: by a message alone, which ends with SQLite's result code where the database answered.
 */
import { linksOf, reasonOfCode } from '../causes.js'
import type { Failure } from './network.js'

/** Where there is no code, or one that says less. */
const messages: ReadonlyArray<readonly [pattern: RegExp, failure: Failure]> = [
  [/exceeded maximum DB size|database or disk is full/i, { reason: 'full', execution: 'never' }],
  // Waiting calls are turned away before they are looked at.
  [/D1 DB is overloaded|Cannot resolve D1/i, { reason: 'unreachable', execution: 'never' }],
  // The object behind the database is started again; what it was doing when it ended, nobody tells.
  [
    /Network connection lost|caused object to be reset|D1 DB reset|was reset|[Ii]nternal error|exceeded timeout/,
    { reason: 'unreachable', execution: 'perhaps' },
  ],
  [/database is locked/i, { reason: 'busy', execution: 'never' }],
  [/constraint failed/i, { reason: 'constraint', execution: 'perhaps' }],
  [/disk image is malformed|not a database/i, { reason: 'corrupt', execution: 'perhaps' }],
]

const resultCode = /\bSQLITE_[A-Z_]+\b/

const failureOfMessage = (message: string): Failure | undefined => {
  const known = messages.find(([pattern]) => pattern.test(message))
  if (known !== undefined) return known[1]
  const [code] = resultCode.exec(message) ?? []
  const reason = code === undefined ? undefined : reasonOfCode(code)
  return reason && { reason, execution: reason === 'busy' ? 'never' : 'perhaps' }
}

/** What a failure of the binding comes to; undefined for what is no failure of the database, but a bug. */
export const failureOf = (error: unknown): Failure | undefined => {
  const told = [...linksOf(error)].map(({ message }) => String(message))
  for (const message of told) {
    const failure = failureOfMessage(message)
    if (failure !== undefined) return failure
  }
  return told.some((message) => message.startsWith('D1_'))
    ? { reason: 'other', execution: 'never' }
    : undefined
}
