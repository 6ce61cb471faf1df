/**
 * Issue 5: workspaces. Semantics, "Who may do what"; host contract, section 3.
 */
import { describe, expect, it } from 'vitest'
import { activeOf, newUser, newWorkspace, refusal, sharedWorkspace } from '../support/people.js'
import type { Subject } from '../support/subjectType.js'
import { suite } from '../support/suite.js'

const notFound = { status: 404, message: 'This workspace does not exist.' }

suite('the workspace store', (subject) => {
  const store = (): Subject['store'] => subject().store
  const defaultOf = (userId: string) => store().getOrCreateDefaultWorkspace(userId)
  const roleOf = (userId: string, workspaceId: string) => store().getWorkspaceRole({ userId, workspaceId })
  const idsOf = async (userId: string) => (await store().listUserWorkspaces(userId)).map(({ id }) => id)

  describe('getOrCreateDefaultWorkspace', () => {
    it('makes the first workspace at the first sign-in: owned, active, listed', async () => {
      const userId = await newUser(subject())
      expect(await idsOf(userId)).toEqual([])
      const before = Math.floor(Date.now() / 1_000)
      const { workspaceId, workspaceName } = await defaultOf(userId)
      expect(workspaceName).toBe('My Workspace')
      expect(await store().listUserWorkspaces(userId)).toEqual([
        {
          id: workspaceId,
          name: 'My Workspace',
          role: 'owner',
          createdAt: expect.any(Number),
          isActive: true,
        },
      ])
      const createdAt = (await store().listUserWorkspaces(userId))[0]!.createdAt
      expect(createdAt).toBeGreaterThanOrEqual(before)
      expect(createdAt).toBeLessThanOrEqual(Math.floor(Date.now() / 1_000))
    })

    it('gives the same one ever after', async () => {
      const userId = await newUser(subject())
      const { created, ...first } = await defaultOf(userId)
      expect(created).toBe(true)
      expect(await defaultOf(userId)).toEqual(first)
      expect(await idsOf(userId)).toEqual([first.workspaceId])
    })

    it('makes one, however many first sign-ins run at once', async () => {
      const userId = await newUser(subject())
      const made = await Promise.all(Array.from({ length: 25 }, () => defaultOf(userId)))
      expect(new Set(made.map(({ workspaceId }) => workspaceId)).size).toBe(1)
      expect(made.filter((answer) => 'created' in answer).map(({ created }) => created)).toEqual([true])
      expect(await idsOf(userId)).toHaveLength(1)
    })

    it('is the active one, by its current name', async () => {
      const userId = await newUser(subject())
      await defaultOf(userId)
      const workspaceId = await newWorkspace(subject(), userId, 'Second')
      await store().setActiveWorkspace({ userId, workspaceId })
      expect(await defaultOf(userId)).toEqual({ workspaceId, workspaceName: 'Second' })
      await store().updateWorkspace({ userId, workspaceId, name: 'Renamed' })
      expect(await defaultOf(userId)).toEqual({ workspaceId, workspaceName: 'Renamed' })
    })

    it('is another live membership when none is active, in any role, and no new one is made', async () => {
      const { workspaceId, viewer } = await sharedWorkspace(subject())
      expect(await activeOf(subject(), viewer)).toBeUndefined()
      expect(await defaultOf(viewer)).not.toHaveProperty('created')
      expect((await defaultOf(viewer)).workspaceId).toBe(workspaceId)
      expect(await activeOf(subject(), viewer)).toBe(workspaceId)
      expect(await idsOf(viewer)).toEqual([workspaceId])
    })

    it('is a new one when every other is gone', async () => {
      const userId = await newUser(subject())
      const first = await defaultOf(userId)
      await store().removeWorkspace({ userId, workspaceId: first.workspaceId })
      const second = await defaultOf(userId)
      expect(second.workspaceId).not.toBe(first.workspaceId)
      expect(second.created).toBe(true)
      expect(await idsOf(userId)).toEqual([second.workspaceId])
    })

    it('is never a workspace the user is no longer a member of', async () => {
      const { workspaceId, editor } = await sharedWorkspace(subject())
      await store().setActiveWorkspace({ userId: editor, workspaceId })
      await subject().memberships.removeMember({ workspaceId, userId: editor })
      expect((await defaultOf(editor)).workspaceId).not.toBe(workspaceId)
    })

    it('refuses an unknown user with 404 and an invalid id with 400', async () => {
      expect(await refusal(defaultOf('nobody'))).toEqual({
        status: 404,
        message: 'This user does not exist.',
      })
      for (const id of ['', 'x'.repeat(257), 'a\0', undefined, null, 7]) {
        expect((await refusal(defaultOf(id as string))).status).toBe(400)
      }
    })
  })

  describe('getUser', () => {
    const identity = { provider: 'p', providerUserId: 'ann' }

    it('tells who is behind a known identity, and what is known of them', async () => {
      const { userId } = await store().getOrCreateUser({ ...identity, email: 'a@b.c', displayName: 'Ann' })
      expect(await store().getUser(identity)).toEqual({ userId, email: 'a@b.c', displayName: 'Ann' })
      await store().getOrCreateUser({ ...identity, email: '', displayName: null })
      expect(await store().getUser(identity)).toEqual({ userId })
    })

    it('makes nobody: an unknown identity stays unknown, whoever asks how often', async () => {
      for (let time = 0; time < 3; time++) expect(await store().getUser(identity)).toBeNull()
      const { userId } = await store().getOrCreateUser(identity)
      for (const other of [
        { provider: 'p', providerUserId: 'Ann' },
        { provider: 'q', providerUserId: 'ann' },
        { provider: 'pann', providerUserId: 'p' },
      ]) {
        expect(await store().getUser(other)).toBeNull()
      }
      expect(await store().getUser(identity)).toEqual({ userId })
    })

    it('takes no profile from the question', async () => {
      await store().getOrCreateUser({ ...identity, email: 'a@b.c' })
      const asked = { ...identity, email: 'new@b.c', displayName: 'New' }
      expect(await store().getUser(asked)).toMatchObject({ email: 'a@b.c' })
      expect(await store().getUser(identity)).not.toHaveProperty('displayName')
    })

    it('refuses an invalid identity with 400', async () => {
      for (const id of ['', 'x'.repeat(257), 'a\0', undefined, null, 7]) {
        const [provider, providerUserId] = [id as string, id as string]
        expect((await refusal(store().getUser({ ...identity, provider }))).status).toBe(400)
        expect((await refusal(store().getUser({ ...identity, providerUserId }))).status).toBe(400)
      }
    })
  })

  describe('listWorkspaceIds', () => {
    it('lists every live workspace of everybody, oldest first', async () => {
      expect(await subject().listWorkspaceIds()).toEqual([])
      const [ann, bob] = [await newUser(subject()), await newUser(subject())]
      const made = [
        (await defaultOf(ann)).workspaceId,
        await newWorkspace(subject(), bob, 'B'),
        await newWorkspace(subject(), ann, 'C'),
      ]
      expect([...(await subject().listWorkspaceIds())].sort()).toEqual([...made].sort())
      await store().removeWorkspace({ userId: bob, workspaceId: made[1]! })
      expect([...(await subject().listWorkspaceIds())].sort()).toEqual([made[0]!, made[2]!].sort())
    })
  })

  describe('getWorkspaceRole', () => {
    it('tells each member’s role', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      expect(await Promise.all([owner, editor, viewer].map((userId) => roleOf(userId, workspaceId)))).toEqual(
        ['owner', 'editor', 'viewer'],
      )
    })

    it('is null for strangers, unknown users and unknown workspaces', async () => {
      const { workspaceId, owner, stranger } = await sharedWorkspace(subject())
      expect(await roleOf(stranger, workspaceId)).toBeNull()
      expect(await roleOf('nobody', workspaceId)).toBeNull()
      expect(await roleOf(owner, 'nothing')).toBeNull()
      expect(await roleOf(workspaceId, owner)).toBeNull()
    })

    it('is null for everybody once the workspace is removed', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      await store().removeWorkspace({ userId: owner, workspaceId })
      for (const userId of [owner, editor, viewer]) expect(await roleOf(userId, workspaceId)).toBeNull()
    })
  })

  describe('createWorkspace', () => {
    it('makes its user the owner, and leaves the active workspace alone', async () => {
      const userId = await newUser(subject())
      const first = await defaultOf(userId)
      const workspaceId = await newWorkspace(subject(), userId, 'Second')
      expect(workspaceId).not.toBe(first.workspaceId)
      expect(await roleOf(userId, workspaceId)).toBe('owner')
      expect(await activeOf(subject(), userId)).toBe(first.workspaceId)
    })

    it('makes a new one each time, also by the same name', async () => {
      const userId = await newUser(subject())
      const made = await Promise.all(Array.from({ length: 5 }, () => newWorkspace(subject(), userId, 'Same')))
      expect(new Set(made).size).toBe(5)
      expect((await idsOf(userId)).sort()).toEqual(made.sort())
    })

    it('refuses an unknown user with 404', async () => {
      expect((await refusal(store().createWorkspace({ userId: 'nobody', name: 'W' }))).status).toBe(404)
    })
  })

  describe('listUserWorkspaces', () => {
    it('lists live memberships only, with role and active mark', async () => {
      const { workspaceId, owner, editor, stranger } = await sharedWorkspace(subject())
      await defaultOf(editor)
      const gone = await newWorkspace(subject(), editor, 'Gone')
      await store().removeWorkspace({ userId: editor, workspaceId: gone })
      await newWorkspace(subject(), owner, 'Not theirs')
      const list = await store().listUserWorkspaces(editor)
      expect(list).toMatchObject([{ id: workspaceId, role: 'editor', isActive: true }])
      expect(await idsOf(stranger)).toEqual([])
      expect(await idsOf('nobody')).toEqual([])
    })

    it('leaves the description out when there is none', async () => {
      const userId = await newUser(subject())
      await newWorkspace(subject(), userId)
      const [workspace] = await store().listUserWorkspaces(userId)
      expect(workspace).not.toHaveProperty('description')
    })
  })

  describe('updateWorkspace', () => {
    it('is for owners and editors', async () => {
      const { workspaceId, owner, editor } = await sharedWorkspace(subject())
      for (const userId of [owner, editor]) {
        await store().updateWorkspace({ userId, workspaceId, name: `By ${userId}` })
        expect((await store().listUserWorkspaces(owner))[0]?.name).toBe(`By ${userId}`)
      }
    })

    it('is refused to viewers with 403, and changes nothing', async () => {
      const { workspaceId, viewer } = await sharedWorkspace(subject())
      const call = store().updateWorkspace({ userId: viewer, workspaceId, name: 'Mine', description: 'now' })
      expect(await refusal(call)).toEqual({
        status: 403,
        message: 'Only an owner or editor of this workspace may do this.',
      })
      expect(await store().listUserWorkspaces(viewer)).toMatchObject([{ name: 'Shared' }])
    })

    it('touches the one workspace only', async () => {
      const userId = await newUser(subject())
      const [one, two] = [
        await newWorkspace(subject(), userId, 'One'),
        await newWorkspace(subject(), userId, 'Two'),
      ]
      await store().updateWorkspace({ userId, workspaceId: one, name: 'Uno', description: 'd' })
      const list = await store().listUserWorkspaces(userId)
      expect(list.find(({ id }) => id === one)).toMatchObject({ name: 'Uno', description: 'd' })
      expect(list.find(({ id }) => id === two)).toMatchObject({ name: 'Two' })
      expect(list.find(({ id }) => id === two)).not.toHaveProperty('description')
    })
  })

  describe('removeWorkspace', () => {
    it('is for owners; editors and viewers are refused with 403', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      for (const userId of [editor, viewer]) {
        expect(await refusal(store().removeWorkspace({ userId, workspaceId }))).toEqual({
          status: 403,
          message: 'Only an owner of this workspace may do this.',
        })
      }
      expect(await roleOf(owner, workspaceId)).toBe('owner')
      await store().removeWorkspace({ userId: owner, workspaceId })
      expect(await idsOf(owner)).toEqual([])
    })

    it('re-homes every user whose active workspace it was, and nobody else', async () => {
      const { workspaceId, owner, editor, viewer, stranger } = await sharedWorkspace(subject())
      // The owner has another, the editor another that is active, the viewer none, the stranger nothing to do with it.
      const ownersOther = await newWorkspace(subject(), owner, 'Other')
      const editorsOwn = await newWorkspace(subject(), editor, 'Own')
      const strangers = (await defaultOf(stranger)).workspaceId
      await store().setActiveWorkspace({ userId: owner, workspaceId })
      await store().setActiveWorkspace({ userId: editor, workspaceId: editorsOwn })
      await store().setActiveWorkspace({ userId: viewer, workspaceId })
      await store().removeWorkspace({ userId: owner, workspaceId })
      expect(await activeOf(subject(), owner)).toBe(ownersOther)
      expect(await activeOf(subject(), editor)).toBe(editorsOwn)
      expect(await activeOf(subject(), viewer)).toBeUndefined()
      expect(await activeOf(subject(), stranger)).toBe(strangers)
      expect((await defaultOf(owner)).workspaceId).toBe(ownersOther)
      expect((await defaultOf(viewer)).workspaceName).toBe('My Workspace')
    })

    it('re-homes to a membership that is still live', async () => {
      const userId = await newUser(subject())
      const ids = []
      for (let i = 0; i < 4; i++) ids.push(await newWorkspace(subject(), userId, `W${i}`))
      await store().setActiveWorkspace({ userId, workspaceId: ids[0]! })
      await store().removeWorkspace({ userId, workspaceId: ids[1]! })
      await store().removeWorkspace({ userId, workspaceId: ids[2]! })
      await store().removeWorkspace({ userId, workspaceId: ids[0]! })
      expect(await activeOf(subject(), userId)).toBe(ids[3])
    })

    it('is done once: of several at the same time one succeeds, the others are told 404', async () => {
      const userId = await newUser(subject())
      const workspaceId = await newWorkspace(subject(), userId)
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, () => store().removeWorkspace({ userId, workspaceId })),
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(results.flatMap((each) => (each.status === 'rejected' ? [each.reason.status] : []))).toEqual(
        Array.from({ length: 7 }, () => 404),
      )
    })
  })

  describe('setActiveWorkspace', () => {
    it('is for members in any role', async () => {
      const { workspaceId, owner, editor, viewer } = await sharedWorkspace(subject())
      for (const userId of [owner, editor, viewer]) {
        await defaultOf(userId)
        await store().setActiveWorkspace({ userId, workspaceId })
        expect(await activeOf(subject(), userId)).toBe(workspaceId)
      }
    })

    it('is one user’s choice and not another’s', async () => {
      const { workspaceId, owner, editor } = await sharedWorkspace(subject())
      const own = await newWorkspace(subject(), editor, 'Own')
      await store().setActiveWorkspace({ userId: owner, workspaceId })
      await store().setActiveWorkspace({ userId: editor, workspaceId: own })
      expect(await activeOf(subject(), owner)).toBe(workspaceId)
      expect(await activeOf(subject(), editor)).toBe(own)
    })

    it('may be said twice', async () => {
      const userId = await newUser(subject())
      const { workspaceId } = await defaultOf(userId)
      await store().setActiveWorkspace({ userId, workspaceId })
      await store().setActiveWorkspace({ userId, workspaceId })
      expect(await activeOf(subject(), userId)).toBe(workspaceId)
    })
  })

  describe('whoever is no member is told 404', () => {
    const calls = (userId: string, workspaceId: string) => [
      store().updateWorkspace({ userId, workspaceId, name: 'W' }),
      store().removeWorkspace({ userId, workspaceId }),
      store().setActiveWorkspace({ userId, workspaceId }),
    ]

    it('and cannot tell a stranger’s workspace from a removed one or from none', async () => {
      const { workspaceId, owner, stranger } = await sharedWorkspace(subject())
      const removed = await newWorkspace(subject(), owner)
      await store().removeWorkspace({ userId: owner, workspaceId: removed })
      for (const id of [workspaceId, removed, 'none']) {
        for (const userId of [stranger, 'nobody']) {
          const answers = await Promise.all(calls(userId, id).map(refusal))
          expect(answers).toEqual([notFound, notFound, notFound])
        }
      }
      // Former members are strangers, too.
      expect(await Promise.all(calls(owner, removed).map(refusal))).toEqual([notFound, notFound, notFound])
      expect(await store().listUserWorkspaces(owner)).toMatchObject([{ id: workspaceId, name: 'Shared' }])
    })

    it('unless the input itself is wrong, which says nothing about workspaces', async () => {
      const { workspaceId, stranger } = await sharedWorkspace(subject())
      for (const id of [workspaceId, 'none']) {
        const answer = await refusal(store().updateWorkspace({ userId: stranger, workspaceId: id, name: '' }))
        expect(answer).toEqual({ status: 400, message: "A workspace's name has 1 to 100 characters." })
      }
    })

    it('and an id out of bounds is 400', async () => {
      const userId = await newUser(subject())
      for (const id of ['', 'x'.repeat(257), 'a\0', undefined]) {
        for (const answer of await Promise.all(calls(userId, id as string).map(refusal))) {
          expect(answer.status).toBe(400)
        }
        expect((await refusal(roleOf(userId, id as string))).status).toBe(400)
        expect((await refusal(store().listUserWorkspaces(id as string))).status).toBe(400)
      }
    })
  })

  describe('a user in one role here has another there', () => {
    it('roles do not leak between workspaces', async () => {
      const { workspaceId, owner, viewer } = await sharedWorkspace(subject())
      const own = await newWorkspace(subject(), viewer, 'Own')
      expect(await roleOf(viewer, own)).toBe('owner')
      expect(await roleOf(owner, own)).toBeNull()
      await store().updateWorkspace({ userId: viewer, workspaceId: own, name: 'Mine' })
      expect(
        (await refusal(store().updateWorkspace({ userId: viewer, workspaceId, name: 'Mine' }))).status,
      ).toBe(403)
      expect((await refusal(store().removeWorkspace({ userId: owner, workspaceId: own }))).status).toBe(404)
    })
  })
})
