/**
 * The command as the tarball brings it: `npx or3-sqlite` in a folder that has the package installed.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { plainConsumer } from '../support/builtHost.js'
import { makeWorkspace } from '../support/command.js'
import { run } from '../support/run.js'

let consumer: string

beforeAll(async () => {
  consumer = await plainConsumer()
})

const inConsumer = (database: string, program: string, args: ReadonlyArray<string>) =>
  run(program, args, { cwd: consumer, env: { OR3_SQLITE_DB_PATH: database } })

const npx = (database: string, ...args: ReadonlyArray<string>) =>
  inConsumer(database, 'npx', ['--no-install', 'or3-sqlite', ...args])
/** What that runs, without npm, which takes longer than the command. */
const command = (database: string, ...args: ReadonlyArray<string>) =>
  inConsumer(database, join(consumer, 'node_modules/.bin/or3-sqlite'), args)

it('tells its version and its commands', async () => {
  const { version } = JSON.parse(
    readFileSync(join(consumer, 'node_modules/or3-provider-sqlite/package.json'), 'utf8'),
  ) as { version: string }
  expect((await npx('', '--version')).trim()).toBe(version)
  expect(await command('', '--help')).toContain('backup')
})

it('looks at a database, backs it up, exports from it and restores it', async () => {
  const database = join(consumer, 'command.db')
  const [copy, lines] = [join(consumer, 'command-copy.db'), join(consumer, 'command.ndjson')]
  const id = await makeWorkspace(database)
  expect(await command(database, 'status')).toContain(`workspace ${id} "My Workspace"`)
  expect(await command(database, 'check')).toContain('all hold')
  expect(await command(database, 'backup', copy)).toContain('1 workspace')
  expect(await command(database, 'export', '--workspace', id, '--out', lines)).toContain('0 records')
  expect(await command(database, 'import', lines)).toContain('0 applied')
  expect(await command(database, 'restore', copy)).toContain('restored from')
  expect(await command(database, 'check')).toContain('all hold')
  expect(existsSync(`${database}-seen`)).toBe(true)
})

it('fails with its own exit code, in one line', async () => {
  await expect(npx(join(consumer, 'none.db'), 'status')).rejects.toThrow(
    /ended with 2\n[^]*^or3-sqlite: there is no database \S+none\.db: check OR3_SQLITE_DB_PATH$/m,
  )
})
