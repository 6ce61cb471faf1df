/**
 * A user's registration is worth no more than its owner: it counts while they are a member of its workspace, and that is live.
 */
import { describe, expect, it } from 'vitest'
import { newUser, newWorkspace } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'
import { event, idsOf, logOf, ofAdmin, ofUser } from '../support/webhooks.js'

suiteOverBatches('whose registrations count', (subject) => {
  const store = () => subject().host.webhookStore
  const access = () => subject().host.adminStores.createWorkspaceAccessStore()

  /** A workspace of an owner and a member, with a registration and a waiting delivery of each and of the operators. */
  const shared = async () => {
    const [owner, member] = [await newUser(subject()), await newUser(subject())]
    const workspaceId = await newWorkspace(subject(), owner)
    await subject().memberships.addMember({ workspaceId, userId: member, role: 'viewer' })
    const names = { workspace_id: workspaceId, custom_hooks: ['h'] }
    const made = async (draft: ReturnType<typeof ofUser>) => {
      const { id } = await store().createWebhook(draft)
      return { id, delivery: (await store().createDeliveryLog(logOf(id))).id }
    }
    const owners = await made(ofUser({ ...names, user_id: owner, custom_hooks: ['h', 'of owner'] }))
    const members = await made(ofUser({ ...names, user_id: member, custom_hooks: ['h', 'of member'] }))
    const operators = await made(ofAdmin({ ...names, user_id: member }))
    return { workspaceId, owner, member, owners, members, operators }
  }

  /** The registrations that are found in each way. */
  const found = async (workspaceId: string) => {
    const ids = async (list: Promise<ReadonlyArray<{ readonly id: string }>>) => [...idsOf(await list)].sort()
    return {
      user: await ids(store().listWebhooksByEvent(event, 'user', workspaceId)),
      admin: await ids(store().listWebhooksByEvent(event, 'admin', workspaceId)),
      byHook: await ids(store().listWebhooksByCustomHook('h')),
      hooks: await store().listActiveCustomHookNames(),
    }
  }
  const claimed = async () => [...idsOf(await store().claimPendingDeliveries('me', 10))].sort()
  const statusesOf = async (webhookId: string) =>
    (await store().getDeliveryLogs(webhookId, 0)).map(({ status }) => status)

  it('all of members do, whatever their role, and those of the operators', async () => {
    const { workspaceId, owners, members, operators } = await shared()
    expect(await found(workspaceId)).toEqual({
      user: [owners.id, members.id].sort(),
      admin: [operators.id],
      byHook: [owners.id, members.id, operators.id].sort(),
      hooks: ['h', 'of member', 'of owner'],
    })
    expect(await claimed()).toEqual([owners.delivery, members.delivery, operators.delivery].sort())
  })

  it.each([
    [
      'the memberships',
      (workspaceId: string, userId: string) => subject().memberships.removeMember({ workspaceId, userId }),
    ],
    [
      'the administration',
      (workspaceId: string, userId: string) => access().removeMember({ workspaceId, userId }),
    ],
  ] as const)(
    'those of a member whom %s removed do not, and what waited is cancelled',
    async (_who, drop) => {
      const { workspaceId, member, owners, members, operators } = await shared()
      await drop(workspaceId, member)
      expect(await found(workspaceId)).toEqual({
        user: [owners.id],
        admin: [operators.id],
        byHook: [owners.id, operators.id].sort(),
        hooks: ['h', 'of owner'],
      })
      expect(await claimed()).toEqual([owners.delivery, operators.delivery].sort())
      expect(await statusesOf(members.id)).toEqual(['cancelled'])
      // It is still theirs to look at and to remove.
      expect(idsOf(await store().listWebhooks(member, workspaceId))).toEqual([members.id])
      expect((await store().getWebhook(members.id))?.enabled).toBe(true)
    },
  )

  it('do again once their owner is a member again; what was cancelled stays so', async () => {
    const { workspaceId, member, members } = await shared()
    await subject().memberships.removeMember({ workspaceId, userId: member })
    await claimed()
    await subject().memberships.addMember({ workspaceId, userId: member, role: 'editor' })
    expect((await found(workspaceId)).user).toContain(members.id)
    const { id } = await store().createDeliveryLog(logOf(members.id))
    expect(await claimed()).toEqual([id])
    expect([...(await statusesOf(members.id))].sort()).toEqual(['cancelled', 'in_flight'])
  })

  it('of a removed workspace none does but those of the operators, until it is restored', async () => {
    const { workspaceId, owner, owners, members, operators } = await shared()
    await subject().store.removeWorkspace({ userId: owner, workspaceId })
    expect(await found(workspaceId)).toEqual({
      user: [],
      admin: [operators.id],
      byHook: [operators.id],
      hooks: ['h'],
    })
    expect(await claimed()).toEqual([operators.delivery])
    expect(await statusesOf(owners.id)).toEqual(['cancelled'])
    await access().restoreWorkspace({ workspaceId })
    expect((await found(workspaceId)).user).toEqual([owners.id, members.id].sort())
  })

  it('of somebody who is no user here none does in a workspace that is', async () => {
    const { workspaceId } = await shared()
    const { id } = await store().createWebhook(ofUser({ user_id: 'gone', workspace_id: workspaceId }))
    expect((await found(workspaceId)).user).not.toContain(id)
    await store().createDeliveryLog(logOf(id))
    expect(await claimed()).toHaveLength(3)
    expect(await statusesOf(id)).toEqual(['cancelled'])
  })

  it('of a workspace that another provider keeps all do, since nothing is known of its members', async () => {
    const { id } = await store().createWebhook(ofUser({ custom_hooks: ['h'] }))
    const { id: delivery } = await store().createDeliveryLog(logOf(id))
    expect(await found('w1')).toEqual({ user: [id], admin: [], byHook: [id], hooks: ['h'] })
    expect(await claimed()).toEqual([delivery])
  })

  describe('a claim', () => {
    it('gives as many as are asked for, though others are due before', async () => {
      const { workspaceId, member, owners, members, operators } = await shared()
      await subject().memberships.removeMember({ workspaceId, userId: member })
      for (let n = 0; n < 5; n++) await store().createDeliveryLog(logOf(members.id, { created_at: n }))
      const claim = () => store().claimPendingDeliveries('me', 1)
      const ids = [...idsOf(await claim()), ...idsOf(await claim())].sort()
      expect(ids).toEqual([owners.delivery, operators.delivery].sort())
      expect(await claim()).toEqual([])
      expect(new Set(await statusesOf(members.id))).toEqual(new Set(['cancelled']))
    })

    it('passes by what it could not cancel at once', async () => {
      const { workspaceId, member, owners, members, operators } = await shared()
      await subject().memberships.removeMember({ workspaceId, userId: member })
      const request_payload = 'x'.repeat(1_048_576)
      for (let n = 0; n < 10; n++) {
        await store().createDeliveryLog(logOf(members.id, { created_at: n, request_payload }))
      }
      expect(await claimed()).toEqual([owners.delivery, operators.delivery].sort())
      expect(await claimed()).toEqual([])
      expect(await store().cancelDeliveriesByWebhook(members.id)).toBe(0)
    })

    it('leaves what is not due yet to a later one', async () => {
      const { workspaceId, member, members } = await shared()
      await claimed()
      const later = await store().createDeliveryLog(logOf(members.id, { next_retry_at: Date.now() + 60_000 }))
      await subject().memberships.removeMember({ workspaceId, userId: member })
      expect(await claimed()).toEqual([])
      const kept = (await store().getDeliveryLogs(members.id, 0)).find(({ id }) => id === later.id)
      expect(kept?.status).toBe('pending')
    })

    it('leaves to its worker what was out already, and cancels its retry', async () => {
      const { workspaceId, member, members } = await shared()
      await claimed()
      await subject().memberships.removeMember({ workspaceId, userId: member })
      await store().updateDeliveryLog(members.delivery, { status: 'in_flight', http_status: 503 })
      expect(await statusesOf(members.id)).toEqual(['in_flight'])
      await store().updateDeliveryLog(members.delivery, { status: 'pending', attempt: 2 })
      expect(await claimed()).toEqual([])
      expect(await statusesOf(members.id)).toEqual(['cancelled'])
    })
  })
})
