/**
 * The playground's page in a browser, served by the built host: what it shows is what the server decided.
 */
import { describe, expect, it } from 'vitest'
import { eventually, playground } from '../support/playground.js'

const { user, openAs, onBoth } = playground()

const hlc = '0[0-9a-z]{8}'
const later = `because both have clock 2 and it was written later \\(hlc ${hlc} is greater than ${hlc}\\)`

describe('the scenarios', () => {
  it('conflict: the later edit stands on the server and on both devices', async () => {
    const page = await openAs('ada', { slowly: true })
    await page.run('conflict')
    expect(await page.decision()).toMatch(
      new RegExp(
        `^Superseded: the phone's “Oat milk” stays, ${later}; the laptop's “Milk and bread” is only logged, as version 3\\.$`,
      ),
    )
    expect(await page.story()).toEqual([
      'Both devices go offline.',
      'The laptop changes “groceries” to “Milk and bread”.',
      'A moment later the phone changes it to “Oat milk”.',
      'The phone comes online.',
      `Applied as version 2: the phone's “Oat milk” replaces the laptop's “Milk”, because its clock 2 is greater than 1.`,
      'The laptop comes online.',
    ])
    await onBoth(page, { groceries: 'Oat milk' })
    await eventually(() => page.entries('cursors')).toEqual([
      expect.stringMatching(/^3 laptop-/),
      expect.stringMatching(/^3 phone-/),
    ])
    expect(await page.entries('log')).toEqual([
      '3 groceries: “Milk and bread” laptop',
      '2 groceries: “Oat milk” phone stands',
      '1 groceries: “Milk” laptop',
    ])
    expect(await page.entries('rows')).toEqual(['2 groceries: “Oat milk” phone'])
    expect([await page.outbox('laptop'), await page.outbox('phone')]).toEqual([0, 0])
    // The README's picture: SCREENSHOT=docs/playground.png npx vitest run test/e2e/page.test.ts -t conflict:
    const { SCREENSHOT } = process.env
    if (!SCREENSHOT) return
    await page.run('fresh')
    await page.run('conflict')
    await page.page.screenshot({ path: SCREENSHOT, fullPage: true })
  })

  it('delete against an edit: the later delete stands, and leaves a tombstone', async () => {
    const page = await openAs()
    await page.run('deletion')
    expect(await page.decision()).toMatch(
      new RegExp(
        `^Superseded: the laptop's delete stays, ${later}; the phone's “Dear Ada, how are you\\?” is only logged, as version 3\\.$`,
      ),
    )
    await onBoth(page, {})
    expect(await page.entries('tombstones')).toEqual(['2 draft'])
    expect(await page.entries('log')).toEqual([
      '3 draft: “Dear Ada, how are you?” phone',
      '2 draft: delete laptop stands',
      '1 draft: “Dear Ada” laptop',
    ])
    await page.run('deletion')
    expect(await page.versions()).toEqual([6, 5, 4, 3, 2, 1])
    expect(await page.entries('tombstones')).toEqual(['5 draft'])
  })

  it('replay: the same op again is answered with its first version, and nothing is written', async () => {
    const page = await openAs()
    await page.run('replay')
    expect(await page.decision()).toMatch(
      /^Replay: op [0-9a-f]{8} was accepted before, so the server answered with its first version, 1, and wrote nothing\.$/,
    )
    await onBoth(page, { reminder: 'Water the plants' })
    expect(await page.versions()).toEqual([1])
    expect(await page.outbox('laptop')).toBe(0)
  })

  it('a reused op id: other content is refused, and nothing is written', async () => {
    const page = await openAs()
    await page.run('reuse')
    expect(await page.decision()).toMatch(
      /^Conflict: op id [0-9a-f]{8} already stands for other content, so the server refused the laptop's “Seat 13” and wrote nothing\.$/,
    )
    await onBoth(page, { ticket: 'Seat 12' })
    expect(await page.entries('log')).toEqual(['1 ticket: “Seat 12” laptop stands'])
  })

  it('garbage collection: what all have seen goes, and the floor rises', async () => {
    const page = await openAs()
    await page.run('deletion')
    await page.run('collection')
    expect(await page.decision()).toBe(
      'Collected: 5 log entries and 2 tombstones went, because every device has seen them and they are older than ' +
        'an hour; the floor is now version 5, and pulls from below it get the rows instead.',
    )
    expect(await page.versions()).toEqual([6])
    expect(await page.entries('tombstones')).toEqual([])
    expect(await page.floor()).toBe(5)
    expect(await page.entries('rows')).toEqual([
      expect.stringMatching(/^6 keepsake: “Kept at .*” laptop$/),
      '5 scrap: deleted laptop',
      '2 draft: deleted laptop',
    ])

    // A device from another tab starts from nothing, below the floor.
    const other = await openAs(user())
    await eventually(() => other.cursor('phone')).toBe(6)
    expect(await other.notes('phone')).toEqual(await page.notes('phone'))
  })
})

describe('a device that comes fresh', () => {
  it('is not there until then, installs a snapshot, and pulls what came meanwhile', async () => {
    const page = await openAs()
    await page.run('deletion')
    expect(await page.device('tablet').innerText()).toContain('Not here yet.')
    await page.run('fresh')
    const snapshot = '3 records and 1 tombstone in 2 pages, as of version 6'
    expect(await page.decision()).toBe(
      `Bootstrapped: the tablet installed a snapshot at once, ${snapshot}; then it pulled 1 change from there, and stands where every other device does.`,
    )
    expect(await page.story()).toContain(
      'It has the first page. Before it asks for the next one, the laptop changes “apples” to “Red ones”.',
    )
    expect(await page.bootstrap('tablet')).toBe(`Came fresh with a snapshot: ${snapshot}.`)
    await onBoth(page, { apples: 'Red ones', bread: 'Rye', cheese: 'Old' })
    expect(await page.notes('tablet')).toEqual(await page.notes('laptop'))
    expect(await page.cursor('tablet')).toBe(7)
    await eventually(() => page.entries('cursors')).toContainEqual(expect.stringMatching(/^7 tablet-/))
  })

  it('is a device like the others then, over a reload too, and can come fresh again', async () => {
    const page = await openAs()
    await page.run('fresh')
    await page.page.reload({ waitUntil: 'networkidle' })
    await page.add('tablet', 'From the couch')
    await eventually(() => page.outbox('tablet')).toBe(0)
    await page.pull('laptop')
    await eventually(() => page.notes('laptop')).toEqual(await page.notes('tablet'))
    expect(Object.values(await page.notes('laptop'))).toContain('From the couch')

    // Of what was collected the marks are left, lest an old edit return.
    await page.run('deletion')
    await page.run('collection')
    expect(await page.entries('tombstones')).toEqual([])
    await page.run('fresh')
    expect(await page.bootstrap('tablet')).toMatch(
      /^Came fresh with a snapshot: 5 records and 2 tombstones in 4 pages/,
    )
    expect(await page.notes('tablet')).toEqual(await page.notes('laptop'))
  })
})

describe('the devices', () => {
  it('keep what is written offline, push it when online, and pull when asked', async () => {
    const page = await openAs()
    await page.switchNetwork('laptop')
    await page.add('laptop', 'From the train')
    expect(Object.values(await page.notes('laptop'))).toEqual(['From the train'])
    expect(await page.outbox('laptop')).toBe(1)
    await page.page.reload({ waitUntil: 'networkidle' })
    expect(Object.values(await page.notes('laptop'))).toEqual(['From the train'])
    expect(await page.versions()).toEqual([])

    await page.switchNetwork('laptop')
    await eventually(() => page.outbox('laptop')).toBe(0)
    await eventually(page.versions).toEqual([1])
    expect(await page.notes('phone')).toEqual({})
    await page.pull('phone')
    await eventually(() => page.notes('phone')).toEqual(await page.notes('laptop'))
    expect(await page.cursor('phone')).toBe(1)
  })

  it('push again what failed, and park what is refused for good until a person tries again', async () => {
    const page = await openAs()
    const answers = [503, 200]
    await page.page.route('**/api/sync/push', async (route) => {
      const status = answers.shift()
      if (status === undefined) return route.continue()
      const { ops } = route.request().postDataJSON() as { ops: ReadonlyArray<{ stamp: { opId: string } }> }
      const refused = { success: false, errorCode: 'OVERSIZED', error: 'too large' }
      const results = ops.map(({ stamp }) => ({ opId: stamp.opId, ...refused }))
      return route.fulfill({ status, json: { results, serverVersion: 0 } })
    })
    await page.add('phone', 'A long story')
    const again = page.device('phone').getByRole('button', { name: 'Try again' })
    await again.waitFor()
    expect(answers).toEqual([])
    expect(await page.decision()).toBe('Refused (OVERSIZED): too large.')
    expect([await page.outbox('phone'), await page.versions()]).toEqual([1, []])
    await again.click()
    await eventually(() => page.outbox('phone')).toBe(0)
    await eventually(page.versions).toEqual([1])
    expect(page.faults.splice(0)).toEqual([expect.stringContaining('503')])
  })
})
