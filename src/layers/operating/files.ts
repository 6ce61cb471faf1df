/**
 * Files as a backup needs them: on the disk before anything relies on them, and as private as the original.
 *
 * None of them may be open through SQLite in this process: closing it here would drop SQLite's locks, see `databaseFile.ts`.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  openSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'

/** An empty file that only this user may read. */
export const createPrivate = (path: string): void => closeSync(openSync(path, 'wx', 0o600))

export const syncFile = (path: string): void => {
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** A new name is durable when its folder is. Some systems cannot open a folder; there it is left to them. */
export const syncFolderOf = (path: string): void => {
  let folder: number
  try {
    folder = openSync(dirname(path), 'r')
  } catch {
    return
  }
  try {
    fsyncSync(folder)
  } catch {
  } finally {
    closeSync(folder)
  }
}

/** The same permissions as a model's and, where this user may, the same owner. */
export const resemble = (path: string, model: string, { owner }: { readonly owner: boolean }): void => {
  const { mode, uid, gid } = statSync(model)
  if (owner) {
    try {
      chownSync(path, uid, gid)
    } catch {}
  }
  chmodSync(path, mode & 0o777)
}

/** The copy can be written to, and nobody else may read it, whatever the original's permissions. */
export const copyNew = (from: string, to: string): void => {
  copyFileSync(from, to, constants.COPYFILE_EXCL)
  chmodSync(to, 0o600)
}
