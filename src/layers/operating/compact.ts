/**
 * Gives the space of freed pages back to the disk.
 */
import { statSync } from 'node:fs'
import { Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import { attempt, patienceMillis } from './observer.js'
import { native } from '../synchronous/native.js'

export interface Compacted {
  readonly before: number
  readonly after: number
  /** Whether readers still hold the write-ahead log, so that the file shrinks when they are done. */
  readonly waits: boolean
}

/** Rewrites the file in one transaction: pulls go on under a write-ahead log, pushes wait. A failure leaves it as it was. */
export const compact = (path: string): Effect.Effect<Compacted, StorageError> =>
  attempt('vacuum', () => {
    const before = statSync(path).size
    const database = native.open(path, { fileMustExist: true, timeout: patienceMillis })
    try {
      database.exec('VACUUM')
      const [checkpoint] = database.pragma('wal_checkpoint(TRUNCATE)') as Array<{ busy: number }>
      return { before, after: statSync(path).size, waits: checkpoint?.busy === 1 }
    } finally {
      database.close()
    }
  })
