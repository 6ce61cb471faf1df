/**
 * A file opened twice in one process keeps its locks. Without them another program that comes and goes takes itself for the
 * last user, and deletes the write-ahead log that is in use.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { put, scope, opId } from '../support/ops.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

/** The kernel's list of this process's file locks; elsewhere than on Linux nobody can tell. */
const locksHeld = () =>
  existsSync('/proc/locks')
    ? readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .filter((line) => line.includes(` ${process.pid} `)).length
    : 0

it('keeps its locks, and all that was acknowledged', async () => {
  const { folder, remove } = temporaryFolder()
  const env = { OR3_SQLITE_DB_PATH: join(folder, 'twice.db') }
  const first = openProvider({ env })
  const push = (op: ReturnType<typeof put>) => first.syncGateway.push({}, { ...scope(), ops: [op] })
  await push(put({ id: 'a' }))
  const before = locksHeld()
  await openProvider({ env }).close()
  expect(locksHeld()).toBe(before)
  expect((await push(put({ id: 'b', clock: 2 }))).serverVersion).toBe(2)
  const second = openProvider({ env })
  await second.syncGateway.push({}, { ...scope(), ops: [put({ id: 'c', clock: 3 })] })
  await second.close()
  await first.close()
  const again = openProvider({ env })
  const { changes } = await again.syncGateway.pull({}, { ...scope(), cursor: 0 })
  expect(changes.map(({ stamp }) => stamp.opId)).toEqual(['a', 'b', 'c'].map(opId))
  await again.close()
  remove()
})
