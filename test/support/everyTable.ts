/**
 * A good database with rows in every table, and values that a careless copy would change.
 */
import { createHash } from 'node:crypto'
import Sqlite from 'better-sqlite3'
import { requiredTables } from '../../src/layers/sql/schemaVersion.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { inspect } from './adoption.js'
import { fill } from './filledDatabase.js'
import { opId, put, scope } from './ops.js'

/** As long as a payload may be, and hardly a character of one byte. */
const longText = '\u{1f642}\'"é'.repeat(15_000)

/** `nul` stands for a NUL; `chunkBytes` of a piece of a job's content, in characters of four bytes. */
export const fillEveryTable = async (
  database: string,
  { chunkBytes = 1_999_000, nul = '\0' } = {},
): Promise<string> => {
  await fill(database)
  const oddText = `it's "odd"; -- \n\r\n${nul} é\u2028\u{1f642}\\n\t`
  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  const [{ id, owner }] = inspect(
    database,
    (sqlite) =>
      sqlite.prepare('SELECT workspace_id AS id, user_id AS owner FROM workspace_members').all() as [
        { id: string; owner: string },
      ],
  )
  await syncGateway.push(undefined, {
    ...scope(id),
    ops: [
      put({ id: 'thread', table: 'threads', pk: 't', payload: { id: 't', n: -0.5, most: 2 ** 53 - 1 } }),
      put({
        id: 'project',
        table: 'projects',
        pk: oddText.replaceAll(/[\0\n\r\t]/g, ''),
        payload: { oddText },
      }),
      put({ id: 'long', table: 'messages', pk: 'long', payload: { text: longText } }),
      put({ id: 'again', pk: 'naming', clock: 2, payload: { file_hashes: JSON.stringify([`nul${nul}é`]) } }),
      put({ id: 'late', table: 'messages', pk: 'late', clock: 2 ** 53 - 1, payload: { text: 'x' } }),
    ],
  } as never)
  await close()
  const sqlite = new Sqlite(database)
  const insert = (table: string, row: object) =>
    sqlite
      .prepare(
        `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${Object.keys(row).map(() => '?')})`,
      )
      .run(...Object.values(row))
  // A leap of another kind than a restored backup's, which the note beside the file need not know of.
  sqlite.exec(`UPDATE server_version_counter SET version_offset = ${2 ** 33}, leapt_at = 7`)
  insert('server_version_counter', { workspace_id: '', value: 0, version_offset: 2 ** 33 })
  insert('renamed_ops', {
    workspace_id: id,
    op_id: `old ${oddText}`,
    table_name: 'kv',
    pk: 'k',
    new_op_id: opId('n'),
  })
  insert('rate_limit_windows', { key: 'k', ends_at: 1.5e12 + 0.5, taken: 3, granted: -1 })
  insert('workspace_settings', { workspace_id: id, key: 'odd', value: oddText, updated_at: 1 })
  insert('deployment_admins', { user_id: owner, created_at: 1, created_by_user_id: null })
  // Invites of one second are told by the order of their rows, which is not that of their ids.
  for (const invite of ['z', 'a', 'm'])
    insert('workspace_invites', {
      ...{ id: invite, workspace_id: id, email: `${invite}@example.org`, role: 'viewer', status: 'pending' },
      ...{ invited_by_user_id: owner, expires_at: 9e9, token_hash: 'h', created_at: 1, updated_at: 1 },
    })
  // Numbers of rows with a gap.
  sqlite.exec(`DELETE FROM workspace_invites WHERE id = 'a'`)
  const text = '\u{1f642}'.repeat(Math.floor(chunkBytes / 4))
  insert('jobs', {
    ...{ id: 'job', user_id: owner, thread_id: 't', message_id: 'm', model: oddText, status: 'complete' },
    ...{ content_length: text.length + oddText.length, piece_count: 2, chunks_received: 2, started_at: 1 },
    ...{ last_activity_at: 1, completed_at: 2, has_execution: 0, attempts: 0 },
  })
  insert('job_chunks', { job_id: 'job', seq: 1, text: oddText })
  insert('job_chunks', { job_id: 'job', seq: 0, text })
  insert('job_documents', { job_id: 'job', name: 'tool_calls', json: JSON.stringify([longText]) })
  insert('webhooks', {
    ...{
      id: 'hook',
      scope: 'user',
      user_id: owner,
      workspace_id: id,
      url: 'https://example.org/',
      label: oddText,
    },
    ...{ events_json: '["e"]', custom_hooks_json: '["c"]', signing_secret_enc: 's', enabled: 1 },
    ...{ health: 'unknown', created_at: 1, updated_at: 1 },
  })
  insert('webhook_events', { webhook_id: 'hook', event: 'e', scope: 'user', workspace_id: id })
  insert('webhook_hooks', { webhook_id: 'hook', hook: 'c' })
  insert('hook_deliveries', {
    ...{ id: 'delivery', webhook_id: 'hook', event_id: 'e', event_type: 'e', attempt: 1, status: 'success' },
    ...{ ended: 1, due_at: 1, created_at: 1, duration_ms: 0.1, error_message: oddText, request_json: '{}' },
  })
  sqlite.close()
  return id
}

const digest = (value: unknown) =>
  typeof value === 'string' && value.length > 1_000
    ? `${value.length} characters, ${createHash('sha256').update(value).digest('hex')}`
    : value

/** All rows of all tables of ours, in their order, numbers exact. */
export const contentsOf = (database: string): Record<string, ReadonlyArray<ReadonlyArray<unknown>>> =>
  inspect(database, (sqlite) =>
    Object.fromEntries(
      requiredTables.map((table) => {
        const order = table === 'file_references' ? '1, 2, 3, 4' : 'rowid'
        const rows = sqlite.prepare(`SELECT * FROM ${table} ORDER BY ${order}`).safeIntegers().raw().all()
        return [table, (rows as Array<Array<unknown>>).map((row) => row.map(digest))]
      }),
    ),
  )
