/**
 * The settings in a process of Bun: which engine is chosen there, what it is told, and how a wrong start ends.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { query } from '../support/adoption.js'
import { bun } from '../support/bun.js'
import { makeProcesses } from '../support/processes.js'

const { folder, start } = makeProcesses({ program: bun })

/** Opens with each of the environments in turn; prints for each that it was, or the error's line. */
const script = `
  import { openProvider } from './src/nuxt/adapters.js'
  const said = []
  for (const env of JSON.parse(process.env.ALL)) {
    try {
      const provider = openProvider({ env })
      await provider.workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'ann' })
      await provider.close()
      said.push('open')
    } catch (error) {
      said.push(error.name + ': ' + error.message)
    }
  }
  console.log(JSON.stringify(said))`

type Env = Readonly<Record<string, string>>

const openWith = async (...all: ReadonlyArray<Env>): Promise<ReadonlyArray<string>> => {
  const { code, stdout, stderr } = await start(script, { ALL: JSON.stringify(all) }).outcome
  const ephemeral =
    '[or3-provider-sqlite] the database is in memory: all data is lost when the server stops\n'
  expect({ code, stderr: stderr.replace(ephemeral, '') }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as ReadonlyArray<string>
}

let files = 0
const file = () => ({ OR3_SQLITE_DB_PATH: join(folder, `settings-${++files}.db`) })
const failure = (problem: string) => `ProviderStartupError: ${problem}`

describe('a process of Bun', () => {
  it("chooses Bun's engine by itself, and by each of its names", async () => {
    const drivers = ['bun', 'bun:sqlite', 'BUN', ' Bun:SQLite ', '']
    const envs = [file(), ...drivers.map((OR3_SQLITE_DRIVER) => ({ ...file(), OR3_SQLITE_DRIVER }))]
    expect(await openWith(...envs)).toEqual(envs.map(() => 'open'))
    for (const { OR3_SQLITE_DB_PATH: path } of envs) {
      expect(query(path, 'SELECT count(*) AS n FROM users')).toEqual([{ n: 1 }])
    }
  })

  it("refuses Node's, and says what to do", async () => {
    const drivers = ['better-sqlite3', 'better', 'sqlite']
    expect(await openWith(...drivers.map((OR3_SQLITE_DRIVER) => ({ ...file(), OR3_SQLITE_DRIVER })))).toEqual(
      drivers.map((name) =>
        failure(
          `OR3_SQLITE_DRIVER is "${name}", an addon of Node that Bun does not load: set it to bun, or unset it`,
        ),
      ),
    )
  })

  it("takes what Node's engine takes, and knows no other settings", async () => {
    const modes = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'WAL'].map((mode) => ({
      ...file(),
      OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode,
      OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'EXTRA',
    }))
    expect(await openWith(...modes)).toEqual(modes.map(() => 'open'))
    expect(query(modes[4]!.OR3_SQLITE_DB_PATH, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(query(modes[0]!.OR3_SQLITE_DB_PATH, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'delete' }])
    expect(
      await openWith(
        { OR3_SQLITE_ALLOW_IN_MEMORY: 'true' },
        { OR3_SQLITE_DB_PATH: ':memory:' },
        { OR3_SQLITE_DB_PATH: ':memory:', OR3_SQLITE_STRICT: 'true', OR3_SQLITE_ALLOW_IN_MEMORY: 'true' },
        { ...file(), OR3_SQLITE_TURSO_URL: 'libsql://x.turso.io' },
        { ...file(), OR3_SQLITE_PRAGMA_JOURNAL_MODE: 'OFF' },
      ),
    ).toEqual([
      'open',
      failure(
        'OR3_SQLITE_DB_PATH is ":memory:", which loses all data at exit: give it a file, or set OR3_SQLITE_ALLOW_IN_MEMORY=true',
      ),
      failure('OR3_SQLITE_STRICT forbids an in-memory database: set OR3_SQLITE_DB_PATH to a file'),
      failure(
        'OR3_SQLITE_TURSO_URL is set, but OR3_SQLITE_DRIVER is bun, which does not know it: unset one of them',
      ),
      failure(
        'OR3_SQLITE_PRAGMA_JOURNAL_MODE is "OFF", but accepts only DELETE, TRUNCATE, PERSIST, MEMORY, WAL',
      ),
    ])
  })

  it('says in one line why a file cannot be opened', async () => {
    const [text, inFolder, cut] = [file(), file(), file()].map((env) => env.OR3_SQLITE_DB_PATH)
    writeFileSync(text!, 'no database'.repeat(1_000))
    mkdirSync(inFolder!)
    await openWith({ OR3_SQLITE_DB_PATH: cut! })
    writeFileSync(`${cut}-copy`, readFileSync(cut!).subarray(0, -10))
    expect(
      await openWith(...[text!, inFolder!, `${cut}-copy`].map((path) => ({ OR3_SQLITE_DB_PATH: path }))),
    ).toEqual([
      failure(
        `cannot open the database ${text}: the file is not an SQLite database; set OR3_SQLITE_DB_PATH to another path`,
      ),
      failure(
        `cannot open the database ${inFolder}: it is a folder; set OR3_SQLITE_DB_PATH to a file, such as ${inFolder}/or3-sync.db`,
      ),
      failure(
        `cannot open the database ${cut}-copy: the file is incomplete: its last page is cut off; restore a backup`,
      ),
    ])
  })

  it('waits at its start for the lock of another process', async () => {
    const env = file()
    const other = new Sqlite(env.OR3_SQLITE_DB_PATH)
    other.exec('CREATE TABLE t (id); DROP TABLE t; BEGIN IMMEDIATE')
    const child = start(
      `import { openProvider } from './src/nuxt/adapters.js'
       console.log('opening')
       await openProvider({ env: ${JSON.stringify(env)} }).close()
       console.log('open')`,
    )
    await child.printed('opening\n')
    await sleep(300)
    other.exec('COMMIT')
    other.close()
    expect(await child.outcome).toMatchObject({ code: 0, stdout: 'opening\nopen\n' })
  })

  it('reports its engine, and its file by the full path', async () => {
    const { code, stdout } = await start(
      `import { openProvider } from './src/nuxt/adapters.js'
       const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: 'reported.db' } })
       const { details } = await provider.adminAdapter.getStatus({}, { enabled: true, authEnabled: true })
       console.log(JSON.stringify([details.engine, details.place.endsWith('/reported.db')]))
       await provider.close()`,
    ).outcome
    expect({ code, said: JSON.parse(stdout) as unknown }).toEqual({ code: 0, said: ['bun', true] })
  })

  it('recognises a restored backup, by the note beside it', async () => {
    const env = file()
    const path = env.OR3_SQLITE_DB_PATH
    await openWith(env)
    writeFileSync(`${path}-seen`, '7 7 0\n')
    expect(query(path, 'SELECT * FROM server_version_counter')).toEqual([])
    const { stderr } = await start(
      `import { openProvider } from './src/nuxt/adapters.js'
       await openProvider({ env: ${JSON.stringify(env)} }).close()`,
    ).outcome
    expect(stderr).toContain('the database seems to be a restored backup')
    expect(query(path, 'SELECT version_offset AS o FROM server_version_counter')).toEqual([{ o: 2 ** 32 }])
  })
})

describe('a program', () => {
  it('ends by itself when it forgot to close, and leaves the process when it did', async () => {
    const env = file()
    const open = `import { openProvider } from './src/nuxt/adapters.js'
      const provider = openProvider({ env: ${JSON.stringify(env)} })
      await provider.workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'ann' })`
    expect(await start(open).outcome).toMatchObject({ code: 0, stderr: '' })
    expect(await start(`${open}\nawait provider.close()`).outcome).toMatchObject({ code: 0, stderr: '' })
  })

  it("is refused the other runtime's engine where it names it itself", async () => {
    const script = `
      import { Effect, Layer } from 'effect'
      import { layerWithConfig, ProviderConfigLayer } from './src/layers/index.js'
      const driver = process.versions.bun === undefined ? 'bun' : 'better-sqlite3'
      const config = ProviderConfigLayer.layerOf({ dbPath: ${JSON.stringify(join(folder, 'other.db'))}, driver })
      const error = await Effect.runPromise(Effect.flip(Effect.scoped(Layer.build(Layer.provide(layerWithConfig, config)))))
      console.log(error._tag + ': ' + error.message)`
    const [onBun, onNode] = await Promise.all([
      start(script).outcome,
      start(script, {}, process.execPath).outcome,
    ])
    expect(onBun.stdout).toMatch(/^DatabaseOpenError: .*the driver is "better-sqlite3", an addon of Node/)
    expect(onNode.stdout).toMatch(/^DatabaseOpenError: .*the driver is "bun", which only Bun has/)
  })
})
