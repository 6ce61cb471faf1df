/**
 * `backup` and `restore` beside processes that write without pause, and the way of the README with SQLite's own shell.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import { beforeAll, describe, expect, it } from 'vitest'
import { restoreBackup } from '../../src/layers/operating/restore.js'
import { brokenRules, makeLegacy, query } from '../support/adoption.js'
import { damageIndex, makeCommand, makeWorkspace, newestMigration } from '../support/command.js'
import { until } from '../support/realTime.js'
import { loadSeed, randomOf } from '../support/load.js'
import { put, scope } from '../support/ops.js'
import { Device, liveOnServer } from '../support/simulatedDevice.js'
import { root } from '../support/run.js'
import { subjectOnFile } from '../support/layerSubjects.js'

const { folder, run, runAlone, start, pushTo } = makeCommand()

const fresh = (name: string) => {
  mkdirSync(join(folder, name))
  return join(folder, name, 'or3.db')
}

const names = (path: string) => readdirSync(join(path, '..')).sort()

/** A copy taken under load: sound, gapless, whole batches, and nothing missing that was acknowledged before it began. */
const judge = (copy: string, acknowledged: Readonly<Record<string, number>>) => {
  expect(brokenRules(copy)).toEqual({})
  const log = query<{ v: number; id: string }>(
    copy,
    'SELECT server_version AS v, op_id AS id FROM change_log ORDER BY server_version',
  )
  expect(log.map(({ v }) => v)).toEqual(log.map((_, index) => index + 1))
  const ids = new Set(log.map(({ id }) => id))
  expect(ids.size).toBe(log.length)
  for (const [name, count] of Object.entries(acknowledged)) {
    const own = log.filter(({ id }) => id.startsWith(`${name}-`)).length
    expect(own).toBeGreaterThanOrEqual(count)
    expect(own % 20).toBe(0)
    for (let n = 1; n <= count; n++) if (!ids.has(`${name}-${n}`)) throw new Error(`${name}-${n} is lost`)
  }
}

/** So large that it takes many steps, each of which finds the file written to since. Made once. */
const large = join(folder, 'large.db')
beforeAll(async () => {
  const pusher = await pushTo(large, 'first', { size: 8_000 })
  await until(() => pusher.acknowledged() > 4_000)
  await pusher.end()
})

const copyOfLarge = (database: string) => {
  for (const part of ['', '-seen']) copyFileSync(large + part, database + part)
}

describe.each(['WAL', 'DELETE'])('under load in mode %s', (mode) => {
  it('a backup ends, has all that was acknowledged before, and is one file', async () => {
    const database = fresh(`load-${mode}`)
    copyOfLarge(database)
    new Sqlite(database).exec(`PRAGMA journal_mode = ${mode}`).close()
    const pushers = [await pushTo(database, 'a', { mode }), await pushTo(database, 'b', { mode })]
    const copy = join(folder, `load-${mode}`, 'copy.db')
    const taken: Array<Parameters<typeof judge>> = []
    for (const args of [
      ['backup', copy],
      ['backup', copy, '--force'],
    ]) {
      const [a, b] = pushers.map((each) => each.acknowledged())
      const { code, stdout, stderr } = await run(database, args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(
        new RegExp(
          `^\\S+copy\\.db: [\\d.]+ MB, checked; schema ${newestMigration}, 0 workspaces, [\\d,]+ versions\\n$`,
        ),
      )
      const kept = join(folder, `taken-${mode}-${taken.length}.db`)
      copyFileSync(copy, kept)
      taken.push([kept, { a: a!, b: b! }])
    }
    const before = pushers.map((each) => each.acknowledged())
    await until(() => pushers.every((each, index) => each.acknowledged() > before[index]!))
    for (const each of pushers) await each.end()
    // Only now, since it takes longer beside them.
    for (const each of taken) judge(...each)
    expect(names(copy)).toEqual(['copy.db', 'or3.db', 'or3.db-seen'])
    // No write-ahead log goes with it, so that it can be read where nothing may be written.
    expect(query(copy, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'delete' }])
  })
})

it("the README's command for SQLite's own shell takes a sound copy under load, which can be restored", async () => {
  const database = fresh('shell')
  const copy = join(folder, 'shell', 'copy.db')
  const [line] = /^sqlite3 \/data\/or3-sync\.db "\.backup [^"]+"/m.exec(
    readFileSync(join(root, 'README.md'), 'utf8'),
  )!
  const command = line.replace('/data/or3-sync.db', database).replace(/\/backup\/.+\.db"/, `${copy}"`)
  const pusher = await pushTo(database, 'a')
  const acknowledged = pusher.acknowledged()
  execFileSync('bash', ['-c', command], { stdio: 'pipe' })
  judge(copy, { a: acknowledged })
  await pusher.end()

  expect((await run(database, ['restore', copy])).code).toBe(0)
  const subject = await subjectOnFile(database)
  expect((await subject.view('w1')).version).toBeGreaterThan(2 ** 32)
  await subject.close()
  expect((await run(database, ['check'])).code).toBe(0)
})

beforeAll(() => {
  if (spawnSync('sqlite3', ['--version']).status === 0) return
  // Root may install it, as CI's root does.
  spawnSync('apt-get', ['install', '-y', 'sqlite3'], { stdio: 'ignore' })
  if (spawnSync('sqlite3', ['--version']).status !== 0)
    throw new Error("the README's backup is tested with SQLite's shell: install the package sqlite3")
})

describe('backup', () => {
  it('never replaces a file unless told to, and leaves nothing behind', async () => {
    const database = fresh('refusals')
    await makeWorkspace(database)
    const copy = join(folder, 'refusals', 'copy.db')
    writeFileSync(copy, 'precious')
    const refused = await run(database, ['backup', copy])
    expect({ code: refused.code, count: refused.errors.length }).toEqual({ code: 2, count: 1 })
    expect(refused.errors[0]).toContain('is there already')
    expect(readFileSync(copy, 'utf8')).toBe('precious')

    // A journal that lies there would be taken for a part of the copy.
    rmSync(copy)
    writeFileSync(`${copy}-journal`, 'old')
    expect((await run(database, ['backup', copy])).errors[0]).toContain('copy.db-journal is there already')
    expect((await run(database, ['backup', copy, '--force'])).code).toBe(0)

    for (const [target, says] of [
      [database, 'is the database itself'],
      [join(folder, 'nowhere', 'copy.db'), 'there is no folder'],
      [folder, 'is no file'],
    ] as const) {
      const { code, errors } = await run(database, ['backup', target, '--force'])
      expect({ code, count: errors.length }).toEqual({ code: 2, count: 1 })
      expect(errors[0]).toContain(says)
    }
    expect(names(copy)).toEqual(['copy.db', 'or3.db', 'or3.db-seen'])
    chmodSync(database, 0o600)
    expect((await run(database, ['backup', copy, '--force'])).code).toBe(0)
    expect(statSync(copy).mode & 0o777).toBe(0o600)
  })

  it('of a damaged database fails, and leaves the last one as it was', async () => {
    const database = fresh('damaged')
    await makeWorkspace(database)
    const copy = join(folder, 'damaged', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    const good = readFileSync(copy)
    damageIndex(database, 'sqlite_autoindex_workspaces_1')
    const { code, errors } = await run(database, ['backup', copy, '--force'])
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
    expect(errors[0]).toMatch(/damaged|no sound database/)
    expect(readFileSync(copy).equals(good)).toBe(true)
    expect(names(copy)).toEqual(['copy.db', 'or3.db', 'or3.db-seen'])
  })

  it('that is interrupted leaves nothing behind', async () => {
    const database = fresh('interrupted')
    copyOfLarge(database)
    const copy = join(folder, 'interrupted', 'copy.db')
    const { child, ended } = start(database, ['backup', copy])
    const isDraft = (name: string) => name.includes('.part-')
    await until(() => names(copy).some(isDraft))
    // Nobody else may read it meanwhile.
    const draft = join(folder, 'interrupted', names(copy).find(isDraft)!)
    expect(statSync(draft).mode & 0o777).toBe(0o600)
    child.kill('SIGINT')
    expect((await ended).code).toBe(130)
    expect(names(copy)).toEqual(['or3.db', 'or3.db-seen'])
  })

  it('goes to no name that SQLite or the server gives to a part of the database', async () => {
    const database = fresh('parts')
    const workspaceId = await makeWorkspace(database)
    const before = names(database)
    for (const suffix of ['-wal', '-shm', '-journal', '-seen']) {
      rmSync(database + suffix, { force: true })
      for (const args of [
        ['backup', database + suffix],
        ['export', '--workspace', workspaceId, '--out', `${folder}/parts/../parts/or3.db${suffix}`],
      ]) {
        const { code, errors } = await run(database, args)
        expect({ args, code }).toEqual({ args, code: 2 })
        expect(errors).toEqual([
          expect.stringContaining('is the database itself or a part of it: choose another name'),
        ])
      }
    }
    expect(names(database)).toEqual(before.filter((name) => name !== 'or3.db-seen'))
  })
})

describe('restore', () => {
  it.each(['WAL', 'DELETE'])(
    'refuses while a process has the database open, idle in mode %s',
    async (mode) => {
      const database = fresh(`idle-${mode}`)
      await makeWorkspace(database, mode)
      const copy = join(folder, `idle-${mode}`, 'copy.db')
      expect((await run(database, ['backup', copy])).code).toBe(0)
      const idle = new Sqlite(database)
      idle.prepare('SELECT count(*) FROM users').get()
      const before = names(database)
      const { code, errors } = await runAlone(database, ['restore', copy])
      expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
      expect(errors[0]).toMatch(/is in use by .*\(process \d+\): stop what uses it first/)
      expect(names(database)).toEqual(before)
      idle.close()
      expect((await run(database, ['restore', copy])).code).toBe(0)
    },
  )

  it("refuses by SQLite's lock too, where the system does not tell who has it open", async () => {
    const database = fresh('lock')
    await makeWorkspace(database)
    const copy = join(folder, 'lock', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    // This process does not look for itself.
    const idle = new Sqlite(database)
    idle.prepare('SELECT count(*) FROM users').get()
    const before = names(database)
    const error = await Effect.runPromise(Effect.flip(restoreBackup(copy, database, 'now')))
    expect(error.message).toBe(
      `${database} is in use: stop what uses it first, and start it again afterwards`,
    )
    expect(names(database)).toEqual(before)
    expect(query(database, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    idle.close()
  })

  it('refuses what is no sound backup, and changes nothing', async () => {
    const database = fresh('unsound')
    await makeWorkspace(database)
    const path = (name: string) => join(folder, 'unsound', name)
    copyFileSync(database, path('cut.db'))
    writeFileSync(path('cut.db'), readFileSync(database).subarray(0, 20_000))
    copyFileSync(database, path('index.db'))
    damageIndex(path('index.db'), 'sqlite_autoindex_workspaces_1')
    writeFileSync(path('text.db'), 'x'.repeat(9_000))
    new Sqlite(path('other.db')).exec('CREATE TABLE t (x)').close()
    copyFileSync(database, path('newer.db'))
    new Sqlite(path('newer.db'))
      .exec(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')`)
      .close()
    const before = readFileSync(database)
    const list = names(database)
    for (const [name, says] of [
      ['cut.db', /damaged|no sound database/],
      ['index.db', /is damaged/],
      ['text.db', /no sound database/],
      ['other.db', /no database of this package/],
      ['newer.db', /of a newer release/],
    ] as const) {
      const { code, errors } = await run(database, ['restore', path(name)])
      expect({ name, code, count: errors.length }).toEqual({ name, code: 1, count: 1 })
      expect(errors[0]).toMatch(says)
    }
    expect((await run(database, ['restore', path('none.db')])).code).toBe(2)
    expect((await run(database, ['restore', database])).code).toBe(2)
    expect(readFileSync(database).equals(before)).toBe(true)
    expect(names(database)).toEqual(list)
  })

  it('keeps the old database, with what only its write-ahead log had, and the permissions', async () => {
    const database = fresh('kept')
    const pusher = await pushTo(database, 'a')
    const copy = join(folder, 'kept', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    const later = pusher.acknowledged() + 100
    await until(() => pusher.acknowledged() > later)
    await pusher.kill()
    expect(existsSync(`${database}-wal`)).toBe(true)
    chmodSync(database, 0o640)
    const outcome = await run(database, ['restore', copy])
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/kept as .*or3\.db\.before-restore-\d{8}T\d{6}Z\n/)
    expect(outcome.stdout).toContain('all devices pull their workspaces anew')
    const kept = names(database).filter((name) => name.includes('before-restore'))
    expect(kept).toHaveLength(1)
    expect(names(database)).toEqual(['copy.db', 'or3.db', 'or3.db-seen', kept[0]!].sort())
    judge(join(folder, 'kept', kept[0]!), { a: later })
    expect(statSync(database).mode & 0o777).toBe(0o640)
    expect((await run(database, ['check'])).code).toBe(0)
  })

  it('takes the place of a database that cannot be read, without its journal', async () => {
    const database = fresh('unreadable')
    await makeWorkspace(database)
    const copy = join(folder, 'unreadable', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    writeFileSync(database, 'x'.repeat(9_000))
    writeFileSync(`${database}-wal`, 'y')
    rmSync(`${database}-seen`)
    const { code, stderr } = await run(database, ['restore', copy])
    expect(code).toBe(0)
    expect(stderr).toContain('assumes the most')
    expect(readFileSync(`${database}-seen`, 'utf8')).toMatch(/^9007199254740991 /)
    const kept = names(database).filter((name) => name.includes('before-restore'))
    expect(readFileSync(join(folder, 'unreadable', kept[0]!), 'utf8')).toBe('x'.repeat(9_000))
    expect(existsSync(`${database}-wal`)).toBe(false)
    expect((await run(database, ['check'])).code).toBe(0)
  })

  it('leaps over all that was before, also after an earlier restore and without a note', async () => {
    const database = fresh('twice')
    const copy = join(folder, 'twice', 'copy.db')
    const versions: Array<number> = []
    for (let era = 0; era < 3; era++) {
      const subject = await subjectOnFile(database)
      await subject.push({ ...scope(), ops: [put({ pk: `era${era}` })] })
      versions.push(Math.floor((await subject.view('w1')).version / 2 ** 32))
      if (era === 0) expect((await run(database, ['backup', copy])).code).toBe(0)
      await subject.close()
      rmSync(`${database}-seen`)
      if (era === 2) break
      expect((await run(database, ['restore', copy])).code).toBe(0)
      // The old database is kept under the time, so another second has to begin.
      await sleep(1_000 - (Date.now() % 1_000))
    }
    expect(versions).toEqual([0, 1, 2])
  })

  it('of a backup of the earlier package lets the next start leap', async () => {
    const database = fresh('earlier')
    const copy = join(folder, 'earlier', 'copy.db')
    makeLegacy(copy, 17, (legacy) => {
      legacy.user('ada')
      legacy.workspace('w1', 'ada')
      legacy.entry({ version: 1, pk: 'm1', payload: {} })
      legacy.entry({ version: 2, pk: 'm2', payload: {} })
      legacy.counter(2)
    })
    const subject = await subjectOnFile(database)
    await subject.push({ ...scope(), ops: [put()] })
    await subject.close()
    expect((await run(database, ['restore', copy])).code).toBe(0)
    const adopted = await subjectOnFile(database)
    expect((await adopted.view('w1')).version).toBeGreaterThan(2 ** 32)
    await adopted.close()
    expect((await run(database, ['check'])).code).toBe(0)
  })

  it('of a file that nobody may write to gives one that its owner, and nobody else, may', async () => {
    const database = fresh('read-only')
    await makeWorkspace(database)
    const copy = join(folder, 'read-only', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    chmodSync(copy, 0o444)
    const other = fresh('read-only-to')
    expect(await run(other, ['restore', copy])).toMatchObject({ code: 0 })
    expect(statSync(other).mode & 0o777).toBe(0o600)
  })

  it('that is interrupted leaves the database, and nothing else behind', async () => {
    const database = fresh('restore-interrupted')
    copyOfLarge(database)
    const copy = join(folder, 'restore-interrupted', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    const before = names(database)
    const { child, ended } = start(database, ['restore', copy])
    await until(() => names(database).some((name) => name.includes('.restoring-')))
    child.kill('SIGTERM')
    expect((await ended).code).toBe(130)
    expect(names(database)).toEqual(before)
  })

  it('makes the database where there is none yet', async () => {
    const database = fresh('old-machine')
    const subject = await subjectOnFile(database)
    await subject.push({ ...scope(), ops: [put()] })
    const copy = join(folder, 'old-machine', 'copy.db')
    expect((await run(database, ['backup', copy])).code).toBe(0)
    await subject.close()
    const other = fresh('new-machine')
    const { code, stdout } = await run(other, ['restore', copy])
    expect(code).toBe(0)
    expect(stdout).not.toContain('kept as')
    expect(names(other)).toEqual(['or3.db', 'or3.db-seen'])
    const there = await subjectOnFile(other)
    expect((await there.view('w1')).version).toBeGreaterThan(2 ** 32)
    await there.close()
    expect((await run(join(folder, 'nowhere', 'or3.db'), ['restore', copy])).code).toBe(2)
  })

  it('and the next start: all devices agree with the server again', { timeout: 240_000 }, async () => {
    const random = randomOf(loadSeed)
    for (let history = 0; history < 4; history++) {
      const database = fresh(`history-${history}`)
      const copy = join(folder, `history-${history}`, 'copy.db')
      let subject = await subjectOnFile(database)
      const devices = ['d1', 'd2', 'd3'].map((id) => new Device(id))
      const play = async (era: string) => {
        for (let step = 0; step < 25; step++) {
          const device = devices[random(3)]!
          if (random(3) < 2)
            device.edit('messages', 'abcd'[random(4)]!, random(4) === 0 ? 'delete' : 'put', `${era}-${step}`)
          else await device.synchronise(subject)
        }
      }
      // The backup knows the workspace, so that it has something to leap over.
      devices[0]!.edit('messages', 'a', 'put', 'first')
      await devices[0]!.synchronise(subject)
      await play('before')
      // While the server has it open.
      expect((await run(database, ['backup', copy])).code).toBe(0)
      await play('lost')
      await subject.close()
      // Without the server's note, the replaced database tells as much.
      if (history % 2 === 1) rmSync(`${database}-seen`)
      expect((await run(database, ['restore', copy])).code).toBe(0)
      subject = await subjectOnFile(database)
      expect((await subject.view('w1')).version, `seed ${loadSeed}`).toBeGreaterThan(2 ** 32)
      await play('after')
      for (let round = 0; round < 3; round++) for (const each of devices) await each.synchronise(subject)
      const { rows } = await subject.view('w1')
      for (const each of devices) {
        for (const row of rows) {
          const { clock, hlc, deleted, payload } = row
          expect(each.rows.get(`messages/${row.pk}`), `seed ${loadSeed}: ${each.id} ${row.pk}`).toMatchObject(
            {
              clock,
              hlc,
              deleted,
              payload,
            },
          )
        }
      }
      expect(Object.keys(await liveOnServer(subject)).length).toBeLessThanOrEqual(4)
      await subject.close()
      expect((await run(database, ['check'])).code).toBe(0)
    }
  })
})
