/**
 * The playground's page as a person reads it and uses it.
 */
import type { Locator, Page } from 'playwright-core'

export type Scenario = 'conflict' | 'deletion' | 'replay' | 'reuse' | 'collection' | 'fresh'
export type DeviceName = 'laptop' | 'phone' | 'tablet'
type List = 'log' | 'rows' | 'tombstones' | 'cursors'

export const playgroundPage = (page: Page) => {
  const device = (name: DeviceName): Locator => page.locator(`[data-device=${name}]`)
  const list = (name: List): Locator => page.locator(`[data-list=${name}]`)
  const number = async (locator: Locator) => Number(await locator.innerText())

  return {
    page,
    device,
    list,

    signIn: async (name: string) => {
      await page.getByLabel(/Any name signs in|Another user/).fill(name)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByText(`Signed in as ${name}`).waitFor()
      await device('phone').waitFor()
    },

    /** Presses the button, and waits for the scenario's end. */
    run: async (scenario: Scenario) => {
      await page.locator(`[data-scenario=${scenario}]`).click()
      await page.locator('[data-scenario][aria-disabled=true]').first().waitFor({ state: 'detached' })
    },

    decision: () => page.getByRole('status').innerText(),
    /** How it came to the decision. */
    story: () => page.getByTestId('journal').getByRole('listitem').allInnerTexts(),

    /** The texts of a device's notes by their keys. */
    notes: async (name: DeviceName): Promise<Record<string, string>> => {
      const items = await device(name).locator('[data-note]').all()
      return Object.fromEntries(
        await Promise.all(
          items.map(
            async (item) =>
              [
                (await item.getAttribute('data-note'))!,
                await item.getByRole('textbox').inputValue(),
              ] as const,
          ),
        ),
      )
    },
    add: async (name: DeviceName, text: string) => {
      await device(name).getByPlaceholder('New note').fill(text)
      await device(name).getByRole('button', { name: 'Add' }).click()
    },
    pull: (name: DeviceName) => device(name).getByRole('button', { name: 'Pull' }).click(),
    switchNetwork: (name: DeviceName) => device(name).getByRole('switch').click(),
    outbox: (name: DeviceName) => number(device(name).getByTestId('outbox')),
    /** With what a device began that came fresh. */
    bootstrap: (name: DeviceName) => device(name).getByTestId('bootstrap').innerText(),
    cursor: (name: DeviceName) => number(device(name).getByTestId('cursor')),

    /** The entries of one of the server's lists, without their revisions. */
    entries: async (name: List) => {
      const texts = await list(name).locator('li > p').allInnerTexts()
      return texts.map((text) => text.replace(/\s+/g, ' '))
    },
    versions: async () => (await list('log').locator('b').allInnerTexts()).map(Number),
    floor: () => number(page.getByTestId('floor')),

    /** How much wider the page is than the screen. */
    overflow: () => page.evaluate('document.documentElement.scrollWidth - innerWidth'),
  }
}

export type PlaygroundPage = ReturnType<typeof playgroundPage>
