/**
 * What becomes of open invites when a member goes or is no owner any more: nobody gets back in by what they left behind.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { NewInvite } from '../../src/services/index.js'
import { accessOf, adminsOf, everything } from '../support/administration.js'
import { newUser, newWorkspace, refusal, sharedWorkspace, tagOf } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'

const start = 1_700_000_000

suiteOverBatches('invites of leavers', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const store = () => subject().store
  const later = (seconds: number) => vi.setSystemTime((start + seconds) * 1_000)

  /** Two owners, the second of whom has this address. */
  const twoOwners = async (email: string | null = 'Eve@Example.org') => {
    const shared = await sharedWorkspace(subject())
    const { userId: eve } = await store().getOrCreateUser({ provider: 'p', providerUserId: 'eve', email })
    await subject().memberships.addMember({ workspaceId: shared.workspaceId, userId: eve, role: 'owner' })
    return { ...shared, eve }
  }
  type Shared = Awaited<ReturnType<typeof twoOwners>>

  let made = 0
  const invite = async (workspaceId: string, invitedByUserId: string, rest: Partial<NewInvite> = {}) => {
    const tokenHash = `hash ${++made}`
    const email = `friend-${made}@example.org`
    const role = 'owner'
    const expiresAt = start + 1_000
    const request = { workspaceId, invitedByUserId, tokenHash, email, role, expiresAt, ...rest } as const
    return { ...request, id: (await store().createInvite(request)).inviteId }
  }
  const invitesOf = async (workspaceId: string) =>
    new Map((await store().listInvites({ workspaceId })).map((found) => [found.id, found]))
  const statusOf = async (workspaceId: string, { id }: { readonly id: string }) =>
    (await invitesOf(workspaceId)).get(id)?.status

  const demote = ({ workspaceId, eve }: Shared) =>
    subject().memberships.setRole({ workspaceId, userId: eve, role: 'viewer' })
  const removal = ({ workspaceId, eve }: Shared) =>
    subject().memberships.removeMember({ workspaceId, userId: eve })
  const removals: ReadonlyArray<readonly [string, (shared: Shared) => Promise<unknown>]> = [
    ['the memberships', removal],
    [
      'the administration',
      ({ workspaceId, eve }) => accessOf(subject()).removeMember({ workspaceId, userId: eve }),
    ],
  ]
  const demotions: typeof removals = [
    ['the memberships', demote],
    [
      'the administration',
      ({ workspaceId, eve }) =>
        accessOf(subject()).setMemberRole({ workspaceId, userId: eve, role: 'editor' }),
    ],
    [
      'an assignment by e-mail',
      ({ workspaceId }) =>
        accessOf(subject()).upsertMember({
          workspaceId,
          emailOrProviderId: ' eve@example.ORG',
          role: 'editor',
        }),
    ],
    [
      'an assignment by the provider’s id',
      ({ workspaceId }) =>
        accessOf(subject()).upsertMember({
          workspaceId,
          emailOrProviderId: 'eve',
          provider: 'p',
          role: 'viewer',
        }),
    ],
  ]

  describe.each(removals)('a member whom %s removed', (_who, remove) => {
    it('does not get back in by what they or others had made', async () => {
      const shared = await twoOwners()
      const { workspaceId, owner, eve } = shared
      const byEve = await invite(workspaceId, eve)
      const toEve = await invite(workspaceId, owner, { email: ' EVE@example.org' })
      const toOther = await invite(workspaceId, owner)
      later(5)
      await remove(shared)
      const ended = { status: 'revoked', revokedAt: start + 5, updatedAt: start + 5 }
      const invites = await invitesOf(workspaceId)
      expect(invites.get(byEve.id)).toMatchObject(ended)
      expect(invites.get(toEve.id)).toMatchObject(ended)
      expect(invites.get(toOther.id)).toMatchObject({ status: 'pending', updatedAt: start })
      for (const old of [byEve, toEve]) {
        const { email, tokenHash } = old
        const claim = { workspaceId, email, tokenHash }
        const refused = { ok: false, reason: 'revoked' }
        expect(await store().validateInvite(claim)).toEqual(refused)
        expect(await store().consumeInvite({ ...claim, acceptedUserId: eve })).toEqual(refused)
        const identity = { provider: 'p', providerUserId: 'eve' }
        expect(await store().acceptInviteAndProvisionUser({ ...claim, ...identity })).toEqual(refused)
      }
      expect(await store().getWorkspaceRole({ workspaceId, userId: eve })).toBeNull()
      // Whoever may invite may invite them again.
      const again = await invite(workspaceId, owner, { email: 'eve@example.org' })
      const { email, tokenHash } = again
      expect(await store().validateInvite({ workspaceId, email, tokenHash })).toMatchObject({ ok: true })
    })
  })

  describe.each(demotions)('an owner whom %s demoted', (_who, change) => {
    it('stays what they are: what they had made is revoked, what is addressed to them stays', async () => {
      const shared = await twoOwners()
      const { workspaceId, owner, eve } = shared
      const byEve = await invite(workspaceId, eve)
      const toEve = await invite(workspaceId, owner, { email: 'eve@example.org' })
      await change(shared)
      expect(await statusOf(workspaceId, byEve)).toBe('revoked')
      expect(await statusOf(workspaceId, toEve)).toBe('pending')
    })
  })

  it.each(['ÄNNA@x.de', ' Änna@X.de', 'änna@x.de\t', 'änna@X.DE'])(
    'an address is the same person everywhere, as %s too',
    async (email) => {
      const shared = await twoOwners(email)
      const { workspaceId, owner, eve } = shared
      const assignment = { workspaceId, emailOrProviderId: 'äNNA@x.De ', role: 'owner' } as const
      expect(await accessOf(subject()).upsertMember(assignment)).toEqual({ userId: eve })
      const toEve = await invite(workspaceId, owner, { email: '\u00a0ÄNNA@X.DE' })
      const { tokenHash } = toEve
      expect(await store().validateInvite({ workspaceId, email, tokenHash })).toMatchObject({ ok: true })
      await removal(shared)
      expect(await statusOf(workspaceId, toEve)).toBe('revoked')
    },
  )

  it('a profile that an acceptance brings is found by its address of now', async () => {
    const { workspaceId, owner } = await sharedWorkspace(subject())
    for (const email of ['ΌΔΟΣ@x.gr', 'İda@x.tr']) {
      const { tokenHash } = await invite(workspaceId, owner, { email: email.toLowerCase() })
      const who = { provider: 'p', providerUserId: 'ida', workspaceId, email, tokenHash }
      const accepted = await store().acceptInviteAndProvisionUser(who)
      // A small sigma has another form at an end.
      const address = email.toLowerCase().replace('ς', 'σ')
      const assignment = { workspaceId, emailOrProviderId: address, role: 'editor' } as const
      expect(accepted).toMatchObject({ ok: true, ...(await accessOf(subject()).upsertMember(assignment)) })
    }
    const old = { workspaceId, emailOrProviderId: 'όδος@x.gr', role: 'editor' } as const
    expect((await refusal(accessOf(subject()).upsertMember(old))).status).toBe(404)
  })

  it('goes by the address of now', async () => {
    const shared = await twoOwners()
    const { workspaceId, owner } = shared
    const [old, current] = [
      await invite(workspaceId, owner, { email: 'eve@example.org' }),
      await invite(workspaceId, owner, { email: 'eve@new.example' }),
    ]
    const profile = { email: 'Eve@New.Example' }
    await store().getOrCreateUser({ provider: 'p', providerUserId: 'eve', ...profile })
    await removal(shared)
    expect(await statusOf(workspaceId, current)).toBe('revoked')
    expect(await statusOf(workspaceId, old)).toBe('pending')
  })

  it('without an address only what they made goes', async () => {
    const shared = await twoOwners(null)
    const { workspaceId, owner, eve } = shared
    const [byEve, toOther] = [await invite(workspaceId, eve), await invite(workspaceId, owner)]
    await removal(shared)
    expect(await statusOf(workspaceId, byEve)).toBe('revoked')
    expect(await statusOf(workspaceId, toOther)).toBe('pending')
  })

  it('leaves other workspaces, and what has ended, as they are', async () => {
    const shared = await twoOwners()
    const { workspaceId, owner, eve } = shared
    const other = await newWorkspace(subject(), eve)
    const elsewhere = [await invite(other, eve), await invite(other, eve, { email: 'eve@example.org' })]
    const expired = await invite(workspaceId, eve, { expiresAt: start + 5 })
    const used = await invite(workspaceId, eve)
    const { email, tokenHash } = used
    await store().consumeInvite({ workspaceId, email, tokenHash, acceptedUserId: await newUser(subject()) })
    const revoked = await invite(workspaceId, eve)
    await store().revokeInvite({ workspaceId, inviteId: revoked.id, revokedByUserId: owner })
    later(5)
    const before = await store().listInvites({ workspaceId })
    await removal(shared)
    expect(await store().listInvites({ workspaceId })).toEqual(before)
    expect(before.find(({ id }) => id === expired.id)?.status).toBe('expired')
    for (const one of elsewhere) expect(await statusOf(other, one)).toBe('pending')
  })

  it('an administrator of the deployment may still invite, so what they made stays', async () => {
    const shared = await twoOwners()
    const { workspaceId, eve } = shared
    await adminsOf(subject()).grantAdmin({ userId: eve })
    const byEve = await invite(workspaceId, eve)
    await demote(shared)
    expect(await statusOf(workspaceId, byEve)).toBe('pending')
    await removal(shared)
    expect(await statusOf(workspaceId, byEve)).toBe('pending')
  })

  it('a role that stays or rises revokes nothing', async () => {
    const shared = await twoOwners()
    const { workspaceId, eve } = shared
    const byEve = await invite(workspaceId, eve)
    await subject().memberships.setRole({ workspaceId, userId: eve, role: 'owner' })
    await accessOf(subject()).upsertMember({
      workspaceId,
      emailOrProviderId: 'eve@example.org',
      role: 'owner',
    })
    expect(await statusOf(workspaceId, byEve)).toBe('pending')
  })

  it('a change that is refused revokes nothing', async () => {
    const email = 'only@example.org'
    const { userId: owner } = await store().getOrCreateUser({ provider: 'p', providerUserId: 'only', email })
    const workspaceId = await newWorkspace(subject(), owner)
    const stranger = await store().getOrCreateUser({
      provider: 'p',
      providerUserId: 'stranger',
      email: 'stranger@example.org',
    })
    await invite(workspaceId, owner)
    await invite(workspaceId, owner, { email })
    await invite(workspaceId, owner, { email: 'stranger@example.org' })
    const before = await everything(subject())
    const only = { workspaceId, userId: owner }
    expect(await tagOf(subject().memberships.removeMember(only))).toBe('LastOwner')
    expect(await tagOf(subject().memberships.setRole({ ...only, role: 'viewer' }))).toBe('LastOwner')
    const assignment = { workspaceId, emailOrProviderId: email, role: 'viewer' } as const
    expect((await refusal(accessOf(subject()).upsertMember(assignment))).status).toBe(409)
    const none = { workspaceId, userId: stranger.userId }
    expect(await tagOf(subject().memberships.removeMember(none))).toBe('MemberNotFound')
    expect(await everything(subject())).toEqual(before)
    // Nor in a workspace that is removed.
    await store().removeWorkspace({ userId: owner, workspaceId })
    expect(await tagOf(subject().memberships.removeMember(only))).toBe('WorkspaceNotFound')
    await accessOf(subject()).restoreWorkspace({ workspaceId })
    expect((await store().listInvites({ workspaceId })).map(({ status }) => status)).toEqual(
      Array.from({ length: 3 }, () => 'pending'),
    )
  })

  it('a change that is refused where others may go revokes nothing', async () => {
    const shared = await twoOwners()
    const { workspaceId, owner, eve } = shared
    const email = 'stranger@example.org'
    const stranger = await store().getOrCreateUser({ provider: 'p', providerUserId: 'stranger', email })
    const open = [
      await invite(workspaceId, owner, { email }),
      await invite(workspaceId, eve),
      await invite(workspaceId, owner, { email: 'eve@example.org' }),
    ]
    const none = { workspaceId, userId: stranger.userId }
    expect(await tagOf(subject().memberships.removeMember(none))).toBe('MemberNotFound')
    expect(await tagOf(subject().memberships.setRole({ ...none, role: 'viewer' }))).toBe('MemberNotFound')
    await store().removeWorkspace({ userId: owner, workspaceId })
    for (const change of [removal, demote]) expect(await tagOf(change(shared))).toBe('WorkspaceNotFound')
    await accessOf(subject()).restoreWorkspace({ workspaceId })
    for (const one of open) expect(await statusOf(workspaceId, one)).toBe('pending')
  })

  it('an invite that is made while its maker is removed is worth nothing', async () => {
    const shared = await twoOwners()
    const { workspaceId, owner, eve } = shared
    const results = await Promise.allSettled([
      invite(workspaceId, eve, { email: 'eve@example.org', tokenHash: 'back' }),
      subject().memberships.removeMember({ workspaceId, userId: eve }),
    ])
    expect(results[1].status).toBe('fulfilled')
    const claim = { workspaceId, email: 'eve@example.org', tokenHash: 'back' }
    expect(await store().validateInvite(claim)).toMatchObject({ ok: false })
    expect(await store().getWorkspaceRole({ workspaceId, userId: owner })).toBe('owner')
  })
})
