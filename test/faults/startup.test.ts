/**
 * Issue 7, point 4: a database that cannot be used fails the start with one line that says where and what to do, and nothing
 * is touched: neither the file nor its folder.
 *
 * Permissions mean nothing to root, so a process of another user starts where root runs the tests.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HostError, openProvider } from '../../src/nuxt/adapters.js'
import { mountSmall } from '../support/mounts.js'
import { put, scope } from '../support/ops.js'
import { buildForProcesses } from '../support/processes.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder: root, remove } = temporaryFolder()
const built = buildForProcesses()

const isRoot = process.getuid?.() === 0
const user = isRoot ? { uid: 65_534, gid: 65_534 } : {}

type Mode = 'WAL' | 'DELETE'

/** A database of ours with some data, in a folder of its own that belongs to the user who will start. */
const database = async (name: string, mode: Mode): Promise<string> => {
  const folder = join(root, `${name} ${mode}`)
  const path = join(folder, 'or3.db')
  const { syncGateway, close } = openProvider({
    env: { OR3_SQLITE_DB_PATH: path, OR3_SQLITE_PRAGMA_JOURNAL_MODE: mode },
  })
  const ops = Array.from({ length: 300 }, (_, index) =>
    put({ pk: `m${index}`, payload: { text: 'x'.repeat(100) } }),
  )
  await syncGateway.push(undefined, { ...scope(), ops } as never)
  await close()
  if (isRoot) for (const each of [folder, path, `${path}-seen`]) chownSync(each, user.uid!, user.gid!)
  return path
}

const overwrite = (path: string, start: number, byte: (index: number) => number) => {
  const bytes = readFileSync(path)
  for (let index = start; index < bytes.length; index++) bytes[index] = byte(index)
  writeFileSync(path, bytes)
}

const noise = (index: number) => (index * 2_654_435_761) >>> 13
const page = 4_096

/** What is done to a good database, and what the line says then. */
const harms: ReadonlyArray<readonly [what: string, harm: (path: string) => void, says: RegExp]> = [
  [
    'a file that may only be read',
    (path) => chmodSync(path, 0o444),
    /give this user .*write permission on the file$/,
  ],
  [
    'a file that may not be read',
    (path) => chmodSync(path, 0o200),
    /give this user .*read and write permission on the file$/,
  ],
  ['a file without any permission', (path) => chmodSync(path, 0), /give this user .*permission on the file$/],
  [
    'a folder that may only be read',
    (path) => chmodSync(dirname(path), 0o555),
    /give this user .*write permission on the folder .*folder that may only be read/,
  ],
  [
    'a folder without any permission',
    (path) => chmodSync(dirname(path), 0),
    /give this user .*on the folder/,
  ],
  [
    'a file cut off within a page',
    (path) => truncateSync(path, statSync(path).size - 100),
    /incomplete.*restore a backup$/,
  ],
  ['a file cut off between pages', (path) => truncateSync(path, 20 * page), /incomplete; restore a backup$/],
  [
    'a file cut off after its first page',
    (path) => truncateSync(path, page),
    /incomplete; restore a backup$/,
  ],
  ['a file cut off within its header', (path) => truncateSync(path, 60), /incomplete.*restore a backup$/],
  [
    'garbage behind the first page',
    (path) => overwrite(path, page, noise),
    /damaged or incomplete; restore a backup$/,
  ],
  [
    'garbage behind the header',
    (path) => overwrite(path, 100, noise),
    /damaged or incomplete; restore a backup$/,
  ],
  [
    'zeros behind the first page',
    (path) => overwrite(path, page, () => 0),
    /damaged or incomplete; restore a backup$/,
  ],
  [
    'garbage from the first byte on',
    (path) => overwrite(path, 0, noise),
    /not an SQLite database; set OR3_SQLITE_DB_PATH/,
  ],
]

const openTo = (mode: number, ...names: ReadonlyArray<string>): string => {
  const folder = join(root, ...names)
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, mode)
  return folder
}

const file = (name: string, text: string): string => {
  const path = join(openTo(0o777, name), 'or3.db')
  writeFileSync(path, text)
  chmodSync(path, 0o666)
  return path
}

/** Paths that are no database in the first place. */
const places: ReadonlyArray<readonly [what: string, make: () => string, says: RegExp]> = [
  [
    'a text file',
    () => file('text', 'a shopping list\n'.repeat(500)),
    /not an SQLite database; set OR3_SQLITE_DB_PATH/,
  ],
  ['a file of two bytes', () => file('short', 'hi'), /not an SQLite database; set OR3_SQLITE_DB_PATH/],
  [
    'a folder',
    () => openTo(0o777, 'open', 'a folder'),
    /it is a folder; set OR3_SQLITE_DB_PATH to a file, such as .*or3-sync\.db$/,
  ],
  ['a folder in one that may only be read', () => openTo(0o777, 'locked', 'inner'), /it is a folder/],
  [
    'a new file in a folder that may only be read',
    () => join(openTo(0o555, 'read-only'), 'new.db'),
    /on the folder/,
  ],
  [
    'a missing folder that cannot be made',
    () => join(openTo(0o555, 'no-room'), 'deep', 'er', 'new.db'),
    /folder cannot be made \(EACCES\); make .*no-room\/deep\/er and give this user/,
  ],
  [
    'a folder that is a file',
    () => join(file('flat', ''), 'new.db'),
    /flat\/or3\.db is a file and no folder; set/,
  ],
  // Only where there is such a file system; elsewhere the root may not be written.
  ['a folder where the system lets nobody make one', () => '/proc/nope/or3.db', /folder cannot be made/],
  ['a folder in a file', () => join(file('flatter', ''), 'in', 'new.db'), /is a file and no folder; set/],
]

const openFolder = (folder: string) => {
  if (statSync(folder).isDirectory()) chmodSync(folder, 0o777)
}

/** Runs a body while a folder and what lies in it can be read. */
const readable = <A>(folder: string, body: () => A): A => {
  const restore: Array<() => void> = []
  const open = (path: string, mode: number) => {
    const before = statSync(path).mode
    try {
      chmodSync(path, mode)
      restore.unshift(() => chmodSync(path, before))
    } catch {
      // A read-only file system.
    }
  }
  open(folder, 0o777)
  for (const name of readdirSync(folder)) open(join(folder, name), 0o777)
  try {
    return body()
  } finally {
    for (const undo of restore) undo()
  }
}

/** All that lies in a folder, with every byte. */
const contentOf = (folder: string): Record<string, string> =>
  !existsSync(folder) || !statSync(folder).isDirectory()
    ? {}
    : readable(folder, () =>
        Object.fromEntries(
          readdirSync(folder, { recursive: true, encoding: 'utf8' })
            .sort()
            .map((name) => join(folder, name))
            .map((each): [string, string] => [
              each,
              statSync(each).isFile() ? readFileSync(each).toString('base64') : 'folder',
            ]),
        ),
      )

const script = `
  import { openProvider } from './src/nuxt/adapters.js'
  const lines = []
  for (const path of JSON.parse(process.argv[2])) {
    try {
      const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
      await provider.close()
      lines.push('it started')
    } catch (error) {
      lines.push(error.name + ' ' + error.message)
    }
  }
  console.log(JSON.stringify(lines))`

interface Case {
  readonly path: string
  readonly says: RegExp
  readonly before: Record<string, string>
}

const cases = new Map<string, Case>()
const lines = new Map<string, string>()
const mounted = mountSmall(join(root, 'mounted'), 4_096)

const add = (name: string, path: string, says: RegExp) =>
  cases.set(name, { path, says, before: contentOf(dirname(path)) })

beforeAll(async () => {
  for (const each of [root, built.folder]) chmodSync(each, 0o755)
  for (const [what, make, says] of places) add(what, make(), says)
  for (const mode of ['WAL', 'DELETE'] as const) {
    for (const [what, harm, says] of harms) {
      const path = await database(what, mode)
      harm(path)
      add(`${what}, ${mode}`, path, says)
    }
  }
  if (mounted !== undefined) {
    openTo(0o777, 'mounted')
    for (const mode of ['WAL', 'DELETE'] as const) {
      add(
        `a read-only file system, ${mode}`,
        await database('mounted/on', mode),
        /file system is read-only; remount it/,
      )
    }
    expect(mounted.makeReadOnly()).toBe(true)
  }
  writeFileSync(join(built.folder, 'start.js'), script)
  const paths = [...cases.values()].map(({ path }) => path)
  const { stdout, stderr } = spawnSync(process.execPath, ['start.js', JSON.stringify(paths)], {
    cwd: built.folder,
    env: {},
    encoding: 'utf8',
    ...user,
  })
  const said: ReadonlyArray<string> =
    stdout === '' ? expect.fail(stderr) : JSON.parse(stdout.split('\n').at(-2)!)
  for (const [index, name] of [...cases.keys()].entries()) lines.set(name, said[index]!)
})

afterAll(() => {
  mounted?.unmount()
  // Whoever is not root must be allowed to remove it.
  for (const { path } of cases.values()) if (existsSync(dirname(path))) openFolder(dirname(path))
  built.remove()
  remove()
})

const names = [
  ...places.map(([what]) => what),
  ...harms.flatMap(([what]) => [`${what}, WAL`, `${what}, DELETE`]),
  ...(mounted === undefined ? [] : ['a read-only file system, WAL', 'a read-only file system, DELETE']),
]

describe('the start fails for', () => {
  it.each(names)('%s', (name) => {
    const { path, says, before } = cases.get(name)!
    const line = lines.get(name)!
    expect(line).toMatch(/^ProviderStartupError cannot open the database /)
    expect(line).toContain(`${path}: `)
    expect(line).toMatch(says)
    expect(line).not.toContain('\n')
    expect(contentOf(dirname(path))).toEqual(before)
  })
})

describe('a page that is damaged where no start looks', () => {
  it('fails the calls that need it, for good, and no others', async () => {
    const path = await database('damaged', 'WAL')
    const sqlite = new Sqlite(path)
    const pages = sqlite
      .prepare<[], number>(`SELECT pageno FROM dbstat WHERE name = 'change_log' AND pagetype = 'leaf'`)
      .pluck()
      .all()
    sqlite.close()
    const bytes = readFileSync(path)
    for (const number of pages) bytes.fill(0xff, (number - 1) * page, number * page)
    writeFileSync(path, bytes)
    const { syncGateway, workspaceStore, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
    const failure = await syncGateway.pull(undefined, { ...scope(), cursor: 0, limit: 10 }).then(
      () => expect.fail('it was pulled'),
      (error: HostError) => error,
    )
    expect(failure).toMatchObject({ statusCode: 500, message: 'pull: the database file is damaged' })
    expect(await workspaceStore.getOrCreateUser({ provider: 'p', providerUserId: 'u' })).toBeDefined()
    await close()
  })
})
