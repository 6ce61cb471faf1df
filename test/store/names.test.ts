/**
 * Issue 5: names are trimmed, 1..100 characters; descriptions at most 1,000; whatever a person may type survives.
 */
import { describe, expect, it } from 'vitest'
import { newUser, refusal } from '../support/people.js'
import { asRead } from '../support/subjectType.js'
import { suite } from '../support/suite.js'

/** Characters are UTF-16 code units here, as they are to the host's own check. */
const names: ReadonlyArray<readonly [string, string, string]> = [
  ['one letter', 'a', 'a'],
  ['spaces around', '  Team  ', 'Team'],
  ['all kinds of space around', '\t\n\r\u00a0\u2003\ufeffTeam\u3000\u2028', 'Team'],
  ['spaces and line breaks inside', 'Our  first\nteam', 'Our  first\nteam'],
  ['100 characters', 'x'.repeat(100), 'x'.repeat(100)],
  ['100 characters once trimmed', ` ${'x'.repeat(100)} `, 'x'.repeat(100)],
  ['50 emoji, which are 100 code units', '🚀'.repeat(50), '🚀'.repeat(50)],
  ['a family of one glyph', '👨‍👩‍👧‍👦', '👨‍👩‍👧‍👦'],
  ['right to left', 'مساحة العمل', 'مساحة العمل'],
  ['combining marks, not normalised', 'Zoe\u0308', 'Zoe\u0308'],
  ['quotes and SQL', `'; DROP TABLE workspaces; --"`, `'; DROP TABLE workspaces; --"`],
  ['markup', '<script>alert(1)</script>', '<script>alert(1)</script>'],
  ['a NUL inside', 'a\0b', 'a\0b'],
  ['what looks like a number', '007', '007'],
  ['what looks like nothing', 'null', 'null'],
]

const wrongNames: ReadonlyArray<readonly [string, unknown]> = [
  ['nothing', undefined],
  ['null', null],
  ['empty', ''],
  ['blank', ' \t\n\u00a0 '],
  ['101 characters', 'x'.repeat(101)],
  ['51 emoji', '🚀'.repeat(51)],
  ['a lone surrogate', 'a\ud83d'],
  ['a number', 7],
  ['an object', { toString: () => 'Team' }],
  ['a list', ['Team']],
]

const descriptions: ReadonlyArray<readonly [string, unknown, string | undefined]> = [
  ['absent', undefined, undefined],
  ['null', null, undefined],
  ['empty', '', undefined],
  ['short', 'What we do', 'What we do'],
  ['with space around, which is kept', ' a \n', ' a \n'],
  ['of 1,000 characters', 'é'.repeat(1_000), 'é'.repeat(1_000)],
  ['with anything in it', `🚀 '"\\ \0 \u202e %s`, `🚀 '"\\ \0 \u202e %s`],
]

const wrongDescriptions: ReadonlyArray<readonly [string, unknown]> = [
  ['1,001 characters', 'x'.repeat(1_001)],
  ['a lone surrogate', '\udfff'],
  ['a number', 7],
  ['an object', {}],
  ['a flag', false],
]

suite('names and descriptions', (subject) => {
  const create = async (fields: Record<string, unknown>) => {
    const userId = await newUser(subject())
    const { workspaceId } = await subject().store.createWorkspace({ userId, ...fields } as never)
    return { userId, workspaceId }
  }
  const read = async (userId: string) => {
    const [workspace] = await subject().store.listUserWorkspaces(userId)
    return { name: workspace?.name, description: workspace?.description }
  }

  describe('a name is taken', () => {
    it.each(names)('%s', async (_what, given, kept) => {
      const { userId, workspaceId } = await create({ name: given })
      expect((await read(userId)).name).toBe(asRead(subject(), kept))
      await subject().store.updateWorkspace({ userId, workspaceId, name: 'Other' })
      await subject().store.updateWorkspace({ userId, workspaceId, name: given })
      expect((await read(userId)).name).toBe(asRead(subject(), kept))
      await subject().store.setActiveWorkspace({ userId, workspaceId })
      expect((await subject().store.getOrCreateDefaultWorkspace(userId)).workspaceName).toBe(
        asRead(subject(), kept),
      )
    })
  })

  describe('a name is refused with 400', () => {
    it.each(wrongNames)('%s', async (_what, name) => {
      const expected = { status: 400, message: "A workspace's name has 1 to 100 characters." }
      expect(await refusal(create({ name }))).toEqual(expected)
      const { userId, workspaceId } = await create({ name: 'Kept', description: 'kept' })
      const update = { userId, workspaceId, name, description: 'changed' } as never
      expect(await refusal(subject().store.updateWorkspace(update))).toEqual(expected)
      expect(await read(userId)).toEqual({ name: 'Kept', description: 'kept' })
    })
  })

  describe('a description is taken', () => {
    it.each(descriptions)('%s', async (_what, description, kept) => {
      const { userId } = await create({ name: 'W', description })
      expect(await read(userId)).toEqual({ name: 'W', description: asRead(subject(), kept) })
    })

    it('in an update: absent keeps it, null and empty take it away', async () => {
      const { userId, workspaceId } = await create({ name: 'W', description: 'first' })
      const update = async (fields: { description?: string | null }) => {
        await subject().store.updateWorkspace({ userId, workspaceId, name: 'W', ...fields })
        return (await read(userId)).description
      }
      expect(await update({})).toBe('first')
      expect(await update({ description: 'second' })).toBe('second')
      expect(await update({ description: null })).toBeUndefined()
      expect(await update({ description: 'third' })).toBe('third')
      expect(await update({ description: '' })).toBeUndefined()
      expect(await update({})).toBeUndefined()
    })
  })

  describe('a description is refused with 400', () => {
    it.each(wrongDescriptions)('%s', async (_what, description) => {
      const expected = { status: 400, message: 'The description has at most 1000 characters.' }
      expect(await refusal(create({ name: 'W', description }))).toEqual(expected)
      const { userId, workspaceId } = await create({ name: 'Kept', description: 'kept' })
      const update = { userId, workspaceId, name: 'Changed', description } as never
      expect(await refusal(subject().store.updateWorkspace(update))).toEqual(expected)
      expect(await read(userId)).toEqual({ name: 'Kept', description: 'kept' })
    })
  })
})
