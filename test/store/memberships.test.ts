/**
 * Issue 5, point 3: memberships for other tools. A live workspace always has at least one owner.
 */
import { Context, Effect, Layer } from 'effect'
import { describe, expect, it } from 'vitest'
import { layerMemory, layerWithConfig, ProviderConfigLayer } from '../../src/layers/index.js'
import { Memberships, type Role, WorkspaceStore } from '../../src/services/index.js'
import { activeOf, newUser, newWorkspace, sharedWorkspace, tagOf } from '../support/people.js'
import { suite } from '../support/suite.js'

suite('memberships', (subject) => {
  const members = () => subject().memberships
  const store = () => subject().store
  const rolesIn = async (workspaceId: string) =>
    Object.fromEntries((await members().listMembers(workspaceId)).map(({ userId, role }) => [userId, role]))

  describe('addMember', () => {
    it.each<Role>(['owner', 'editor', 'viewer'])('adds a user as %s, who sees it at once', async (role) => {
      const [owner, userId] = [await newUser(subject()), await newUser(subject())]
      const workspaceId = await newWorkspace(subject(), owner)
      await members().addMember({ workspaceId, userId, role })
      expect(await store().getWorkspaceRole({ userId, workspaceId })).toBe(role)
      expect(await store().listUserWorkspaces(userId)).toMatchObject([
        { id: workspaceId, role, isActive: false },
      ])
      expect(await rolesIn(workspaceId)).toEqual({ [owner]: 'owner', [userId]: role })
    })

    it('leaves the user’s active workspace alone', async () => {
      const { workspaceId, stranger } = await sharedWorkspace(subject())
      const { workspaceId: own } = await store().getOrCreateDefaultWorkspace(stranger)
      await members().addMember({ workspaceId, userId: stranger, role: 'editor' })
      expect(await activeOf(subject(), stranger)).toBe(own)
    })

    it('changes nothing when the member has that role already, however often, also at once', async () => {
      const { workspaceId, editor } = await sharedWorkspace(subject())
      const before = await members().listMembers(workspaceId)
      await Promise.all(
        Array.from({ length: 5 }, () => members().addMember({ workspaceId, userId: editor, role: 'editor' })),
      )
      expect(await members().listMembers(workspaceId)).toEqual(before)
    })

    it('fails with AlreadyMember for another role, which names the role and changes nothing', async () => {
      const { workspaceId, owner, editor } = await sharedWorkspace(subject())
      const before = await members().listMembers(workspaceId)
      await expect(members().addMember({ workspaceId, userId: owner, role: 'viewer' })).rejects.toMatchObject(
        {
          _tag: 'AlreadyMember',
          role: 'owner',
          message: 'This user is a member of the workspace already, as owner.',
        },
      )
      expect(await tagOf(members().addMember({ workspaceId, userId: editor, role: 'owner' }))).toBe(
        'AlreadyMember',
      )
      expect(await members().listMembers(workspaceId)).toEqual(before)
    })

    it('takes a removed member back, in any role', async () => {
      const { workspaceId, viewer } = await sharedWorkspace(subject())
      await members().removeMember({ workspaceId, userId: viewer })
      await members().addMember({ workspaceId, userId: viewer, role: 'editor' })
      expect(await store().getWorkspaceRole({ userId: viewer, workspaceId })).toBe('editor')
    })

    it('fails for unknown users, and for unknown or removed workspaces', async () => {
      const { workspaceId, owner, stranger } = await sharedWorkspace(subject())
      const add = (workspaceId: string, userId: string) =>
        tagOf(members().addMember({ workspaceId, userId, role: 'viewer' }))
      expect(await add(workspaceId, 'nobody')).toBe('UserNotFound')
      expect(await add('none', stranger)).toBe('WorkspaceNotFound')
      await store().removeWorkspace({ userId: owner, workspaceId })
      expect(await add(workspaceId, stranger)).toBe('WorkspaceNotFound')
      expect(await store().listUserWorkspaces(stranger)).toEqual([])
    })
  })

  describe('setRole', () => {
    it('changes what a member may do', async () => {
      const { workspaceId, viewer } = await sharedWorkspace(subject())
      for (const role of ['editor', 'owner', 'viewer'] as const) {
        await members().setRole({ workspaceId, userId: viewer, role })
        expect(await store().getWorkspaceRole({ userId: viewer, workspaceId })).toBe(role)
      }
    })

    it('changes one member only, and not since when', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      const before = await members().listMembers(workspaceId)
      await members().setRole({ workspaceId, userId: viewer, role: 'editor' })
      expect(await rolesIn(workspaceId)).toEqual({ [owner]: 'owner', [editor]: 'editor', [viewer]: 'editor' })
      const since = (list: typeof before) => list.map(({ userId, memberSince }) => [userId, memberSince])
      expect(since(await members().listMembers(workspaceId))).toEqual(since(before))
    })

    it('fails for whoever is no member, and for unknown or removed workspaces', async () => {
      const { workspaceId, owner, stranger } = await sharedWorkspace(subject())
      const set = (workspaceId: string, userId: string) =>
        tagOf(members().setRole({ workspaceId, userId, role: 'viewer' }))
      expect(await set(workspaceId, stranger)).toBe('MemberNotFound')
      expect(await set(workspaceId, 'nobody')).toBe('MemberNotFound')
      expect(await set('none', owner)).toBe('WorkspaceNotFound')
      await store().removeWorkspace({ userId: owner, workspaceId })
      expect(await set(workspaceId, owner)).toBe('WorkspaceNotFound')
    })
  })

  describe('removeMember', () => {
    it('ends the membership', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      await members().removeMember({ workspaceId, userId: editor })
      expect(await store().getWorkspaceRole({ userId: editor, workspaceId })).toBeNull()
      expect(await store().listUserWorkspaces(editor)).toEqual([])
      expect(await rolesIn(workspaceId)).toEqual({ [owner]: 'owner', [viewer]: 'viewer' })
      expect(await tagOf(members().removeMember({ workspaceId, userId: editor }))).toBe('MemberNotFound')
    })

    it('re-homes the user when the workspace was active, and only that user', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      const own = await newWorkspace(subject(), editor, 'Own')
      for (const userId of [owner, editor, viewer]) await store().setActiveWorkspace({ userId, workspaceId })
      await members().removeMember({ workspaceId, userId: editor })
      expect(await activeOf(subject(), editor)).toBe(own)
      expect(await activeOf(subject(), owner)).toBe(workspaceId)
      await members().removeMember({ workspaceId, userId: viewer })
      expect(await activeOf(subject(), viewer)).toBeUndefined()
    })

    it('leaves the active workspace alone when it is another', async () => {
      const { workspaceId, editor } = await sharedWorkspace(subject())
      const [one, two] = [await newWorkspace(subject(), editor), await newWorkspace(subject(), editor)]
      for (const active of [one, two]) {
        await store().setActiveWorkspace({ userId: editor, workspaceId: active })
        if (active === two) await members().removeMember({ workspaceId, userId: editor })
        expect(await activeOf(subject(), editor)).toBe(active)
      }
    })

    it('fails for whoever is no member, and for unknown or removed workspaces', async () => {
      const { workspaceId, owner, editor, stranger } = await sharedWorkspace(subject())
      const removeFrom = (workspaceId: string, userId: string) =>
        tagOf(members().removeMember({ workspaceId, userId }))
      expect(await removeFrom(workspaceId, stranger)).toBe('MemberNotFound')
      expect(await removeFrom(workspaceId, 'nobody')).toBe('MemberNotFound')
      expect(await removeFrom('none', owner)).toBe('WorkspaceNotFound')
      await store().removeWorkspace({ userId: owner, workspaceId })
      expect(await removeFrom(workspaceId, editor)).toBe('WorkspaceNotFound')
    })
  })

  describe('a live workspace always has an owner', () => {
    it('the only owner can neither be demoted nor removed', async () => {
      const { workspaceId, owner } = await sharedWorkspace(subject())
      for (const role of ['editor', 'viewer'] as const) {
        expect(await tagOf(members().setRole({ workspaceId, userId: owner, role }))).toBe('LastOwner')
      }
      expect(await tagOf(members().removeMember({ workspaceId, userId: owner }))).toBe('LastOwner')
      expect(await store().getWorkspaceRole({ userId: owner, workspaceId })).toBe('owner')
    })

    it('the only owner may be told to stay owner', async () => {
      const { workspaceId, owner } = await sharedWorkspace(subject())
      await members().setRole({ workspaceId, userId: owner, role: 'owner' })
      await members().addMember({ workspaceId, userId: owner, role: 'owner' })
    })

    it('with a second owner the first may go', async () => {
      const { workspaceId, owner, editor } = await sharedWorkspace(subject())
      await members().setRole({ workspaceId, userId: editor, role: 'owner' })
      await members().setRole({ workspaceId, userId: owner, role: 'viewer' })
      expect(await tagOf(members().removeMember({ workspaceId, userId: editor }))).toBe('LastOwner')
      await members().removeMember({ workspaceId, userId: owner })
      await store().removeWorkspace({ userId: editor, workspaceId })
    })

    it('owners of other workspaces do not count', async () => {
      const { workspaceId, owner, editor } = await sharedWorkspace(subject())
      await newWorkspace(subject(), editor)
      expect(await tagOf(members().removeMember({ workspaceId, userId: owner }))).toBe('LastOwner')
    })

    it('of owners who all leave at the same time, one stays', async () => {
      const owners = await Promise.all(Array.from({ length: 6 }, () => newUser(subject())))
      const workspaceId = await newWorkspace(subject(), owners[0]!)
      for (const userId of owners) await members().addMember({ workspaceId, userId, role: 'owner' })
      const results = await Promise.all(
        owners.map((userId, index) =>
          tagOf(
            index % 2 === 0
              ? members().removeMember({ workspaceId, userId })
              : members().setRole({ workspaceId, userId, role: 'viewer' }),
          ),
        ),
      )
      expect(results.filter((tag) => tag === 'LastOwner')).toHaveLength(1)
      expect(results.filter((tag) => tag === 'ok')).toHaveLength(5)
      const left = Object.values(await rolesIn(workspaceId))
      expect(left.filter((role) => role === 'owner')).toHaveLength(1)
    })
  })

  describe('listMembers', () => {
    it('gives role, profile and since when', async () => {
      const now = Math.floor(Date.now() / 1_000)
      const { userId } = await store().getOrCreateUser({
        provider: 'p',
        providerUserId: 'u',
        email: 'a@b.c',
        displayName: 'A',
      })
      const workspaceId = await newWorkspace(subject(), userId)
      const list = await members().listMembers(workspaceId)
      expect(list).toEqual([
        { userId, role: 'owner', memberSince: expect.any(Number), email: 'a@b.c', displayName: 'A' },
      ])
      expect(list[0]!.memberSince).toBeGreaterThanOrEqual(now)
      expect(list[0]!.memberSince).toBeLessThanOrEqual(now + 60)
    })

    it('has a fixed order', async () => {
      const { workspaceId } = await sharedWorkspace(subject())
      const list = await members().listMembers(workspaceId)
      const sorted = [...list].sort((a, b) => a.memberSince - b.memberSince || (a.userId < b.userId ? -1 : 1))
      expect(list).toEqual(sorted)
    })

    it('fails for unknown and removed workspaces', async () => {
      const { workspaceId, owner } = await sharedWorkspace(subject())
      expect(await tagOf(members().listMembers('none'))).toBe('WorkspaceNotFound')
      await store().removeWorkspace({ userId: owner, workspaceId })
      expect(await tagOf(members().listMembers(workspaceId))).toBe('WorkspaceNotFound')
    })
  })

  describe('wrong input is InvalidWorkspaceInput', () => {
    it.each<readonly [string, Record<string, unknown>]>([
      ['no role', { role: undefined }],
      ['an unknown role', { role: 'admin' }],
      ['a role of another case', { role: 'Owner' }],
      ['no user', { userId: undefined }],
      ['an empty user id', { userId: '' }],
      ['a workspace id with a NUL', { workspaceId: 'a\0' }],
      ['a long workspace id', { workspaceId: 'x'.repeat(257) }],
    ])('%s', async (_what, wrong) => {
      const { workspaceId, editor } = await sharedWorkspace(subject())
      const before = await members().listMembers(workspaceId)
      const request = { workspaceId, userId: editor, role: 'owner', ...wrong } as never
      expect(await tagOf(members().addMember(request))).toBe('InvalidWorkspaceInput')
      expect(await tagOf(members().setRole(request))).toBe('InvalidWorkspaceInput')
      if (!('role' in wrong))
        expect(await tagOf(members().removeMember(request))).toBe('InvalidWorkspaceInput')
      expect(await members().listMembers(workspaceId)).toEqual(before)
    })

    it('nothing at all', async () => {
      for (const call of [
        members().addMember,
        members().setRole,
        members().removeMember,
        members().listMembers,
      ]) {
        expect(await tagOf(call(undefined as never))).toBe('InvalidWorkspaceInput')
      }
    })
  })
})

describe('the composed layers', () => {
  const onFile = Layer.provide(layerWithConfig, ProviderConfigLayer.layerOf({ dbPath: ':memory:' }))

  it.each([
    ['layerMemory', layerMemory],
    ['layerWithConfig', onFile],
  ])('%s: the store and the memberships share one state', (_name, layer) => {
    const program = Effect.gen(function* () {
      const store = yield* WorkspaceStore
      const members = yield* Memberships
      const { userId } = yield* store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
      const { userId: other } = yield* store.getOrCreateUser({ provider: 'p', providerUserId: 'v' })
      const { workspaceId } = yield* store.getOrCreateDefaultWorkspace(userId)
      yield* members.addMember({ workspaceId, userId: other, role: 'viewer' })
      const error = yield* Effect.flip(members.removeMember({ workspaceId, userId }))
      return { role: yield* store.getWorkspaceRole({ userId: other, workspaceId }), error: error._tag }
    })
    const result = Effect.runSync(
      program.pipe(
        Effect.provide(layer as Layer.Layer<WorkspaceStore | Memberships, unknown>),
        Effect.provide(Context.empty()),
      ),
    )
    expect(result).toEqual({ role: 'viewer', error: 'LastOwner' })
  })
})
