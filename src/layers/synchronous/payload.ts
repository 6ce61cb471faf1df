/**
 * Payloads as they are read from the file.
 */
import Sqlite from 'better-sqlite3'

/** A stored payload. What else is there is damage, and said without repeating what the user wrote. */
export const parsePayload = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    throw new Sqlite.SqliteError('a stored payload is not JSON', 'SQLITE_CORRUPT')
  }
}
