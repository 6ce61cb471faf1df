/**
 * Issue 16, point 6: what the last releases of the earlier package kept for other features arrives in our tables.
 */
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { lookAtContent } from '../../src/layers/operating/inspect.js'
import { lookIn } from '../../src/layers/operating/look.js'
import type { Look } from '../../src/layers/sql/look.js'
import { lookAtSchema } from '../../src/layers/sql/schemaLook.js'
import { makeConnection } from '../../src/layers/synchronous/connection.js'
import { openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { brokenRules, inspect, makeLegacy, query } from '../support/adoption.js'
import { migrateUpTo } from '../support/earlierRelease.js'
import { type LegacyDatabase, legacyTime } from '../support/legacyDatabase.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)
afterEach(() => vi.restoreAllMocks())

/** As the earlier package makes them. */
const tables = `
  drop table "auth_invites"; drop table "admin_users"; drop table "admin_workspace_settings"; drop table "rate_limits";
  drop table "background_jobs";
  create table "auth_invites" ("id" text primary key, "workspace_id" text not null references "workspaces" ("id") on delete cascade,
    "email" text not null, "role" text not null, "status" text not null, "invited_by_user_id" text not null, "token_hash" text not null,
    "expires_at" integer not null, "accepted_at" integer, "accepted_user_id" text, "revoked_at" integer,
    "created_at" integer not null, "updated_at" integer not null);
  create table "admin_users" ("user_id" text primary key, "created_at" integer not null, "created_by_user_id" text);
  create table "admin_workspace_settings" ("id" text primary key, "workspace_id" text not null, "key" text not null,
    "value" text not null, "updated_at" integer not null);
  create table "upload_intents" ("id" text primary key, "workspace_id" text not null, "hash" text not null, "mime_type" text not null,
    "size_bytes" integer not null, "reserved_bytes" integer not null, "expires_at" integer not null, "status" text not null,
    "storage_id" text, "created_at" integer not null, "consumed_at" integer, "cancelled_at" integer);
  create table "rate_limits" ("key" text primary key, "count" integer not null, "window_started_at" integer not null,
    "expires_at" integer not null);
  create table "background_jobs" ("id" text primary key, "user_id" text not null, "thread_id" text not null,
    "message_id" text not null, "model" text not null, "kind" text, "status" text not null, "content" text not null,
    "chunks_received" integer not null, "started_at" integer not null, "last_activity_at" integer not null,
    "completed_at" integer, "error" text, "tool_calls_json" text, "workflow_state_json" text, "execution_json" text,
    "idempotency_key" text, "lease_owner" text, "lease_expires_at" integer, "attempts" integer not null);
  create table "webhook_registrations" ("id" text primary key, "scope" text not null, "user_id" text, "workspace_id" text,
    "url" text not null, "label" text not null, "events" text not null, "signing_secret_enc" text not null,
    "enabled" integer not null, "health" text not null, "created_at" integer not null, "updated_at" integer not null);
  create table "webhook_custom_hooks" ("webhook_id" text not null, "hook_name" text not null,
    primary key ("webhook_id", "hook_name"));
  create table "webhook_delivery_logs" ("id" text primary key, "webhook_id" text not null, "event_id" text not null,
    "event_type" text not null, "attempt" integer not null, "status" text not null, "claimed_by" text, "claimed_at" integer,
    "http_status" integer, "error_message" text, "request_payload" text, "response_body" text, "duration_ms" integer,
    "next_retry_at" integer, "created_at" integer not null);`

const adopted = [
  ...[
    'auth_invites',
    'admin_users',
    'admin_workspace_settings',
    'upload_intents',
    'rate_limits',
    'background_jobs',
  ],
  ...['webhook_registrations', 'webhook_custom_hooks', 'webhook_delivery_logs'],
]

const now = Date.now()
const soon = Math.floor(now / 1_000) + 3_600

const fill = (legacy: LegacyDatabase) => {
  legacy.sqlite.exec(tables)
  const insert = (table: string, columns: Parameters<LegacyDatabase['insert']>[1]) =>
    legacy.insert(table, columns)
  for (const user of ['ann', 'bob']) legacy.user(user)
  insert('connect_links', { id: 'link', user_id: 'ann' })
  for (const workspace of ['w1', 'w2']) {
    legacy.workspace(workspace, 'ann')
    legacy.member(workspace, 'ann', 'owner')
  }
  const invite = (id: string, columns: Parameters<LegacyDatabase['insert']>[1] = {}) =>
    insert('auth_invites', {
      ...{
        id,
        workspace_id: 'w1',
        email: ' Bob@Example.org ',
        role: 'editor',
        status: 'pending',
        token_hash: `hash-${id}`,
      },
      ...{ invited_by_user_id: 'ann', expires_at: soon, created_at: legacyTime, updated_at: legacyTime },
      ...columns,
    })
  invite('open')
  invite('late', { expires_at: legacyTime + 1, status: 'expired', created_at: legacyTime + 1 })
  invite('taken', {
    ...{
      status: 'accepted',
      accepted_at: legacyTime + 5,
      accepted_user_id: 'bob',
      created_at: legacyTime + 2,
    },
  })
  invite('back', { status: 'revoked', revoked_at: legacyTime + 6, created_at: legacyTime + 3 })
  invite('of nowhere', { workspace_id: 'gone' })
  invite('of no role', { role: 'king' })

  insert('admin_users', { user_id: 'ann', created_at: legacyTime, created_by_user_id: 'root' })
  insert('admin_users', { user_id: 'nobody', created_at: legacyTime, created_by_user_id: null })

  const setting = (id: string, value: string, at: number, workspace_id = 'w1') =>
    insert('admin_workspace_settings', { id, workspace_id, key: 'theme', value, updated_at: legacyTime + at })
  setting('s1', 'old', 1)
  setting('s2', 'new', 2)
  setting('s3', 'other', 0, 'w2')
  setting('s4', 'lost', 0, 'gone')

  const intent = (id: string, columns: Parameters<LegacyDatabase['insert']>[1] = {}) =>
    insert('upload_intents', {
      ...{
        id,
        workspace_id: 'w1',
        hash: ` SHA256:ABC${id} `,
        mime_type: 'image/png',
        size_bytes: 10,
        reserved_bytes: 10,
      },
      ...{ expires_at: soon, status: 'active', created_at: legacyTime, ...columns },
    })
  intent('1')
  intent('2', { status: 'consumed', consumed_at: legacyTime, storage_id: 'place' })
  intent('3', { expires_at: legacyTime, status: 'expired' })

  insert('rate_limits', { key: 'live', count: 3, window_started_at: now - 1_000, expires_at: now + 60_000 })
  insert('rate_limits', { key: 'over', count: 3, window_started_at: 1, expires_at: 2 })

  const job = (id: string, columns: Parameters<LegacyDatabase['insert']>[1] = {}) =>
    insert('background_jobs', {
      ...{
        id,
        user_id: 'ann',
        thread_id: 't',
        message_id: `m-${id}`,
        model: 'x',
        kind: 'chat',
        status: 'streaming',
      },
      ...{
        content: 'Hello \u{1f600}',
        chunks_received: 2,
        started_at: now - 9,
        last_activity_at: now - 5,
        attempts: 1,
      },
      ...columns,
    })
  job('running', {
    ...{
      execution_json: '{"step":1}',
      tool_calls_json: '[{"a":1}]',
      workflow_state_json: 'null',
      idempotency_key: 'k',
    },
    ...{ lease_owner: 'w', lease_expires_at: now - 1 },
  })
  job('before', { status: 'complete', completed_at: now - 4, idempotency_key: 'k', started_at: now - 20 })
  job('broken', { status: 'error', error: 'no model', content: '', execution_json: '{', kind: null })
  job('odd', { status: 'paused' })

  const webhook = (id: string, columns: Parameters<LegacyDatabase['insert']>[1] = {}) =>
    insert('webhook_registrations', {
      ...{
        id,
        scope: 'user',
        user_id: 'ann',
        workspace_id: 'w1',
        url: 'https://example.org/hook',
        label: 'mine',
      },
      ...{
        events: '["message.created","message.created",5]',
        signing_secret_enc: 'secret',
        enabled: 1,
        health: 'failing',
      },
      ...{ created_at: now - 100, updated_at: now - 50, ...columns },
    })
  webhook('h1')
  webhook('h2', {
    scope: 'admin',
    user_id: null,
    workspace_id: null,
    events: 'no list',
    created_at: now - 99,
  })
  webhook('h3', { scope: 'user', user_id: null })
  insert('webhook_custom_hooks', { webhook_id: 'h2', hook_name: 'my:hook' })
  const delivery = (id: string, columns: Parameters<LegacyDatabase['insert']>[1] = {}) =>
    insert('webhook_delivery_logs', {
      ...{
        id,
        webhook_id: 'h1',
        event_id: 'e',
        event_type: 'message.created',
        attempt: 1,
        status: 'pending',
      },
      ...{ request_payload: '{"a":"\u00fc"}', created_at: now - 10, ...columns },
    })
  delivery('due', { next_retry_at: now - 1 })
  delivery('later', { next_retry_at: now + 60_000 })
  delivery('flying', { status: 'in_flight', claimed_by: 'w', claimed_at: now - 5 })
  delivery('done', {
    status: 'success',
    http_status: 200,
    response_body: 'ok',
    duration_ms: 7,
    request_payload: null,
  })
  delivery('of nothing', { webhook_id: 'gone' })
}

const told = vi.fn<(line: string) => void>()
const withProvider = async (path: string, body: (provider: Provider) => Promise<void>) => {
  told.mockReset()
  vi.spyOn(console, 'error').mockImplementation((line: string) => told(line))
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
  try {
    await body(provider)
  } finally {
    await provider.close()
  }
}

function* status(): Look<ReadonlyArray<string> | undefined> {
  const content = yield* lookAtContent(yield* lookAtSchema(), legacyTime)
  return content.notServed
}

const tablesOf = (path: string) =>
  query<{ name: string }>(path, `SELECT name FROM sqlite_schema WHERE type = 'table'`).map(({ name }) => name)

describe.each([
  ['of the earlier package', () => Promise.resolve()],
  ['that an earlier release of ours adopted', (path: string) => migrateUpTo(path, 7)],
])('a database %s', (what, before) => {
  const path = join(folder, `${what.length}.db`)

  it('is adopted with all of it, once, and says so', async () => {
    makeLegacy(path, 17, fill)
    await before(path)
    await withProvider(path, async () => {})
    expect(told.mock.calls.flat()).toContainEqual(
      expect.stringContaining(
        'adopting other features of the earlier package: invites: 4 of 6, admins: 1 of 2, settings: 2 of 4, upload intents: 2 of 3, rate limits: 1 of 2, jobs: 3 of 4, webhooks: 2 of 3, deliveries: 4 of 5',
      ),
    )
    expect(tablesOf(path).filter((name) => adopted.includes(name))).toEqual([])
    expect(brokenRules(path)).toEqual({})
    await withProvider(path, async () => {})
    expect(told.mock.calls.flat()).toEqual([])
  })

  it('keeps what is not served in its tables', () => {
    expect(query(path, 'SELECT * FROM connect_links')).toEqual([{ id: 'link', user_id: 'ann' }])
    // The command tells of them.
    expect(inspect(path, (database) => lookIn(makeConnection(database), status()))).toEqual([
      'connect_links',
      'connect_names',
      'webhook_deliveries',
    ])
  })

  it('keeps invites, which can be accepted', () =>
    withProvider(path, async ({ workspaceStore }) => {
      const invites = await workspaceStore.listInvites({ workspaceId: 'w1' })
      expect(invites.map(({ id, email, role, status }) => ({ id, email, role, status }))).toEqual(
        [
          ['back', 'revoked'],
          ['taken', 'accepted'],
          ['late', 'expired'],
          ['open', 'pending'],
        ].map(([id, status]) => ({ id, email: 'bob@example.org', role: 'editor', status })),
      )
      expect(invites[1]).toMatchObject({ acceptedAt: legacyTime + 5, acceptedUserId: 'bob' })
      const claim = { workspaceId: 'w1', email: 'BOB@example.org', tokenHash: 'hash-open' }
      const identity = { provider: 'basic-auth', providerUserId: 'bob@basic' }
      expect(await workspaceStore.acceptInviteAndProvisionUser({ ...claim, ...identity })).toEqual({
        ...{ ok: true, userId: 'bob', role: 'editor', createdUser: false },
      })
    }))

  it('keeps admins and settings', () =>
    withProvider(path, async ({ adminStores }) => {
      expect(await adminStores.createAdminUserStore().listAdmins()).toMatchObject([
        { userId: 'ann', createdAt: legacyTime, createdByUserId: 'root' },
      ])
      const settings = adminStores.createWorkspaceSettingsStore()
      expect(await settings.get('w1', 'theme')).toBe('new')
      expect(await settings.get('w2', 'theme')).toBe('other')
    }))

  it('keeps upload intents that count, by their hash', () =>
    withProvider(path, async ({ syncGateway }) => {
      const scope = { workspaceId: 'w1' }
      expect(
        (await syncGateway.queryCanonicalStorage({}, { scope, kind: 'active_reservations' })).items,
      ).toMatchObject([{ reservationId: '1', hash: 'abc1', sizeBytes: 10, expiresAt: soon }])
      const upload = { workspaceId: 'w1', mimeType: 'image/png', sizeBytes: 10, storageId: 'p' }
      await syncGateway.consumeUploadIntent({}, { ...upload, intentId: '1', hash: 'abc1' })
      await expect(
        syncGateway.consumeUploadIntent({}, { ...upload, intentId: '2', hash: 'abc2' }),
      ).rejects.toMatchObject({ statusCode: 409 })
    }))

  it('keeps the windows of rate limits', () =>
    withProvider(path, async ({ rateLimitProvider }) => {
      const limit = { windowMs: 120_000, maxRequests: 4 }
      expect(await rateLimitProvider.getStats('live', limit)).toMatchObject({ remaining: 1 })
      expect(await rateLimitProvider.getStats('over', limit)).toBeNull()
    }))

  it('keeps jobs, of which the running one is gone on with', () =>
    withProvider(path, async ({ backgroundJobProvider: jobs }) => {
      expect(await jobs.getJob('before', 'ann')).toMatchObject({
        status: 'complete',
        content: 'Hello \u{1f600}',
      })
      expect(await jobs.getJob('before', 'bob')).toBeNull()
      // As JavaScript counts them.
      expect(query(path, 'SELECT DISTINCT content_length AS length FROM jobs ORDER BY 1')).toEqual([
        { length: 0 },
        { length: 'Hello \u{1f600}'.length },
      ])
      const broken = await jobs.getJob('broken', '*')
      expect(broken).toMatchObject({ status: 'error', error: 'no model', content: '', completedAt: now - 5 })
      expect(broken).not.toHaveProperty('execution')
      const request = { userId: 'ann', threadId: 't', messageId: 'm', model: 'x', idempotencyKey: 'k' }
      expect(await jobs.createJob(request)).toBe('running')
      expect(await jobs.claimNextJob('me', now + 10, now + 1_000)).toMatchObject({
        ...{
          id: 'running',
          content: 'Hello \u{1f600}',
          execution: { step: 1 },
          tool_calls: [{ a: 1 }],
          attempts: 2,
        },
      })
      await jobs.updateJob('running', { contentChunk: '!', leaseOwner: 'me' })
      expect((await jobs.getJob('running', 'ann'))!.content).toBe('Hello \u{1f600}!')
    }))

  it('keeps webhooks and their deliveries', () =>
    withProvider(path, async ({ webhookStore: store }) => {
      expect(await store.listWebhooks('ann', 'w1')).toEqual([
        {
          ...{
            id: 'h1',
            scope: 'user',
            user_id: 'ann',
            workspace_id: 'w1',
            url: 'https://example.org/hook',
            label: 'mine',
          },
          ...{ events: ['message.created'], custom_hooks: [], signing_secret_enc: 'secret', enabled: true },
          ...{ health: 'failing', created_at: now - 100, updated_at: now - 50 },
        },
      ])
      expect(await store.listWebhooksByEvent('message.created', 'user', 'w1')).toMatchObject([{ id: 'h1' }])
      expect(await store.listActiveCustomHookNames()).toEqual(['my:hook'])
      expect(await store.getRecentTerminalDeliveries('h1', 5)).toMatchObject([
        { id: 'done', http_status: 200, response_body: 'ok', duration_ms: 7 },
      ])
      expect(await store.claimPendingDeliveries('me', 10)).toMatchObject([
        { id: 'due', request_payload: '{"a":"\u00fc"}', claimed_by: 'me' },
      ])
      expect(await store.resetStaleInFlightDeliveries(1)).toBeGreaterThan(0)
    }))
})

it('a table of one of these names with other columns stays as it is', async () => {
  const path = makeLegacy(join(folder, 'others.db'), 17, (legacy) => legacy.user('ann'))
  const before = query(path, 'SELECT * FROM background_jobs')
  await withProvider(path, async () => {})
  expect(query(path, 'SELECT * FROM background_jobs')).toEqual(before)
  expect(told.mock.calls.flat().join()).not.toContain('other features')
})

it('nobody gets in by an invite that had ended, whatever its row says besides', async () => {
  const path = makeLegacy(join(folder, 'ended.db'), 17, (legacy) => {
    legacy.sqlite.exec(tables)
    legacy.user('ann')
    legacy.workspace('w1', 'ann')
    legacy.member('w1', 'ann', 'owner')
    const ended: ReadonlyArray<Parameters<LegacyDatabase['insert']>[1]> = [
      { status: 'expired' },
      { status: 'Revoked', revoked_at: 1 },
      { status: 'pending', revoked_at: 1 },
      { status: 'consumed', accepted_at: 1, accepted_user_id: 'ann' },
      { status: 'pending', accepted_at: 1 },
      { status: Buffer.from('revoked') },
      { status: '' },
    ]
    for (const [n, columns] of ended.entries()) {
      legacy.insert('auth_invites', {
        ...{
          id: `i${n}`,
          workspace_id: 'w1',
          email: 'eve@example.org',
          role: 'owner',
          token_hash: `hash-${n}`,
        },
        ...{ invited_by_user_id: 'ann', expires_at: soon, created_at: legacyTime, updated_at: legacyTime },
        ...columns,
      })
    }
  })
  await withProvider(path, async ({ workspaceStore }) => {
    const invites = await workspaceStore.listInvites({ workspaceId: 'w1' })
    expect(invites).toHaveLength(7)
    for (const { tokenHash } of invites) {
      const claim = { workspaceId: 'w1', email: 'eve@example.org', tokenHash }
      const identity = { provider: 'basic-auth', providerUserId: 'eve' }
      expect(
        await workspaceStore.acceptInviteAndProvisionUser({ ...claim, ...identity }),
        tokenHash,
      ).toMatchObject({ ok: false })
    }
  })
})

it('broken jobs, and webhooks of nobody, keep nobody else from theirs', async () => {
  const path = makeLegacy(join(folder, 'broken.db'), 17, (legacy) => {
    legacy.sqlite.exec(tables)
    legacy.user('ann')
    legacy.workspace('w1', 'ann')
    for (const [n, execution_json] of ['{"a":1}\0rest', '{"b":2}'].entries()) {
      legacy.insert('background_jobs', {
        ...{
          id: `j${n}`,
          user_id: 'ann',
          thread_id: 't',
          message_id: 'm',
          model: 'x',
          kind: 'chat',
          execution_json,
        },
        ...{
          status: 'streaming',
          content: '',
          chunks_received: 0,
          started_at: now + n,
          last_activity_at: now,
          attempts: 0,
        },
      })
    }
    for (const [id, user_id, workspace_id] of [
      ['none', 'ann', ''],
      ['gone', 'ann', 'gone'],
      ['stranger', 'nobody', 'w1'],
      ['own', 'ann', 'w1'],
    ] as const) {
      legacy.insert('webhook_registrations', {
        ...{
          id,
          scope: 'user',
          user_id,
          workspace_id,
          url: 'https://example.org',
          label: '',
          events: '["e"]',
        },
        ...{ signing_secret_enc: '', enabled: 1, health: 'unknown', created_at: now, updated_at: now },
      })
    }
  })
  await withProvider(path, async ({ backgroundJobProvider, webhookStore }) => {
    expect(await backgroundJobProvider.claimNextJob('me', now + 1, now + 1_000)).toMatchObject({ id: 'j1' })
    expect(await backgroundJobProvider.getJob('j0', 'ann')).not.toHaveProperty('execution')
    expect(await webhookStore.listWebhooksByEvent('e', 'user')).toEqual([])
    expect(await webhookStore.listWebhooksByEvent('e', 'user', 'w1')).toMatchObject([{ id: 'own' }])
  })
})

it('a view of one of these names, or a table without row numbers, stops no start', async () => {
  const path = makeLegacy(join(folder, 'odd.db'), 17, (legacy) => {
    legacy.user('ann')
    legacy.sqlite.exec(`
      drop table "rate_limits"; drop table "admin_users";
      create view "rate_limits" as select 'k' as "key", 1 as "count", 2 as "expires_at";
      create table "admin_users" ("user_id" text primary key, "created_at" integer, "created_by_user_id" text) without rowid;
      insert into "admin_users" values ('ann', 1, null)`)
  })
  await withProvider(path, async () => {})
  expect(query(path, 'SELECT user_id FROM admin_users')).toEqual([{ user_id: 'ann' }])
})
