/**
 * A driver that was not built for this Node is told as that, and not as a path to check.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { openError } from '../../src/layers/synchronous/sqliteErrors.js'
import { makeCommand } from '../support/command.js'

const { folder, runAlone } = makeCommand()

const advice = `the SQLite driver better-sqlite3 is not built for this Node (${process.version}): allow its install script and run \`npm rebuild better-sqlite3\``

const failures = {
  'no binary': new Error('Could not locate the bindings file. Tried:\n -> /app/build/better_sqlite3.node'),
  'one of another Node': new Error(
    "The module '/app/better_sqlite3.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 115.",
  ),
  'one of another system': Object.assign(new Error('better_sqlite3.node: invalid ELF header'), {
    code: 'ERR_DLOPEN_FAILED',
  }),
}

describe('the driver without', () => {
  it.each(Object.entries(failures))('a fit binary (%s) says how to build it', (_what, failure) => {
    expect(openError('/data/or3.db')(failure).detail).toBe(advice)
    expect(openError('/data/or3.db')(new Error('beside it', { cause: failure })).detail).toBe(advice)
  })
})

it('the command says so too, as a process', async () => {
  const database = join(folder, 'driver.db')
  await openProvider({ env: { OR3_SQLITE_DB_PATH: database } }).close()
  const broken = join(folder, 'broken.cjs')
  writeFileSync(
    broken,
    `process.dlopen = (_module, path) => {
       throw Object.assign(new Error("The module '" + path + "'\\nwas compiled against a different Node.js version"), { code: 'ERR_DLOPEN_FAILED' })
     }`,
  )
  for (const command of [['status'], ['check'], ['gc']]) {
    const { code, stderr } = await runAlone(database, command, { NODE_OPTIONS: `--require ${broken}` })
    expect({ code, stderr: stderr.replace(/.*: the SQLite/, 'the SQLite') }).toEqual({
      code: 1,
      stderr: `${advice}\n`,
    })
  }
})
