/**
 * The operator's command: as a function of this process, or as the process that it is, beside processes that push to the same file
 * without pause.
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import Sqlite from 'better-sqlite3'
import { ConfigProvider, Effect } from 'effect'
import { expect } from 'vitest'
import { migrations } from '../../migrations/index.js'
import { command } from '../../src/cli/command.js'
import { Streams } from '../../src/cli/streams.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeProcesses, type Outcome } from './processes.js'
import { cleanEnv, newsIn } from './run.js'

/** The names of the migrations, oldest first. */
export const migrationNames = Object.keys(migrations)
export const newestMigration = migrationNames.at(-1)!

const pushing = `
  import { writeSync } from 'node:fs'
  import { openProvider } from './src/nuxt/adapters.js'
  const { name, size, workspaceId } = JSON.parse(process.env.PUSHER)
  const { syncGateway, close } = openProvider()
  let stopped = false
  process.once('SIGTERM', () => (stopped = true))
  for (let first = 1; !stopped; first += 20) {
    const ops = Array.from({ length: 20 }, (_, index) => {
      const n = first + index
      const isDelete = n % 7 === 0
      return {
        tableName: ['messages', 'threads', 'kv'][n % 3], operation: isDelete ? 'delete' : 'put', pk: 'pk' + (n * 7919) % 500,
        ...(isDelete ? {} : { payload: { n, text: 'x'.repeat(size) } }),
        stamp: { opId: name + '-' + n, clock: n % 11, hlc: String((n * 31) % 1000), deviceId: name },
      }
    })
    await syncGateway.push(undefined, { scope: { workspaceId }, ops })
    writeSync(1, 'acknowledged ' + (first + 19) + '\\n')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await close()`

export interface Pusher {
  /** How many ops it was told are durable. */
  acknowledged(): number
  /** Lets it end by itself. */
  end(): Promise<void>
  /** Ends it at once, and waits for that. */
  kill(): Promise<unknown>
}

type Env = Readonly<Record<string, string>>

export interface Ended extends Outcome {
  /** Standard error, as lines. */
  readonly errors: ReadonlyArray<string>
}

const endedWith = (ended: Pick<Ended, 'code' | 'signal' | 'stdout' | 'stderr'>): Ended => ({
  ...ended,
  errors: ended.stderr.split('\n').slice(0, -1),
  news: newsIn(ended.stderr),
})

/** The environment, with the database in it. */
const envOf = (database: string | undefined, env: Env): Env => ({
  ...(database === undefined ? {} : { OR3_SQLITE_DB_PATH: database }),
  ...env,
})

const sink = (isTTY: boolean) => {
  const parts: Array<string> = []
  const stream = new Writable({
    decodeStrings: false,
    write: (part: string, _encoding, done) => (parts.push(part), done()),
  })
  return { stream: Object.assign(stream, { isTTY }), text: () => parts.join('') }
}

/** In pieces, as a pipe gives it. */
function* piecesOf(input: string | Uint8Array) {
  const bytes = Buffer.from(input)
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

/** Runs the command to its end in this process, without anything of its environment. */
const runHere = async (
  args: ReadonlyArray<string>,
  env: Env,
  { input = '', isTerminal = false }: { input?: string | Uint8Array; isTerminal?: boolean } = {},
): Promise<Ended> => {
  const [stdout, stderr] = [sink(isTerminal), sink(isTerminal)]
  const code = await command(['node', 'or3-sqlite', ...args]).pipe(
    Effect.provideService(Streams, {
      stdin: Readable.from(piecesOf(input)),
      stdout: stdout.stream,
      stderr: stderr.stream,
    }),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
    Effect.runPromise,
  )
  return endedWith({ code, signal: null, stdout: stdout.text(), stderr: stderr.text() })
}

/** Declares what a test file about the command needs; all of it is gone when its tests are done. */
export const makeCommand = ({ program = process.execPath } = {}) => {
  const { folder, builtIn, start: startScript } = makeProcesses({ program })

  const start = (database: string | undefined, args: ReadonlyArray<string>, env: Env = {}, by = program) => {
    const child = spawn(by, [join(builtIn, 'src/cli/main.js'), ...args], {
      cwd: folder,
      env: cleanEnv(envOf(database, env)),
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve(endedWith({ code, signal, stdout, stderr })))
    })
    return { child, ended }
  }

  return {
    folder,
    start,
    /** Runs the command to its end, in this process. */
    run: (database: string | undefined, args: ReadonlyArray<string>, env: Env = {}): Promise<Ended> =>
      runHere(args, envOf(database, env)),
    /** The same as on a terminal. */
    show: (database: string | undefined, args: ReadonlyArray<string>, env: Env = {}): Promise<Ended> =>
      runHere(args, envOf(database, env), { isTerminal: true }),
    /** The same with something to read. */
    feed: (database: string, args: ReadonlyArray<string>, input: string | Uint8Array): Promise<Ended> =>
      runHere(args, envOf(database, {}), { input }),
    /** The same as a process, for what one process cannot show. */
    runAlone: (...given: Parameters<typeof start>): Promise<Ended> => {
      const { child, ended } = start(...given)
      child.stdin.end()
      return ended
    },
    /** A process that pushes; resolves when its first batches are in. */
    pushTo: async (database: string, name: string, { size = 20, workspaceId = 'w1', mode = 'WAL' } = {}) => {
      const child = startScript(pushing, {
        OR3_SQLITE_DB_PATH: database,
        OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode,
        PUSHER: JSON.stringify({ name, size, workspaceId }),
      })
      await child.printed('acknowledged 100\n')
      const pusher: Pusher = {
        acknowledged: () => Number(/acknowledged (\d+)\n$/.exec(child.output())?.[1] ?? 0),
        end: async () => {
          child.stop('SIGTERM')
          const { code, stderr } = await child.outcome
          expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        },
        kill: () => {
          child.stop('SIGKILL')
          return child.outcome
        },
      }
      return pusher
    },
  }
}

/** A user's workspace in a database, which is left closed. */
export const makeWorkspace = async (database: string, mode = 'WAL', name = 'ada'): Promise<string> => {
  const { workspaceStore, close } = openProvider({
    env: { OR3_SQLITE_DB_PATH: database, OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode },
  })
  const { userId } = await workspaceStore.getOrCreateUser({ provider: 'test', providerUserId: name })
  const { workspaceId } = await workspaceStore.getOrCreateDefaultWorkspace(userId)
  await close()
  return workspaceId
}

/** So much that a command needs a while for it. */
export const manySettings = (database: string, workspaceId: string, count: number) => {
  const sqlite = new Sqlite(database)
  const setting = sqlite.prepare('INSERT INTO workspace_settings VALUES (?, ?, ?, 1)')
  sqlite.transaction(() => {
    for (let n = 0; n < count; n++) setting.run(workspaceId, `many${n}`, 'x'.repeat(50))
  })()
  sqlite.close()
}

/** Damages what only an integrity check meets: the end of an index's page. */
export const damageIndex = (database: string, index = 'change_log_by_op') => {
  const sqlite = new Sqlite(database)
  const { rootpage } = sqlite
    .prepare<[string], { rootpage: number }>('SELECT rootpage FROM sqlite_schema WHERE name = ?')
    .get(index)!
  sqlite.close()
  const bytes = readFileSync(database)
  bytes.fill(0x61, rootpage * 4_096 - 60, rootpage * 4_096)
  writeFileSync(database, bytes)
}
