/**
 * SQL text never comes from input: `sqlText.json` lists every place where something is put into a statement's text, each looked at
 * by a person; and no text that is prepared holds anything of what the services were given.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Stream } from 'effect'
import ts from 'typescript'
import { afterEach, expect, it, vi } from 'vitest'
import {
  BackgroundJobs,
  Administration,
  DeploymentAdmins,
  Erasure,
  FileReferences,
  Invites,
  Memberships,
  storageKinds,
  SyncGateway,
  syncedTables,
  UploadIntents,
  Webhooks,
  WorkspaceSettings,
  WorkspaceStore,
} from '../../src/services/index.js'
import { del, put } from '../support/ops.js'
import { sqlLayer } from '../support/layerSubjects.js'

const isSql =
  /\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|FROM|WHERE|VALUES|ATTACH|VACUUM|ORDER BY|LIMIT|UNION ALL|BETWEEN|AND|CASE|typeof|coalesce|iif)\b/

/** What is put into templates that look like SQL, and what is added to strings that do. */
const substitutions = (file: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  const add = (expression: ts.Expression) => found.add(expression.getText().replace(/\s+/g, ' '))
  const visit = (node: ts.Node) => {
    if (ts.isTemplateExpression(node)) {
      const text = [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join(' ')
      if (isSql.test(text)) node.templateSpans.forEach(({ expression }) => add(expression))
    }
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
      if (isSql.test(node.left.getText())) add(node.right)
      if (isSql.test(node.right.getText())) add(node.left)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true))
  return [...found].sort()
}

it('every place where something enters the text of a statement was looked at', () => {
  const files = ['src', 'migrations'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(folder, file)),
  )
  const entries = files.sort().flatMap((file) => {
    const found = substitutions(file)
    return found.length === 0 ? [] : [[file, found] as const]
  })
  expect(entries.length).toBeGreaterThan(10)
  // Something new here must be a constant, a name from `syncedTables`, or other text of our own: never a value.
  expect(Object.fromEntries(entries)).toEqual(
    JSON.parse(readFileSync(new URL('sqlText.json', import.meta.url), 'utf8')),
  )
})

afterEach(() => {
  vi.restoreAllMocks()
})

it('no statement holds what the services were given', async () => {
  const texts = new Set<string>()
  for (const method of ['prepare', 'exec', 'pragma'] as const) {
    const original = Sqlite.prototype[method] as (
      this: unknown,
      text: string,
      ...rest: Array<unknown>
    ) => never
    vi.spyOn(Sqlite.prototype, method).mockImplementation(function (this: unknown, text: string, ...rest) {
      texts.add(text)
      return original.call(this, text, ...rest)
    })
  }
  const given = `given"'; --`
  const scope = { workspaceId: given }
  const caller = { userId: given, workspaceId: given }
  await Effect.runPromise(
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      const store = yield* WorkspaceStore
      const members = yield* Memberships
      const parts = { pk: given, device: given, hlc: given, payload: { id: given, [given]: given } }
      for (const table of syncedTables) {
        const payload = {
          [table === 'file_meta' ? 'hash' : 'id']: given,
          [given]: given,
          file_hashes: [given],
        }
        const ops = [
          put({ ...parts, table, payload, id: `${given}${table}` }),
          put({ ...parts, table, payload, id: `${given}${table}0`, clock: 0 }),
          del({ ...parts, table, id: `${given}${table}1`, clock: 3 }),
          put({ ...parts, table: given, id: `${given}${table}2` }),
        ]
        yield* gateway.push({ scope, caller, ops })
        yield* gateway.pull({ scope, caller, cursor: 0, tables: [table, given] })
        yield* gateway.snapshot({ scope, caller, pageSize: 1, tables: [table, given] })
      }
      yield* gateway.updateCursor({ scope, caller, deviceId: given, version: 5 })
      const intents = yield* UploadIntents
      const intent = { scope, caller, intentId: given, hash: given, mimeType: given, sizeBytes: 1 }
      yield* intents.reserve({ ...intent, expiresAt: 2e9, workspaceQuotaBytes: 5 })
      yield* intents.consume({ ...intent, storageId: given })
      yield* intents.reserve({ ...intent, intentId: `${given}2`, expiresAt: 2e9 })
      for (const kind of storageKinds) {
        const files = yield* FileReferences
        const { nextCursor } = yield* files.query({ scope, caller, kind, limit: 1 })
        yield* files.query({ scope, caller, kind, hash: given, cursor: undefined })
        yield* files.query({ scope, caller, kind, cursor: nextCursor })
      }
      yield* intents.cancel({ ...intent, intentId: `${given}2` })
      const jobs = yield* BackgroundJobs
      const job = { userId: given, threadId: given, messageId: given, model: given, idempotencyKey: given }
      const documents = { toolCalls: given, workflowState: given, execution: given }
      const id = yield* jobs.create({ ...job, ...documents })
      yield* jobs.get({ id, userId: given })
      yield* jobs.update({ id, contentChunk: given, toolCalls: given, workflowState: null })
      yield* jobs.claimNext({ owner: given, now: 0, leaseExpiresAt: 1 })
      yield* jobs.claim({ id, owner: given, now: 2, leaseExpiresAt: 3 })
      yield* jobs.updateExecution({ id, execution: given, owner: given })
      yield* jobs.complete({ id, content: given, leaseOwner: given })
      yield* jobs.fail({ id: given, error: given })
      yield* jobs.abort({ id: given, userId: given })
      yield* jobs.isAborted({ id: given })
      yield* jobs.cleanUp({})
      yield* gateway.gcTombstones({ scope, retentionSeconds: 1e-3 })
      yield* gateway.gcChangeLog({ scope, retentionSeconds: 1e-3 })
      yield* gateway.pull({ scope, cursor: 0 })
      yield* Stream.runDrain(Stream.take(gateway.changes(given, 0), 1))
      const { userId } = yield* store.getOrCreateUser({
        provider: given,
        providerUserId: given,
        email: given,
        displayName: given,
      })
      const { userId: other } = yield* store.getOrCreateUser({ provider: given, providerUserId: 'other' })
      const { workspaceId } = yield* store.createWorkspace({ userId, name: given, description: given })
      yield* store.updateWorkspace({ userId, workspaceId, name: given, description: given })
      yield* members.addMember({ userId: other, workspaceId, role: 'viewer' })
      yield* members.setRole({ userId: other, workspaceId, role: 'editor' })
      yield* Effect.flip(members.setRole({ userId: other, workspaceId, role: given as never }))
      yield* members.listMembers(workspaceId)
      yield* store.setActiveWorkspace({ userId: other, workspaceId })
      yield* members.removeMember({ userId: other, workspaceId })
      yield* store.getWorkspaceRole({ userId: given, workspaceId: given })
      yield* Effect.either(store.getUser({ provider: given, providerUserId: given }))
      yield* Effect.either(store.getOrCreateDefaultWorkspace(given))
      yield* store.listUserWorkspaces(given)
      const invites = yield* Invites
      const claim = { workspaceId, email: `${given}@b.c`, tokenHash: given }
      for (const status of [undefined, 'pending'] as const) {
        yield* invites.create({ ...claim, role: 'viewer', invitedByUserId: userId, expiresAt: 2e10 })
        yield* invites.list({ workspaceId, status })
      }
      yield* invites.validate(claim)
      yield* invites.consume({ ...claim, acceptedUserId: other })
      yield* invites.accept({ ...claim, provider: given, providerUserId: `${given}3`, displayName: given })
      yield* Effect.flip(invites.revoke({ workspaceId, inviteId: given, revokedByUserId: userId }))
      const administration = yield* Administration
      for (const emailOrProviderId of [given, `${given}@b.c`, 'other', `${given}4`]) {
        const assignment = { workspaceId, emailOrProviderId, role: 'owner', provider: given } as const
        yield* Effect.either(administration.upsertMember(assignment))
      }
      yield* administration.searchUsers({ query: given })
      for (const includeDeleted of [true, false]) {
        for (const search of [given, '']) {
          yield* administration.listWorkspaces({ search, includeDeleted, page: 1, perPage: 5 })
        }
      }
      yield* Effect.flip(administration.getWorkspace({ workspaceId: given }))
      yield* Effect.flip(administration.listMembers({ workspaceId: given }))
      yield* administration.createWorkspace({ name: given, description: given, ownerUserId: userId })
      yield* administration.restoreWorkspace({ workspaceId })
      yield* Effect.flip(administration.removeWorkspace({ workspaceId: given, deletedAt: 5 }))
      const settings = yield* WorkspaceSettings
      yield* settings.set({ workspaceId, key: given, value: given })
      yield* settings.get({ workspaceId, key: given })
      const admins = yield* DeploymentAdmins
      yield* admins.grant({ userId, createdByUserId: given })
      yield* admins.list
      yield* admins.isAdmin(given)
      yield* admins.revoke({ userId })
      yield* store.removeWorkspace({ userId, workspaceId })
      const erasure = yield* Erasure
      yield* Effect.flip(erasure.previewPurge({ workspaceId: given }))
      yield* erasure.purgeWorkspace({ workspaceId })
      yield* Effect.flip(erasure.previewErasure({ userId: given }))
      yield* Effect.flip(erasure.eraseUser({ userId: given }))
      const webhooks = yield* Webhooks
      const owner = { userId: given, workspaceId: given }
      const fields = { url: `http://a.b/${given}`, label: given, signingSecretEnc: given, enabled: true }
      const names = { events: [given], customHooks: [given] }
      const { id: webhookId } = yield* webhooks.createWebhook({
        scope: 'user',
        ...owner,
        ...fields,
        ...names,
      })
      yield* webhooks.updateWebhook({ webhookId, patch: { ...fields, ...names, ...owner } })
      yield* webhooks.updateWebhookHealth({ webhookId: given, health: 'failing' })
      yield* webhooks.listWebhooks(owner)
      yield* webhooks.listWebhooksByEvent({ eventType: given, scope: 'admin', workspaceId: given })
      yield* webhooks.listWebhooksByCustomHook(given)
      const { id: deliveryId } = yield* webhooks.createDelivery({
        webhookId,
        eventId: given,
        eventType: given,
        attempt: 1,
        requestPayload: given,
      })
      yield* webhooks.claimDeliveries({ workerId: given, limit: 1 })
      const outcome = { claimedBy: given, errorMessage: given, responseBody: given }
      yield* webhooks.updateDelivery({ deliveryId, patch: outcome })
      yield* webhooks.listDeliveries({ webhookId: given, since: 0 })
      yield* webhooks.cancelDeliveries(given)
      yield* webhooks.deleteWebhook(given)
      yield* webhooks.disableAllWebhooks(owner)
    }).pipe(Effect.provide(sqlLayer(':memory:'))),
  )
  expect(texts.size).toBeGreaterThan(60)
  expect([...texts].filter((text) => text.includes('given'))).toEqual([])
})
