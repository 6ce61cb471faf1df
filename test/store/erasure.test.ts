/**
 * Purges of removed workspaces, and users who are erased, over every layer.
 */
import { describe, expect, it } from 'vitest'
import { accessOf, adminsOf, everything, settingsOf } from '../support/administration.js'
import { put, del, type OpParts, scope } from '../support/ops.js'
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

const noTrace = {
  ...{ workspaces: 0, memberships: 0, identities: 0, invites: 0, jobs: 0 },
  ...{ webhooks: 0, deliveries: 0, cursors: 0, notifications: 0 },
}

const note = (pk: string, user: string, more: OpParts = {}) =>
  put({ table: 'notifications', pk, payload: { id: pk, user_id: user, text: `to ${user}` }, ...more })

/** A user with an address of their own. */
const known = async ({ store }: Subject, name: string) =>
  (
    await store.getOrCreateUser({
      ...{ provider: 'test', providerUserId: name, email: `${name}@B.c`, displayName: `Name of ${name}` },
    })
  ).userId

const asUser = (userId: string, workspaceId: string) => ({
  ...scope(workspaceId),
  caller: { userId, workspaceId },
})

const jobOf = (userId: string, more: object = {}) => ({
  ...{ userId, threadId: 't', messageId: 'x', model: 'm' },
  ...more,
})

/** A user who is in a shared workspace and alone in others, with something of everything; and whom they share it with. */
const busy = async (subject: Subject) => {
  const { workspaceId: shared, owner } = await sharedWorkspace(subject)
  const ada = await known(subject, 'ada')
  await subject.memberships.addMember({ workspaceId: shared, userId: ada, role: 'owner' })
  const own = await newWorkspace(subject, ada, 'Alone')
  const removed = await newWorkspace(subject, ada, 'Alone and removed')
  await remove(subject, removed)
  await adminsOf(subject).grantAdmin({ userId: ada })
  await adminsOf(subject).grantAdmin({ userId: owner })
  for (const workspaceId of [shared, own]) {
    await subject.push({
      ...asUser(ada, workspaceId),
      ops: [put({ pk: 'm', payload: { id: 'm', by: ada } }), note('n1', ada), note('n2', ada)],
    })
    await subject.updateCursor({ ...asUser(ada, workspaceId), deviceId: `d-${workspaceId}`, version: 1 })
  }
  await subject.push({
    ...asUser(ada, shared),
    ops: [
      note('n1', ada, { clock: 2 }),
      del({ table: 'notifications', pk: 'n2', clock: 2, payload: { id: 'n2', why: 'secret' } }),
    ],
  })
  await subject.push({ ...asUser(owner, shared), ops: [note('theirs', owner)] })
  await subject.updateCursor({ ...asUser(owner, shared), deviceId: 'theirs', version: 1 })
  const invite = (email: string, invitedByUserId: string) =>
    subject.store.createInvite({
      ...{ workspaceId: shared, email, role: 'viewer', invitedByUserId, expiresAt: 2e10, tokenHash: email },
    })
  await invite('ADA@b.c ', owner)
  await invite('eve@b.c', ada)
  await invite('bob@b.c', owner)
  const webhook = async (userId: string) => {
    const { id } = await subject.host.webhookStore.createWebhook(
      ofUser({ user_id: userId, workspace_id: shared }),
    )
    await subject.host.webhookStore.createDeliveryLog({
      ...{ webhook_id: id, event_id: 'e', event_type: 't', attempt: 1 },
    })
    return id
  }
  const webhooks = { ada: await webhook(ada), owner: await webhook(owner) }
  const job = async (userId: string) => {
    const id = await subject.host.backgroundJobProvider.createJob(jobOf(userId) as never)
    await subject.host.backgroundJobProvider.updateJob(id, { contentChunk: 'some' } as never)
    return id
  }
  const jobs = { ada: await job(ada), owner: await job(owner) }
  return { shared, owner, ada, own, removed, webhooks, jobs }
}

/** One of the notifications was deleted, and has content still. */
const ofBusy = {
  ...{ workspaces: 2, memberships: 3, identities: 1, invites: 1, jobs: 1 },
  ...{ webhooks: 1, deliveries: 1, cursors: 2, notifications: 4 },
}

suiteOverBatches('erasing a user', (subject) => {
  const erase = (userId: string) => subject().erasure.eraseUser({ userId })
  const preview = (userId: string) => subject().erasure.previewErasure({ userId })

  it('takes what is known of them, as it was said before, and nothing of others', async () => {
    const { shared, owner, ada, own, removed, webhooks, jobs } = await busy(subject())
    const others = await subject().pull({ ...asUser(owner, shared), cursor: 0 })
    for (const _ of [1, 2]) expect(await preview(ada)).toEqual(ofBusy)
    expect(await erase(ada)).toEqual(ofBusy)
    for (const call of [preview, erase]) expect(await call(ada)).toEqual(noTrace)

    const { host, store } = subject()
    expect(await host.webhookStore.getWebhook(webhooks.ada)).toBeNull()
    expect(await host.webhookStore.getWebhook(webhooks.owner)).not.toBeNull()
    expect(await host.backgroundJobProvider.getJob(jobs.ada, ada)).toBeNull()
    expect(await host.backgroundJobProvider.getJob(jobs.owner, owner)).not.toBeNull()
    const left = await everything(subject())
    expect(JSON.stringify({ ...left, invites: [] })).not.toMatch(new RegExp(`${ada}|ada@|Name of`, 'i'))
    expect((await adminsOf(subject()).listAdmins()).map(({ userId }) => userId)).toEqual([owner])
    expect(
      (await store.listInvites({ workspaceId: shared })).map(({ email, status }) => [email, status]).sort(),
    ).toEqual([
      ['bob@b.c', 'pending'],
      ['eve@b.c', 'revoked'],
    ])
    expect(await store.getUser({ provider: 'test', providerUserId: 'ada' })).toBeNull()
    for (const workspaceId of [own, removed]) {
      expect((await refusal(accessOf(subject()).getWorkspace({ workspaceId }))).status).toBe(404)
      expect((await subject().view(workspaceId)).rows).toEqual([])
    }
    // What they wrote for all stays, and so does all that the others see.
    expect(await subject().pull({ ...asUser(owner, shared), cursor: 0 })).toEqual(others)
    expect(JSON.stringify(others)).toContain(`"by":"${ada}"`)
  })

  it('leaves of their notifications, in rows and the log, deletes without payload', async () => {
    const { shared, ada, owner } = await busy(subject())
    const all = () => subject().pull({ ...scope(shared), cursor: 0 })
    const before = await all()
    await erase(ada)
    const after = await all()
    const isTheirs = ({ tableName, payload, pk }: (typeof before.changes)[number]) =>
      tableName === 'notifications' && (payload as any)?.user_id !== owner && pk !== 'theirs'
    expect(after).toEqual({
      ...before,
      changes: before.changes.map((change) => {
        if (!isTheirs(change)) return change
        const { payload: _, ...rest } = change
        return { ...rest, op: 'delete' }
      }),
    })
    // The same for one who comes later.
    const page = await subject().snapshot({ ...scope(shared), pageSize: 100 })
    expect(JSON.stringify(page)).not.toMatch(new RegExp(`secret|to ${ada}`))
    const { rows } = await subject().view(shared)
    expect(JSON.stringify(rows)).not.toContain(`to ${ada}`)
    await subject().gcChangeLog({ ...scope(shared), retentionSeconds: 1e-3 })
    expect(JSON.stringify(await all())).not.toMatch(new RegExp(`secret|to ${ada}`))
  })

  it('takes what a program without a caller, as an import, has written for them since', async () => {
    const { shared, ada } = await busy(subject())
    await erase(ada)
    const back = note('back', ada, { clock: 2 })
    await subject().push({ ...scope(shared), ops: [back, note('back', ada, { id: 'superseded' })] })
    expect(await preview(ada)).toEqual({ ...noTrace, notifications: 1 })
    expect(await erase(ada)).toEqual({ ...noTrace, notifications: 1 })
    for (const call of [preview, erase]) expect(await call(ada)).toEqual(noTrace)
    const { changes } = await subject().pull({ ...scope(shared), cursor: 0 })
    expect(JSON.stringify(changes)).not.toContain(`to ${ada}`)
    expect(JSON.stringify((await subject().view(shared)).rows)).not.toContain(`to ${ada}`)
  })

  it('is refused where others would be left without an owner, or the deployment without an administrator', async () => {
    const [owner, editor] = [await known(subject(), 'olga'), await newUser(subject())]
    const workspaceId = await newWorkspace(subject(), owner)
    await subject().memberships.addMember({ workspaceId, userId: editor, role: 'editor' })
    const second = await sharedWorkspace(subject())
    await subject().memberships.addMember({ workspaceId: second.workspaceId, userId: owner, role: 'owner' })
    await adminsOf(subject()).grantAdmin({ userId: owner })
    // What nothing may be taken of.
    const alone = await newWorkspace(subject(), owner, 'Alone')
    await subject().push({ ...asUser(owner, alone), ops: [note('n', owner)] })
    for (const [email, invitedByUserId] of [
      ['eve@b.c', owner],
      ['olga@b.c', second.owner],
    ] as const) {
      await subject().store.createInvite({
        ...{ workspaceId: second.workspaceId, email, role: 'viewer', invitedByUserId, expiresAt: 2e10 },
        tokenHash: email,
      })
    }
    const before = await everything(subject())
    for (const call of [preview, erase]) {
      expect(await tagOf(call(''))).toBe('InvalidInput')
      expect(await tagOf(call('nobody'))).toBe('UserNotFound')
      await expect(call(owner)).rejects.toMatchObject({ _tag: 'OnlyOwner', workspaceIds: [workspaceId] })
    }
    expect(await everything(subject())).toEqual(before)
    expect(await subject().pull({ ...scope(alone), cursor: 0 })).toMatchObject({ changes: [{ op: 'put' }] })
    await subject().memberships.setRole({ workspaceId, userId: editor, role: 'owner' })
    for (const call of [preview, erase]) expect(await tagOf(call(owner))).toBe('LastAdmin')
    await adminsOf(subject()).grantAdmin({ userId: editor })
    expect(await erase(owner)).toEqual({
      ...noTrace,
      ...{ workspaces: 1, memberships: 3, identities: 1, invites: 1, notifications: 1 },
    })
    // Of a removed one nobody need be left.
    await remove(subject(), workspaceId)
    await adminsOf(subject()).grantAdmin({ userId: second.owner })
    expect(await tagOf(erase(editor))).toBe('ok')
  })

  it('leaves a mark that every call takes for somebody unknown', async () => {
    const { shared, owner, ada } = await busy(subject())
    await erase(ada)
    const before = await everything(subject())
    const stood = await subject().view(shared)
    const { store, memberships, host } = subject()
    const access = accessOf(subject())
    await store.createInvite({
      ...{ workspaceId: shared, email: 'ada@b.c', role: 'viewer', invitedByUserId: owner, expiresAt: 2e10 },
      tokenHash: 'again',
    })
    const role = { workspaceId: shared, userId: ada, role: 'owner' } as const
    expect(await tagOf(memberships.addMember(role))).toBe('UserNotFound')
    expect(await tagOf(memberships.setRole(role))).toBe('MemberNotFound')
    const assignment = { workspaceId: shared, role: 'owner', emailOrProviderId: ada } as const
    const calls: ReadonlyArray<readonly [number, () => Promise<unknown>]> = [
      [404, () => access.upsertMember(assignment)],
      [404, () => access.upsertMember({ ...assignment, provider: 'test' })],
      [404, () => access.createWorkspace({ name: 'New', ownerUserId: ada })],
      [404, () => adminsOf(subject()).grantAdmin({ userId: ada })],
      [404, () => store.createWorkspace({ userId: ada, name: 'New' })],
      [404, () => store.getOrCreateDefaultWorkspace(ada)],
      [404, () => store.setActiveWorkspace({ userId: ada, workspaceId: shared })],
      [
        404,
        () =>
          store.consumeInvite({
            ...{ workspaceId: shared, email: 'ada@b.c', tokenHash: 'again', acceptedUserId: ada },
          }),
      ],
      [400, () => host.webhookStore.createWebhook(ofUser({ user_id: ada, workspace_id: shared }))],
      [400, () => host.backgroundJobProvider.createJob(jobOf(ada) as never)],
      [403, () => subject().push({ ...asUser(ada, shared), ops: [put({ pk: 'late' })] })],
      [403, () => subject().updateCursor({ ...asUser(ada, shared), deviceId: 'late', version: 1 })],
    ]
    for (const [status, call] of calls) {
      expect([call.toString(), (await refusal(call())).status]).toEqual([call.toString(), status])
    }
    // A refused push has logged nothing.
    expect(await subject().view(shared)).toEqual(stood)
    const { invites: _, ...after } = await everything(subject())
    expect({ ...after, invites: before.invites }).toEqual(before)
    expect(await preview(ada)).toEqual(noTrace)
    // By the identity they are somebody new, whom the invite is for.
    const again = await known(subject(), 'ada')
    expect(again).not.toBe(ada)
    const { workspaceId } = await store.getOrCreateDefaultWorkspace(again)
    expect(workspaceId).not.toBe(shared)
  })

  it('takes more than a step holds', async () => {
    const { shared, ada } = await busy(subject())
    await subject().push({
      ...asUser(ada, shared),
      ops: Array.from({ length: 210 }, (_, n) => note(`many${n}`, ada)),
    })
    const again = Array.from({ length: 210 }, (_, n) => note(`many${n}`, ada, { clock: 3 }))
    await subject().push({ ...asUser(ada, shared), ops: again })
    expect(await erase(ada)).toEqual({ ...ofBusy, notifications: ofBusy.notifications + 210 })
    const { changes } = await subject().pull({ ...scope(shared), cursor: 0, limit: 1000 })
    expect(JSON.stringify(changes)).not.toContain(`to ${ada}`)
  })

  it('leaves nothing of what is written at the same moment', async () => {
    const { shared, owner, ada } = await busy(subject())
    const { store, host } = subject()
    const calls = Array.from({ length: 6 }, (_, n) => [
      subject().push({ ...asUser(ada, shared), ops: [note(`late${n}`, ada)] }),
      subject().updateCursor({ ...asUser(ada, shared), deviceId: `late${n}`, version: n }),
      host.webhookStore.createWebhook(ofUser({ user_id: ada, workspace_id: shared })),
      host.backgroundJobProvider.createJob(jobOf(ada, { idempotencyKey: `k${n}` }) as never),
      store.getOrCreateDefaultWorkspace(ada),
      store.createWorkspace({ userId: ada, name: 'Late' }),
      subject().memberships.addMember({ workspaceId: shared, userId: ada, role: 'owner' }),
      adminsOf(subject()).grantAdmin({ userId: ada }),
      ...(n === 2 ? [erase(ada), erase(ada)] : []),
    ]).flat()
    await Promise.allSettled(calls)
    expect(await erase(ada)).toEqual(noTrace)
    const { changes } = await subject().pull({ ...scope(shared), cursor: 0, limit: 1000 })
    expect(JSON.stringify(changes)).not.toContain(`to ${ada}`)
    const left = await everything(subject())
    expect(JSON.stringify({ ...left, invites: [] })).not.toContain(ada)
    expect(left.admins.map(({ userId }) => userId)).toEqual([owner])
  })
})
