/**
 * `dump`: SQL that brings everything into a new database, by SQLite's own shell or on its way to D1.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../../src/layers/sql/look.js'
import { keyed } from '../../src/layers/operating/tables.js'
import { requiredTables } from '../../src/layers/sql/schemaVersion.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { query } from '../support/adoption.js'
import { makeCommand, makeWorkspace, manySettings } from '../support/command.js'
import { newD1 } from '../support/d1Server.js'
import { downgrade } from '../support/earlierRelease.js'
import { contentsOf, fillEveryTable } from '../support/everyTable.js'
import { put, scope } from '../support/ops.js'
import { until } from '../support/realTime.js'

const { folder, run, start } = makeCommand()

const good = join(folder, 'good.db')
let workspaceId: string
let dumped: string
beforeAll(async () => {
  workspaceId = await fillEveryTable(good)
  dumped = join(folder, 'good.sql')
  const outcome = await run(good, ['dump', '--out', dumped])
  expect(outcome).toMatchObject({ code: 0, stderr: '' })
})

let files = 0
const newFile = () => join(folder, `file-${++files}.db`)
const copyOf = (source: string) => {
  const file = newFile()
  for (const part of ['', '-seen']) copyFileSync(source + part, file + part)
  return file
}

const objects = 'SELECT type, name, sql FROM sqlite_schema ORDER BY type, name'
const ledger = 'SELECT * FROM effect_sql_migrations'

const expectSame = async (file: string) => {
  expect(contentsOf(file)).toEqual(contentsOf(good))
  expect(query(file, objects)).toEqual(query(good, objects))
  expect(query(file, ledger)).toEqual(query(good, ledger))
  expect(await run(file, ['check'])).toMatchObject({ code: 0 })
}

describe('a dump', () => {
  it('makes the same database again, by the driver', async () => {
    const file = newFile()
    new Sqlite(file).exec(readFileSync(dumped, 'utf8')).close()
    await expectSame(file)
  })

  it("makes the same database again, by SQLite's shell", async () => {
    if (spawnSync('sqlite3', ['--version']).status !== 0)
      spawnSync('apt-get', ['install', '-y', 'sqlite3'], { stdio: 'ignore' })
    const file = newFile()
    execFileSync('sqlite3', ['-bail', file], { input: readFileSync(dumped), stdio: 'pipe' })
    await expectSame(file)
  })

  it('goes to standard output, and is the same', async () => {
    const { code, stdout, stderr } = await run(good, ['dump'])
    expect({ code, stderr, isSame: stdout === readFileSync(dumped, 'utf8') }).toEqual({
      ...{ code: 0, stderr: '', isSame: true },
    })
  })

  it('replaces a file when told to, and says what it leaves out', async () => {
    const source = copyOf(good)
    new Sqlite(source).exec('CREATE TABLE upload_intents (x)').close()
    const out = join(folder, 'there.sql')
    writeFileSync(out, 'precious')
    const refused = await run(source, ['dump', '--out', out])
    expect(refused).toMatchObject({ code: 2, errors: [expect.stringContaining('is there already')] })
    expect(readFileSync(out, 'utf8')).toBe('precious')
    expect(await run(source, ['dump', '--out', out, '--force'])).toMatchObject({
      code: 0,
      errors: ['left out, since no table of ours: upload_intents'],
    })
    expect(readFileSync(out, 'utf8')).toBe(readFileSync(dumped, 'utf8'))
    const own = await run(source, ['dump', '--out', source, '--force'])
    expect(own).toMatchObject({ code: 2, errors: [expect.stringContaining('is the database itself')] })
    expect(readdirSync(folder).filter((name) => name.includes('.part-'))).toEqual([])
  })

  it('that is interrupted leaves nothing behind', async () => {
    const source = copyOf(good)
    manySettings(source, workspaceId, 200_000)
    const { child, ended } = start(source, ['dump', '--out', join(folder, 'interrupted.sql')])
    const left = () => readdirSync(folder).filter((name) => name.startsWith('interrupted.sql'))
    // Some of it is written, in the middle of a table.
    await until(() => left().some((name) => statSync(join(folder, name)).size > 3e6))
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, errors: [] })
    expect(left()).toEqual([])
  })

  it('is of the current schema alone, and of a file', async () => {
    const older = newFile()
    await makeWorkspace(older)
    await downgrade(older, 7)
    const out = join(folder, 'older.sql')
    expect(await run(older, ['dump', '--out', out])).toMatchObject({
      code: 1,
      errors: [expect.stringMatching(/lacks 008_people.*: run `or3-sqlite migrate`/)],
    })
    const env = { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: `file:${good}` }
    expect(await run(undefined, ['dump', '--out', out], env)).toMatchObject({
      code: 2,
      errors: [expect.stringMatching(/turso db shell NAME \.dump.*or3-sqlite copy --to FILE/)],
    })
    expect(existsSync(out)).toBe(false)
  })
})

describe('for D1', () => {
  /** One statement a line; a trigger has several lines. */
  const statementsIn = (sql: string): ReadonlyArray<string> => {
    const found: Array<string> = []
    let open = ''
    for (const line of sql.split('\n')) {
      open += `${line}\n`
      const isDone = /;\s*$/.test(open) && (!open.includes('CREATE TRIGGER') || /\bEND;\s*$/.test(open))
      if (!isDone) continue
      found.push(open.trim())
      open = ''
    }
    expect(open.trim()).toBe('')
    return found
  }

  it('is what D1 takes, and a Worker goes on with it', async () => {
    const { code, stdout } = await run(good, ['dump', '--d1'])
    expect(code).toBe(0)
    const statements = statementsIn(stdout)
    expect(Math.max(...statements.map((sql) => Buffer.byteLength(sql)))).toBeLessThanOrEqual(100_000)
    expect(
      statements.filter(
        (sql) => !/^(CREATE (TABLE|UNIQUE INDEX|INDEX|TRIGGER)|INSERT INTO|UPDATE) /.test(sql),
      ),
    ).toEqual([])

    const binding = await newD1()
    for (let at = 0; at < statements.length; at += 20)
      await binding.batch(statements.slice(at, at + 20).map((sql) => binding.prepare(sql)) as never)
    for (const table of requiredTables) {
      const order = keyed.has(table) ? 'file_references.hash, file_references.source_id' : 'rowid'
      const columns = query<{ name: string }>(good, `SELECT name FROM pragma_table_info('${table}')`)
      const values = columns.map(
        ({ name }) =>
          `typeof("${name}") AS "t_${name}", length(CAST("${name}" AS BLOB)) AS "l_${name}", hex(substr(CAST("${name}" AS BLOB), -300)) AS "${name}"`,
      )
      const { sql } = ask(`SELECT ${values.join(', ')} FROM ${table} ORDER BY ${order}`)
      const [found] = await binding.batch([binding.prepare(sql)] as never)
      expect({ table, rows: found!.results }).toEqual({ table, rows: query(good, sql) })
    }

    const positions = async ({ syncGateway }: Pick<ReturnType<typeof openProvider>, 'syncGateway'>) => {
      const own = scope(workspaceId)
      const answers = [
        await syncGateway.pull(undefined, { ...own, cursor: 2 ** 33 + 14, limit: 100 }),
        await syncGateway.push(undefined, {
          ...own,
          ops: [put({ id: 'old3', pk: 'old3', payload: { n: 3 } }), put({ id: 'fresh', pk: 'fresh' })],
        } as never),
      ]
      return JSON.parse(JSON.stringify(answers).replaceAll(/"(createdAt|updatedAt)":\d+/g, '""')) as unknown
    }
    const file = openProvider({ env: { OR3_SQLITE_DB_PATH: copyOf(good) } })
    const worker = openProvider({ env: {}, d1: binding })
    expect(await positions(worker)).toEqual(await positions(file))
    await file.close()
    await worker.close()
  }, 30_000)

  it('is not written where D1 could not take it', async () => {
    const source = copyOf(good)
    const sqlite = new Sqlite(source)
    sqlite.prepare('UPDATE job_chunks SET text = ? WHERE seq = 0').run('x'.repeat(2_000_001))
    sqlite.close()
    const out = join(folder, 'large.sql')
    expect(await run(source, ['dump', '--d1', '--out', out])).toMatchObject({
      code: 1,
      errors: [`or3-sqlite: D1 takes no row of more than 2 MB, as are 1 of job_chunks`],
    })
    expect(existsSync(out)).toBe(false)
    expect(await run(source, ['dump', '--d1'])).toMatchObject({ code: 1, stdout: '' })
    expect(await run(source, ['dump', '--out', out])).toMatchObject({ code: 0 })
  })
})
