/**
 * Notifications belong to a user: who may write them, and who sees them.
 */
import { expect, it } from 'vitest'
import type { Caller, PendingOp } from '../../src/services/index.js'
import { del, type OpParts, put, scope, opId } from '../support/ops.js'
import { suite } from '../support/suite.js'

const ann: Caller = { userId: 'ann', workspaceId: 'w1' }
const bob: Caller = { userId: 'bob', workspaceId: 'w1' }

const note = (parts: OpParts & { user?: unknown } = {}): PendingOp => {
  const { user, ...rest } = parts
  const pk = parts.pk ?? 'n1'
  return put({
    table: 'notifications',
    pk,
    payload: { id: pk, ...(user === undefined ? {} : { user_id: user }) },
    ...rest,
  })
}

const unnote = (parts: OpParts = {}) => del({ table: 'notifications', pk: 'n1', ...parts })

suite('notifications', (subject) => {
  const push = async (caller: Caller | undefined, ...ops: ReadonlyArray<PendingOp>) =>
    (await subject().push({ ...scope(), ops, caller })).verdicts.map(({ kind }) => kind)
  const seenBy = async (caller: Caller | undefined, tables?: ReadonlyArray<string>) => {
    const page = await subject().pull({ ...scope(), cursor: 0, caller, tables })
    return page.changes.map(({ stamp }) => stamp.opId)
  }

  it("sets a put's user_id to the caller", async () => {
    expect(await push(ann, note(), note({ pk: 'n2', user: null }), note({ pk: 'n3', user: 'ann' }))).toEqual([
      'applied',
      'applied',
      'applied',
    ])
    const { rows } = await subject().view('w1')
    expect(rows.map(({ payload }) => payload)).toEqual([
      { id: 'n1', user_id: 'ann' },
      { id: 'n2', user_id: 'ann' },
      { id: 'n3', user_id: 'ann' },
    ])
  })

  it('refuses a put that names another user', async () => {
    expect(await push(ann, note({ user: 'bob' }), note({ pk: 'n2', user: 7 }))).toEqual([
      'forbidden',
      'forbidden',
    ])
    expect((await subject().view('w1')).version).toBe(0)
  })

  it("refuses a put or a delete onto another user's notification, live or deleted", async () => {
    await push(ann, note())
    expect(await push(bob, note({ clock: 2 }), unnote({ clock: 2 }))).toEqual(['forbidden', 'forbidden'])
    await push(ann, unnote({ clock: 2 }))
    expect(await push(bob, note({ clock: 3 }), unnote({ clock: 3 }))).toEqual(['forbidden', 'forbidden'])
    expect((await subject().view('w1')).version).toBe(2)
  })

  it('lets neighbours of a refused op through', async () => {
    await push(ann, note())
    expect(await push(bob, put({ pk: 'm1' }), unnote(), note({ pk: 'n2' }))).toEqual([
      'applied',
      'forbidden',
      'applied',
    ])
  })

  it('recognises a replay by its user, and another user under the same id as a conflict', async () => {
    await push(ann, note({ id: 'x' }))
    expect(await push(ann, note({ id: 'x' }))).toEqual(['replay'])
    expect(await push(bob, note({ id: 'x' }))).toEqual(['conflict'])
  })

  it("shows a caller only their own and nobody's, and moves the cursor past the rest", async () => {
    await push(ann, note({ id: 'of-ann' }))
    await push(bob, note({ id: 'of-bob', pk: 'n2' }))
    await push(undefined, note({ id: 'of-nobody', pk: 'n3' }), note({ id: 'odd', pk: 'n4', user: 5 }))
    await push(ann, put({ id: 'message' }))
    await push(bob, unnote({ id: 'bob-deletes', pk: 'n2', clock: 2 }))
    expect(await seenBy(ann)).toEqual(['of-ann', 'of-nobody', 'odd', 'message'].map(opId))
    expect(await seenBy(bob)).toEqual(['of-bob', 'of-nobody', 'odd', 'message', 'bob-deletes'].map(opId))
    expect(await seenBy(undefined)).toHaveLength(6)
    expect(await seenBy(ann, ['notifications'])).toEqual(['of-ann', 'of-nobody', 'odd'].map(opId))
    expect(await seenBy(bob, ['notifications', 'kv'])).toEqual(
      ['of-bob', 'of-nobody', 'odd', 'bob-deletes'].map(opId),
    )
    const page = await subject().pull({ ...scope(), cursor: 5, caller: ann })
    expect(page).toEqual({ changes: [], nextCursor: 6, hasMore: false })
  })

  it('counts only visible changes for hasMore', async () => {
    await push(ann, note())
    await push(bob, note({ pk: 'n2' }), note({ pk: 'n3' }))
    const page = await subject().pull({ ...scope(), cursor: 0, limit: 1, caller: ann })
    expect(page).toMatchObject({ nextCursor: 3, hasMore: false })
  })

  it('trusts a call without caller', async () => {
    expect(
      await push(undefined, note({ user: 'ann' }), note({ clock: 2, user: 'bob' }), unnote({ clock: 3 })),
    ).toEqual(['applied', 'applied', 'applied'])
    expect(await push(ann, unnote({ clock: 4 }))).toEqual(['forbidden'])
    expect(await push(bob, unnote({ clock: 4 }))).toEqual(['applied'])
  })

  it('gives a notification that was deleted before it was seen to whoever deleted it', async () => {
    await push(ann, unnote({ id: 'early' }))
    expect(await push(bob, note({ clock: 2 }))).toEqual(['forbidden'])
    expect(await seenBy(bob)).toEqual([])
    expect(await seenBy(ann)).toEqual(['early'].map(opId))
  })

  it('shows deletes of other tables to everyone', async () => {
    await push(ann, del({ id: 'd' }))
    expect(await seenBy(bob)).toEqual(['d'].map(opId))
  })

  it('leaves user_id of other tables alone', async () => {
    expect(await push(ann, put({ payload: { id: 'm1', user_id: 'bob' } }))).toEqual(['applied'])
    expect((await subject().view('w1')).rows[0]?.payload).toEqual({ id: 'm1', user_id: 'bob' })
    expect(await seenBy(ann)).toHaveLength(1)
  })
})
