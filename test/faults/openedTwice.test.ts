/**
 * A file opened twice in one process keeps its locks: another program that comes and goes takes nothing away.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { put, scope } from '../support/ops.js'
import { root } from '../support/run.js'
import { temporaryFolder } from '../support/subjects.js'

/** What the `sqlite3` command or a backup does: opens the file, reads, and closes it. */
const comeAndGo = (file: string) =>
  execFileSync(
    process.execPath,
    [
      '-e',
      `const db = require('better-sqlite3')(${JSON.stringify(file)}); db.prepare('SELECT count(*) FROM change_log').get(); db.close()`,
    ],
    { cwd: root },
  )

it('keeps the write-ahead log that it is using', async () => {
  const { folder, remove } = temporaryFolder()
  const env = { OR3_SQLITE_DB_PATH: join(folder, 'twice.db') }
  const first = openProvider({ env })
  const push = (op: ReturnType<typeof put>) => first.syncGateway.push({}, { ...scope(), ops: [op] })
  await push(put({ id: 'a' }))
  const second = openProvider({ env })
  comeAndGo(env.OR3_SQLITE_DB_PATH)
  expect(existsSync(`${env.OR3_SQLITE_DB_PATH}-wal`)).toBe(true)
  expect((await push(put({ id: 'b', clock: 2 }))).serverVersion).toBe(2)
  const { results } = await second.syncGateway.push({}, { ...scope(), ops: [put({ id: 'c', clock: 3 })] })
  expect(results).toMatchObject([{ success: true, serverVersion: 3 }])
  await second.close()
  await first.close()
  const again = openProvider({ env })
  const { changes } = await again.syncGateway.pull({}, { ...scope(), cursor: 0 })
  expect(changes.map(({ stamp }) => stamp.opId)).toEqual(['a', 'b', 'c'])
  await again.close()
  remove()
})
