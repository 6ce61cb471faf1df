/**
 * Settings of workspaces, over every layer.
 */
import { expect, it } from 'vitest'
import { accessOf, settingsOf, wrongIds } from '../support/administration.js'
import { newUser, newWorkspace, refusal } from '../support/people.js'
import { suiteOverBatches } from '../support/suite.js'

suiteOverBatches('settings', (subject) => {
  const settings = () => settingsOf(subject())
  const workspace = async () => newWorkspace(subject(), await newUser(subject()))

  it('are null until they are set, and then what they were set to last', async () => {
    const id = await workspace()
    expect(await settings().get(id, 'k')).toBeNull()
    for (const value of ['one', '', '{"a":[1,"ü🚀"]}', `'; DROP TABLE workspace_settings; --`]) {
      await settings().set(id, 'k', value)
      expect(await settings().get(id, 'k')).toBe(value)
    }
  })

  it('are of one workspace and one key, exactly', async () => {
    const [one, two] = [await workspace(), await workspace()]
    await settings().set(one, 'k', 'of one')
    await settings().set(one, 'K', 'of K')
    await settings().set(two, 'k', 'of two')
    expect(await settings().get(one, 'k')).toBe('of one')
    expect(await settings().get(one, 'K')).toBe('of K')
    expect(await settings().get(two, 'k')).toBe('of two')
    expect(await settings().get(two, 'K')).toBeNull()
  })

  it('hold keys of 256 and values of 262,144 characters', async () => {
    const id = await workspace()
    const [key, value] = ['k'.repeat(256), 'ü'.repeat(262_144)]
    await settings().set(id, key, value)
    expect(await settings().get(id, key)).toBe(value)
  })

  it('of an unknown workspace are null, and cannot be set', async () => {
    expect(await settings().get('none', 'k')).toBeNull()
    expect((await refusal(settings().set('none', 'k', 'v'))).status).toBe(404)
    expect(await settings().get('none', 'k')).toBeNull()
  })

  it('of a removed workspace are hidden until it is back', async () => {
    const workspaceId = await workspace()
    await settings().set(workspaceId, 'k', 'v')
    await accessOf(subject()).softDeleteWorkspace({ workspaceId, deletedAt: 1 })
    expect(await settings().get(workspaceId, 'k')).toBeNull()
    expect((await refusal(settings().set(workspaceId, 'k', 'w'))).status).toBe(404)
    await accessOf(subject()).restoreWorkspace({ workspaceId })
    expect(await settings().get(workspaceId, 'k')).toBe('v')
  })

  it('set by many at once are one of what they set', async () => {
    const id = await workspace()
    const values = Array.from({ length: 8 }, (_, n) => `v${n}`)
    await Promise.all(values.map((value) => settings().set(id, 'k', value)))
    expect(values).toContain(await settings().get(id, 'k'))
  })

  it('are 400 for a wrong workspace, key or value, and stay', async () => {
    const id = await workspace()
    await settings().set(id, 'k', 'v')
    for (const wrong of wrongIds as ReadonlyArray<never>) {
      expect((await refusal(settings().get(wrong, 'k'))).status).toBe(400)
      expect((await refusal(settings().get(id, wrong))).status).toBe(400)
      expect((await refusal(settings().set(wrong, 'k', 'v'))).status).toBe(400)
      expect((await refusal(settings().set(id, wrong, 'v'))).status).toBe(400)
    }
    for (const wrong of [undefined, null, 5, {}, 'a\0', '\ud800', 'x'.repeat(262_145)]) {
      expect((await refusal(settings().set(id, 'k', wrong as never))).status).toBe(400)
    }
    expect(await settings().get(id, 'k')).toBe('v')
  })
})
