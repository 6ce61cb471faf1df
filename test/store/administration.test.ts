/**
 * What administrators see of workspaces and users, and what they do to them, over every layer.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Role } from '../../src/services/index.js'
import { accessOf, everything, junkRequests, wrongIds } from '../support/administration.js'
import { activeOf, newUser, newWorkspace, refusal, sharedWorkspace } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'

const start = 1_700_000_000
const at = (seconds: number) => vi.setSystemTime((start + seconds) * 1_000)

suiteOverBatches('administration', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const store = () => subject().store
  const access = () => accessOf(subject())
  const signIn = async (providerUserId: string, email?: string | null, displayName?: string) =>
    (await store().getOrCreateUser({ provider: 'p', providerUserId, email, displayName })).userId
  const list = (query: object = {}) => access().listWorkspaces({ page: 1, perPage: 100, ...query })
  const namesIn = async (query?: object) => (await list(query)).items.map(({ name }) => name)
  const remove = (workspaceId: string, deletedAt = start) =>
    access().softDeleteWorkspace({ workspaceId, deletedAt })
  const rolesIn = async (workspaceId: string) =>
    Object.fromEntries(
      (await access().listMembers({ workspaceId })).map(({ userId, role }) => [userId, role]),
    )

  describe('listWorkspaces', () => {
    it('tells of each its owner, how many members it has, and whether it is removed', async () => {
      const owner = await signIn('o', 'o@b.c')
      const { workspaceId } = await access().createWorkspace({
        name: 'Whole',
        description: 'what we do',
        ownerUserId: owner,
      })
      await access().upsertMember({ workspaceId, emailOrProviderId: await signIn('v'), role: 'viewer' })
      at(1)
      const bare = await newWorkspace(subject(), await signIn('q'), 'Bare')
      await remove(bare, start + 5)
      const whole = {
        id: workspaceId,
        name: 'Whole',
        description: 'what we do',
        createdAt: start,
        deleted: false,
        ownerUserId: owner,
        ownerEmail: 'o@b.c',
        memberCount: 2,
      }
      expect(await list()).toEqual({ items: [whole], total: 1 })
      expect(await list({ includeDeleted: true })).toEqual({
        items: [
          whole,
          {
            id: bare,
            name: 'Bare',
            createdAt: start + 1,
            deleted: true,
            deletedAt: start + 5,
            ownerUserId: await signIn('q'),
            memberCount: 1,
          },
        ],
        total: 2,
      })
      expect(await access().getWorkspace({ workspaceId })).toEqual(whole)
    })

    it('names the owner who is one for the longest time, whoever is a member for longer', async () => {
      const [first, second] = [await signIn('a'), await signIn('b')]
      const workspaceId = await newWorkspace(subject(), first)
      at(1)
      await access().upsertMember({ workspaceId, emailOrProviderId: second, role: 'owner' })
      expect(await access().getWorkspace({ workspaceId })).toMatchObject({ ownerUserId: first })
      await access().setMemberRole({ workspaceId, userId: first, role: 'viewer' })
      expect(await access().getWorkspace({ workspaceId })).toMatchObject({ ownerUserId: second })
    })

    it('gives pages, the oldest first, each workspace once', async () => {
      const owner = await newUser(subject())
      const ids: Array<string> = []
      for (let n = 0; n < 7; n++) {
        at(Math.floor(n / 3))
        ids.push(await newWorkspace(subject(), owner, `W${n}`))
      }
      const pages = await Promise.all([1, 2, 3, 4].map((page) => list({ page, perPage: 3 })))
      expect(pages.map(({ items }) => items.length)).toEqual([3, 3, 1, 0])
      expect(pages.map(({ total }) => total)).toEqual([7, 7, 7, 7])
      const items = pages.flatMap((page) => page.items)
      expect(items.map(({ id }) => id).sort()).toEqual([...ids].sort())
      expect(items).toEqual([...items].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)))
      expect((await list()).items).toEqual(items)
    })

    it('brings page and perPage within their bounds', async () => {
      const owner = await newUser(subject())
      for (let n = 0; n < 3; n++) await newWorkspace(subject(), owner, `W${n}`)
      for (const page of [0, -1, -Infinity, 0.5, 1.9]) {
        expect((await list({ page, perPage: 2 })).items, String(page)).toHaveLength(2)
      }
      for (const page of [3, 1e15, 2 ** 53, 1e300, Infinity]) {
        expect(await list({ page, perPage: 2 }), String(page)).toEqual({ items: [], total: 3 })
      }
      for (const perPage of [0, -5, 0.5]) expect((await list({ perPage })).items).toHaveLength(1)
      for (const perPage of [101, 1e300, Infinity]) expect((await list({ perPage })).items).toHaveLength(3)
    })

    it.each<readonly [string, ReadonlyArray<string>]>([
      ['team', ['My TEAM', 'Team 100%', 'team_x']],
      ['TEAM', ['My TEAM', 'Team 100%', 'team_x']],
      ['%', ['Team 100%']],
      ['_', ['team_x']],
      ['m_x', ['team_x']],
      ['Проект', ['Проект Ы']],
      ['ы', []],
      ['Ы', ['Проект Ы']],
      ['🚀', ['a🚀b']],
      [`'; --`, []],
      ['\\', []],
      [' ', ['My TEAM', 'Team 100%', 'Проект Ы']],
      ['x'.repeat(320), []],
    ])('finds %j as literal text in names', async (search, names) => {
      const owner = await newUser(subject())
      for (const name of ['My TEAM', 'Team 100%', 'team_x', 'Проект Ы', 'a🚀b']) {
        await newWorkspace(subject(), owner, name)
      }
      const { items, total } = await list({ search })
      expect(items.map(({ name }) => name).sort()).toEqual([...names].sort())
      expect(total).toBe(names.length)
      expect((await list({ search, perPage: 1 })).total).toBe(names.length)
    })

    it('finds one by its whole id, and all by no text', async () => {
      const owner = await newUser(subject())
      const [one] = [await newWorkspace(subject(), owner, 'One'), await newWorkspace(subject(), owner, 'Two')]
      expect(await namesIn({ search: one })).toEqual(['One'])
      expect(await namesIn({ search: one.slice(1) })).toEqual([])
      for (const search of ['', null, undefined]) expect(await namesIn({ search })).toHaveLength(2)
    })

    it('leaves out removed ones unless they are asked for', async () => {
      const owner = await newUser(subject())
      await newWorkspace(subject(), owner, 'Kept')
      const gone = await newWorkspace(subject(), owner, 'Gone')
      await remove(gone)
      for (const includeDeleted of [undefined, null, false]) {
        expect(await namesIn({ includeDeleted })).toEqual(['Kept'])
        expect(await namesIn({ includeDeleted, search: 'gone' })).toEqual([])
        expect(await namesIn({ includeDeleted, search: gone })).toEqual([])
      }
      expect((await namesIn({ includeDeleted: true })).sort()).toEqual(['Gone', 'Kept'])
      expect(await namesIn({ includeDeleted: true, search: 'gone' })).toEqual(['Gone'])
      expect(await list({ includeDeleted: true, search: gone })).toMatchObject({ total: 1 })
    })

    it.each<readonly [string, ReadonlyArray<unknown>]>([
      ['page', [undefined, null, '1', Number.NaN, {}]],
      ['perPage', [undefined, null, '1', Number.NaN, {}]],
      ['search', [5, {}, 'a\0', '\ud800', 'x'.repeat(321)]],
      ['includeDeleted', ['true', 1, {}]],
    ])('is 400 for a wrong %s', async (field, values) => {
      for (const value of values) {
        expect((await refusal(list({ [field]: value }))).status, String(value)).toBe(400)
      }
    })
  })

  describe('getWorkspace', () => {
    it('shows removed ones, and is 404 for unknown ones', async () => {
      const workspaceId = await newWorkspace(subject(), await newUser(subject()), 'W')
      await remove(workspaceId, start + 9)
      expect(await access().getWorkspace({ workspaceId })).toMatchObject({
        name: 'W',
        deleted: true,
        deletedAt: start + 9,
        memberCount: 1,
      })
      expect((await refusal(access().getWorkspace({ workspaceId: 'none' }))).status).toBe(404)
    })
  })

  describe('createWorkspace', () => {
    it('makes one of this owner, whose active workspace stays', async () => {
      const owner = await newUser(subject())
      const { workspaceId: home } = await store().getOrCreateDefaultWorkspace(owner)
      const { workspaceId } = await access().createWorkspace({ name: ' Trimmed ', ownerUserId: owner })
      expect(await access().getWorkspace({ workspaceId })).toEqual({
        id: workspaceId,
        name: 'Trimmed',
        createdAt: start,
        deleted: false,
        ownerUserId: owner,
        memberCount: 1,
      })
      expect(await activeOf(subject(), owner)).toBe(home)
    })

    it('is 404 for an unknown owner and 400 for wrong details, and makes nothing', async () => {
      const ownerUserId = await newUser(subject())
      const status = async (request: object) =>
        (await refusal(access().createWorkspace({ name: 'W', ownerUserId, ...request } as never))).status
      expect(await status({ ownerUserId: 'nobody' })).toBe(404)
      for (const wrong of wrongIds) expect(await status({ ownerUserId: wrong })).toBe(400)
      for (const name of [undefined, '', ' ', 5, 'x'.repeat(101)]) expect(await status({ name })).toBe(400)
      for (const description of [5, 'x'.repeat(1_001)]) expect(await status({ description })).toBe(400)
      expect((await list({ includeDeleted: true })).total).toBe(0)
    })
  })

  describe('softDeleteWorkspace', () => {
    it('re-homes every member whose active one it was, and only those', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      const own = await newWorkspace(subject(), editor, 'Own')
      const other = await newWorkspace(subject(), viewer, 'Other')
      for (const userId of [owner, editor]) await store().setActiveWorkspace({ userId, workspaceId })
      await store().setActiveWorkspace({ userId: viewer, workspaceId: other })
      const members = await access().listMembers({ workspaceId })
      await remove(workspaceId)
      expect(await activeOf(subject(), owner)).toBeUndefined()
      expect(await activeOf(subject(), editor)).toBe(own)
      expect(await activeOf(subject(), viewer)).toBe(other)
      expect(await store().getWorkspaceRole({ userId: owner, workspaceId })).toBeNull()
      // Who they are can still be seen.
      expect(members).toHaveLength(3)
      expect(await access().listMembers({ workspaceId })).toEqual(members)
      expect(await subject().listWorkspaceIds()).not.toContain(workspaceId)
    })

    it('again changes nothing', async () => {
      const { workspaceId, owner } = await sharedWorkspace(subject())
      await remove(workspaceId, start + 1)
      const before = await everything(subject())
      await remove(workspaceId, start + 2)
      expect(await everything(subject())).toEqual(before)
      expect((await refusal(store().removeWorkspace({ userId: owner, workspaceId }))).status).toBe(404)
    })

    it.each([
      [start, start],
      [start + 0.9, start],
      [0, 0],
      [1e11, 1e11],
      [1e11 + 1, 1e8],
      [start * 1_000 + 999, start],
    ])('at %d is at second %d: what is above 1e11 are milliseconds', async (given, deletedAt) => {
      const workspaceId = await newWorkspace(subject(), await newUser(subject()))
      await remove(workspaceId, given)
      expect(await access().getWorkspace({ workspaceId })).toMatchObject({ deleted: true, deletedAt })
    })

    it('is 404 for an unknown workspace and 400 for a time that is none, and changes nothing', async () => {
      const workspaceId = await newWorkspace(subject(), await newUser(subject()))
      expect((await refusal(remove('none'))).status).toBe(404)
      for (const wrong of [undefined, null, '5', -1, Number.NaN, Infinity, 1e300, {}]) {
        const request = { workspaceId, deletedAt: wrong } as never
        expect((await refusal(access().softDeleteWorkspace(request))).status, String(wrong)).toBe(400)
      }
      expect(await access().getWorkspace({ workspaceId })).toMatchObject({ deleted: false })
    })
  })

  describe('restoreWorkspace', () => {
    it('brings it back with its members, for nobody as the active one', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      await store().setActiveWorkspace({ userId: owner, workspaceId })
      await remove(workspaceId)
      await access().restoreWorkspace({ workspaceId })
      expect(await rolesIn(workspaceId)).toEqual({ [owner]: 'owner', [editor]: 'editor', [viewer]: 'viewer' })
      expect(await activeOf(subject(), owner)).toBeUndefined()
      expect(await access().getWorkspace({ workspaceId })).not.toHaveProperty('deletedAt')
      expect(await subject().listWorkspaceIds()).toContain(workspaceId)
      await store().setActiveWorkspace({ userId: owner, workspaceId })
      const before = await everything(subject())
      await access().restoreWorkspace({ workspaceId })
      expect(await everything(subject())).toEqual(before)
    })

    it('is 404 for an unknown workspace', async () => {
      expect((await refusal(access().restoreWorkspace({ workspaceId: 'none' }))).status).toBe(404)
    })
  })

  describe('searchUsers', () => {
    const search = async (query: string, limit?: number | null) =>
      (await access().searchUsers({ query, limit })).map(({ userId }) => userId)

    it('finds literal text in addresses and names, and whole ids; the oldest first', async () => {
      const ann = await signIn('acc-ann', 'Ann@Example.org', 'Ann Ä')
      at(1)
      const bob = await signIn('acc-bob', 'bob@example.org', '100% Bob_')
      at(2)
      const eve = await signIn('ann')
      expect(await search('EXAMPLE')).toEqual([ann, bob])
      expect(await search('ann')).toEqual([ann, eve])
      expect(await search('Ä')).toEqual([ann])
      expect(await search('%')).toEqual([bob])
      expect(await search('b_')).toEqual([bob])
      expect(await search('_o')).toEqual([])
      expect(await search(bob)).toEqual([bob])
      expect(await search(bob.slice(1))).toEqual([])
      expect(await search('acc-bob')).toEqual([bob])
      expect(await search('acc-')).toEqual([])
      expect(await search('')).toEqual([ann, bob, eve])
      expect(await access().searchUsers({ query: 'acc-ann' })).toEqual([
        { userId: ann, email: 'Ann@Example.org', displayName: 'Ann Ä' },
      ])
      expect(await access().searchUsers({ query: eve })).toEqual([{ userId: eve }])
    })

    it('gives 20 at most unless it is told otherwise, and brings a limit within 1 and 100', async () => {
      for (let n = 0; n < 22; n++) await signIn(`u${n}`, `u${n}@b.c`)
      expect(await search('@b.c')).toHaveLength(20)
      expect(await search('@b.c', null)).toHaveLength(20)
      expect(await search('@b.c', 21)).toHaveLength(21)
      expect(await search('@b.c', 0)).toHaveLength(1)
      for (const limit of [100, 101, Infinity]) expect(await search('@b.c', limit)).toHaveLength(22)
      expect(await search('u1@b.c', 5)).toHaveLength(1)
    })

    it('is 400 for what is no text or no number', async () => {
      for (const query of [undefined, null, 5, {}, 'a\0', '\ud800', 'x'.repeat(321)]) {
        expect((await refusal(search(query as never))).status).toBe(400)
      }
      for (const limit of ['5', Number.NaN, {}]) {
        expect((await refusal(search('a', limit as never))).status).toBe(400)
      }
    })
  })

  describe('upsertMember', () => {
    const workspace = async () => {
      const owner = await signIn('owner', 'owner@b.c')
      return { owner, workspaceId: await newWorkspace(subject(), owner) }
    }
    const upsert = (
      workspaceId: string,
      emailOrProviderId: string,
      role: Role = 'editor',
      provider?: string | null,
    ) => access().upsertMember({ workspaceId, emailOrProviderId, role, provider })

    it('finds a user by address, whatever its case and the blanks around it', async () => {
      const { workspaceId, owner } = await workspace()
      const ann = await signIn('ann', ' Ann@Example.org ')
      expect(await upsert(workspaceId, 'ann@EXAMPLE.org\n')).toEqual({ userId: ann })
      expect(await rolesIn(workspaceId)).toEqual({ [owner]: 'owner', [ann]: 'editor' })
      const zoe = await signIn('zoe', 'Zoë@Ä.org')
      expect(await upsert(workspaceId, 'zoë@Ä.ORG')).toEqual({ userId: zoe })
    })

    it('is 404 for an address that nobody has, and says to invite; a provider does not help', async () => {
      const { workspaceId } = await workspace()
      await signIn('a@b.c')
      const before = await everything(subject())
      for (const provider of [undefined, 'p']) {
        expect(await refusal(upsert(workspaceId, 'a@b.c', 'editor', provider))).toEqual({
          status: 404,
          message: 'No user has this e-mail address: invite the person instead.',
        })
      }
      expect(await everything(subject())).toEqual(before)
    })

    it('is 409 for an address of two users', async () => {
      const { workspaceId } = await workspace()
      for (const id of ['a', 'b']) await signIn(id, id === 'a' ? 'Two@b.c' : ' two@b.c')
      const before = await everything(subject())
      expect((await refusal(upsert(workspaceId, 'two@b.c'))).status).toBe(409)
      expect(await everything(subject())).toEqual(before)
    })

    it('finds a user by provider id, of any provider or of the one that is given', async () => {
      const { workspaceId } = await workspace()
      const ann = await signIn('ann')
      expect(await upsert(workspaceId, 'ann')).toEqual({ userId: ann })
      expect(await upsert(workspaceId, 'ann', 'editor', 'p')).toEqual({ userId: ann })
      expect(await upsert(workspaceId, 'ann', 'editor', null)).toEqual({ userId: ann })
    })

    it('is 409 for a provider id of two users, unless the provider tells which', async () => {
      const { workspaceId } = await workspace()
      const ann = await signIn('same')
      const { userId: other } = await store().getOrCreateUser({ provider: 'q', providerUserId: 'same' })
      const before = await everything(subject())
      expect((await refusal(upsert(workspaceId, 'same'))).status).toBe(409)
      expect(await everything(subject())).toEqual(before)
      expect(await upsert(workspaceId, 'same', 'viewer', 'q')).toEqual({ userId: other })
      expect(await upsert(workspaceId, 'same', 'viewer', 'p')).toEqual({ userId: ann })
    })

    it('finds a user by id last', async () => {
      const { workspaceId } = await workspace()
      const ann = await signIn('ann')
      expect(await upsert(workspaceId, ann)).toEqual({ userId: ann })
      // Of a provider or not: who is known is not made anew.
      expect(await upsert(workspaceId, ann, 'viewer', 'p')).toEqual({ userId: ann })
      expect((await everything(subject())).users).toHaveLength(2)
      const bob = await signIn(ann)
      expect(await upsert(workspaceId, ann, 'owner')).toEqual({ userId: bob })
      // Two go by it, so a third who has it as the id is not taken instead.
      await store().getOrCreateUser({ provider: 'q', providerUserId: ann })
      const before = await everything(subject())
      expect((await refusal(upsert(workspaceId, ann, 'owner'))).status).toBe(409)
      expect(await everything(subject())).toEqual(before)
    })

    it('makes a user of an unknown provider id, who is found at the first sign-in', async () => {
      const { workspaceId } = await workspace()
      at(4)
      const { userId } = await upsert(workspaceId, 'new', 'viewer', 'p')
      expect(await store().getUser({ provider: 'p', providerUserId: 'new' })).toEqual({ userId })
      expect(await signIn('new', 'new@b.c')).toBe(userId)
      expect(await store().getOrCreateDefaultWorkspace(userId)).toMatchObject({ workspaceId })
      expect((await everything(subject())).users).toHaveLength(2)
      expect(await upsert(workspaceId, 'new', 'viewer', 'p')).toEqual({ userId })
      // That id with another provider is somebody else.
      expect(await upsert(workspaceId, 'new', 'viewer', 'q')).not.toEqual({ userId })
    })

    it('is 404 for an id that nobody has, without a provider', async () => {
      const { workspaceId } = await workspace()
      const before = await everything(subject())
      expect(await refusal(upsert(workspaceId, 'new'))).toEqual({
        status: 404,
        message: 'This user does not exist.',
      })
      expect(await everything(subject())).toEqual(before)
    })

    it('sets the role of a member, up and down, and not since when', async () => {
      const { workspaceId } = await workspace()
      const ann = await signIn('ann', 'ann@b.c')
      await upsert(workspaceId, 'ann', 'owner')
      const before = await subject().memberships.listMembers(workspaceId)
      at(9)
      for (const role of ['viewer', 'editor', 'owner', 'viewer'] as const) {
        await upsert(workspaceId, role === 'editor' ? 'ann@b.c' : 'ann', role)
        expect(await store().getWorkspaceRole({ userId: ann, workspaceId })).toBe(role)
      }
      const since = (list: typeof before) => list.map(({ userId, memberSince }) => [userId, memberSince])
      expect(since(await subject().memberships.listMembers(workspaceId))).toEqual(since(before))
    })

    it('leaves the active workspace alone', async () => {
      const { workspaceId } = await workspace()
      const ann = await signIn('ann')
      const { workspaceId: home } = await store().getOrCreateDefaultWorkspace(ann)
      await upsert(workspaceId, 'ann')
      expect(await activeOf(subject(), ann)).toBe(home)
    })

    it('is 409 for another role of the only owner, however that one is named', async () => {
      const { workspaceId, owner } = await workspace()
      await upsert(workspaceId, (await signIn('ann')) && 'ann', 'editor')
      const before = await everything(subject())
      for (const name of ['owner@b.c', 'owner', owner]) {
        expect((await refusal(upsert(workspaceId, name, 'editor'))).status).toBe(409)
        expect(await upsert(workspaceId, name, 'owner')).toEqual({ userId: owner })
      }
      expect(await everything(subject())).toEqual(before)
      await upsert(workspaceId, 'ann', 'owner')
      await upsert(workspaceId, 'owner@b.c', 'viewer')
      expect((await refusal(upsert(workspaceId, 'ann', 'editor'))).status).toBe(409)
    })

    it('is 404 for an unknown or removed workspace, and makes nobody', async () => {
      const { workspaceId } = await workspace()
      await remove(workspaceId)
      const before = await everything(subject())
      for (const id of [workspaceId, 'none']) {
        for (const name of ['owner@b.c', 'owner', 'new', 'new@b.c']) {
          expect((await refusal(upsert(id, name, 'viewer', 'p'))).status).toBe(404)
        }
      }
      expect(await everything(subject())).toEqual(before)
    })

    it('of one new person by many at once makes one user', async () => {
      const { workspaceId } = await workspace()
      const told = await Promise.all(
        Array.from({ length: 6 }, () => upsert(workspaceId, 'new', 'viewer', 'p')),
      )
      expect(new Set(told.map(({ userId }) => userId)).size).toBe(1)
      expect((await everything(subject())).users).toHaveLength(2)
    })

    it('of two owners who demote each other at once leaves one', async () => {
      const { workspaceId, owner } = await workspace()
      const ann = await signIn('ann')
      await upsert(workspaceId, 'ann', 'owner')
      const told = await Promise.allSettled([
        upsert(workspaceId, 'ann', 'viewer'),
        upsert(workspaceId, owner, 'viewer'),
        access().removeMember({ workspaceId, userId: ann }),
      ])
      expect(told.some(({ status }) => status === 'rejected')).toBe(true)
      expect(Object.values(await rolesIn(workspaceId))).toContain('owner')
    })

    it.each<readonly [string, ReadonlyArray<unknown>]>([
      ['workspaceId', wrongIds],
      ['emailOrProviderId', [...wrongIds, 'a@\0', '\ud800@', `${'x'.repeat(320)}@`]],
      ['role', [undefined, null, '', 'admin', 'Owner', 5]],
      ['provider', ['', 5, {}, 'a\0', 'x'.repeat(257)]],
    ])('is 400 for a wrong %s, and changes nothing', async (field, values) => {
      const { workspaceId } = await workspace()
      const before = await everything(subject())
      for (const value of values) {
        const request = {
          workspaceId,
          emailOrProviderId: 'new',
          role: 'viewer',
          provider: 'p',
          [field]: value,
        }
        expect((await refusal(access().upsertMember(request as never))).status, String(value)).toBe(400)
      }
      expect(await everything(subject())).toEqual(before)
    })
  })

  describe('members', () => {
    it('are listed with address and role, and nothing else', async () => {
      const owner = await signIn('o', 'o@b.c', 'O')
      const workspaceId = await newWorkspace(subject(), owner)
      at(1)
      const other = await newUser(subject())
      await subject().memberships.addMember({ workspaceId, userId: other, role: 'viewer' })
      expect(await access().listMembers({ workspaceId })).toEqual([
        { userId: owner, email: 'o@b.c', role: 'owner' },
        { userId: other, role: 'viewer' },
      ])
    })

    it('get other roles and go, but not the only owner: 409; 404 for others', async () => {
      const { workspaceId, owner, editor, viewer, stranger } = await sharedWorkspace(subject())
      const set = (userId: string, role: Role, id = workspaceId) =>
        access().setMemberRole({ workspaceId: id, userId, role })
      const out = (userId: string, id = workspaceId) => access().removeMember({ workspaceId: id, userId })
      await set(viewer, 'editor')
      await out(editor)
      expect(await rolesIn(workspaceId)).toEqual({ [owner]: 'owner', [viewer]: 'editor' })
      const before = await everything(subject())
      for (const call of [() => set(owner, 'viewer'), () => out(owner)])
        expect((await refusal(call())).status).toBe(409)
      for (const call of [
        () => set(stranger, 'viewer'),
        () => out(stranger),
        () => out('nobody'),
        () => set('nobody', 'owner'),
        () => set(owner, 'viewer', 'none'),
        () => out(owner, 'none'),
      ]) {
        expect((await refusal(call())).status).toBe(404)
      }
      expect(await everything(subject())).toEqual(before)
    })
  })

  describe('ids of another workspace', () => {
    it('change nothing of this one, in any call', async () => {
      const mine = await sharedWorkspace(subject())
      const theirs = await sharedWorkspace(subject())
      const before = await rolesIn(mine.workspaceId)
      const { workspaceId } = theirs
      expect(
        (await refusal(access().setMemberRole({ workspaceId, userId: mine.owner, role: 'viewer' }))).status,
      ).toBe(404)
      expect((await refusal(access().removeMember({ workspaceId, userId: mine.viewer }))).status).toBe(404)
      await access().upsertMember({ workspaceId, emailOrProviderId: mine.owner, role: 'viewer' })
      await access().removeMember({ workspaceId, userId: mine.owner })
      await remove(workspaceId)
      expect(await rolesIn(mine.workspaceId)).toEqual(before)
      expect(await access().getWorkspace({ workspaceId: mine.workspaceId })).toMatchObject({ deleted: false })
      await access().restoreWorkspace({ workspaceId })
      expect(await rolesIn(mine.workspaceId)).toEqual(before)
    })
  })

  describe('what is no request is 400 for every call, and changes nothing', () => {
    it.each(junkRequests)('%s', async (_what, request) => {
      await sharedWorkspace(subject())
      const before = await everything(subject())
      for (const [name, call] of Object.entries(access())) {
        const told = await refusal((call as (request: unknown) => Promise<unknown>)(request))
        expect(told.status, name).toBe(400)
      }
      expect(await everything(subject())).toEqual(before)
    })
  })
})
