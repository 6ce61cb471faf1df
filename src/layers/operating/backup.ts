/**
 * Copies a database while it is in use, and checks the copy.
 *
 * SQLite's online backup starts over whenever another process has written since its last step, so under constant writes it would
 * never end. Under a write-ahead log a reader that keeps its snapshot does not see those writes, and nobody waits for it. With
 * the other journals such a reader holds writers back; so there the copy is tried without at first. Bun's driver has no online
 * backup: there it is `VACUUM INTO`, which sees one snapshot as well.
 */
import { linkSync, renameSync, rmSync } from 'node:fs'
import { Data, Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import { type Connection, makeConnection } from '../synchronous/connection.js'
import { syncFile, syncFolderOf } from './files.js'
import { type Extent, leapSql } from '../synchronous/leap.js'
import { attempt, patienceMillis, pinSnapshot } from './observer.js'
import { schemaState, withOffsetsOf } from './schemaState.js'
import type { SchemaState } from '../sql/schemaLook.js'
import { howToFinishCopy, isUnfinishedCopy } from '../sql/schemaVersion.js'
import { rootMessage } from '../causes.js'
import { busyError, isDriverError, toStorageError } from '../synchronous/sqliteErrors.js'
import { native } from '../synchronous/native.js'
import type { Sqlite } from '../synchronous/sqlite.js'

/** A copy that is not what it should be, or a target that is not to be replaced. One line. */
export class BackupRefused extends Data.TaggedError('BackupRefused')<{ readonly message: string }> {}

export type OnPages = (done: number, of: number) => void

/** Eight megabytes at a time. */
const stepPages = 2_000
/** How often the copy may start over before it holds writers back. */
const freshStarts = 3

const isWal = (database: Sqlite) => database.pragma('journal_mode', { simple: true }) === 'wal'

const inSteps = async (
  source: Sqlite,
  backup: NonNullable<Sqlite['backup']>,
  target: string,
  onPages: OnPages,
  now: () => number,
) => {
  if (isWal(source)) pinSnapshot(source)
  let starts = 0
  let left = Number.POSITIVE_INFINITY
  let moved = now()
  await backup(target, {
    progress: ({ totalPages, remainingPages }) => {
      if (remainingPages > left && ++starts === freshStarts && !source.inTransaction) pinSnapshot(source)
      if (remainingPages !== left) moved = now()
      // The driver tells a lock from progress by nothing else.
      else if (now() - moved > patienceMillis) throw busyError()
      left = remainingPages
      onPages(totalPages - remainingPages, totalPages)
      return stepPages
    },
  })
  if (source.inTransaction) source.exec('COMMIT')
}

/** Where the driver has no online backup: SQLite writes what it sees anew, in one go, in which no signal is heard. */
const atOnce = (source: Sqlite, target: string, onPages: OnPages) => {
  const pages = Number(source.pragma('page_count', { simple: true }))
  onPages(0, pages)
  // It would keep the copy from being written as well.
  source.exec('PRAGMA query_only = OFF')
  try {
    source.prepare('VACUUM INTO ?').run(target)
  } finally {
    source.exec('PRAGMA query_only = ON')
  }
  onPages(pages, pages)
}

/** Copies what the connection sees into a new file. What was committed before the call is in the copy. */
export const copyOnline = (
  source: Sqlite,
  target: string,
  onPages: OnPages,
): Effect.Effect<void, StorageError> =>
  Effect.flatMap(Effect.clock, (clock) =>
    Effect.tryPromise({
      try: async () => {
        const backup = source.backup?.bind(source)
        if (backup === undefined) atOnce(source, target, onPages)
        else await inSteps(source, backup, target, onPages, () => clock.unsafeCurrentTimeMillis())
      },
      catch: (error) => {
        if (isDriverError(error)) return toStorageError('backup')(error)
        throw error
      },
    }),
  )

export interface Checked {
  readonly schema: SchemaState
  readonly extent: Extent
  readonly workspaces: number
}

const count = (connection: Connection, sql: string) => connection.first<{ count: number }>(sql)!.count

const nothing: Extent = { total: 0, highest: 0, clockBase: 0 }

/** Versions of a database of the earlier package. */
export const legacyTotal = 'SELECT coalesce(sum(value), 0) AS count FROM server_version_counter'

/** What a database holds; of one of the earlier package the versions alone; nothing while it has no table for it. */
export const extentIn = (connection: Connection): Extent => {
  const schema = schemaState(connection)
  return connection.first(`SELECT 1 FROM sqlite_schema WHERE name = 'server_version_counter'`) === undefined
    ? nothing
    : schema.kind === 'legacy'
      ? { ...nothing, total: count(connection, legacyTotal) }
      : schema.kind !== 'ours'
        ? nothing
        : connection.first<Extent>(withOffsetsOf(schema, leapSql.extent))!
}

export const workspaceCount = 'SELECT count(*) AS count FROM workspaces'

/** How many workspaces a database has, removed ones too; 0 without the table. */
const workspacesIn = (connection: Connection): number =>
  connection.first(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'workspaces'`) === undefined
    ? 0
    : count(connection, workspaceCount)

/**
 * Whether a copy that nobody else uses is a sound database of ours; makes it one file, without a write-ahead log beside it.
 * `what` names it in the message.
 */
export const checkCopy = (
  path: string,
  what: string,
): Effect.Effect<Checked, BackupRefused | StorageError> => {
  const refuse = (why: string) => new BackupRefused({ message: `${what} ${why}` })
  return Effect.acquireUseRelease(
    attempt('backup', () => native.open(path, { fileMustExist: true, timeout: patienceMillis })),
    (database) =>
      Effect.gen(function* () {
        const connection = makeConnection(database)
        const checked = yield* attempt('backup', () => {
          const [problem] = connection.all<{ integrity_check: string }>('PRAGMA integrity_check(1)')
          if (problem?.integrity_check !== 'ok')
            return refuse(`is damaged: ${problem?.integrity_check.split('\n').at(-1)}`)
          const schema = schemaState(connection)
          if (schema.kind === 'newer')
            return refuse(
              isUnfinishedCopy(schema.applied)
                ? howToFinishCopy
                : `has schema ${schema.applied}, of a newer release: install that release first`,
            )
          if (schema.kind === 'foreign' || schema.kind === 'empty')
            return refuse('is no database of this package')
          const workspaces = workspacesIn(connection)
          const result: Checked = { schema, extent: extentIn(connection), workspaces }
          database.pragma('journal_mode = DELETE')
          return result
        }).pipe(
          Effect.catchIf(
            (error) => error.reason === 'corrupt',
            (error) => Effect.succeed(refuse(`is no sound database: ${rootMessage(error)}`)),
          ),
        )
        return checked instanceof BackupRefused ? yield* checked : checked
      }),
    (database) => Effect.sync(() => database.close()),
  )
}

/** What SQLite would take for a part of the file. */
export const companions = ['-wal', '-shm', '-journal'] as const

/** Gives a finished draft its name, durably; the name must be free unless it may be replaced. */
export const publish = (draft: string, target: string, mayReplace: boolean): void => {
  syncFile(draft)
  if (mayReplace) {
    // Before, not after: SQLite would take another file's log for a part of this one.
    for (const suffix of companions) rmSync(target + suffix, { force: true })
    renameSync(draft, target)
  } else {
    linkOrRename(draft, target)
  }
  syncFolderOf(target)
}

/** A link fails where there is a file already; a rename would replace it. Not every file system has links. */
const linkOrRename = (draft: string, target: string) => {
  try {
    linkSync(draft, target)
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') throw error
    renameSync(draft, target)
    return
  }
  rmSync(draft)
}
