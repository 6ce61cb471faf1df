/**
 * Looks at the database file and its folder before SQLite does.
 *
 * SQLite says "unable to open database file" for most of what can be wrong, opens a file that it may not write without a word,
 * and takes a last page that was cut off for one that ends in zeros. Nothing here opens the file: closing it again would drop the
 * locks that SQLite holds on it in this process, if it is open already.
 */
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseOpenError } from '../../services/StorageError.js'

const codeOf = (error: unknown) => String((error as { readonly code?: unknown }).code)

/** Whom an operator has to give a permission to. */
const thisUser = () => {
  const id = process.getuid?.()
  return id === undefined ? 'this user' : `this user (uid ${id})`
}

const denied = (error: unknown, whatToGive: string) =>
  codeOf(error) === 'EROFS' ? 'the file system is read-only; remount it or use another' : whatToGive

const isFolder = (path: string) => {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** One after the other: where a folder cannot be made, as below `/proc`, Node's own way of making all of them does not end. */
const makeFolder = (folder: string): void => {
  if (isFolder(folder)) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    // Another process may have been first.
    if (!isFolder(folder)) throw error
  }
}

/** The folder's journals make it as needful of permission as the file. */
const checkFolder = (folder: string): string | undefined => {
  try {
    makeFolder(folder)
  } catch (error) {
    return codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOTDIR'
      ? `a part of ${folder} is a file and no folder; set OR3_SQLITE_DB_PATH to another path`
      : denied(
          error,
          `its folder cannot be made (${codeOf(error)}); make ${folder} and give ${thisUser()} write permission on it`,
        )
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    return denied(error, `give ${thisUser()} write permission on the folder ${folder}`)
  }
  return undefined
}

const checkFile = (path: string): string | undefined => {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    return denied(error, `give ${thisUser()} read and write permission on the file`)
  }
}

/** The size of a file that must consist of whole pages; 0 for one that is new, or that a journal completes. */
export const settledSize = (path: string): number => {
  // A process that died or is at work may have left a page half-written.
  const hasJournal = ['-wal', '-journal'].some((suffix) => existsSync(path + suffix))
  return existsSync(path) && !hasJournal ? statSync(path).size : 0
}

/** Whether there is more than a name: SQLite makes an empty file as soon as a process looks. */
export const isFilled = (path: string): boolean => existsSync(path) && statSync(path).size > 0

/** Makes the folder if need be. Throws a `DatabaseOpenError` that says what to do. */
export const prepareFile = (path: string): void => {
  const detail = isFolder(path)
    ? `it is a folder; set OR3_SQLITE_DB_PATH to a file, such as ${join(path, 'or3-sync.db')}`
    : (checkFolder(dirname(path)) ?? (existsSync(path) ? checkFile(path) : undefined))
  if (detail !== undefined) throw new DatabaseOpenError({ path, detail })
}
