/**
 * Ways to run out of space: SQLite's own size limit, which works everywhere, and a small file system, where one may be mounted.
 */
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { mountSmall } from './mounts.js'
import { temporaryFolder } from './temporaryFolder.js'

export interface Space {
  readonly name: 'size limit' | 'file system'
  /** Where databases go. */
  readonly folder: string
  /** Leaves this many KiB; none at all without a number. */
  readonly fill: (kibibytes?: number) => void
  readonly free: () => void
  readonly remove: () => void
}

/** What every connection of this process may still grow to; also remembers which statements failed. */
class Connections {
  readonly failed: Array<string> = []
  private readonly open = new Set<Sqlite.Database>()
  private kibibytes: number | undefined
  private readonly original = Sqlite.prototype.prepare

  constructor() {
    // The provider opens its connections itself, and each prepares a statement before anything else.
    const { open, original, failed } = this
    const limit = (database: Sqlite.Database) => this.limit(database)
    Sqlite.prototype.prepare = function prepare(this: Sqlite.Database, sql: string) {
      if (!open.has(this)) {
        open.add(this)
        limit(this)
      }
      const statement = original.call(this, sql)
      for (const method of ['run', 'all', 'get'] as const) {
        const call = statement[method].bind(statement) as (...params: Array<unknown>) => unknown
        Object.assign(statement, {
          [method]: (...params: Array<unknown>) => {
            try {
              return call(...params)
            } catch (error) {
              // SQLite has often rolled back already.
              if (sql !== 'ROLLBACK') failed.push(sql)
              throw error
            }
          },
        })
      }
      return statement
    } as typeof Sqlite.prototype.prepare
  }

  private limit(database: Sqlite.Database) {
    const pages =
      this.kibibytes === undefined
        ? 0xffff_fffe
        : Number(database.pragma('page_count', { simple: true })) + this.kibibytes / 4
    database.pragma(`max_page_count = ${Math.max(1, Math.floor(pages))}`)
  }

  set(kibibytes: number | undefined) {
    this.kibibytes = kibibytes
    for (const database of this.open) {
      if (database.open) this.limit(database)
      else this.open.delete(database)
    }
  }

  restore() {
    this.set(undefined)
    Sqlite.prototype.prepare = this.original
  }
}

/** Installs the limit, and mounts the file system if that is allowed. `failed` are the statements that have failed since. */
export const makeSpaces = (mountedKibibytes: number) => {
  const { folder, remove } = temporaryFolder()
  const connections = new Connections()
  const limited: Space = {
    name: 'size limit',
    folder,
    fill: (kibibytes = 0) => connections.set(kibibytes),
    free: () => connections.set(undefined),
    remove: () => connections.restore(),
  }
  const mountPoint = join(folder, 'mounted')
  const mounted = mountSmall(mountPoint, mountedKibibytes)
  const ballast = join(mountPoint, 'ballast')
  const fileSystem = (unmount: () => void): Space => ({
    name: 'file system',
    folder: mountPoint,
    fill: (kibibytes = 0) => {
      const { bavail, bsize } = statfsSync(mountPoint)
      const bytes = Math.max(0, bavail * bsize - kibibytes * 1_024)
      const file = openSync(ballast, 'a')
      const chunk = Buffer.alloc(65_536, 1)
      for (let left = bytes; left > 0; left -= chunk.length)
        writeSync(file, chunk, 0, Math.min(left, chunk.length))
      closeSync(file)
    },
    free: () => rmSync(ballast, { force: true }),
    remove: unmount,
  })
  const spaces: ReadonlyArray<Space> = [
    limited,
    ...(mounted === undefined ? [] : [fileSystem(mounted.unmount)]),
  ]
  return {
    spaces,
    failed: connections.failed,
    remove: () => {
      for (const space of spaces) space.remove()
      remove()
    },
  }
}
