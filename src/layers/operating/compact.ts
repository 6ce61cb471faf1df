/**
 * Gives the space of freed pages back to the disk.
 */
import { statSync } from 'node:fs'
import { Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import { attempt, patienceMillis } from './observer.js'
import { native } from '../synchronous/native.js'
import type { Sqlite } from '../synchronous/sqlite.js'

export interface Compacted {
  readonly before: number
  readonly after: number
  /** Whether readers still hold the write-ahead log, so that the file shrinks when they are done. */
  readonly waits: boolean
}

const pauseMillis = 20

/** Whether the write-ahead log is empty in the end. SQLite does not wait for another's checkpoint, such as that of a server's thread. */
const emptied = (database: Sqlite): boolean => {
  for (const start = performance.now(); ;) {
    const [checkpoint] = database.pragma('wal_checkpoint(TRUNCATE)') as Array<{ busy: number }>
    if (checkpoint?.busy !== 1) return true
    if (performance.now() - start > patienceMillis) return false
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMillis)
  }
}

/** Rewrites the file in one transaction: pulls go on under a write-ahead log, pushes wait. A failure leaves it as it was. */
export const compact = (path: string): Effect.Effect<Compacted, StorageError> =>
  attempt('vacuum', () => {
    const before = statSync(path).size
    const database = native.open(path, { fileMustExist: true, timeout: patienceMillis })
    try {
      database.exec('VACUUM')
      const waits = !emptied(database)
      return { before, after: statSync(path).size, waits }
    } finally {
      database.close()
    }
  })
