/**
 * Who may do what in a workspace: each role against each operation, over every layer. A cell is the status of the refusal, or what a
 * call that was allowed has changed.
 */
import { expect, it } from 'vitest'
import { adminsOf, everything } from '../support/administration.js'
import { newUser, newWorkspace, refusal, sharedWorkspace } from '../support/people.js'
import type { Subject } from '../support/subjectType.js'
import { suiteOverBatches } from '../support/suite.js'

type Acting = 'owner' | 'editor' | 'viewer' | 'stranger' | 'admin' | 'nobody'

interface Scene {
  readonly userId: string
  readonly workspaceId: string
  readonly inviteId: string
}

const operations: Readonly<Record<string, (subject: Subject, scene: Scene) => Promise<unknown>>> = {
  updateWorkspace: ({ store }, { userId, workspaceId }) =>
    store.updateWorkspace({ userId, workspaceId, name: 'Renamed' }),
  removeWorkspace: ({ store }, { userId, workspaceId }) => store.removeWorkspace({ userId, workspaceId }),
  setActiveWorkspace: ({ store }, { userId, workspaceId }) =>
    store.setActiveWorkspace({ userId, workspaceId }),
  createInvite: ({ store }, { userId, workspaceId }) =>
    store.createInvite({
      workspaceId,
      email: 'eve@b.c',
      role: 'owner',
      invitedByUserId: userId,
      expiresAt: 2e10,
      tokenHash: 'h2',
    }),
  revokeInvite: ({ store }, { userId, workspaceId, inviteId }) =>
    store.revokeInvite({ workspaceId, inviteId, revokedByUserId: userId }),
}

const table: Readonly<Record<keyof typeof operations, Readonly<Record<Acting, 'ok' | 403 | 404>>>> = {
  updateWorkspace: { owner: 'ok', editor: 'ok', viewer: 403, stranger: 404, admin: 404, nobody: 404 },
  removeWorkspace: { owner: 'ok', editor: 403, viewer: 403, stranger: 404, admin: 404, nobody: 404 },
  setActiveWorkspace: { owner: 'ok', editor: 'ok', viewer: 'ok', stranger: 404, admin: 404, nobody: 404 },
  createInvite: { owner: 'ok', editor: 403, viewer: 403, stranger: 404, admin: 'ok', nobody: 404 },
  revokeInvite: { owner: 'ok', editor: 403, viewer: 403, stranger: 404, admin: 'ok', nobody: 404 },
}

const cells = Object.entries(table).flatMap(([operation, row]) =>
  Object.entries(row).map(([acting, told]) => [operation, acting as Acting, told] as const),
)

suiteOverBatches('permissions', (subject) => {
  const set = async (acting: Acting) => {
    const { workspaceId, ...people } = await sharedWorkspace(subject())
    const admin = await newUser(subject())
    await adminsOf(subject()).grantAdmin({ userId: admin })
    const userId = { ...people, admin, nobody: 'nobody' }[acting]
    // Being an owner elsewhere helps nobody here.
    for (const stranger of [people.stranger, admin]) await newWorkspace(subject(), stranger, 'Own')
    const { inviteId } = await subject().store.createInvite({
      workspaceId,
      email: 'ann@b.c',
      role: 'viewer',
      invitedByUserId: people.owner,
      expiresAt: 2e10,
      tokenHash: 'h',
    })
    return { userId, workspaceId, inviteId }
  }

  it.each(cells)('%s by %s: %s', async (operation, acting, told) => {
    const scene = await set(acting)
    const before = await everything(subject())
    const call = operations[operation]!(subject(), scene)
    if (told === 'ok') {
      await call
      expect(await everything(subject())).not.toEqual(before)
    } else {
      expect((await refusal(call)).status).toBe(told)
      expect(await everything(subject())).toEqual(before)
    }
  })

  it.each([
    ['owner', 'owner'],
    ['editor', 'editor'],
    ['viewer', 'viewer'],
    ['stranger', null],
    ['admin', null],
    ['nobody', null],
  ] as const)('getWorkspaceRole of %s: %s', async (acting, role) => {
    const { userId, workspaceId } = await set(acting)
    expect(await subject().store.getWorkspaceRole({ userId, workspaceId })).toBe(role)
  })

  it('somebody who is an administrator and a viewer invites', async () => {
    const scene = await set('viewer')
    await adminsOf(subject()).grantAdmin({ userId: scene.userId })
    await operations.createInvite!(subject(), scene)
    await operations.revokeInvite!(subject(), scene)
    expect((await refusal(operations.updateWorkspace!(subject(), scene))).status).toBe(403)
  })
})
