/**
 * Issue 5: who people are. `getOrCreateUser` is idempotent and keeps the profile current.
 */
import { describe, expect, it } from 'vitest'
import type { Identity } from '../../src/services/index.js'
import { newUser, newWorkspace, refusal } from '../support/people.js'
import type { Subject } from '../support/subjectType.js'
import { asRead } from '../support/subjectType.js'
import { suite } from '../support/suite.js'

/** What is known of a user, read where it shows: among the members of a workspace of theirs. */
const profileOf = async (subject: Subject, userId: string) => {
  const workspaceId = await newWorkspace(subject, userId)
  const [member] = await subject.memberships.listMembers(workspaceId)
  expect(member?.userId).toBe(userId)
  return { email: member?.email, displayName: member?.displayName }
}

suite('getOrCreateUser', (subject) => {
  const create = async (identity: Identity) => (await subject().store.getOrCreateUser(identity)).userId

  describe('is idempotent', () => {
    it('an identity belongs to one user, at every sign-in', async () => {
      const identity = { provider: 'clerk', providerUserId: 'u-1', email: 'a@b.c', displayName: 'A' }
      const first = await create(identity)
      expect(first).toMatch(/^.{1,256}$/)
      expect(await create(identity)).toBe(first)
      expect(await create({ provider: 'clerk', providerUserId: 'u-1' })).toBe(first)
    })

    it('identities that only look alike are different users', async () => {
      const identities: ReadonlyArray<readonly [string, string]> = [
        ['clerk', 'u'],
        ['basic-auth', 'u'],
        ['clerk', 'U'],
        ['clerk', ' u'],
        ['clerk', 'u '],
        ['Clerk', 'u'],
        ['cler', 'ku'],
        ['clerk', 'é'],
        ['clerk', 'e\u0301'],
        ['clerk', 'u|v'],
        ['clerk|u', 'v'],
      ]
      const ids = []
      for (const [provider, providerUserId] of identities)
        ids.push(await create({ provider, providerUserId }))
      expect(new Set(ids).size).toBe(identities.length)
      for (const [index, [provider, providerUserId]] of identities.entries()) {
        expect(await create({ provider, providerUserId })).toBe(ids[index])
      }
    })

    it('the same e-mail address does not make two identities one user', async () => {
      const email = 'same@example.org'
      const one = await create({ provider: 'clerk', providerUserId: 'a', email })
      expect(await create({ provider: 'basic-auth', providerUserId: 'a', email })).not.toBe(one)
    })

    it('however many first sign-ins run at once', async () => {
      const identity = { provider: 'clerk', providerUserId: 'racer', email: 'r@b.c' }
      const ids = await Promise.all(Array.from({ length: 25 }, () => create(identity)))
      expect(new Set(ids).size).toBe(1)
    })
  })

  describe('keeps the profile current', () => {
    const known = { provider: 'clerk', providerUserId: 'p', email: 'old@b.c', displayName: 'Old' }
    const again = (profile: Partial<Identity>) =>
      create({ provider: known.provider, providerUserId: known.providerUserId, ...profile })

    it.each<
      readonly [string, Partial<Identity>, { email?: string | undefined; displayName?: string | undefined }]
    >([
      ['nothing said: nothing changes', {}, { email: 'old@b.c', displayName: 'Old' }],
      [
        'said to be undefined: nothing changes',
        { email: undefined, displayName: undefined },
        { email: 'old@b.c', displayName: 'Old' },
      ],
      ['the same again', { email: 'old@b.c', displayName: 'Old' }, { email: 'old@b.c', displayName: 'Old' }],
      ['a new e-mail', { email: 'new@b.c' }, { email: 'new@b.c', displayName: 'Old' }],
      ['a new name', { displayName: 'New' }, { email: 'old@b.c', displayName: 'New' }],
      ['both', { email: 'new@b.c', displayName: 'New' }, { email: 'new@b.c', displayName: 'New' }],
      ['another case', { email: 'OLD@b.c' }, { email: 'OLD@b.c', displayName: 'Old' }],
      ['none any more: null', { email: null }, { email: undefined, displayName: 'Old' }],
      ['none any more: empty', { displayName: '' }, { email: 'old@b.c', displayName: undefined }],
    ])('%s', async (_what, profile, expected) => {
      const userId = await create(known)
      expect(await again(profile)).toBe(userId)
      expect(await profileOf(subject(), userId)).toEqual(expected)
    })

    it('what was unknown at first is filled in, and can come back after it was taken away', async () => {
      const userId = await again({})
      expect(await profileOf(subject(), userId)).toEqual({ email: undefined, displayName: undefined })
      await again({ email: 'x@y.z' })
      expect((await profileOf(subject(), userId)).email).toBe('x@y.z')
      await again({ email: null })
      await again({ email: 'x@y.z' })
      expect((await profileOf(subject(), userId)).email).toBe('x@y.z')
    })

    it('of this user only', async () => {
      const other = await newUser(subject())
      await create({ ...known, email: 'new@b.c' })
      expect(await profileOf(subject(), other)).toEqual({ email: undefined, displayName: undefined })
    })

    it('text is kept to the letter', async () => {
      const email = ` "O'Brien"; DROP TABLE users--@例え.テスト `
      const displayName = '👩🏽‍🚀 Zoë \u202Eevil\u202C \0 ß'
      const userId = await create({ ...known, email, displayName })
      expect(await profileOf(subject(), userId)).toEqual({
        email,
        displayName: asRead(subject(), displayName),
      })
    })
  })

  describe('refuses with 400', () => {
    const valid = { provider: 'clerk', providerUserId: 'u' }
    const long = 'x'.repeat(1_001)

    it.each<readonly [string, unknown]>([
      ['no identity', undefined],
      ['null', null],
      ['a string', 'clerk'],
      ['no provider', { providerUserId: 'u' }],
      ['an empty provider', { ...valid, provider: '' }],
      ['an empty provider user id', { ...valid, providerUserId: '' }],
      ['a long provider', { ...valid, provider: 'x'.repeat(257) }],
      ['a long provider user id', { ...valid, providerUserId: 'x'.repeat(257) }],
      ['a numeric provider user id', { ...valid, providerUserId: 7 }],
      ['a NUL', { ...valid, providerUserId: 'a\0b' }],
      ['a lone surrogate', { ...valid, providerUserId: 'a\ud800' }],
      ['a long e-mail', { ...valid, email: long }],
      ['a long display name', { ...valid, displayName: long }],
      ['an e-mail that is no text', { ...valid, email: 7 }],
      ['a display name with a lone surrogate', { ...valid, displayName: '\udc00' }],
    ])('%s', async (_what, identity) => {
      expect((await refusal(create(identity as Identity))).status).toBe(400)
    })

    it('and takes what is just within the bounds', async () => {
      const identity = {
        provider: 'x'.repeat(256),
        providerUserId: 'ü'.repeat(256),
        email: 'x'.repeat(1_000),
        displayName: 'x'.repeat(1_000),
      }
      expect(await create(identity)).toBe(await create(identity))
    })

    it('before it changes anything', async () => {
      const userId = await create({ ...valid, email: 'old@b.c', displayName: 'Old' })
      await refusal(create({ ...valid, email: 'new@b.c', displayName: long }))
      expect(await profileOf(subject(), userId)).toEqual({ email: 'old@b.c', displayName: 'Old' })
    })
  })
})
