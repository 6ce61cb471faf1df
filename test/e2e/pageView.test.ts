/**
 * The playground's page in a browser: the server's view, users and workspaces, keyboard, phone, colours.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { request, signIn } from '../support/httpDevice.js'
import { put } from '../support/ops.js'
import { eventually, playground } from '../support/playground.js'
import { startServer } from '../support/server.js'

const { folder, url, user, open, openAs, onBoth } = playground()

describe("the server's view", () => {
  it('updates by itself, draws only what changed, and rests while the tab is hidden', async () => {
    const name = user()
    const page = await openAs(name)
    await page.run('replay')
    const shell = await signIn(url(), name)
    await shell.push(put({ id: 'op-shell', table: 'posts', pk: 'p1', device: 'shell' }))
    await eventually(page.versions).toEqual([2, 1])

    let polls = 0
    page.page.on('request', (made) => (polls += made.url().endsWith('/api/dev/view') ? 1 : 0))
    await page.page.evaluate(`
      window.drawn = 0
      new MutationObserver((changes) => (window.drawn += changes.length))
        .observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })`)
    await eventually(async () => polls).toBeGreaterThanOrEqual(2)
    expect(await page.page.evaluate('window.drawn')).toBe(0)

    const hide = (hidden: boolean) =>
      page.page.evaluate(`
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${hidden} })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await hide(true)
    await page.page.waitForTimeout(1_500)
    const whileHidden = polls
    await page.page.waitForTimeout(2_500)
    expect(polls).toBe(whileHidden)
    await hide(false)
    await eventually(async () => polls).toBeGreaterThan(whileHidden)
  })

  it('is for those who are signed in, and only where the development sign-in is', async () => {
    expect((await request(`${url()}/api/dev/view`, 'GET')).status).toBe(401)
    const locked = await startServer({
      OR3_SQLITE_DB_PATH: join(folder, 'locked.db'),
      NUXT_DEV_SIGN_IN: 'false',
    })
    const forged = await request(`${locked.url}/api/dev/view`, 'GET', undefined, 'or3_dev_user=ada')
    expect(forged.status).toBe(403)
    await locked.stop()
  })

  it('leaves the locks of the server on its file, and the end of the server clean', async () => {
    const path = join(folder, 'locks.db')
    const own = await startServer({ OR3_SQLITE_DB_PATH: path })
    const ada = await signIn(own.url, 'ada')
    await ada.push(put())
    const locks = () =>
      existsSync('/proc/locks')
        ? readFileSync('/proc/locks', 'utf8')
            .split('\n')
            .filter((line) => line.includes(` ${own.pid} `)).length
        : 0
    const before = locks()
    for (let look = 0; look < 3; look++) {
      expect((await ada.call('GET', '/api/dev/view')).body).toMatchObject({ version: 1, counts: { log: 1 } })
    }
    expect(locks()).toBe(before)
    expect(await own.stop()).toMatchObject({ code: 0 })
    expect(readdirSync(folder).filter((name) => name.startsWith('locks.db'))).not.toContain('locks.db-wal')
  })
})

describe('users and workspaces', () => {
  it('do not see the notes of others', async () => {
    const page = await openAs()
    await page.run('conflict')
    await page.signIn('other')
    await eventually(() => page.list('log').innerText()).toContain('No entries.')
    await onBoth(page, {})
    await page.run('replay')
    await onBoth(page, { reminder: 'Water the plants' })
    expect(await page.versions()).toEqual([1])
    await page.signIn(user())
    await eventually(() => page.notes('laptop')).toEqual({ groceries: 'Oat milk' })
  })

  it('are switched, each with its own copies and log', async () => {
    const page = await openAs()
    await page.run('replay')
    const workspace = page.page.getByRole('combobox')
    // Not by its place: of two that were made in one second either may be the first.
    const own = await workspace.inputValue()
    await page.page.getByLabel('New workspace').fill('Laboratory')
    await page.page.getByRole('button', { name: 'Create' }).click()
    await page.page.getByText('owner of Laboratory').waitFor()
    await eventually(() => page.list('log').innerText()).toContain('No entries.')
    await onBoth(page, {})
    await page.run('conflict')
    await workspace.selectOption(own)
    await eventually(page.versions).toEqual([1])
    await onBoth(page, { reminder: 'Water the plants' })
  })
})

describe('for everybody', () => {
  it('works with the keyboard alone', async () => {
    const page = await open()
    const { keyboard } = page.page
    const focused = (property: string) => page.page.evaluate(`document.activeElement.${property}`)
    const tabTo = async (property: string, value: string) => {
      for (let steps = 0; (await focused(property)) !== value; steps++) {
        if (steps > 40) throw new Error(`no way to ${value}`)
        await keyboard.press('Tab')
      }
    }
    await tabTo('tagName', 'INPUT')
    await keyboard.press('ControlOrMeta+a')
    await keyboard.type(user())
    await keyboard.press('Enter')
    await page.device('phone').waitFor()
    await tabTo('dataset.scenario', 'conflict')
    expect(await page.page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
    await keyboard.press('Enter')
    await eventually(page.decision).toMatch(/^Superseded: /)
    expect(await focused('dataset.scenario')).toBe('conflict')
    await tabTo('role', 'switch')
    await keyboard.press('Space')
    await tabTo('placeholder', 'New note')
    await keyboard.type('Typed')
    await keyboard.press('Enter')
    await eventually(async () => Object.values(await page.notes('laptop'))).toContain('Typed')
    expect(await page.outbox('laptop')).toBe(1)
  })

  it('fits a phone', async () => {
    const page = await openAs(user(), { viewport: { width: 375, height: 812 } })
    await page.run('conflict')
    await page.page.getByText('From a shell', { exact: true }).click()
    expect(await page.overflow()).toBe(0)
    const boxes = await Promise.all(
      (['laptop', 'phone'] as const).map((name) => page.device(name).boundingBox()),
    )
    expect(boxes[0]!.x).toBe(boxes[1]!.x)
    expect(boxes[0]!.width).toBeGreaterThan(340)
  })

  it('is light or dark as the system is', async () => {
    const corner = { x: 0, y: 0, width: 8, height: 8 }
    const looks = []
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await openAs(user(), { colorScheme })
      const ink = await page.page.evaluate('getComputedStyle(document.body).color')
      looks.push({ ink, png: (await page.page.screenshot({ clip: corner })).toString('base64') })
    }
    expect(looks[0]!.png).not.toBe(looks[1]!.png)
    expect(looks[0]!.ink).not.toBe(looks[1]!.ink)
  })
})
