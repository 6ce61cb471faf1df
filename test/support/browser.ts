/**
 * A browser, found or installed on whatever machine this is.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { once } from './builtHost.js'
import { root, run } from './run.js'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // In containers it is too small.
  '--disable-dev-shm-usage',
]

export const launchBrowser = async (): Promise<Browser> => {
  // Where it has to be installed, two test files at once would be in each other's way.
  const folder = await once('chromium', async (folder) =>
    writeFileSync(join(folder, 'path'), await run('node', [join(root, 'scripts/chromium.mjs')])),
  )
  const executablePath = readFileSync(join(folder, 'path'), 'utf8').trim()
  return chromium.launch({ executablePath, args: flags })
}

/** A page of a browser profile of its own, and what goes wrong on it. `script` comes before those of each page. */
export const openPage = async (
  browser: Browser,
  url: string,
  { script, ...options }: BrowserContextOptions & { readonly script?: string } = {},
) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  if (script !== undefined) await context.addInitScript(script)
  const page: Page = await context.newPage()
  const faults: Array<string> = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(String(error)))
  await page.goto(url)
  // Scripts draw all of it.
  await page.getByRole('button').first().waitFor()
  return { page, faults, close: () => context.close() }
}
