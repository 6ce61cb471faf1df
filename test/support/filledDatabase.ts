/**
 * A good database with all kinds of things in it, and copies of it that are damaged.
 */
import { copyFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeWorkspace } from './command.js'
import { del, put, scope } from './ops.js'

/** Rows, a delete with and one without payload, a losing op, a notification, a trimmed part, collected tombstones, an heir. */
export const fill = async (database: string) => {
  const workspaceId = await makeWorkspace(database)
  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  const own = scope(workspaceId)
  const push = (ops: ReadonlyArray<unknown>) => syncGateway.push(undefined, { ...own, ops } as never)
  const bury = (pk: string, payload?: unknown) => del({ pk, clock: 2, ...(payload ? { payload } : {}) })
  await push([1, 2, 3, 4, 5, 6].map((n) => put({ id: `old${n}`, pk: `old${n}`, payload: { n } })))
  await push([bury('old1', { gone: true }), bury('old2')])
  const sqlite = new Sqlite(database)
  sqlite.exec('UPDATE change_log SET created_at = created_at - 7300; UPDATE tombstones SET deleted_at = 0')
  sqlite.close()
  await syncGateway.updateCursor(undefined, { ...own, deviceId: 'd1', version: 9 })
  await syncGateway.gcTombstones(undefined, { ...own, retentionSeconds: 3_600 })
  await syncGateway.gcChangeLog(undefined, { ...own, retentionSeconds: 3_600 })
  await push([
    ...[1, 2, 3, 4].map((n) => put({ id: `new${n}`, pk: `new${n}`, payload: { n } })),
    put({ id: 'k', table: 'kv', pk: 'k' }),
    put({ id: 'n', table: 'notifications', pk: 'n', payload: { id: 'n', user_id: 'ada' } }),
    put({ id: 'loser', pk: 'new4', clock: 0, payload: {} }),
    bury('new1', { gone: true }),
    bury('new2'),
    put({ id: 'naming', pk: 'naming', payload: { file_hashes: '["sha256:A","nul\\u0000é",5]' } }),
    put({ id: 'post', table: 'posts', pk: 'post', payload: { file_hashes: ['a', 'b'] } }),
    put({ id: 'file', table: 'file_meta', pk: 'MD5:A', payload: { size_bytes: 7 } }),
    put({ id: 'sizeless', table: 'file_meta', pk: 'b', payload: {} }),
    del({ id: 'gone', table: 'file_meta', pk: 'gone', payload: { size_bytes: 5 } }),
  ])
  for (const intentId of ['open', 'consumed', 'cancelled']) {
    const intent = { workspaceId, intentId, hash: 'A', mimeType: 'image/png', sizeBytes: 7 }
    await syncGateway.reserveUploadIntent(undefined, { ...intent, expiresAt: 1e10 })
    if (intentId === 'consumed') {
      await syncGateway.consumeUploadIntent(undefined, { ...intent, storageId: 's' })
    }
    if (intentId === 'cancelled') await syncGateway.cancelUploadIntent(undefined, intent)
  }
  await close()
}

/** Statements, or what is done to the file. */
export type Harm = string | ((path: string) => void)

/** A copy, beside the good one, with damage done to it as no code of ours would. */
export const damagedCopy = (good: string, name: string, harm: Harm): string => {
  const path = join(dirname(good), `${name}.db`)
  rmSync(path, { force: true })
  copyFileSync(good, path)
  if (typeof harm === 'string') {
    const sqlite = new Sqlite(path)
    sqlite.pragma('foreign_keys = OFF')
    sqlite.pragma('ignore_check_constraints = ON')
    // A statement that damages nothing would prove nothing.
    const before = sqlite.pragma('data_version')
    sqlite.exec(harm)
    expect(sqlite.prepare('SELECT total_changes() AS n').get(), String(before)).not.toEqual({ n: 0 })
    sqlite.close()
  } else harm(path)
  return path
}
