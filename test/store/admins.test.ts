/**
 * Who administers the deployment, over every layer.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { adminsOf, junkRequests, wrongIds } from '../support/administration.js'
import { newUser, refusal } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'

const start = 1_700_000_000

suiteOverBatches('administrators', (subject) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start * 1_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const admins = () => adminsOf(subject())

  it('are nobody at first', async () => {
    const userId = await newUser(subject())
    expect(await admins().listAdmins()).toEqual([])
    expect(await admins().isAdmin({ userId })).toBe(false)
    expect(await admins().isAdmin({ userId: 'nobody' })).toBe(false)
  })

  it('are listed oldest first, with who they are and who made them one', async () => {
    const { userId: ann } = await subject().store.getOrCreateUser({
      provider: 'p',
      providerUserId: 'ann',
      email: 'ann@b.c',
      displayName: 'Ann',
    })
    const bob = await newUser(subject())
    await admins().grantAdmin({ userId: bob })
    vi.setSystemTime((start + 1) * 1_000)
    // Whoever did it may be no user of ours.
    await admins().grantAdmin({ userId: ann, createdByUserId: 'operator' })
    expect(await admins().listAdmins()).toEqual([
      { userId: bob, createdAt: start },
      {
        userId: ann,
        email: 'ann@b.c',
        displayName: 'Ann',
        createdAt: start + 1,
        createdByUserId: 'operator',
      },
    ])
    expect(await admins().isAdmin({ userId: ann })).toBe(true)
  })

  it('granted or revoked again stay as they are', async () => {
    const [userId, other] = [await newUser(subject()), await newUser(subject())]
    await admins().grantAdmin({ userId, createdByUserId: null })
    const before = await admins().listAdmins()
    vi.setSystemTime((start + 1) * 1_000)
    await Promise.all(
      Array.from({ length: 4 }, () => admins().grantAdmin({ userId, createdByUserId: other })),
    )
    await admins().revokeAdmin({ userId: other })
    expect(await admins().listAdmins()).toEqual(before)
    await admins().revokeAdmin({ userId })
    await admins().revokeAdmin({ userId })
    expect(await admins().listAdmins()).toEqual([])
    expect(await admins().isAdmin({ userId })).toBe(false)
  })

  it('are users: 404 for others, which changes nothing', async () => {
    expect((await refusal(admins().grantAdmin({ userId: 'nobody' }))).status).toBe(404)
    expect((await refusal(admins().revokeAdmin({ userId: 'nobody' }))).status).toBe(404)
    expect(await admins().listAdmins()).toEqual([])
  })

  it('find users', async () => {
    const userId = await newUser(subject(), 'by-this-id')
    expect(await admins().searchUsers({ query: 'by-this-id' })).toEqual([{ userId }])
  })

  it('are 400 for wrong ids', async () => {
    const userId = await newUser(subject())
    for (const wrong of wrongIds as ReadonlyArray<never>) {
      expect((await refusal(admins().grantAdmin({ userId: wrong }))).status).toBe(400)
      expect((await refusal(admins().revokeAdmin({ userId: wrong }))).status).toBe(400)
      expect((await refusal(admins().isAdmin({ userId: wrong }))).status).toBe(400)
      if (wrong === undefined || wrong === null) continue
      expect((await refusal(admins().grantAdmin({ userId, createdByUserId: wrong }))).status).toBe(400)
    }
    expect(await admins().listAdmins()).toEqual([])
  })

  describe('what is no request is 400', () => {
    it.each(junkRequests)('%s', async (_what, request) => {
      const { listAdmins: _list, ...others } = admins()
      for (const [name, call] of Object.entries(others)) {
        const told = await refusal((call as (request: unknown) => Promise<unknown>)(request))
        expect(told.status, name).toBe(400)
      }
    })
  })
})
