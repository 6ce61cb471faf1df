/**
 * Whose devices are after an adoption: the earlier package knew it from its release 007 on.
 */
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { put, scope } from '../support/ops.js'
import { brokenRules, makeLegacy, opened, query } from '../support/adoption.js'
import type { LegacyDatabase, Shape } from '../support/legacyDatabase.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const adopt = async (shape: Shape, fill: (legacy: LegacyDatabase) => void) => {
  const path = makeLegacy(join(folder, `${++files}.db`), shape, fill)
  await opened(path, () => {})
  expect(brokenRules(path)).toEqual({})
  return path
}

const owners = (path: string) =>
  Object.fromEntries(
    query<{ device_id: string; owner: string | null }>(
      path,
      'SELECT device_id, owner_user_id AS owner FROM device_cursors ORDER BY device_id',
    ).map(({ device_id, owner }) => [device_id, owner]),
  )

describe('the devices of an earlier database', () => {
  it('keep their owners who are users, and are nobody’s else', async () => {
    const path = await adopt(17, (legacy) => {
      for (const user of ['ann', 'bob']) legacy.user(user)
      legacy.account('cem')
      legacy.counter(3)
      legacy.cursor('of ann', 1, { owner_user_id: 'ann' })
      legacy.cursor('of bob', 2, { owner_user_id: 'bob' })
      legacy.cursor('of cem, who has but an account', 2, { owner_user_id: 'cem' })
      legacy.cursor('of nobody', 3)
      legacy.cursor('of a stranger', 3, { owner_user_id: 'stranger' })
      legacy.cursor('of an empty name', 3, { owner_user_id: '' })
      legacy.cursor('of bytes', 3, { owner_user_id: Buffer.from('ann') })
    })
    expect(owners(path)).toEqual({
      'of ann': 'ann',
      'of bob': 'bob',
      'of cem, who has but an account': 'cem',
      'of nobody': null,
      'of a stranger': null,
      'of an empty name': null,
      'of bytes': 'ann',
    })
    expect(query(path, `SELECT name FROM temp.sqlite_schema`)).toEqual([])
  })

  it('that become one, because of odd ids, are whose both were, or nobody’s', async () => {
    const path = await adopt(17, (legacy) => {
      for (const user of ['ann', 'bob']) legacy.user(user)
      legacy.cursor('', 1, { owner_user_id: 'ann' })
      legacy.cursor('legacy', 2, { owner_user_id: 'bob' })
      legacy.cursor('ö', 1, { owner_user_id: 'ann' })
      legacy.cursor('!C3B6', 2, { owner_user_id: 'ann' })
      legacy.cursor('ü', 1, { owner_user_id: 'ann' })
      legacy.cursor('!C3BC', 2)
    })
    expect(owners(path)).toEqual({ legacy: null, '!C3B6': 'ann', '!C3BC': null })
  })

  it('are nobody’s where the earlier release did not know', async () => {
    const path = await adopt(3, (legacy) => {
      legacy.user('ann')
      legacy.cursor('d', 1)
    })
    expect(owners(path)).toEqual({ d: null })
  })

  it('are refused to others and stay their owners’ to report', async () => {
    const path = await adopt(17, (legacy) => {
      for (const user of ['ann', 'bob']) legacy.user(user)
      legacy.counter(0)
      legacy.cursor('tablet', 0, { owner_user_id: 'ann' })
    })
    await opened(path, async (subject) => {
      const report = (userId: string) =>
        subject.updateCursor({
          ...scope(),
          caller: { userId, workspaceId: 'w1' },
          deviceId: 'tablet',
          version: 1,
        })
      await subject.push({ ...scope(), ops: [put()] })
      await expect(report('bob')).rejects.toMatchObject({ status: 403 })
      await report('ann')
      expect((await subject.view('w1')).cursors).toEqual([{ deviceId: 'tablet', version: 1, owner: 'ann' }])
    })
  })
})
