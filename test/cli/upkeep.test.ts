/**
 * `migrate`, `gc` and `vacuum`.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { makeLargeLegacy, query } from '../support/adoption.js'
import { makeCommand, makeWorkspace, migrationNames, newestMigration } from '../support/command.js'
import { until } from '../support/realTime.js'
import { put, scope } from '../support/ops.js'
import { subjectOnFile } from '../support/layerSubjects.js'

const { folder, run, show, runAlone, pushTo } = makeCommand()

const fresh = (name: string) => {
  mkdirSync(join(folder, name))
  return join(folder, name, 'or3.db')
}

const outcomeOf = async (database: string, ...args: ReadonlyArray<string>) => {
  const { code, stdout, stderr } = await run(database, args)
  return { code, stdout, stderr }
}

describe('migrate', () => {
  it('lists what is pending and changes nothing, then applies it, and then has nothing to do', async () => {
    const database = makeLargeLegacy(fresh('legacy'), 17, 300)
    const before = readFileSync(database)
    expect(await outcomeOf(database, 'migrate', '--dry-run')).toEqual({
      code: 0,
      stdout: migrationNames.map((name) => `pending: ${name}\n`).join(''),
      stderr: '',
    })
    expect(readFileSync(database).equals(before)).toBe(true)
    expect(readdirSync(join(folder, 'legacy'))).toEqual(['or3.db'])
    const { code, stdout, stderr } = await outcomeOf(database, 'migrate')
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: migrationNames.map((name) => `applied: ${name}\n`).join(''),
    })
    expect(stderr).toMatch(/^adopting the earlier database: copied .*rows/m)
    expect(await outcomeOf(database, 'migrate')).toEqual({
      code: 0,
      stdout: `${database}: ${newestMigration}, up to date\n`,
      stderr: '',
    })
    // It is no restored backup to the server that starts next.
    const subject = await subjectOnFile(database)
    expect((await subject.view('w1')).version).toBe(30)
    await subject.close()
  })
})

/** Two workspaces with a history of two hours ago that all devices have. */
const withHistory = async (name: string) => {
  const database = fresh(name)
  const subject = await subjectOnFile(database)
  for (const id of ['w1', 'w2']) {
    const ops = Array.from({ length: 200 }, (_, n) =>
      put({ pk: `p${n % 20}`, clock: n, payload: { text: 'x'.repeat(2_000) } }),
    )
    await subject.push({ ...scope(id), ops })
    await subject.updateCursor({ ...scope(id), deviceId: 'd', version: 200 })
  }
  await subject.close()
  const sqlite = new Sqlite(database)
  sqlite.exec('UPDATE change_log SET created_at = created_at - 7300')
  sqlite.close()
  return database
}

describe('gc', () => {
  it('removes what is older than the window, in one workspace or in all, and says what that freed', async () => {
    const database = await withHistory('gc')
    const one = await outcomeOf(database, 'gc', '--retention', '1 hour', '--workspace', 'w1')
    expect(one).toMatchObject({ code: 0, stderr: '' })
    expect(one.stdout).toMatch(
      /^1 workspace: removed 199 log entries, 0 tombstones, 0 op ids, 0 stale cursors$/m,
    )
    expect(one.stdout).toMatch(
      /^[\d.]+ KB freed within the file, .* free in all; `or3-sqlite vacuum` gives them back$/m,
    )
    const kept = await outcomeOf(database, 'gc')
    // The default window is 30 days.
    expect(kept.stdout).toMatch(/^2 workspaces: removed 0 log entries/)
    const all = await run(database, ['gc'], {
      OR3_SQLITE_GC_RETENTION: '1 hour',
      OR3_SQLITE_GC_INTERVAL: '1 minute',
    })
    expect(all.stdout).toMatch(/^2 workspaces: removed 199 log entries/)
    expect(query(database, 'SELECT count(*) AS n FROM change_log')).toEqual([{ n: 2 }])
    expect((await run(database, ['check'])).code).toBe(0)
  })

  it('tells on a terminal which workspace it is at', async () => {
    const { stderr } = await show(await withHistory('gc-terminal'), ['gc', '--retention', '1 hour'])
    expect(stderr).toContain('gc [........................] 0 % workspace w1')
  })

  it('goes on past a workspace that is damaged, and fails in the end', async () => {
    const database = await withHistory('gc-damaged')
    const sqlite = new Sqlite(database)
    sqlite.exec(`UPDATE change_log SET payload_json = '{"' WHERE workspace_id = 'w1' AND server_version = 1`)
    sqlite.close()
    const { code, errors } = await run(database, ['gc', '--retention', '1 hour'])
    expect({ code, errors }).toEqual({ code: 1, errors: [expect.stringContaining('damaged')] })
    const left = query(
      database,
      'SELECT workspace_id AS id, count(*) AS n FROM change_log GROUP BY 1 ORDER BY 1',
    )
    expect(left).toEqual([
      { id: 'w1', n: 200 },
      { id: 'w2', n: 1 },
    ])
  })

  it('finishes a purge that was interrupted, and says so', async () => {
    const database = fresh('gc-purge')
    const id = await makeWorkspace(database)
    const sqlite = new Sqlite(database)
    sqlite.prepare('UPDATE workspaces SET deleted = 1, purged_at = 1 WHERE id = ?').run(id)
    sqlite.close()
    const { stdout } = await outcomeOf(database, 'gc')
    expect(stdout).toMatch(/ stale cursors; 1 interrupted purge finished$/m)
    expect((await outcomeOf(database, 'gc')).stdout).toMatch(/ stale cursors$/m)
    expect(query(database, 'SELECT count(*) AS n FROM workspace_members')).toEqual([{ n: 0 }])
  })

  it('leaves the journal mode to the server', async () => {
    const database = fresh('gc-delete')
    await makeWorkspace(database, 'DELETE')
    expect((await run(database, ['gc'])).code).toBe(0)
    expect(query(database, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'delete' }])
  })

  it('of an unknown workspace is a usage error', async () => {
    const database = fresh('gc-unknown')
    await makeWorkspace(database)
    const { code, errors } = await run(database, ['gc', '--workspace', 'nope'])
    expect(code).toBe(2)
    expect(errors).toEqual([expect.stringContaining('there is no workspace nope')])
  })

  it('lets pushes go on, which lose nothing', async () => {
    const database = fresh('gc-busy')
    const pusher = await pushTo(database, 'a')
    const before = pusher.acknowledged()
    expect((await run(database, ['gc', '--retention', '1 second'])).code).toBe(0)
    await until(() => pusher.acknowledged() > before)
    await pusher.end()
    expect((await run(database, ['check'])).code).toBe(0)
  })
})

describe('vacuum', () => {
  it('gives freed pages back to the disk', async () => {
    const database = await withHistory('vacuum')
    await run(database, ['gc', '--retention', '1 hour'])
    const before = statSync(database).size
    const { code, stdout } = await outcomeOf(database, 'vacuum')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^[\d.]+ [MK]B before, [\d.]+ [MK]B now: [\d.]+ [MK]B given back\n$/)
    expect(statSync(database).size).toBeLessThan(before / 2)
    expect((await run(database, ['check'])).code).toBe(0)
    const subject = await subjectOnFile(database)
    expect((await subject.view('w1')).rows).toHaveLength(20)
    expect((await subject.view('w1')).version).toBe(200)
    await subject.close()
  })

  it('works beside a server that pushes', async () => {
    const database = fresh('vacuum-busy')
    const pusher = await pushTo(database, 'a')
    expect((await run(database, ['vacuum'])).code).toBe(0)
    const before = pusher.acknowledged()
    await until(() => pusher.acknowledged() > before)
    await pusher.end()
    expect((await run(database, ['check'])).code).toBe(0)
  })
})

// At once, since each of them waits for seconds.
describe.concurrent('a lock that another process holds', () => {
  it('fails migrate with one line that says why', async () => {
    const database = makeLargeLegacy(fresh('locked'), 17, 300)
    const other = new Sqlite(database)
    other.exec('BEGIN IMMEDIATE')
    const { code, errors } = await runAlone(database, ['migrate'])
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
    expect(errors[0]).toContain('another process holds')
    other.close()
  })

  it('is waited for by gc no longer than the server does', async () => {
    const database = await withHistory('gc-locked')
    const other = new Sqlite(database)
    other.exec('BEGIN IMMEDIATE')
    const { code, errors } = await runAlone(database, ['gc', '--retention', '1 hour'])
    other.close()
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
    expect(errors[0]).toContain('another process holds the write lock')
  })

  it('fails vacuum with one line, and the file stays as it was', async () => {
    const database = await withHistory('vacuum-locked')
    const copy = `${database}.copy`
    copyFileSync(database, copy)
    const other = new Sqlite(database)
    other.exec('BEGIN IMMEDIATE')
    const { code, stdout, errors } = await runAlone(database, ['vacuum'])
    other.close()
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(errors.at(-1)).toContain('another process holds the write lock')
    expect(readFileSync(database).equals(readFileSync(copy))).toBe(true)
  })
})
