/**
 * Puts a backup in the place of the database, so that the next start of the server knows what it has before it.
 *
 * Everything is checked and prepared beside the database first. The last steps are a second name for the old file, a note, and
 * one rename; the database is there at every moment.
 */
import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import { BackupRefused, checkCopy, type Checked, companions, extentIn } from './backup.js'
import { makeConnection } from '../synchronous/connection.js'
import { copyNew, resemble, syncFile, syncFolderOf } from './files.js'
import { type Holder, holdersOf, holdersText } from './holders.js'
import { type Extent, lastSeen, unknown } from '../synchronous/leap.js'
import { rootMessage } from '../causes.js'
import { isDriverError, sqliteCode } from '../synchronous/sqliteErrors.js'
import { native } from '../synchronous/native.js'
import type { Sqlite } from '../synchronous/sqlite.js'

export interface Restored extends Checked {
  /** The database as it was; undefined when there was none. */
  readonly kept: string | undefined
  /** Who opened the old one while it was replaced, and works on it still. */
  readonly stillOnOld: ReadonlyArray<Holder>
  /** False when nothing told how far devices have got, so that the note is a guess. */
  readonly knowsExtent: boolean
}

const lockMillis = 1_000

const refuse = (message: string) => new BackupRefused({ message })

const inUse = (path: string, who: string) =>
  refuse(`${path} is in use${who}: stop what uses it first, and start it again afterwards`)

const withCompanions = (path: string) => [path, ...companions.map((suffix) => path + suffix)]

interface Old {
  /** Undefined when it cannot be read. */
  readonly extent: Extent | undefined
  readonly release: () => void
}

/**
 * Takes the old database for us alone. Leaving the write-ahead log is possible only when nobody else has it open, even idle, and
 * brings the log into the file. Without one, the lock shows only who is at work.
 */
const claim = (file: string): Old => {
  const none: Old = { extent: undefined, release: () => {} }
  if (!existsSync(file)) return none
  let database: Sqlite | undefined
  try {
    database = native.open(file, { timeout: lockMillis })
    const extent = extentIn(makeConnection(database))
    database.pragma('journal_mode = DELETE')
    database.exec('BEGIN EXCLUSIVE')
    const claimed = database
    return { extent, release: () => claimed.close() }
  } catch (error) {
    database?.close()
    if (!isDriverError(error)) throw error
    if (/^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error) ?? '')) throw inUse(file, '')
    // A damaged one is what restoring is for.
    return none
  }
}

/** So much that the next start takes the backup for older, which it is even where it has as many versions. */
const noteFor = ({ extent: restored, schema }: Checked, seen: ReadonlyArray<Extent>): string => {
  const greatest = (of: (extent: Extent) => number) => Math.max(of(restored), ...seen.map(of))
  const total =
    // Nobody knows yet how many versions one of the earlier package has when it is adopted.
    seen.length === 0 || schema.kind !== 'ours'
      ? unknown
      : Math.max(
          restored.total + 1,
          greatest(({ total }) => total),
        )
  return `${total} ${greatest(({ highest }) => highest)} ${greatest(({ clockBase }) => clockBase)}\n`
}

const writeNote = (path: string, text: string, model: string) => {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, text)
  resemble(draft, model, { owner: true })
  syncFile(draft)
  renameSync(draft, path)
}

/** Not every file system has links; there the database is away for a moment. */
const keep = (file: string, kept: string) => {
  try {
    linkSync(file, kept)
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') throw error
    renameSync(file, kept)
  }
}

const replace = (
  file: string,
  draft: string,
  kept: string,
  checked: Checked,
): Omit<Restored, keyof Checked> => {
  const old = claim(file)
  try {
    const existed = existsSync(file)
    const note = `${file}-seen`
    const seen = [lastSeen(file), old.extent].filter((extent) => extent !== undefined)
    if (existed) resemble(draft, file, { owner: true })
    syncFile(draft)
    writeNote(note, noteFor(checked, seen), draft)
    // Windows renames nothing that is open.
    if (process.platform === 'win32') old.release()
    if (existed) keep(file, kept)
    // The new file must not meet the old one's journals. Those of a file that cannot be read are a part of it.
    for (const suffix of ['-wal', '-journal'])
      if (existsSync(file + suffix)) renameSync(file + suffix, kept + suffix)
    rmSync(`${file}-shm`, { force: true })
    renameSync(draft, file)
    syncFolderOf(file)
    return {
      kept: existed ? kept : undefined,
      stillOnOld: existed ? holdersOf([kept]) : [],
      knowsExtent: seen.length > 0,
    }
  } finally {
    old.release()
  }
}

/** Errors of files are the operator's: a folder without permission, a full disk. */
const ofFiles = <A>(body: () => A): Effect.Effect<A, BackupRefused | StorageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (error) {
      if (error instanceof BackupRefused) return Effect.fail(error)
      if (typeof (error as { syscall?: unknown }).syscall === 'string')
        return Effect.fail(refuse(rootMessage(error)))
      throw error
    }
  })

/** All else here is one step after the other, in which no signal is heard. */
const heedSignals = Effect.sleep('10 millis')

/**
 * Restores `backup` as `file`, which must be no link. `stamp` is a part of the name under which the old database is kept.
 */
export const restoreBackup = (
  backup: string,
  file: string,
  stamp: string,
): Effect.Effect<Restored, BackupRefused | StorageError> => {
  const draft = `${file}.restoring-${process.pid}`
  const free = (path: string, hint: string) => {
    const holders = holdersOf(withCompanions(path))
    if (holders.length > 0)
      throw hint === '' ? inUse(path, ` by ${holdersText(holders)}`) : refuse(`${path} ${hint}`)
  }
  return Effect.acquireUseRelease(
    ofFiles(() => {
      free(file, '')
      free(backup, 'is a database in use: make a copy of it with `or3-sqlite backup`')
      copyNew(backup, draft)
      for (const suffix of ['-wal', '-journal'])
        if (existsSync(backup + suffix)) copyNew(backup + suffix, draft + suffix)
    }),
    () =>
      Effect.gen(function* () {
        yield* heedSignals
        const checked = yield* checkCopy(draft, backup)
        yield* heedSignals
        // The check takes its time; a server may have started meanwhile.
        const replaced = yield* ofFiles(() => {
          free(file, '')
          return replace(file, draft, `${file}.before-restore-${stamp}`, checked)
        })
        return { ...checked, ...replaced }
      }),
    () => Effect.sync(() => withCompanions(draft).forEach((path) => rmSync(path, { force: true }))),
  )
}
