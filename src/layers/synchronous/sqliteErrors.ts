/**
 * The one place that knows how SQLite's drivers fail: better-sqlite3's, and Bun's.
 */
import { linksOf, reasonOfCode, rootMessage } from '../causes.js'
import { DatabaseOpenError, StorageError, type StorageReason } from '../../services/StorageError.js'

/** The result code of the driver's error at the bottom of a chain of causes, such as `SQLITE_BUSY`. */
export const sqliteCode = (error: unknown): string | undefined => {
  for (const { code } of linksOf(error)) {
    if (typeof code === 'string' && code.startsWith('SQLITE_')) return code
  }
  return undefined
}

/** How the drivers refuse a closed handle, with plain errors. */
const closed: ReadonlySet<string> = new Set([
  'The database connection is not open',
  'Cannot use a closed database',
  'Database has closed',
  'Statement has finalized',
])

const isClosed = (error: unknown) => closed.has(rootMessage(error))

/** Their errors, by name: each runtime has only one of the classes. */
const errorNames: ReadonlySet<unknown> = new Set(['SqliteError', 'SQLiteError'])

/** Whether the driver failed, and not the code that uses it. */
export const isDriverError = (error: unknown): boolean =>
  (error instanceof Error && errorNames.has(error.name)) || isClosed(error)

/** A lock that was waited for in vain, where the driver does not tell. */
export const busyError = (): Error =>
  Object.assign(new Error('database is locked'), { name: 'SqliteError', code: 'SQLITE_BUSY' })

const storageReason = (error: unknown): StorageReason => {
  const code = sqliteCode(error)
  if (code === undefined) return isClosed(error) ? 'closed' : 'other'
  return reasonOfCode(code) ?? 'other'
}

/** Whether the file or its disk is at fault, and not the statement or its data. */
export const isStorageFault = (error: unknown): boolean =>
  !['other', 'constraint', 'closed'].includes(storageReason(error))

export const toStorageError =
  (operation: string) =>
  (cause: unknown): StorageError =>
    new StorageError({ operation, reason: storageReason(cause), cause })

/** What loading the driver's addon fails with: none was built, or one for another Node or another system. */
const isDriverMissing = (cause: unknown) => {
  for (const { code, message } of linksOf(cause)) {
    if (code === 'ERR_DLOPEN_FAILED') return true
    if (
      /^Could not locate the bindings file|compiled against a different Node\.js version/.test(
        String(message),
      )
    )
      return true
  }
  return false
}

const openDetail = (cause: unknown): string => {
  if (isDriverMissing(cause)) {
    return `the SQLite driver better-sqlite3 is not built for this Node (${process.version}): allow its install script and run \`npm rebuild better-sqlite3\``
  }
  const code = sqliteCode(cause)
  if (code === 'SQLITE_NOTADB') {
    return 'the file is not an SQLite database; set OR3_SQLITE_DB_PATH to another path'
  }
  // SQLite has one code for all that hinders it to open a file; these are about the disk below.
  if (code?.startsWith('SQLITE_IOERR') === true) {
    return `${rootMessage(cause)}; check the disk and its free space`
  }
  switch (storageReason(cause)) {
    case 'corrupt':
      return 'the file is damaged or incomplete; restore a backup'
    case 'busy':
      return 'another process holds its lock; stop that process or start again later'
    case 'full':
      return 'the disk is full; free some space and start again'
    default:
      return `${rootMessage(cause)}; check OR3_SQLITE_DB_PATH and the permissions of the file and its folder`
  }
}

/** Why a database could not be opened, and what to do. */
export const openError =
  (path: string) =>
  (cause: unknown): DatabaseOpenError =>
    new DatabaseOpenError({ path, detail: openDetail(cause), cause })
