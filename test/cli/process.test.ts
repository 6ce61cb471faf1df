/**
 * Each command once as a process: it ends, and with the same exit code and output as a function of this one, which other tests call.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { query } from '../support/adoption.js'
import { type Ended, makeCommand } from '../support/command.js'
import { fill } from '../support/filledDatabase.js'

const { folder, run, feed, runAlone, start } = makeCommand()

const good = join(folder, 'good.db')
let workspace: string
let user: string
beforeAll(async () => {
  await fill(good)
  workspace = query<{ id: string }>(good, 'SELECT id FROM workspaces')[0]!.id
  user = query<{ id: string }>(good, 'SELECT id FROM users')[0]!.id
})

let places = 0

/** A folder with a copy of the database in it. */
const newPlace = () => {
  const place = join(folder, String(++places))
  mkdirSync(place)
  for (const part of ['', '-seen']) copyFileSync(good + part, join(place, `or3.db${part}`))
  return place
}

/** Without what depends on where and when. */
const told = ({ code, signal, stdout, stderr }: Ended, place: string) => {
  const plain = (text: string) =>
    text
      .replaceAll(place, 'PLACE')
      .replaceAll(/\d+ (s|min) (ago|old)/g, 'a while $2')
      .replaceAll(/\d{8}T\d{6}Z/g, 'NOW')
  return { code, signal, stdout: plain(stdout), stderr: plain(stderr) }
}

const commands: ReadonlyArray<readonly [args: string, code: number, says: RegExp]> = [
  ['status', 0, /^workspace /m],
  ['check', 0, /all hold$/m],
  ['migrate', 0, /, up to date$/m],
  ['gc --retention 1_hour', 0, /^1 workspace: removed/m],
  ['users', 0, /^USER /],
  ['workspaces', 0, /^WORKSPACE /],
  ['members WORKSPACE', 0, /^USER +owner/],
  ['members role WORKSPACE USER viewer', 1, /at least one owner/],
  ['invites WORKSPACE', 0, /^none$/],
  ['admins grant USER', 0, /^USER administers/],
  ['users erase USER --dry-run', 0, /^would take 1 workspace, /],
  ['vacuum', 0, /given back$/m],
  ['backup PLACE/copy.db', 0, /, checked; schema/],
  ['restore BACKUP', 0, /: restored from/],
  ['copy --to PLACE/copied.db', 0, /both sides are equal$/],
  ['dump', 0, /^PRAGMA foreign_keys = OFF;\nBEGIN;\n/],
  ['export --workspace WORKSPACE', 0, /^\{"format"/],
  ['export --workspace WORKSPACE --out PLACE/export.ndjson', 0, /12 records of workspace/],
  ['status --nonsense', 2, /--nonsense/],
  ['export --workspace nope', 2, /there is no workspace nope/],
]

describe('a process of', () => {
  it.each(commands)('%s', async (line, code, says) => {
    const [here, alone] = [newPlace(), newPlace()]
    const argsIn = (place: string) =>
      line
        .split(' ')
        .map((arg) =>
          arg
            .replace('PLACE', place)
            .replace('BACKUP', good)
            .replace('WORKSPACE', workspace)
            .replace('USER', user)
            .replace('_', ' '),
        )
    const [expected, ended] = await Promise.all([
      run(join(here, 'or3.db'), argsIn(here)),
      runAlone(join(alone, 'or3.db'), argsIn(alone)),
    ])
    const outcome = told(ended, alone)
    expect(outcome).toEqual(told(expected, here))
    expect(outcome.code).toBe(code)
    const said = (outcome.stdout || outcome.stderr)
      .replaceAll(workspace, 'WORKSPACE')
      .replaceAll(user, 'USER')
    expect(said.trimEnd()).toMatch(says)
  })

  it('import, which reads from a pipe', async () => {
    const [here, alone] = [newPlace(), newPlace()]
    const { stdout } = await run(good, ['export', '--workspace', workspace])
    const { child, ended } = start(join(alone, 'or3.db'), ['import', '-'])
    child.stdin.end(stdout)
    const outcome = told(await ended, alone)
    expect(outcome).toEqual(told(await feed(join(here, 'or3.db'), ['import', '-'], stdout), here))
    expect(outcome.stdout).toContain(': 0 applied, 12 known already')
  })

  it('status of a database on Turso', async () => {
    const place = newPlace()
    const env = { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: `file:${join(place, 'or3.db')}` }
    const outcome = told(await runAlone(undefined, ['status'], env), place)
    expect(outcome).toEqual(told(await run(undefined, ['status'], env), place))
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/^workspace /m) as string })
  })

  it('backup takes a path from where it was started', async () => {
    expect(await runAlone(good, ['backup', 'relative.db'])).toMatchObject({ code: 0, stderr: '' })
    expect(existsSync(join(folder, 'relative.db'))).toBe(true)
    expect(readFileSync(join(folder, 'relative.db')).subarray(0, 15).toString()).toBe('SQLite format 3')
  })
})
