/**
 * Checkpoints in a thread of their own: the log stays bounded, a clean file is left, and whatever becomes of the thread, pushes go on.
 */
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Effect, Exit, Layer, Logger, ManagedRuntime, Scope } from 'effect'
import { afterAll, expect, it } from 'vitest'
import { compact } from '../../src/layers/operating/compact.js'
import * as ProviderConfigLayer from '../../src/layers/ProviderConfig.js'
import { checkpointPages, checkpoints } from '../../src/layers/synchronous/checkpoints.js'
import { Database } from '../../src/layers/synchronous/Database.js'
import { native } from '../../src/layers/synchronous/native.js'
import type { Sqlite } from '../../src/layers/synchronous/sqlite.js'
import { type JournalMode, ProviderConfig, SyncGateway } from '../../src/services/index.js'
import { brokenRules, query } from '../support/adoption.js'
import { sqlLayer } from '../support/layerSubjects.js'
import { put, scope } from '../support/ops.js'
import { makeProcesses } from '../support/processes.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
const { start } = makeProcesses()
afterAll(remove)

let count = 0

/** A server on a file, and what it logs. */
const serve = async (dbPath: string, journalMode: JournalMode = 'WAL') => {
  const said: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel.label === 'WARN') said.push(String(message))
  })
  const runtime = ManagedRuntime.make(
    sqlLayer(dbPath, { journalMode, synchronous: 'NORMAL' }).pipe(
      Layer.provide(Logger.replace(Logger.defaultLogger, logger)),
    ),
  )
  const [gateway, { direct, emptyLog }] = await runtime.runPromise(Effect.all([SyncGateway, Database]))
  return {
    said,
    emptyLog: () => Effect.runPromise(emptyLog),
    push: (length: number, size = 50) =>
      Effect.runPromise(
        gateway.push({
          ...scope(),
          ops: Array.from({ length: size }, () => {
            const pk = `m${++count}`
            return put({ id: pk, pk: `m${count % 500}`, clock: count, payload: { text: 'x'.repeat(length) } })
          }),
        }),
      ),
    /** At how many pages of log a commit checkpoints. */
    threshold: () =>
      Effect.runSync(
        direct('test', (connection) => Object.values(connection.first('PRAGMA wal_autocheckpoint')!)[0]),
      ),
    stop: () => runtime.dispose(),
  }
}

type Server = Awaited<ReturnType<typeof serve>>

/** Has it write some 5 MiB, and waits until something holds. */
const until = async (server: Server, holds: () => boolean) => {
  for (let n = 0; n < 60; n++) await server.push(1_000)
  for (let left = 200; !holds(); left--) {
    if (left === 0) throw new Error('waited in vain')
    await sleep(20)
  }
}

const mebibytes = (file: string) => statSync(file).size / 2 ** 20

/** Pages of its log that are to be copied. */
const leftIn = (database: Sqlite) => {
  const [{ log, checkpointed }] = database.pragma('wal_checkpoint(NOOP)') as [
    { log: number; checkpointed: number },
  ]
  return log - checkpointed
}

/** What lies beside a database. */
const partsOf = (file: string) =>
  readdirSync(dirname(file)).filter((name) => name.startsWith(basename(file)) && name !== basename(file))

it('the log is done by the thread, begins anew, and is gone in the end', async () => {
  const file = join(folder, 'bounded.db')
  const server = await serve(file)
  expect(server.threshold()).toBe(checkpointPages.alone)
  await until(server, () => server.threshold() === checkpointPages.beside)
  // Nobody but the thread checkpoints now, and the file grows by checkpoints alone.
  const before = mebibytes(file)
  await until(server, () => mebibytes(file) > before + 2)
  // Without pause but for the event loop's turns, which the thread's plea for help needs.
  let longest = 0
  for (let n = 0; n < 1_400; n++) {
    await server.push(2_000)
    longest = Math.max(longest, mebibytes(`${file}-wal`))
    await new Promise((resume) => setImmediate(resume))
  }
  // Some 400 MiB went through it.
  expect(longest).toBeLessThan(300)
  expect(server.said).toEqual([])
  await server.stop()
  expect(partsOf(file)).toEqual(['bounded.db-seen'])
  expect(brokenRules(file)).toEqual({})
  expect(query(file, 'SELECT count(*) AS n FROM change_log')).toEqual([{ n: count }])
}, 120_000)

it('is told when its thread ends, and checkpoints as without one', async () => {
  const file = join(folder, 'ended.db')
  const server = await serve(file)
  const hidden = `${file}.hidden`
  const pushed = Promise.all(Array.from({ length: 60 }, () => server.push(1_000)))
  // The thread finds no file of this name; the connection has it open.
  renameSync(file, hidden)
  await pushed
  for (let left = 200; server.said.length === 0 && left > 0; left--) await sleep(20)
  renameSync(hidden, file)
  expect(server.said).toEqual([
    expect.stringMatching(/^checkpoints go on within pushes, .*: ENOENT: no such file or directory/),
  ])
  expect(server.threshold()).toBe(checkpointPages.alone)
  await server.push(10)
  await server.stop()
  expect(brokenRules(file)).toEqual({})
})

it('does not bring the log of the file that serves into one that was put in its place', async () => {
  const file = join(folder, 'replaced.db')
  const server = await serve(file)
  await server.push(10)
  const other = join(folder, 'other.db')
  await Effect.runPromise(Effect.scoped(Layer.build(sqlLayer(other))))
  const bytes = readFileSync(other)
  renameSync(file, `${file}.served`)
  renameSync(other, file)
  await until(server, () => server.said.length > 0)
  expect(server.said).toEqual([expect.stringMatching(/^checkpoints go on .*: .* was replaced$/)])
  for (let n = 0; n < 20; n++) await server.push(1_000)
  expect(readFileSync(file).equals(bytes)).toBe(true)
  renameSync(`${file}.served`, file)
  await server.stop()
  expect(brokenRules(file)).toEqual({})
})

/** Checkpoints by a driver whose pragmas fail while there is a flag. */
const failing = async (name: string, code: string) => {
  const file = join(folder, `${name}.db`)
  const flag = join(folder, `${name}.flag`)
  const driver = join(folder, `${name}.cjs`)
  const require = createRequire(import.meta.url)
  writeFileSync(flag, '')
  writeFileSync(
    driver,
    `const { existsSync } = require('node:fs')
     module.exports = class extends require(${JSON.stringify(require.resolve('better-sqlite3'))}) {
       pragma(...given) {
         if (existsSync(${JSON.stringify(flag)})) throw Object.assign(new Error('disk ${name}'), { code: '${code}' })
         return super.pragma(...given)
       }
     }`,
  )
  const database = native.open(file)
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); PRAGMA wal_autocheckpoint = 4000')
  for (let n = 0; n < 6; n++) database.exec('INSERT INTO t VALUES (zeroblob(1000000))')
  const pages = () => database.pragma('wal_autocheckpoint', { simple: true })
  const said: Array<unknown> = []
  const logger = Logger.make(({ message }) => void said.push(String(message)))
  const scope = Effect.runSync(Scope.make())
  const settings = Effect.runSync(
    Effect.provide(ProviderConfig, ProviderConfigLayer.layerOf({ dbPath: file })),
  )
  const emptiedByThread = await checkpoints(database, settings, () => driver, {
    first: 50,
    longest: 100,
  }).pipe(
    Scope.extend(scope),
    Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
    Effect.runPromise,
  )
  return { file, flag, database, pages, said, scope, emptiedByThread }
}

it('waits for a lock at its start, and gives up in time to empty the log', async () => {
  const { flag, database, pages, said, scope, emptiedByThread } = await failing(
    'busy',
    'SQLITE_BUSY_RECOVERY',
  )
  while (pages() !== checkpointPages.beside) await sleep(10)
  await Effect.runPromise(emptiedByThread)
  expect(leftIn(database)).toBeGreaterThan(0)
  rmSync(flag)
  while (leftIn(database) > 0) await sleep(10)
  expect(said).toEqual([])
  await Effect.runPromise(Scope.close(scope, Exit.void))
  database.close()
})

it('does not open another file than the one that serves, however long it waited', async () => {
  const { file, flag, database, pages, said, scope } = await failing('moved', 'SQLITE_BUSY')
  while (pages() !== checkpointPages.beside) await sleep(10)
  await sleep(100)
  const other = native.open(join(folder, 'moved-other.db'))
  other.exec('PRAGMA page_size = 4096; CREATE TABLE other (x)')
  other.close()
  // In one step: the thread looks meanwhile, and would end of another error where it finds no file.
  linkSync(file, `${file}.served`)
  renameSync(join(folder, 'moved-other.db'), file)
  const bytes = readFileSync(file)
  rmSync(flag)
  while (said.length < 2) await sleep(10)
  for (const line of said) expect(line).toMatch(/ was replaced$/)
  expect(readFileSync(file).equals(bytes)).toBe(true)
  renameSync(`${file}.served`, file)
  await Effect.runPromise(Scope.close(scope, Exit.void))
  database.close()
  const look = native.open(file)
  expect(look.pragma('integrity_check', { simple: true })).toBe('ok')
  look.close()
})

it('begins again when what ended its thread has passed, and ends within it at once', async () => {
  const { file, flag, database, pages, said, scope, emptiedByThread } = await failing('full', 'SQLITE_FULL')
  while (said.length < 3) await sleep(10)
  expect(said[0]).toMatch(/their thread has ended: disk full$/)
  // Whoever wants the log emptied is told to do it.
  for (let n = 0; n < 5; n++) expect(await Effect.runPromise(emptiedByThread)).toBe(false)
  rmSync(flag)
  while (pages() !== checkpointPages.beside) await sleep(10)
  while (leftIn(database) > 0) await sleep(10)
  // One that ends while it is asked cannot either.
  writeFileSync(flag, '')
  expect(await Effect.runPromise(emptiedByThread)).toBe(false)
  rmSync(flag)
  while (pages() !== checkpointPages.beside) await sleep(10)
  // Nor does anybody wait for one that is told to end.
  const asked = Effect.runPromise(emptiedByThread)
  const start = performance.now()
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await asked
  expect(performance.now() - start).toBeLessThan(2_000)
  expect(await Effect.runPromise(emptiedByThread)).toBe(false)
  database.close()
  expect(partsOf(file)).toEqual([])
})

it.runIf(process.platform === 'linux')('leaves no thread behind, nor takes the locks of others', async () => {
  const file = join(folder, 'cycles.db')
  const threads = () => readdirSync('/proc/self/task').length
  const cycle = async () => {
    const server = await serve(file)
    await until(server, () => server.threshold() === checkpointPages.beside)
    const other = native.open(file)
    other.exec('SELECT count(*) FROM change_log')
    await server.stop()
    const { ino } = statSync(file)
    const locks = readFileSync('/proc/locks', 'utf8').split('\n')
    expect(locks.filter((line) => line.includes(` ${process.pid} `)).join()).toContain(`:${ino} `)
    other.close()
  }
  await cycle()
  const before = threads()
  for (let n = 0; n < 3; n++) await cycle()
  for (let left = 100; threads() > before && left > 0; left--) await sleep(20)
  expect(threads()).toBeLessThanOrEqual(before)
})

it('does not keep `vacuum` from giving back the log', async () => {
  const file = join(folder, 'vacuumed.db')
  const server = await serve(file)
  await until(server, () => server.threshold() === checkpointPages.beside)
  // Of this size what it rewrites takes the thread a while.
  for (let n = 0; n < 150; n++) await server.push(5_000)
  for (let n = 0; n < 2; n++) {
    expect(await Effect.runPromise(compact(file))).toMatchObject({ waits: false })
    expect(statSync(`${file}-wal`).size).toBe(0)
  }
  await server.stop()
})

it("empties the log for upkeep, in nobody's call", async () => {
  const file = join(folder, 'upkeep.db')
  const server = await serve(file)
  await until(server, () => server.threshold() === checkpointPages.beside)
  for (let n = 0; n < 5; n++) await server.push(3_000)
  const look = native.open(file)
  expect(leftIn(look)).toBeGreaterThan(0)
  look.close()
  // A log that is being written would only grow again.
  const before = mebibytes(`${file}-wal`)
  let isAsked = true
  const asked = server.emptyLog().then(() => (isAsked = false))
  while (isAsked) {
    await server.push(10)
    expect(mebibytes(`${file}-wal`)).toBeGreaterThanOrEqual(before)
    await new Promise((resume) => setImmediate(resume))
  }
  await asked
  await Promise.all([server.emptyLog(), server.emptyLog()])
  expect(statSync(`${file}-wal`).size).toBe(0)
  // Again, with nothing to do, and with something.
  await server.emptyLog()
  await server.push(10)
  await server.emptyLog()
  expect(statSync(`${file}-wal`).size).toBe(0)
  await server.stop()
  expect(brokenRules(file)).toEqual({})
})

it('gives up to empty it where somebody reads the old state, and does it once that has ended', async () => {
  const file = join(folder, 'read.db')
  const server = await serve(file)
  await until(server, () => server.threshold() === checkpointPages.beside)
  const reader = native.open(file)
  reader.exec('BEGIN; SELECT * FROM change_log LIMIT 1')
  await server.push(3_000)
  await server.emptyLog()
  expect(statSync(`${file}-wal`).size).toBeGreaterThan(0)
  // Meanwhile nobody waits.
  await server.push(10)
  reader.exec('COMMIT')
  reader.close()
  await server.emptyLog()
  expect(statSync(`${file}-wal`).size).toBe(0)
  expect(server.said).toEqual([])
  await server.stop()
  expect(brokenRules(file)).toEqual({})
})

it('has no driver that is another copy than the one that serves', () => {
  const { cache } = createRequire(import.meta.url)
  expect(native.module!()).toMatch(/better-sqlite3/)
  const serving = Object.entries(cache).filter(([file]) => file.includes('better-sqlite3'))
  for (const [file] of serving) delete cache[file]
  try {
    expect(() => native.module!()).toThrow('is not the driver that serves')
  } finally {
    Object.assign(cache, Object.fromEntries(serving))
  }
})

it.each(['DELETE', 'MEMORY'] as const)('journal mode %s has none', async (mode) => {
  const file = join(folder, `${mode}.db`)
  const server = await serve(file, mode)
  for (let n = 0; n < 60; n++) await server.push(1_000)
  await sleep(600)
  expect(server.threshold()).toBe(checkpointPages.alone)
  await server.stop()
  expect(existsSync(`${file}-wal`)).toBe(false)
})

const script = `
  import { openProvider } from './src/nuxt/adapters.js'
  const { syncGateway, close } = openProvider()
  const text = 'x'.repeat(1000)
  let n = 0
  const push = (count) => syncGateway.push(undefined, { scope: { workspaceId: 'w1' }, ops: Array.from({ length: count }, () => ({
    tableName: 'messages', operation: 'put', pk: process.pid + '-' + ++n, payload: { text },
    stamp: { opId: process.env.NAME + '-' + n, clock: 1, hlc: 'a', deviceId: 'd' },
  })) })
  for (let round = 0; round < 60; round++) await push(100)
  await new Promise((resume) => setTimeout(resume, 800))
  console.log('written')
  if (process.env.END === 'close') await close()
  if (process.env.END === 'push') for (;;) { await push(100); await new Promise(setImmediate) }`

it('a program that forgets to close it ends all the same', async () => {
  const file = join(folder, 'forgotten.db')
  const { code, stderr } = await start(script, { OR3_SQLITE_DB_PATH: file, NAME: 'a' }).outcome
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(brokenRules(file)).toEqual({})
})

it('a program that waits for nothing but its emptied log waits for that', async () => {
  const file = join(folder, 'waits.db')
  const script = `
    import { Context, Effect, ManagedRuntime, Layer } from 'effect'
    import { layerWithConfig, ProviderConfigLayer } from './src/layers/index.js'
    const [Gateway, Upkeep] = ['SyncGateway', 'Upkeep'].map((name) => Context.GenericTag('or3-provider-sqlite/' + name))
    const config = ProviderConfigLayer.layerOf({ dbPath: process.env.FILE })
    const runtime = ManagedRuntime.make(Layer.provide(layerWithConfig, config))
    const [gateway, { tidy }] = await runtime.runPromise(Effect.all([Gateway, Upkeep]))
    const text = 'x'.repeat(1000)
    let n = 0
    const push = () => Effect.runPromise(gateway.push({ scope: { workspaceId: 'w1' }, ops: Array.from({ length: 100 }, () => ({
      tableName: 'messages', operation: 'put', pk: 'm' + ++n, payload: { text },
      stamp: { opId: 'op-' + n, clock: 1, hlc: 'a', deviceId: 'd' },
    })) }))
    for (let round = 0; round < 30; round++) await push()
    await new Promise((resume) => setTimeout(resume, 800))
    await push()
    await Effect.runPromise(tidy)
    console.log('emptied ' + (await import('node:fs')).statSync(process.env.FILE + '-wal').size)
    await runtime.dispose()`
  const { code, stdout, stderr } = await start(script, { FILE: file }).outcome
  expect({ code, stderr, last: stdout.split('\n').at(-2) }).toEqual({
    code: 0,
    stderr: '',
    last: 'emptied 0',
  })
  expect(partsOf(file)).toEqual(['waits.db-seen'])
})

it('several processes have theirs on one file, one is killed, and the last leaves it clean', async () => {
  const file = join(folder, 'shared.db')
  const children = ['a', 'b', 'c'].map((NAME) =>
    start(script, { OR3_SQLITE_DB_PATH: file, NAME, END: NAME === 'a' ? 'push' : 'close' }),
  )
  await Promise.all(children.map((child) => child.printed('written')))
  for (const child of children.slice(1)) expect(await child.outcome).toMatchObject({ code: 0, stderr: '' })
  children[0]!.stop('SIGKILL')
  await children[0]!.outcome
  const server = await serve(file)
  await server.stop()
  expect(partsOf(file)).toEqual(['shared.db-seen'])
  expect(brokenRules(file)).toEqual({})
  const [{ n }] = query<{ n: number }>(file, 'SELECT count(*) AS n FROM change_log') as [{ n: number }]
  expect(n).toBeGreaterThanOrEqual(18_000)
}, 120_000)
