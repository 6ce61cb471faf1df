/**
 * The settings that some engines have and others do not know.
 */

export const fileOnly = [
  'OR3_SQLITE_DB_PATH',
  'OR3_SQLITE_PRAGMA_JOURNAL_MODE',
  'OR3_SQLITE_PRAGMA_SYNCHRONOUS',
  'OR3_SQLITE_ALLOW_IN_MEMORY',
]

export const tursoOnly = ['OR3_SQLITE_TURSO_URL', 'OR3_SQLITE_TURSO_AUTH_TOKEN', 'OR3_SQLITE_TURSO_TIMEOUT']

export const d1Only = ['OR3_SQLITE_D1_BINDING']
