/**
 * Invites: who may make and revoke them, what they give, and to whom, over every layer.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { NewInvite, Role } from '../../src/services/index.js'
import { accessOf, adminsOf, everything, junkRequests, wrongIds } from '../support/administration.js'
import { activeOf, newUser, newWorkspace, refusal, sharedWorkspace } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'

const start = 1_700_000_000
const at = (seconds: number) => vi.setSystemTime((start + seconds) * 1_000)

const roles: ReadonlyArray<Role> = ['viewer', 'editor', 'owner']
const higher = (a: Role, b: Role): Role => roles[Math.max(roles.indexOf(a), roles.indexOf(b))]!

suiteOverBatches('invites', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const store = () => subject().store
  type Shared = Awaited<ReturnType<typeof sharedWorkspace>>

  const invite = async (shared: Pick<Shared, 'workspaceId' | 'owner'>, rest: Partial<NewInvite> = {}) =>
    (
      await store().createInvite({
        workspaceId: shared.workspaceId,
        email: 'ann@example.org',
        role: 'editor',
        invitedByUserId: shared.owner,
        expiresAt: start + 100,
        tokenHash: 'hash',
        ...rest,
      })
    ).inviteId
  const claim = ({ workspaceId }: Pick<Shared, 'workspaceId'>, rest: object = {}) => ({
    workspaceId,
    email: 'ann@example.org',
    tokenHash: 'hash',
    ...rest,
  })
  const validate = (shared: Pick<Shared, 'workspaceId'>, rest?: object) =>
    store().validateInvite(claim(shared, rest))
  const consume = (shared: Pick<Shared, 'workspaceId'>, acceptedUserId: string, rest?: object) =>
    store().consumeInvite({ ...claim(shared, rest), acceptedUserId })
  const accept = (shared: Pick<Shared, 'workspaceId'>, rest?: object) =>
    store().acceptInviteAndProvisionUser({ provider: 'p', providerUserId: 'ann', ...claim(shared, rest) })
  const statusOf = async (shared: Shared, inviteId: string) =>
    (await store().listInvites(claim(shared))).find(({ id }) => id === inviteId)?.status
  const revoke = (shared: Shared, inviteId: string) =>
    store().revokeInvite({ workspaceId: shared.workspaceId, inviteId, revokedByUserId: shared.owner })
  const profileOf = (userId: string) =>
    accessOf(subject())
      .searchUsers({ query: userId })
      .then(([user]) => user)

  describe('createInvite', () => {
    it('makes a pending invite with a trimmed address in lower case', async () => {
      const shared = await sharedWorkspace(subject())
      const id = await invite(shared, { email: '  Zoë.ÄRGER@Example.ORG\n', expiresAt: start + 100.9 })
      expect(await store().listInvites(claim(shared))).toEqual([
        {
          id,
          workspaceId: shared.workspaceId,
          email: 'zoë.ärger@example.org',
          role: 'editor',
          status: 'pending',
          invitedByUserId: shared.owner,
          expiresAt: start + 100,
          tokenHash: 'hash',
          acceptedAt: null,
          acceptedUserId: null,
          revokedAt: null,
          createdAt: start,
          updatedAt: start,
        },
      ])
    })

    it.each([
      [start + 5, start + 5],
      [1e11, 1e11],
      [1e11 + 1, 1e8],
      [(start + 5) * 1_000, start + 5],
      [(start + 5) * 1_000 + 999.9, start + 5],
    ])('until %d is until second %d: what is above 1e11 are milliseconds', async (given, expiresAt) => {
      const shared = await sharedWorkspace(subject())
      if (expiresAt <= start) {
        expect((await refusal(invite(shared, { expiresAt: given }))).status).toBe(400)
        return
      }
      await invite(shared, { expiresAt: given })
      expect(await store().listInvites(claim(shared))).toMatchObject([{ expiresAt }])
    })

    it.each(roles)('may invite as %s', async (role) => {
      const shared = await sharedWorkspace(subject())
      await invite(shared, { role })
      expect(await validate(shared)).toEqual({ ok: true, role })
    })

    it('may invite one address several times', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared, { tokenHash: 'one', role: 'viewer' })
      await invite(shared, { tokenHash: 'two', role: 'owner' })
      expect(await validate(shared, { tokenHash: 'one' })).toEqual({ ok: true, role: 'viewer' })
      expect(await validate(shared, { tokenHash: 'two' })).toEqual({ ok: true, role: 'owner' })
    })

    it('is 404 for an unknown or removed workspace', async () => {
      const shared = await sharedWorkspace(subject())
      expect((await refusal(invite({ ...shared, workspaceId: 'none' }))).status).toBe(404)
      await store().removeWorkspace({ userId: shared.owner, workspaceId: shared.workspaceId })
      expect((await refusal(invite(shared))).status).toBe(404)
    })

    const bad: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
      ['workspaceId', wrongIds],
      ['invitedByUserId', wrongIds],
      ['email', [undefined, null, 5, '', 'ann', 'a@', '  @b ', 'a@\0b', 'a@\ud800', `${'x'.repeat(320)}@`]],
      ['role', [undefined, null, '', 'admin', 'Owner', 5, ['owner']]],
      [
        'expiresAt',
        [undefined, null, '5', start, start - 1, start + 0.9, -1, Number.NaN, Infinity, 2 ** 53, {}],
      ],
      ['tokenHash', [undefined, null, '', 5, 'a\0', '\ud800', 'x'.repeat(257)]],
    ]
    it.each(bad)('is 400 for a wrong %s, and makes nothing', async (field, values) => {
      const shared = await sharedWorkspace(subject())
      for (const value of values) {
        expect((await refusal(invite(shared, { [field]: value }))).status, String(value)).toBe(400)
      }
      expect(await store().listInvites(claim(shared))).toEqual([])
    })

    it('takes addresses and hashes up to their bounds', async () => {
      const shared = await sharedWorkspace(subject())
      const email = `${'x'.repeat(318)}@y`
      const tokenHash = 'h'.repeat(256)
      await invite(shared, { email, tokenHash, expiresAt: start + 1 })
      await invite(shared, { email: 'a@b', tokenHash: '"; --' })
      expect(await validate(shared, { email: ` ${email.toUpperCase()}`, tokenHash })).toMatchObject({
        ok: true,
      })
      expect(await validate(shared, { email: 'A@B', tokenHash: '"; --' })).toMatchObject({ ok: true })
    })

    it('says nothing of the token in a refusal', async () => {
      const shared = await sharedWorkspace(subject())
      const tokenHash = 'SECRET'.repeat(100)
      const { message } = await refusal(invite(shared, { tokenHash }))
      expect(message).not.toContain('SECRET')
    })
  })

  describe('listInvites', () => {
    it('gives the newest first, of one workspace only', async () => {
      const shared = await sharedWorkspace(subject())
      const other = await sharedWorkspace(subject())
      await invite(other)
      const ids: Array<string> = []
      for (let n = 0; n < 5; n++) {
        at(Math.floor(n / 2))
        ids.push(await invite(shared, { tokenHash: `h${n}` }))
      }
      const list = async (limit = 100) =>
        (await store().listInvites({ ...claim(shared), limit })).map(({ id }) => id)
      expect(await list()).toEqual(ids.toReversed())
      expect(await list(3)).toEqual(ids.toReversed().slice(0, 3))
      // What becomes of one makes it no younger.
      await revoke(shared, ids[3]!)
      await consume(shared, shared.viewer, { tokenHash: 'h2' })
      expect(await list()).toEqual(ids.toReversed())
    })

    it('and so it is looked up, of several of one second', async () => {
      const shared = await sharedWorkspace(subject())
      for (const role of ['viewer', 'owner', 'editor', 'viewer', 'owner'] as const) {
        await invite(shared, { role })
        expect(await validate(shared)).toEqual({ ok: true, role })
      }
      expect(await consume(shared, shared.stranger)).toEqual({ ok: true, role: 'owner' })
      expect(await validate(shared)).toEqual({ ok: true, role: 'viewer' })
    })

    it('filters by the status of now', async () => {
      const shared = await sharedWorkspace(subject())
      const pending = await invite(shared, { tokenHash: 'pending' })
      const accepted = await invite(shared, { tokenHash: 'accepted' })
      const revoked = await invite(shared, { tokenHash: 'revoked' })
      const expired = await invite(shared, { tokenHash: 'expired', expiresAt: start + 10 })
      await accept(shared, { tokenHash: 'accepted' })
      await revoke(shared, revoked)
      const of = async (status?: 'pending' | 'accepted' | 'revoked' | 'expired' | null) =>
        (await store().listInvites({ workspaceId: shared.workspaceId, status })).map(({ id }) => id).sort()
      at(9)
      expect(await of('pending')).toEqual([pending, expired].sort())
      expect(await of('expired')).toEqual([])
      at(10)
      expect(await of('pending')).toEqual([pending])
      expect(await of('expired')).toEqual([expired])
      expect(await of('accepted')).toEqual([accepted])
      expect(await of('revoked')).toEqual([revoked])
      expect(await of(null)).toHaveLength(4)
      expect(await of()).toHaveLength(4)
      at(200)
      expect(await of('accepted')).toEqual([accepted])
      expect(await of('expired')).toEqual([pending, expired].sort())
    })

    it('gives 100 at most unless it is told otherwise, and brings a limit within 1 and 500', async () => {
      const shared = await sharedWorkspace(subject())
      for (let n = 0; n < 102; n++) await invite(shared, { tokenHash: `h${n}` })
      const count = async (limit?: number | null) =>
        (await store().listInvites({ workspaceId: shared.workspaceId, limit })).length
      expect(await count()).toBe(100)
      expect(await count(null)).toBe(100)
      expect(await count(101)).toBe(101)
      expect(await count(2.9)).toBe(2)
      for (const low of [0, -5, -Infinity, 0.5]) expect(await count(low)).toBe(1)
      for (const high of [500, 501, 1e300, Infinity]) expect(await count(high)).toBe(102)
    })

    it('is 404 for an unknown or removed workspace, and 400 for what is no query', async () => {
      const shared = await sharedWorkspace(subject())
      const status = async (query: unknown) => (await refusal(store().listInvites(query as never))).status
      expect(await status({ workspaceId: 'none' })).toBe(404)
      for (const workspaceId of wrongIds) expect(await status({ workspaceId })).toBe(400)
      for (const limit of ['5', Number.NaN, {}]) expect(await status({ ...claim(shared), limit })).toBe(400)
      for (const wrong of ['', 'Pending', 5])
        expect(await status({ ...claim(shared), status: wrong })).toBe(400)
      await store().removeWorkspace({ userId: shared.owner, workspaceId: shared.workspaceId })
      expect(await status(claim(shared))).toBe(404)
    })
  })

  describe('revokeInvite', () => {
    it('ends a pending invite', async () => {
      const shared = await sharedWorkspace(subject())
      const id = await invite(shared)
      at(5)
      await revoke(shared, id)
      expect(await store().listInvites(claim(shared))).toMatchObject([
        { id, status: 'revoked', revokedAt: start + 5, updatedAt: start + 5, acceptedAt: null },
      ])
      expect(await validate(shared)).toEqual({ ok: false, reason: 'revoked' })
    })

    it('leaves every other one as it is', async () => {
      const shared = await sharedWorkspace(subject())
      const ids = [
        await invite(shared, { tokenHash: 'accepted' }),
        await invite(shared, { tokenHash: 'revoked' }),
        await invite(shared, { tokenHash: 'expired', expiresAt: start + 10 }),
      ]
      await accept(shared, { tokenHash: 'accepted' })
      await revoke(shared, ids[1]!)
      at(10)
      const before = await everything(subject())
      for (const id of ids) await revoke(shared, id)
      expect(await everything(subject())).toEqual(before)
      expect(await validate(shared, { tokenHash: 'expired' })).toEqual({ ok: false, reason: 'expired' })
    })

    it('is 404 for an unknown invite, one of another workspace, and a workspace that is gone', async () => {
      const shared = await sharedWorkspace(subject())
      const other = await sharedWorkspace(subject())
      const id = await invite(other)
      expect(await refusal(revoke(shared, 'none'))).toEqual({
        status: 404,
        message: 'This invite does not exist.',
      })
      expect(await refusal(revoke(shared, id))).toEqual(await refusal(revoke(shared, 'none')))
      expect(await statusOf(other, id)).toBe('pending')
      await store().removeWorkspace({ userId: other.owner, workspaceId: other.workspaceId })
      expect((await refusal(revoke(other, id))).status).toBe(404)
    })

    it.each(['workspaceId', 'inviteId', 'revokedByUserId'])('is 400 for a wrong %s', async (field) => {
      const shared = await sharedWorkspace(subject())
      const inviteId = await invite(shared)
      for (const wrong of wrongIds) {
        const request = {
          workspaceId: shared.workspaceId,
          inviteId,
          revokedByUserId: shared.owner,
          [field]: wrong,
        }
        expect((await refusal(store().revokeInvite(request as never))).status).toBe(400)
      }
      expect(await statusOf(shared, inviteId)).toBe('pending')
    })
  })

  describe('the bearer', () => {
    it('is told the role, and nothing changes', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      const before = await everything(subject())
      for (let n = 0; n < 3; n++) expect(await validate(shared)).toEqual({ ok: true, role: 'editor' })
      expect(await validate(shared, { email: '\tANN@example.org ' })).toEqual({ ok: true, role: 'editor' })
      expect(await everything(subject())).toEqual(before)
    })

    /** How an invite is made useless, by the reason that is told then; later ones are hidden by earlier ones. */
    const spoiled: ReadonlyArray<
      readonly [reason: string, spoil: (shared: Shared, id: string) => Promise<unknown> | void]
    > = [
      ['revoked', (shared, id) => revoke(shared, id)],
      ['already_used', (shared) => consume(shared, shared.viewer)],
      ['expired', () => void at(100)],
    ]

    it.each(spoiled)(
      'of an invite that is %s is told so by each call, which changes nothing',
      async (reason, spoil) => {
        const shared = await sharedWorkspace(subject())
        const id = await invite(shared)
        await spoil(shared, id)
        const before = await everything(subject())
        expect(await validate(shared)).toEqual({ ok: false, reason })
        expect(await consume(shared, shared.stranger)).toEqual({ ok: false, reason })
        expect(await accept(shared)).toEqual({ ok: false, reason })
        expect(await everything(subject())).toEqual(before)
      },
    )

    it.each([['pending', () => {}] as const, ...spoiled])(
      'with another address or token is told that first, also of one that is %s',
      async (_reason, spoil) => {
        const shared = await sharedWorkspace(subject())
        const id = await invite(shared)
        await spoil(shared, id)
        const before = await everything(subject())
        const bob = { email: 'bob@example.org' }
        expect(await validate(shared, bob)).toEqual({ ok: false, reason: 'email_mismatch' })
        expect(await accept(shared, bob)).toEqual({ ok: false, reason: 'email_mismatch' })
        expect(await consume(shared, shared.stranger, bob)).toEqual({ ok: false, reason: 'not_found' })
        const token = { tokenHash: 'Hash' }
        expect(await validate(shared, token)).toEqual({ ok: false, reason: 'not_found' })
        expect(await accept(shared, token)).toEqual({ ok: false, reason: 'not_found' })
        expect(await consume(shared, shared.stranger, token)).toEqual({ ok: false, reason: 'token_mismatch' })
        expect(await everything(subject())).toEqual(before)
      },
    )

    it('of a used one that has expired since is told that it was used', async () => {
      const shared = await sharedWorkspace(subject())
      const id = await invite(shared)
      await consume(shared, shared.viewer)
      const other = await invite(shared, { tokenHash: 'other' })
      await revoke(shared, other)
      at(500)
      expect(await validate(shared)).toEqual({ ok: false, reason: 'already_used' })
      expect(await validate(shared, { tokenHash: 'other' })).toEqual({ ok: false, reason: 'revoked' })
      expect(await statusOf(shared, id)).toBe('accepted')
    })

    it('has until the second of its expiry', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      at(99)
      expect(await validate(shared)).toMatchObject({ ok: true })
      at(100)
      expect(await validate(shared)).toEqual({ ok: false, reason: 'expired' })
    })

    it('of another, unknown or removed workspace is told that there is none', async () => {
      const [shared, other] = [await sharedWorkspace(subject()), await sharedWorkspace(subject())]
      await invite(shared)
      const expectNone = async (workspace: { readonly workspaceId: string }) => {
        const none = { ok: false, reason: 'not_found' }
        expect(await validate(workspace)).toEqual(none)
        expect(await consume(workspace, shared.stranger)).toEqual(none)
        expect(await accept(workspace)).toEqual(none)
      }
      const before = await everything(subject())
      await expectNone(other)
      await expectNone({ workspaceId: 'none' })
      expect(await everything(subject())).toEqual(before)
      await store().removeWorkspace({ userId: shared.owner, workspaceId: shared.workspaceId })
      const removed = await everything(subject())
      await expectNone(shared)
      expect(await everything(subject())).toEqual(removed)
    })

    it('of a workspace that was brought back has the invite again', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      await store().removeWorkspace({ userId: shared.owner, workspaceId: shared.workspaceId })
      await accessOf(subject()).restoreWorkspace({ workspaceId: shared.workspaceId })
      expect(await accept(shared)).toMatchObject({ ok: true })
    })

    it('has the pending one of several with one token, whichever is newer; else the newest', async () => {
      const shared = await sharedWorkspace(subject())
      const first = await invite(shared, { role: 'viewer' })
      at(1)
      const second = await invite(shared, { role: 'owner' })
      expect(await validate(shared)).toEqual({ ok: true, role: 'owner' })
      await revoke(shared, second)
      expect(await validate(shared)).toEqual({ ok: true, role: 'viewer' })
      expect(await consume(shared, shared.stranger)).toEqual({ ok: true, role: 'viewer' })
      expect(await statusOf(shared, first)).toBe('accepted')
      expect(await validate(shared)).toEqual({ ok: false, reason: 'revoked' })
      expect(await consume(shared, shared.stranger)).toEqual({ ok: false, reason: 'revoked' })
    })

    it.each(['workspaceId', 'email', 'tokenHash'])('is refused with 400 for a wrong %s', async (field) => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      const before = await everything(subject())
      for (const value of [undefined, null, 5, '', 'x\0@', '\ud800@', `${'x'.repeat(330)}@`]) {
        const rest = { [field]: value }
        for (const call of [
          () => validate(shared, rest),
          () => consume(shared, shared.owner, rest),
          () => accept(shared, rest),
        ]) {
          expect((await refusal(call())).status).toBe(400)
        }
      }
      expect(await everything(subject())).toEqual(before)
    })
  })

  describe('consumeInvite', () => {
    it('makes a user a member, whose active workspace stays, and uses the invite', async () => {
      const shared = await sharedWorkspace(subject())
      const { workspaceId: own } = await store().getOrCreateDefaultWorkspace(shared.stranger)
      const id = await invite(shared)
      at(7)
      expect(await consume(shared, shared.stranger, { email: ' Ann@Example.org' })).toEqual({
        ok: true,
        role: 'editor',
      })
      expect(
        await store().getWorkspaceRole({ userId: shared.stranger, workspaceId: shared.workspaceId }),
      ).toBe('editor')
      expect(await activeOf(subject(), shared.stranger)).toBe(own)
      expect(await store().listInvites(claim(shared))).toMatchObject([
        {
          id,
          status: 'accepted',
          acceptedAt: start + 7,
          acceptedUserId: shared.stranger,
          updatedAt: start + 7,
          createdAt: start,
          revokedAt: null,
        },
      ])
    })

    it.each(roles.flatMap((is) => roles.map((becomes) => [is, becomes] as const)))(
      'of a member who is %s, invited as %s, gives the higher one',
      async (is, becomes) => {
        const shared = await sharedWorkspace(subject())
        const { workspaceId } = shared
        const userId = await newUser(subject())
        await subject().memberships.addMember({ workspaceId, userId, role: is })
        const since = (await subject().memberships.listMembers(workspaceId)).map((m) => m.memberSince)
        await invite(shared, { role: becomes })
        const role = higher(is, becomes)
        expect(await consume(shared, userId)).toEqual({ ok: true, role })
        expect(await store().getWorkspaceRole({ userId, workspaceId })).toBe(role)
        expect((await subject().memberships.listMembers(workspaceId)).map((m) => m.memberSince)).toEqual(
          since,
        )
      },
    )

    it('is 404 for a user whom nobody knows, and changes nothing', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      const before = await everything(subject())
      expect(await refusal(consume(shared, 'nobody'))).toEqual({
        status: 404,
        message: 'This user does not exist.',
      })
      for (const wrong of wrongIds) expect((await refusal(consume(shared, wrong as never))).status).toBe(400)
      expect(await everything(subject())).toEqual(before)
    })

    it('by many at once lets one in', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      const users = await Promise.all(Array.from({ length: 6 }, () => newUser(subject())))
      const told = await Promise.all(users.map((userId) => consume(shared, userId)))
      expect(told.filter(({ ok }) => ok)).toEqual([{ ok: true, role: 'editor' }])
      expect(told.filter(({ ok }) => !ok)).toEqual(
        Array.from({ length: 5 }, () => ({ ok: false, reason: 'already_used' })),
      )
      const winner = users[told.findIndex(({ ok }) => ok)]!
      const members = await accessOf(subject()).listMembers({ workspaceId: shared.workspaceId })
      expect(members.map(({ userId }) => userId).filter((id) => users.includes(id))).toEqual([winner])
    })
  })

  describe('acceptInviteAndProvisionUser', () => {
    it('makes the user, with the profile as it was given, the member and the active workspace', async () => {
      const shared = await sharedWorkspace(subject())
      const id = await invite(shared)
      at(3)
      const answer = await accept(shared, { email: ' Ann@Example.org', displayName: 'Ann' })
      if (!answer.ok) return expect.fail(answer.reason)
      const { userId } = answer
      expect(answer).toEqual({ ok: true, userId: expect.any(String), role: 'editor', createdUser: true })
      expect(await profileOf(userId)).toEqual({ userId, email: ' Ann@Example.org', displayName: 'Ann' })
      expect(await store().getUser({ provider: 'p', providerUserId: 'ann' })).toMatchObject({ userId })
      expect(await store().listUserWorkspaces(userId)).toMatchObject([
        { id: shared.workspaceId, role: 'editor', isActive: true },
      ])
      expect(await store().getOrCreateDefaultWorkspace(userId)).toEqual({
        workspaceId: shared.workspaceId,
        workspaceName: 'Shared',
      })
      expect(await store().listInvites(claim(shared))).toMatchObject([
        { id, status: 'accepted', acceptedAt: start + 3, acceptedUserId: userId },
      ])
    })

    it('finds a user who is known, and keeps what is not said', async () => {
      const shared = await sharedWorkspace(subject())
      const identity = { provider: 'p', providerUserId: 'ann' }
      const { userId } = await store().getOrCreateUser({ ...identity, email: 'old@b.c', displayName: 'Ann' })
      await store().getOrCreateDefaultWorkspace(userId)
      await invite(shared)
      expect(await accept(shared)).toEqual({ ok: true, userId, role: 'editor', createdUser: false })
      expect(await profileOf(userId)).toEqual({ userId, email: 'ann@example.org', displayName: 'Ann' })
      expect(await activeOf(subject(), userId)).toBe(shared.workspaceId)
      await invite(shared, { tokenHash: 'second' })
      await accept(shared, { tokenHash: 'second', displayName: null })
      expect(await profileOf(userId)).toEqual({ userId, email: 'ann@example.org' })
    })

    it('raises a role and never lowers one, and tells the one that the user has', async () => {
      const shared = await sharedWorkspace(subject())
      const userId = (await store().getOrCreateUser({ provider: 'p', providerUserId: 'ann' })).userId
      for (const role of ['viewer', 'owner', 'editor'] as const) {
        await invite(shared, { tokenHash: role, role })
        const has = role === 'editor' ? 'owner' : role
        expect(await accept(shared, { tokenHash: role })).toEqual({
          ok: true,
          userId,
          role: has,
          createdUser: false,
        })
        expect(await store().getWorkspaceRole({ userId, workspaceId: shared.workspaceId })).toBe(has)
      }
    })

    it('links nobody by an address: another identity with it is another user', async () => {
      const shared = await sharedWorkspace(subject())
      const known = await store().getOrCreateUser({
        provider: 'q',
        providerUserId: 'ann',
        email: 'ann@example.org',
      })
      await invite(shared)
      const answer = await accept(shared)
      expect(answer).toMatchObject({ ok: true, createdUser: true })
      expect(answer).not.toMatchObject({ userId: known.userId })
    })

    it('by many at once lets one in, and leaves nothing of the others', async () => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      const before = await everything(subject())
      const told = await Promise.all(
        Array.from({ length: 6 }, (_, n) => accept(shared, { providerUserId: `rival${n}` })),
      )
      const winners = told.filter(({ ok }) => ok)
      expect(winners).toEqual([{ ok: true, userId: expect.any(String), role: 'editor', createdUser: true }])
      expect(new Set(told.map((one) => (one.ok ? 'ok' : one.reason)))).toEqual(
        new Set(['ok', 'already_used']),
      )
      const after = await everything(subject())
      expect(after.users).toHaveLength(before.users.length + 1)
      for (const [n, { ok }] of told.entries()) {
        const user = await store().getUser({ provider: 'p', providerUserId: `rival${n}` })
        expect(user === null).toBe(!ok)
      }
      expect(after.members.flat()).toHaveLength(before.members.flat().length + 1)
    })

    it('of two invites by one new person at once makes one user', async () => {
      const shared = await sharedWorkspace(subject())
      const other = await sharedWorkspace(subject())
      await invite(shared)
      await invite(other)
      const users = (await everything(subject())).users.length
      const told = await Promise.all([accept(shared), accept(other)])
      expect(new Set(told.map((one) => (one.ok ? one.userId : 'none'))).size).toBe(1)
      expect(told.filter((one) => one.ok && one.createdUser)).toHaveLength(1)
      expect((await everything(subject())).users).toHaveLength(users + 1)
    })

    it.each(['provider', 'providerUserId'])('is 400 for a wrong %s, and changes nothing', async (field) => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      const before = await everything(subject())
      for (const wrong of wrongIds) {
        expect((await refusal(accept(shared, { [field]: wrong }))).status).toBe(400)
      }
      for (const displayName of [5, '\ud800', 'x'.repeat(1_001)]) {
        expect((await refusal(accept(shared, { displayName }))).status).toBe(400)
      }
      expect(await everything(subject())).toEqual(before)
    })
  })

  describe('an administrator of the deployment', () => {
    it('invites and revokes without being a member, until that ends', async () => {
      const shared = await sharedWorkspace(subject())
      const admin = { ...shared, owner: shared.stranger }
      await adminsOf(subject()).grantAdmin({ userId: shared.stranger })
      const id = await invite(admin)
      await revoke(admin, id)
      const again = await invite(admin)
      await adminsOf(subject()).revokeAdmin({ userId: shared.stranger })
      expect((await refusal(invite(admin))).status).toBe(404)
      expect((await refusal(revoke(admin, again))).status).toBe(404)
      // What was invited stays.
      expect(await validate(shared)).toMatchObject({ ok: true })
    })
  })

  it('an owner who is none any more invites nobody', async () => {
    const shared = await sharedWorkspace(subject())
    const { workspaceId, owner, editor } = shared
    const access = accessOf(subject())
    await access.setMemberRole({ workspaceId, userId: editor, role: 'owner' })
    await access.setMemberRole({ workspaceId, userId: owner, role: 'editor' })
    expect((await refusal(invite(shared))).status).toBe(403)
    await access.removeMember({ workspaceId, userId: owner })
    expect((await refusal(invite(shared))).status).toBe(404)
  })

  describe('what is no request is 400 for every call, and changes nothing', () => {
    it.each(junkRequests)('%s', async (_what, request) => {
      const shared = await sharedWorkspace(subject())
      await invite(shared)
      await newWorkspace(subject(), shared.stranger)
      const before = await everything(subject())
      const calls = [
        store().createInvite,
        store().listInvites,
        store().revokeInvite,
        store().validateInvite,
        store().consumeInvite,
        store().acceptInviteAndProvisionUser,
      ]
      for (const call of calls) expect((await refusal(call(request as never))).status).toBe(400)
      expect(await everything(subject())).toEqual(before)
    })
  })
})
