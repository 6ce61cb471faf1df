/**
 * The playground as a built host of a test file's own, with a browser to look at it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { launchBrowser, openPage } from './browser.js'
import { builtHost } from './builtHost.js'
import { playgroundPage, type PlaygroundPage } from './playgroundPage.js'
import { killServers, type Server, startServer } from './server.js'

export const eventually = <A>(look: () => Promise<A>) => expect.poll(look, { timeout: 20_000, interval: 50 })

/** The pauses of scenarios, which are for the eye. */
const shorterPauses = `{
  const wait = window.setTimeout
  window.setTimeout = (run, millis, ...rest) => wait(run, millis === 500 ? 20 : millis, ...rest)
}`

interface Options extends BrowserContextOptions {
  /** Whether scenarios go as slowly as for a person. */
  readonly slowly?: boolean
}

/** For the top of a test file. A page with an error or a warning on its console fails its test. */
export const playground = () => {
  const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-page-'))
  let server: Server
  let browser: Browser | undefined
  let users = 0
  let opened: Array<Awaited<ReturnType<typeof openPage>>> = []

  beforeAll(async () => {
    browser = await launchBrowser()
    await builtHost()
    server = await startServer({ OR3_SQLITE_DB_PATH: join(folder, 'page.db') })
  })

  beforeEach(() => {
    users += 1
  })

  afterEach(async () => {
    const faults = opened.flatMap((page) => page.faults)
    for (const page of opened) await page.close()
    opened = []
    expect(faults).toEqual([])
  })

  afterAll(async () => {
    await browser?.close()
    killServers()
    rmSync(folder, { recursive: true, force: true })
  })

  const url = () => server.url
  /** A name that no other test uses. */
  const user = () => `user-${users}`
  const open = async ({ slowly = false, ...options }: Options = {}) => {
    const tab = await openPage(browser!, url(), slowly ? options : { ...options, script: shorterPauses })
    opened.push(tab)
    return { ...playgroundPage(tab.page), faults: tab.faults }
  }
  const openAs = async (name = user(), options: Options = {}) => {
    const page = await open(options)
    await page.signIn(name)
    return page
  }
  const onBoth = async (page: PlaygroundPage, notes: Record<string, string>) => {
    for (const name of ['laptop', 'phone'] as const) expect(await page.notes(name), name).toEqual(notes)
  }
  return { folder, url, user, open, openAs, onBoth }
}
