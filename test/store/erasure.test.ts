/**
 * Purges of removed workspaces, over every layer.
 */
import { describe, expect, it } from 'vitest'
import { accessOf, settingsOf } from '../support/administration.js'
import { put, del, scope } from '../support/ops.js'
import { activeOf, newUser, newWorkspace, refusal, sharedWorkspace, tagOf } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'
import type { Subject } from '../support/subjectType.js'
import { ofUser } from '../support/webhooks.js'

const nothing = { records: 0, entries: 0, members: 0, invites: 0, jobs: 0, webhooks: 0, deliveries: 0 }

/** A shared workspace with something of everything, and what its owner and jobs are called. */
const full = async (subject: Subject) => {
  const { workspaceId, owner, viewer } = await sharedWorkspace(subject)
  const own = scope(workspaceId)
  await subject.push({
    ...own,
    ops: [
      put({ table: 'threads', pk: `t-${workspaceId}` }),
      put({ pk: 'm', payload: { id: 'm', file_hashes: ['a'] } }),
      put({ table: 'file_meta', pk: 'a', payload: { hash: 'a', size_bytes: 5 } }),
      del({ table: 'posts', pk: 'gone' }),
    ],
  })
  await subject.updateCursor({ ...own, deviceId: 'd', version: 1 })
  await subject.files.reserve({ ...own, ...upload })
  await subject.store.createInvite({
    ...{ workspaceId, email: 'eve@b.c', role: 'viewer', invitedByUserId: owner, expiresAt: 2e10 },
    tokenHash: 'h',
  })
  await settingsOf(subject).set(workspaceId, 'k', 'v')
  const { id: webhookId } = await subject.host.webhookStore.createWebhook(
    ofUser({ user_id: owner, workspace_id: workspaceId }),
  )
  await subject.host.webhookStore.createDeliveryLog({
    ...{ webhook_id: webhookId, event_id: 'e', event_type: 't', attempt: 1 },
  })
  const job = await subject.host.backgroundJobProvider.createJob({
    ...{ userId: owner, threadId: `t-${workspaceId}`, messageId: 'x', model: 'm' },
  } as never)
  return { workspaceId, owner, viewer, webhookId, job }
}

const upload = { intentId: 'i', hash: 'b', mimeType: 'image/png', sizeBytes: 1, expiresAt: 2e10 }

const remove = (subject: Subject, workspaceId: string) =>
  accessOf(subject).softDeleteWorkspace({ workspaceId, deletedAt: 5 })

suiteOverBatches('purging a workspace', (subject) => {
  const purge = (workspaceId: string) => subject().erasure.purgeWorkspace({ workspaceId })
  const preview = (workspaceId: string) => subject().erasure.previewPurge({ workspaceId })

  it('leaves a job that answers in another workspace of its user too, as after an import', async () => {
    const { workspaceId, owner, job } = await full(subject())
    const other = await newWorkspace(subject(), owner)
    await subject().push({
      ...scope(other),
      ops: [put({ id: 'again', table: 'threads', pk: `t-${workspaceId}` })],
    })
    await remove(subject(), workspaceId)
    expect(await preview(workspaceId)).toMatchObject({ jobs: 0 })
    expect(await purge(workspaceId)).toMatchObject({ jobs: 0 })
    expect(await subject().host.backgroundJobProvider.getJob(job, owner)).not.toBeNull()
    await remove(subject(), other)
    expect(await purge(other)).toMatchObject({ jobs: 1 })
  })

  it('takes what it holds, as it was said before, and nothing of others', async () => {
    const [one, other] = [await full(subject()), await full(subject())]
    const before = await subject().view(other.workspaceId)
    await remove(subject(), one.workspaceId)
    const held = { records: 4, entries: 4, members: 3, invites: 1, jobs: 1, webhooks: 1, deliveries: 1 }
    expect(await preview(one.workspaceId)).toEqual(held)
    expect(await preview(one.workspaceId)).toEqual(held)
    expect(await purge(one.workspaceId)).toEqual(held)

    const { host, files } = subject()
    expect(await host.webhookStore.getWebhook(one.webhookId)).toBeNull()
    expect(await host.webhookStore.getWebhook(other.webhookId)).not.toBeNull()
    const changes = await subject().pull({ ...scope(one.workspaceId), cursor: 0 })
    // Its versions never go down.
    expect(changes).toEqual({ changes: [], nextCursor: 4, hasMore: false })
    const live = { ...scope(one.workspaceId), kind: 'live_metadata' } as const
    expect((await files.query(live)).items).toEqual([])
    const { version: _, ...left } = (await subject().view(one.workspaceId)) as Record<string, any>
    expect(JSON.stringify(left)).not.toMatch(/file_hashes|t-|gone/)

    expect(await subject().view(other.workspaceId)).toEqual(before)
    await remove(subject(), other.workspaceId)
    expect(await preview(other.workspaceId)).toEqual(held)
  })

  it('is for a removed one alone, and done when it is done', async () => {
    const workspaceId = await newWorkspace(subject(), await newUser(subject()))
    for (const call of [preview, purge]) {
      expect(await tagOf(call(workspaceId))).toBe('WorkspaceIsLive')
      expect(await tagOf(call('nowhere'))).toBe('WorkspaceNotFound')
      expect(await tagOf(call(''))).toBe('InvalidInput')
    }
    await remove(subject(), workspaceId)
    expect(await purge(workspaceId)).toEqual({ ...nothing, members: 1 })
    for (const call of [preview, purge]) expect(await call(workspaceId)).toEqual(nothing)
  })

  it('takes more than a step holds', async () => {
    const workspaceId = await newWorkspace(subject(), await newUser(subject()))
    const many = (from: number, count: number, content?: string) =>
      subject().push({
        ...scope(workspaceId),
        ops: Array.from({ length: count }, (_, n) =>
          put({ pk: `m${from + n}`, payload: { id: `m${from + n}`, content } }),
        ),
      })
    await many(0, 600)
    await many(600, 3, 'x'.repeat(60_000))
    await remove(subject(), workspaceId)
    expect(await purge(workspaceId)).toMatchObject({ records: 603, entries: 603 })
    expect(await preview(workspaceId)).toEqual(nothing)
  })

  it('leaves nothing of what is written at the same moment', async () => {
    const { workspaceId, owner } = await full(subject())
    await remove(subject(), workspaceId)
    const own = scope(workspaceId)
    const calls = Array.from({ length: 8 }, (_, n) => [
      subject().push({ ...own, ops: [put({ pk: `late${n}` })] }),
      subject().updateCursor({ ...own, deviceId: `d${n}`, version: n }),
      subject().gcChangeLog({ ...own, retentionSeconds: 1e-3 }),
      subject().host.webhookStore.createWebhook(ofUser({ user_id: owner, workspace_id: workspaceId })),
      ...(n === 2 ? [purge(workspaceId), purge(workspaceId)] : []),
    ]).flat()
    await Promise.allSettled(calls)
    expect(await preview(workspaceId)).toEqual(nothing)
    const left = { rows: [], tombstones: [], logVersions: [], cursors: [] }
    expect(await subject().view(workspaceId)).toMatchObject(left)
  })

  describe('leaves a mark', () => {
    it('that nobody restores, lists or joins', async () => {
      const { workspaceId, owner, viewer } = await full(subject())
      await subject().store.setActiveWorkspace({ userId: owner, workspaceId })
      await remove(subject(), workspaceId)
      await purge(workspaceId)
      const access = accessOf(subject())
      expect((await refusal(access.restoreWorkspace({ workspaceId }))).status).toBe(404)
      // Where it was refused, nothing was changed.
      expect(await preview(workspaceId)).toEqual(nothing)
      expect((await refusal(access.listMembers({ workspaceId }))).status).toBe(404)
      expect((await refusal(remove(subject(), workspaceId))).status).toBe(404)
      expect((await refusal(access.getWorkspace({ workspaceId }))).status).toBe(404)
      const all = await access.listWorkspaces({ includeDeleted: true, page: 1, perPage: 100 })
      expect(all).toMatchObject({ items: [], total: 0 })
      const joining = subject().memberships.addMember({ workspaceId, userId: viewer, role: 'owner' })
      expect(await tagOf(joining)).toBe('WorkspaceNotFound')
      expect(await activeOf(subject(), owner)).toBeUndefined()
      expect((await subject().store.getOrCreateDefaultWorkspace(owner)).workspaceId).not.toBe(workspaceId)
    })

    it('that nothing is written beside', async () => {
      const { workspaceId, owner } = await full(subject())
      await remove(subject(), workspaceId)
      await purge(workspaceId)
      const own = scope(workspaceId)
      const calls = [
        () => subject().push({ ...own, ops: [put()] }),
        () => subject().updateCursor({ ...own, deviceId: 'd', version: 5 }),
        () => subject().files.reserve({ ...own, ...upload }),
      ]
      for (const call of calls) expect((await refusal(call())).status).toBe(403)
      const webhook = ofUser({ user_id: owner, workspace_id: workspaceId })
      expect((await refusal(subject().host.webhookStore.createWebhook(webhook))).status).toBe(400)
      // What no push would take is told as ever.
      expect((await subject().push({ ...own, ops: [put({ table: 'none' })] })).serverVersion).toBe(4)
      expect(await preview(workspaceId)).toEqual(nothing)
    })
  })
})
