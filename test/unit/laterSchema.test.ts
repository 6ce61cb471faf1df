/**
 * What `013_addresses_and_sizes` makes of what a database of an earlier release holds.
 */
import { join } from 'node:path'
import * as SqlMigrator from '@effect/sql/Migrator'
import { SqliteClient } from '@effect/sql-sqlite-node'
import Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import { afterAll, describe, expect, it } from 'vitest'
import { migrations } from '../../migrations/index.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { foldedEmail } from '../../src/services/emails.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0

/** A file as of 012 that holds what a body puts into it, opened by this release. */
const upgraded = async <A>(
  fill: (database: Sqlite.Database) => void,
  look: (database: Sqlite.Database, provider: ReturnType<typeof openProvider>) => A | Promise<A>,
): Promise<A> => {
  const file = join(folder, `later-${++files}.db`)
  const earlier = Object.fromEntries(Object.entries(migrations).slice(0, 12))
  const migrator = SqlMigrator.make({})({
    loader: SqlMigrator.fromRecord(earlier),
    table: 'effect_sql_migrations',
  })
  Effect.runSync(Effect.provide(migrator, SqliteClient.layer({ filename: file })))
  const database = new Sqlite(file)
  fill(database)
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  try {
    return await look(database, provider)
  } finally {
    await provider.close()
    database.close()
  }
}

describe('addresses', () => {
  const everyLetter = Array.from({ length: 0x2ff80 }, (_, n) => String.fromCodePoint(n + 0x80)).filter(
    (letter) => letter.isWellFormed() && (letter.toLowerCase() !== letter || letter.trim() === ''),
  )
  const addresses = [
    ...['Ann@Example.org', ' \t\u00a0\ufeffÄNNA@x.de\u2003\n', 'ΌΔΟΣ@x.gr', 'όδος@x.gr', 'a', ' ', ''],
    ...everyLetter.map((letter) => `${letter}X${letter}@${letter}`),
  ]

  it('of users are folded as everywhere', async () => {
    const kept = await upgraded(
      (database) => {
        const insert = database.prepare('INSERT INTO users (id, email, created_at) VALUES (?, ?, 1)')
        database.transaction(() => addresses.forEach((email, at) => insert.run(`u${at}`, email)))()
        insert.run('none', null)
      },
      (database) => database.prepare('SELECT email, folded_email AS folded FROM users').raw().all(),
    )
    expect(addresses.length).toBeGreaterThan(1_400)
    expect(new Map(kept as Array<[string, string]>)).toEqual(
      new Map<unknown, unknown>([
        ...addresses.map((email) => [email, foldedEmail(email)] as const),
        [null, null],
      ]),
    )
  })

  it('of invites too, so that they are found', async () => {
    const claim = { workspaceId: 'w', email: 'ÄNNA@x.de', tokenHash: 'hash' }
    const told = await upgraded(
      (database) =>
        database.exec(`
          INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'W', 1);
          INSERT INTO workspace_invites (id, workspace_id, email, role, status, invited_by_user_id, expires_at, token_hash,
            created_at, updated_at) VALUES ('i', 'w', 'Änna@x.de', 'editor', 'pending', '', 9000000000, 'hash', 1, 1)`),
      (_database, { workspaceStore }) => workspaceStore.validateInvite(claim),
    )
    expect(told).toEqual({ ok: true, role: 'editor' })
  })
})

it('deliveries are as large as they are, of any script', async () => {
  const claimed = await upgraded(
    (database) => {
      database.exec(`
        INSERT INTO webhooks VALUES ('h', 'admin', NULL, NULL, 'http://a.b', '', '[]', '[]', '', 1, 'unknown', 1, 1)`)
      const insert = database.prepare(`
        INSERT INTO hook_deliveries (id, webhook_id, event_id, event_type, attempt, status, ended, due_at, created_at, request_json,
          response_json) VALUES (?, 'h', 'i', 'e', 1, 'pending', 0, ?, 1, ?, ?)`)
      const half = JSON.stringify('é'.repeat(1_048_576))
      for (let n = 0; n < 4; n++) insert.run(`d${n}`, n, half, n === 0 ? half : null)
      for (const id of ['e1', 'e2']) insert.run(id, 5, null, '""')
    },
    (database, { webhookStore }) =>
      Promise.all([
        database.prepare('SELECT id, size_bytes FROM hook_deliveries ORDER BY id').raw().all(),
        webhookStore.claimPendingDeliveries('me', 10),
      ]),
  )
  const half = 2 * 1_048_576 + 2
  expect(claimed[0]).toEqual([
    ['d0', 2 * half],
    ['d1', half],
    ['d2', half],
    ['d3', half],
    ['e1', 2],
    ['e2', 2],
  ])
  expect(claimed[1].map(({ id }) => id)).toEqual(['d0', 'd1'])
})
