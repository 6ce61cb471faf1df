/**
 * The playground as a developer starts it: from the tree, with `nuxt dev`, and no build of the host.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { packed } from '../support/builtHost.js'
import { request, signIn } from '../support/httpDevice.js'
import { put } from '../support/ops.js'
import { root } from '../support/run.js'
import { freePort } from '../support/freePort.js'
import { start } from '../support/server.js'

const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-playground-'))

// Packing builds the package, which the playground takes from the tree's `dist`.
beforeAll(packed)

let playground: ReturnType<typeof start> | undefined

afterAll(async () => {
  // It ends the processes that it has started, unless it is killed.
  playground?.child.kill('SIGTERM')
  await playground?.ended
  rmSync(folder, { recursive: true, force: true })
})

it('starts with one command, and syncs', async () => {
  const port = await freePort()
  playground = start('node', [join(root, 'scripts/playground.mjs')], {
    env: { PORT: `${port}`, PLAYGROUND_DB_PATH: join(folder, 'playground.db') },
  })
  const url = `http://localhost:${port}`
  const isUp = () =>
    request(`${url}/api/auth/session`, 'GET').then(
      ({ status }) => status === 200,
      () => false,
    )
  while (!(await isUp())) await sleep(200)
  expect(playground.said.stdout).toContain(url)

  // Anybody can sign in as anybody, so nobody else may reach it.
  for (const { address, family } of Object.values(networkInterfaces()).flatMap((each) => each ?? [])) {
    if (family === 'IPv4' && !address.startsWith('127.'))
      await expect(fetch(`http://${address}:${port}/`), address).rejects.toThrow()
  }
  expect(existsSync(join(folder, 'playground.db'))).toBe(true)

  const device = await signIn(url, 'ada')
  expect((await device.push(put({ pk: 'm1' }))).body.serverVersion).toBe(1)
  expect((await device.pull()).body.changes).toMatchObject([{ pk: 'm1', serverVersion: 1 }])
  expect(await (await fetch(url)).text()).toContain('/api/sync/push')
}, 120_000)
