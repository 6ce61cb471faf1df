/**
 * Payloads as they are read from a database.
 */
import { StorageError } from '../../services/StorageError.js'

/** A payload is stored that is not JSON: damage, and a fault of the database. */
export class DamagedPayload extends Error {}

/** A stored payload. What else is there is said without repeating what the user wrote, as the parser's message does. */
export const parsePayload = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    throw new DamagedPayload('a stored payload is not JSON')
  }
}

/** What a call fails with that meets it. */
export const damage =
  (operation: string) =>
  (cause: DamagedPayload): StorageError =>
    new StorageError({ operation, reason: 'corrupt', cause })
