/**
 * Users and workspaces for tests, short to make.
 */
import { expect } from 'vitest'
import type { Subject } from './subjectType.js'
import { Refused } from './verdicts.js'

let count = 0

/** A new user. */
export const newUser = async ({ store }: Subject, name = `user-${++count}`): Promise<string> =>
  (await store.getOrCreateUser({ provider: 'test', providerUserId: name })).userId

/** A new workspace of this owner. */
export const newWorkspace = async ({ store }: Subject, userId: string, name = 'Shared'): Promise<string> =>
  (await store.createWorkspace({ userId, name })).workspaceId

/** A workspace with one user in each role, and one who is not in it. */
export const sharedWorkspace = async (subject: Subject) => {
  const [owner, editor, viewer, stranger] = await Promise.all([
    newUser(subject),
    newUser(subject),
    newUser(subject),
    newUser(subject),
  ])
  const workspaceId = await newWorkspace(subject, owner)
  await subject.memberships.addMember({ workspaceId, userId: editor, role: 'editor' })
  await subject.memberships.addMember({ workspaceId, userId: viewer, role: 'viewer' })
  return { workspaceId, owner, editor, viewer, stranger }
}

/** The one workspace that is marked active in a user's list, if there is one. */
export const activeOf = async ({ store }: Subject, userId: string): Promise<string | undefined> => {
  const active = (await store.listUserWorkspaces(userId)).filter(({ isActive }) => isActive)
  expect(active.length).toBeLessThanOrEqual(1)
  return active[0]?.id
}

/** How a call was refused. One that was not fails the test. */
export const refusal = async (call: Promise<unknown>): Promise<{ status: number; message: string }> => {
  const result = await call.then(
    () => expect.fail('the call was not refused'),
    (error: unknown) => error,
  )
  if (!(result instanceof Refused)) throw result
  return { status: result.status, message: result.message }
}

/** The tag of the typed error a call fails with; `ok` for none. */
export const tagOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => {
      const tag = (error as { readonly _tag?: unknown })._tag
      if (typeof tag !== 'string') throw error
      return tag
    },
  )
