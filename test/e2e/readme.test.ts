/**
 * The README's session with curl is what really happens.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { builtHost } from '../support/builtHost.js'
import { root, run } from '../support/run.js'
import { killServers, startServer } from '../support/server.js'

const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-readme-'))

// Alone it would have to be built within the test's time.
beforeAll(() => builtHost())

afterAll(() => {
  killServers()
  rmSync(folder, { recursive: true, force: true })
})

/** The commands of the README's console block, each with the JSON it is said to print. */
const session = () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const [, block] = /```console\n([\s\S]*?)```/.exec(readme)!
  return block!
    .split(/^\$ /m)
    .slice(1)
    .map((entry) => {
      const [command, ...output] = entry.split('\n')
      return { command: command!, output: output.join('\n').trim() }
    })
}

it('the session with curl is what happens', async () => {
  const database = join(folder, 'readme.db')
  const { url } = await startServer({ OR3_SQLITE_DB_PATH: database })
  const steps = session()
  expect(steps.filter(({ output }) => output !== '')).toHaveLength(3)
  // One shell for all, since later commands use variables of earlier ones.
  const script = steps.map(({ command }) => `${command}\nprintf '\\n@@@\\n'`).join('\n')
  const said = await run('bash', ['-euc', script.replaceAll('localhost:3210', new URL(url).host)], {
    cwd: folder,
  })
  const outputs = said.split('@@@').map((output) => output.trim())
  for (const [index, { command, output }] of steps.entries()) {
    if (output === '') expect(outputs[index], command).toBe('')
    // `nuxt dev` indents its JSON, a built host does not.
    else expect(JSON.parse(outputs[index]!), command).toEqual(JSON.parse(output))
  }
  // A fresh device begins with a snapshot, which leaves out what no client could install.
  const { changes } = JSON.parse(steps.at(-1)!.output) as { changes: Array<{ payload: object }> }
  const sqlite = new Sqlite(database, { readonly: true })
  const workspaceId = sqlite.prepare<[], string>('SELECT id FROM workspaces').pluck().get()!
  sqlite.close()
  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  const { items } = await syncGateway.snapshot(undefined, { scope: { workspaceId }, pageSize: 10 })
  await close()
  expect(items).toMatchObject([{ kind: 'row', tableName: 'messages', payload: changes[0]!.payload }])
})
