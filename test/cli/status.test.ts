/**
 * `status`, and what all commands share: help, usage errors, exit codes, which database is meant.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import { describe, expect, it } from 'vitest'
import { inspect } from '../../src/layers/operating/inspect.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeCommand, makeWorkspace, migrationNames, newestMigration } from '../support/command.js'
import { LegacyDatabase } from '../support/legacyDatabase.js'
import { del, put, scope } from '../support/ops.js'
import { root } from '../support/run.js'

const { folder, run, show, pushTo } = makeCommand()

const escapes = /\u001b/

/** Everything in a folder, byte for byte. */
const contents = (path: string) =>
  Object.fromEntries(
    readdirSync(path).map((name) => [name, readFileSync(join(path, name)).toString('base64')]),
  )

const fresh = (name: string) => {
  mkdirSync(join(folder, name))
  return join(folder, name, 'or3.db')
}

/** A workspace with rows, deletes, cursors and a trimmed part of the log. */
const filled = async (database: string) => {
  const workspaceId = await makeWorkspace(database)
  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: database } })
  const own = scope(workspaceId)
  const ops = [1, 2, 3, 4, 5].map((n) => put({ id: `s${n}`, pk: `m${n}`, payload: { n } }))
  await syncGateway.push(undefined, { ...own, ops } as never)
  const later = [del({ id: 's6', pk: 'm1', clock: 2 }), put({ id: 's7', table: 'kv', pk: 'k' })]
  await syncGateway.push(undefined, { ...own, ops: later } as never)
  const sqlite = new Sqlite(database)
  sqlite.exec('UPDATE change_log SET created_at = created_at - 7300 WHERE server_version <= 4')
  sqlite.close()
  await syncGateway.updateCursor(undefined, { ...own, deviceId: 'fast', version: 7 })
  await syncGateway.updateCursor(undefined, { ...own, deviceId: 'slow', version: 3 })
  await syncGateway.gcChangeLog(undefined, { ...own, retentionSeconds: 3600 })
  await close()
  return workspaceId
}

describe('status', () => {
  it('shows schema, sizes and workspaces, and changes nothing', async () => {
    const database = fresh('status')
    const id = await filled(database)
    const before = contents(join(folder, 'status'))
    const { code, stdout, stderr } = await run(database, ['status'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^database +.*status\/or3\.db$/m)
    expect(stdout).toMatch(new RegExp(`^schema +${newestMigration}, up to date$`, 'm'))
    expect(stdout).toMatch(/^pragmas +journal_mode=wal .*synchronous=NORMAL$/m)
    expect(stdout).toContain(`workspace ${id} "My Workspace"`)
    expect(stdout).toMatch(/^ +members +1$/m)
    expect(stdout).toMatch(/^ +rows +4 messages, 1 kv$/m)
    expect(stdout).toMatch(/^ +log +5 entries, the oldest 2 h old$/m)
    expect(stdout).toMatch(/^ +version +7, trimmed up to 2$/m)
    expect(stdout).toMatch(/^ +devices +2, the slowest slow at 3, 4 behind, heard of \d+ s ago$/m)

    const json = await run(database, ['status', '--json'])
    expect(json.code).toBe(0)
    const status = JSON.parse(json.stdout) as { bytes: number; workspaces: Array<object> }
    expect(status).toMatchObject({
      path: database,
      walBytes: 0,
      hasNote: true,
      schema: { kind: 'ours', applied: newestMigration, pending: [] },
      pragmas: { journal_mode: 'wal', synchronous: 'NORMAL' },
    })
    expect(status.workspaces).toMatchObject([
      {
        id,
        name: 'My Workspace',
        removed: false,
        members: 1,
        liveRows: { messages: 4, kv: 1 },
        logEntries: 5,
        version: 7,
        floor: 2,
        devices: 2,
        slowestDevice: { deviceId: 'slow', version: 3, behind: 4 },
      },
    ])
    expect(contents(join(folder, 'status'))).toEqual(before)
  })

  it.each(['WAL', 'DELETE'])('works while others push, in mode %s', async (mode) => {
    const database = fresh(`busy-${mode}`)
    const pusher = await pushTo(database, 'p', { mode })
    for (let round = 0; round < 3; round++) {
      const acknowledged = pusher.acknowledged()
      const { code, stdout } = await run(database, ['status', '--json'])
      expect(code).toBe(0)
      const [workspace] = (
        JSON.parse(stdout) as { workspaces: Array<{ version: number; logEntries: number }> }
      ).workspaces
      expect(workspace!.version).toBeGreaterThanOrEqual(acknowledged)
      // One snapshot, not two.
      expect(workspace!.logEntries).toBe(workspace!.version)
    }
    await pusher.end()
  })

  it('reads one state of the file, whatever is committed between its statements', async () => {
    const file = fresh('between')
    await filled(file)
    const [other, database] = [new Sqlite(file), new Sqlite(file, { readonly: true })]
    const prepare = database.prepare.bind(database)
    let commits = 0
    database.prepare = ((sql: string) => {
      if (sql.includes('FROM')) {
        other.exec(`
          INSERT INTO change_log SELECT workspace_id, value + 1, 'kv', 'k', 'delete', NULL, 1, 'h', 'd', 'c${++commits}', 0
            FROM server_version_counter;
          UPDATE server_version_counter SET value = value + 1`)
      }
      return prepare(sql)
    }) as typeof database.prepare
    const [workspace] = (await Effect.runPromise(inspect(database, file))).workspaces
    expect(commits).toBeGreaterThan(5)
    expect(workspace!.logEntries).toBe(workspace!.version - workspace!.floor)
    database.close()
    other.close()
  })

  it('names the pending migrations of an older database, and of one of the earlier package', async () => {
    const older = fresh('older')
    await filled(older)
    const sqlite = new Sqlite(older)
    // A later migration may bring the table of a synced one.
    sqlite.exec('DELETE FROM effect_sql_migrations WHERE migration_id >= 3; DROP TABLE s_posts')
    sqlite.close()
    expect((await run(older, ['status'])).stdout).toMatch(
      new RegExp(`^schema +002_sync_tables; pending: ${migrationNames.slice(2).join(', ')}$`, 'm'),
    )

    const legacy = fresh('legacy')
    const made = new LegacyDatabase(legacy, 3)
    made.user('ada')
    made.workspace('w1', 'ada')
    made.counter(2)
    made.close()
    const { code, stdout } = await run(legacy, ['status'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      new RegExp(
        `^schema +of the earlier package, 1 workspace, 2 versions; pending: ${migrationNames.join(', ')}$`,
        'm',
      ),
    )
    const advice = `or3-sqlite: ${legacy} is of the earlier package: copy it first (\`or3-sqlite backup FILE\`), then \`or3-sqlite migrate\``
    for (const command of [['check'], ['export', '--workspace', 'w1'], ['vacuum'], ['gc']])
      expect(await run(legacy, command)).toMatchObject({ code: 1, errors: [advice] })
    const copy = await run(legacy, ['backup', join(folder, 'legacy', 'copy.db')])
    expect(copy.stdout).toMatch(/; schema of the earlier package, 1 workspace, 2 versions\n$/)
    const back = await run(legacy, ['restore', join(folder, 'legacy', 'copy.db')])
    expect(back.stdout).toMatch(/; schema of the earlier package, 1 workspace, 2 versions\n/)
  })
})

describe('a database that is none', () => {
  const noDatabase: ReadonlyArray<readonly [string, (path: string) => string | undefined, number, RegExp]> = [
    ['no variable', () => undefined, 2, /OR3_SQLITE_DB_PATH is not set/],
    [
      'memory',
      () => ':memory:',
      2,
      /OR3_SQLITE_DB_PATH names no file: set it to the path of the database, such as [^;]*$/,
    ],
    ['a missing file', (path) => path, 2, /there is no database .*missing file.*: check OR3_SQLITE_DB_PATH$/],
    ['a folder', (path) => join(path, '..'), 2, /is no file/],
    ['text', (path) => (writeFileSync(path, 'x'.repeat(5_000)), path), 1, /is not an SQLite database/],
    ['an empty file', (path) => (writeFileSync(path, ''), path), 1, /is no database of this package/],
    [
      "somebody else's database",
      (path) => {
        const other = new Sqlite(path)
        other.exec('CREATE TABLE t (x)')
        other.close()
        return path
      },
      1,
      /is no database of this package/,
    ],
  ]

  it.each(noDatabase)('%s is one line, and nothing is made', async (name, make, code, says) => {
    const path = make(fresh(name))
    const before = contents(join(folder, name))
    const copy = join(folder, 'copy.db')
    const commands = [['status'], ['check'], ['migrate'], ['gc'], ['vacuum'], ['backup', copy]]
    for (const args of name === 'a missing file' ? commands : [['status'], ['migrate']]) {
      const outcome = await run(path, args)
      expect({ args, code: outcome.code, stdout: outcome.stdout }).toEqual({ args, code, stdout: '' })
      expect(outcome.errors).toHaveLength(1)
      expect(outcome.errors[0]).toMatch(says)
    }
    expect(contents(join(folder, name))).toEqual(before)
    expect(existsSync(copy)).toBe(false)
  })

  it('in tests as well, where the server would take memory', async () => {
    const { code, errors } = await run(undefined, ['status'], { NODE_ENV: 'test' })
    expect({ code, count: errors.length }).toEqual({ code: 2, count: 1 })
    expect(errors[0]).toContain('OR3_SQLITE_DB_PATH names no file')
  })

  it('a schema of a newer release is one line', async () => {
    const database = fresh('newer')
    await makeWorkspace(database)
    const sqlite = new Sqlite(database)
    sqlite.exec(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')`)
    sqlite.close()
    for (const args of [['check'], ['migrate'], ['gc'], ['vacuum'], ['export', '--workspace', 'w1']]) {
      const { code, errors } = await run(database, args)
      expect({ args, code, count: errors.length }).toEqual({ args, code: 1, count: 1 })
      expect(errors[0]).toContain('099_later, of a newer release')
    }
  })
})

describe('arguments', () => {
  it.each<ReadonlyArray<string>>([
    [],
    ['nonsense'],
    ['status', '--nonsense'],
    ['backup'],
    ['gc', '--retention', 'never'],
    ['export'],
  ])('%j %j %j is a usage error', async (...args) => {
    const database = join(folder, 'status/or3.db')
    const { code, stdout, stderr, errors } = await run(database, args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(errors).toHaveLength(1)
    expect(stderr).not.toMatch(escapes)
  })

  it('--help tells of each command, of the variables and of the exit codes, without escapes', async () => {
    const { code, stdout, stderr } = await run(undefined, ['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const each of [
      'status',
      'check',
      'migrate',
      'gc',
      'users',
      'workspaces',
      'members',
      'invites',
      'admins',
      'vacuum',
      'backup',
      'restore',
      'copy',
      'dump',
      'export',
      'import',
    ]) {
      expect(stdout).toContain(`- ${each} `)
      const own = await run(undefined, [each, '--help'])
      expect(own.code).toBe(0)
      expect(own.stdout).toContain('EXIT CODES')
      expect(own.stdout).not.toMatch(escapes)
    }
    expect(stdout).toContain('OR3_SQLITE_DB_PATH')
    expect(stdout).not.toMatch(escapes)
  })

  it('colours and a bar are for terminals, colours for those that want them', async () => {
    expect((await show(undefined, ['--help'])).stdout).toMatch(escapes)
    expect((await show(undefined, ['--help'], { NO_COLOR: '1' })).stdout).not.toMatch(escapes)
    const database = fresh('terminal')
    await makeWorkspace(database)
    const { stdout, stderr } = await show(database, ['check'])
    expect(stdout).toMatch(/all hold\n$/)
    // Nothing of the bar is left on the line.
    expect(stderr).toMatch(/^\rcheck \[\.+\] \d+ % [^]*\r +\r$/)
    expect((await run(database, ['check'])).stderr).toBe('')
  })

  it('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    expect((await run(undefined, ['--version'])).stdout.trim()).toBe(version)
  })

  it('DEBUG adds the stack trace', async () => {
    const { errors } = await run(join(folder, 'none.db'), ['status'], { DEBUG: '1' })
    expect(errors[0]).toContain('there is no database')
    expect(errors.slice(1).join('\n')).toMatch(/at /)
  })
})
