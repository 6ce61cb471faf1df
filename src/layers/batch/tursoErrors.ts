/**
 * The one place that knows how libSQL's client fails: by SQLite's result codes where the database answered, by HTTP status where
 * the server did, and by the system's codes where nobody did.
 */
import type { StorageReason } from '../../services/StorageError.js'
import { linksOf, reasonOfCode } from '../causes.js'
import type { Failure } from './network.js'

/** Nobody was there to take the request. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** The request was on its way when the connection ended, or its answer came to no end. */
const lostOnTheWay = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'HRANA_CLOSED_ERROR',
  'HRANA_PROTO_ERROR',
])

const unreachable = (execution: Failure['execution']): Failure => ({ reason: 'unreachable', execution })

const ofStatus = (status: number): Failure => {
  if (status === 401 || status === 403) return { reason: 'denied', execution: 'never' }
  if (status === 429) return unreachable('never')
  return status >= 500 ? unreachable('perhaps') : { reason: 'other', execution: 'perhaps' }
}

/** Turso's new engine has the same code for everything. */
const reasonOfText = (message: string): StorageReason | undefined => {
  if (/\bbusy\b|database is locked/i.test(message)) return 'busy'
  return /constraint failed/i.test(message) ? 'constraint' : undefined
}

const ofCode = (code: string, message: string): Failure | undefined => {
  const reason = reasonOfCode(code) ?? reasonOfText(message)
  // A batch that met a lock was rolled back, or never began.
  if (reason !== undefined) return { reason, execution: reason === 'busy' ? 'never' : 'perhaps' }
  if (neverSent.has(code)) return unreachable('never')
  return lostOnTheWay.has(code) ? unreachable('perhaps') : undefined
}

/** What a failure of the client comes to; undefined for what is no failure of the database, but a bug. */
export const failureOf = (error: unknown): Failure | undefined => {
  const links = [...linksOf(error)]
  if (links.some(({ name }) => name === 'TimeoutError' || name === 'AbortError')) {
    return { reason: 'timeout', execution: 'perhaps' }
  }
  for (const { code, status, message } of links.toReversed()) {
    if (typeof status === 'number') return ofStatus(status)
    const found = typeof code === 'string' ? ofCode(code, String(message)) : undefined
    if (found !== undefined) return found
  }
  // A number that no writer of ours has stored.
  if (links.some(({ name }) => name === 'RangeError')) return { reason: 'corrupt', execution: 'perhaps' }
  // An answer that was cut off is no JSON.
  if (links.some(({ name }) => name === 'SyntaxError')) return unreachable('perhaps')
  if (
    links.some(
      ({ name, message }) => name === 'TypeError' && /^(fetch failed|terminated)$/.test(String(message)),
    )
  )
    return unreachable('perhaps')
  return links.some(({ name }) => name === 'LibsqlError' || name === 'LibsqlBatchError')
    ? { reason: 'other', execution: 'never' }
    : undefined
}

/** A server may repeat what it was sent, and messages are logged. */
export const conceal = (error: unknown, secret: string): void => {
  for (const link of linksOf(error)) {
    if (!(link instanceof Error)) continue
    link.message = link.message.replaceAll(secret, '<token>')
    if (link.stack !== undefined) link.stack = link.stack.replaceAll(secret, '<token>')
  }
}
