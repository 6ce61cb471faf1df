/**
 * `copy`: everything gets there, whatever engines have it and whatever comes in between, and devices notice nothing.
 */
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect } from 'effect'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requiredTables } from '../../src/layers/sql/schemaVersion.js'
import { expectedObjects } from '../../src/layers/operating/schemaState.js'
import { keyed } from '../../src/layers/operating/tables.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { query } from '../support/adoption.js'
import { makeCommand, makeWorkspace, manySettings } from '../support/command.js'
import { downgrade } from '../support/earlierRelease.js'
import { migratedFile } from '../support/migratedFile.js'
import { opId, put, scope } from '../support/ops.js'
import { cases, deep, fc, patience } from '../support/property.js'
import { opPool } from '../support/arbitraries.js'
import { contentsOf, fillEveryTable } from '../support/everyTable.js'
import { until } from '../support/realTime.js'
import { startTurso, type Turso } from '../support/tursoServer.js'

const { folder, run, start } = makeCommand()

/** With as much in one value as there may be. */
const large = join(folder, 'large.db')
const good = join(folder, 'good.db')
let workspaceId: string
/** Without a NUL. */
const plain = join(folder, 'plain.db')
beforeAll(async () => {
  await fillEveryTable(large)
  workspaceId = await fillEveryTable(good, { chunkBytes: 1_000 })
  await fillEveryTable(plain, { chunkBytes: 1_000, nul: '' })
})

const servers: Array<Turso> = []
const turso = async (given?: string) => {
  const server = await startTurso(given)
  servers.push(server)
  return server
}
afterAll(() => Promise.all(servers.map((server) => server.stop())))

let files = 0
const newFile = () => join(folder, `file-${++files}.db`)

/** With the note beside it, so that no start takes it for a restored backup. */
const goodCopy = (source = good) => {
  const file = newFile()
  for (const part of ['', '-seen']) if (existsSync(source + part)) copyFileSync(source + part, file + part)
  return file
}

type Env = Readonly<Record<string, string>>

/** The command on a file, or on what an address leads to. */
const on = (where: string, args: ReadonlyArray<string>, env: Env = {}) =>
  where.includes(':')
    ? run(undefined, args, { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: where, ...env })
    : run(where, args, env)

/** What it says of its progress on a slow machine is no error. */
const copy = async (from: string, to: string, env: Env = {}) => {
  const outcome = await on(from, ['copy', '--to', to], env)
  return { ...outcome, errors: outcome.errors.filter((line) => !/^copy: \d+ % /.test(line)) }
}

const copied = async (from: string, to: string, env: Env = {}) => {
  const outcome = await copy(from, to, env)
  expect(outcome).toMatchObject({ code: 0, errors: [] })
  expect(await on(to, ['check'])).toMatchObject({ code: 0 })
  return outcome
}

/** On Turso, as a copy left it. */
let far: Turso

describe('a copy of a database with rows in every table', () => {
  it('has rows in every table', async () => {
    for (const [table, rows] of Object.entries(contentsOf(good)))
      expect({ table, rows: rows.length }).not.toEqual({ table, rows: 0 })
    expect(await run(good, ['check'])).toMatchObject({ code: 0 })
  })

  it('from a file to a file, which is then a database like any other', async () => {
    const file = newFile()
    const { stdout } = await copied(good, file)
    expect(contentsOf(file)).toEqual(contentsOf(good))
    const lines = stdout.split('\n')
    const rows = Object.values(contentsOf(good)).reduce((sum, rows) => sum + rows.length, 0)
    expect(lines.filter((line) => / rows?, equal, [0-9a-f]{12}$/.test(line))).toHaveLength(
      requiredTables.length,
    )
    expect(lines.at(-2)).toBe(`${file}: copied from ${good}, ${rows} rows; both sides are equal`)
    expect(readFileSync(`${file}-seen`, 'utf8')).toBe(`27 ${2 ** 33 + 27} 0
`)
    expect(statSync(file).mode).toBe(statSync(good).mode)
    const objects = 'SELECT type, name, sql FROM sqlite_schema ORDER BY type, name'
    expect(query(file, objects)).toEqual(query(good, objects))
    const names = 'SELECT migration_id, name FROM effect_sql_migrations'
    expect(query(file, names)).toEqual(query(good, names))
  })

  it('from a file to Turso, to another one, and back', async () => {
    far = await turso()
    const other = await turso()
    await copied(good, far.url)
    await copied(far.url, other.url)
    const file = newFile()
    await copied(other.url, file)
    expect(contentsOf(file)).toEqual(contentsOf(good))
  })

  it('with the largest values there are, from a file to Turso and back', async () => {
    const { url, proxy } = await turso()
    const file = newFile()
    expect(await copy(large, url)).toMatchObject({ code: 0 })
    expect(await copy(url, file)).toMatchObject({ code: 0 })
    expect(contentsOf(file)).toEqual(contentsOf(large))
    // None holds up others for long, and an answer is not much larger than a page.
    expect(Math.max(...proxy.trips.map(({ statements }) => statements.length))).toBeLessThanOrEqual(502)
  })

  it('from a file to one of libSQL, and back', async () => {
    const [between, file] = [newFile(), newFile()]
    await copied(plain, `file:${between}`)
    expect(contentsOf(between)).toEqual(contentsOf(plain))
    await copied(`file:${between}`, file)
    expect(contentsOf(file)).toEqual(contentsOf(plain))
  })

  it(
    'of any history and any text is equal, in a file or through Turso',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          opPool(40),
          fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { minLength: 1, maxLength: 8 }),
          // There and back again takes many times as long.
          fc.constantFrom(false, false, false, true),
          async (ops, texts, isFar) => {
            const source = newFile()
            const workspaceId = await makeWorkspace(source)
            const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: source } })
            for (const [id, part] of [[workspaceId, ops] as const, ['other', ops.slice(20)] as const]) {
              const { serverVersion } = await syncGateway.push(undefined, { ...scope(id), ops: part })
              await syncGateway.updateCursor(undefined, {
                ...scope(id),
                deviceId: 'd1',
                version: serverVersion,
              })
            }
            await close()
            const sqlite = new Sqlite(source)
            // Old enough for a part of the log to be trimmed, and the floor to rise.
            sqlite.exec('UPDATE change_log SET created_at = created_at - 7300 WHERE server_version < 20')
            const setting = sqlite.prepare(
              'INSERT INTO workspace_settings (workspace_id, key, value, updated_at) VALUES (?, ?, ?, ?)',
            )
            for (const [place, text] of texts.entries()) setting.run(workspaceId, `k${place}`, text, place)
            sqlite.close()
            expect(await run(source, ['gc', '--retention', '2 hours'])).toMatchObject({ code: 0 })
            const contents = contentsOf(source)
            expect(contents.trimmed_ops!.length).toBeGreaterThan(0)
            expect(contents.workspace_settings).toHaveLength(texts.length)

            const target = newFile()
            if (isFar) {
              const server = await startTurso()
              try {
                await copied(source, server.url)
                await copied(server.url, target)
              } finally {
                await server.stop()
              }
            } else await copied(source, target)
            expect(contentsOf(target)).toEqual(contents)
          },
        ),
        cases(8),
      )
    },
    patience(60_000),
  )

  it('fails where a driver reads less than there is', async () => {
    // The client reads text of a file up to a NUL alone.
    expect(await copy(`file:${goodCopy()}`, newFile())).toMatchObject({
      code: 1,
      errors: [expect.stringMatching(/: \w+ has text that its driver does not give as it is/)],
    })
  })
})

it('knows the tables that are kept by their keys', async () => {
  const found = [...(await Effect.runPromise(expectedObjects)).values()].filter((sql) =>
    /WITHOUT ROWID/.test(sql ?? ''),
  )
  expect(found.map((sql) => /CREATE TABLE (\w+)/.exec(sql!)![1])).toEqual([...keyed])
})

describe('devices', () => {
  const open = (where: string) =>
    openProvider({
      env: where.includes(':')
        ? { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: where }
        : { OR3_SQLITE_DB_PATH: where },
    })

  /** What they are told from where they were, and of what they send again and anew. */
  const goneOn = async (where: string) => {
    const { syncGateway, ready, close } = open(where)
    await ready
    const own = scope(workspaceId)
    const pull = (cursor: number) => syncGateway.pull(undefined, { ...own, cursor, limit: 100 })
    const { nextCursor } = await pull(2 ** 33 + 9)
    const answers = [
      await pull(0),
      await pull(2 ** 33 + 14),
      await syncGateway.push(undefined, {
        ...own,
        ops: [
          put({ id: 'late', table: 'messages', pk: 'late', clock: 2 ** 53 - 1, payload: { text: 'x' } }),
          // Of the part of the log that was trimmed.
          put({ id: 'old3', pk: 'old3', payload: { n: 3 } }),
          put({ id: 'fresh', pk: 'fresh', payload: { n: 1 } }),
        ],
      } as never),
      await pull(nextCursor),
    ]
    await syncGateway.updateCursor(undefined, { ...own, deviceId: 'd1', version: nextCursor })
    await close()
    // Times are when it was.
    return JSON.parse(JSON.stringify(answers).replaceAll(/"(createdAt|updatedAt)":\d+/g, '""')) as unknown
  }

  it('go on as if nothing had been', async () => {
    const original = goodCopy()
    const file = newFile()
    await copied(original, file)
    const server = await turso()
    await copied(original, server.url)
    const expected = await goneOn(original)
    expect(JSON.stringify(expected)).toContain('"replayed":true')
    expect(await goneOn(file)).toEqual(expected)
    expect(await goneOn(server.url)).toEqual(expected)
    // Neither took itself for a restored backup.
    const offsets = 'SELECT * FROM server_version_counter'
    expect(query(file, offsets)).toEqual(query(original, offsets))
  })
})

/** Answers some of what a server is asked with a refusal, from the n-th read of a table's rows on. */
const refuse = (server: Turso, table: string) =>
  server.proxy.fail(
    ({ statements }) =>
      statements.some((sql) => sql.includes('copied_at_0') && sql.includes(`FROM ${table} `)),
    { answer: 401, executed: false },
  )

describe('a copy that was interrupted', () => {
  const says =
    'is an unfinished copy: run the same `or3-sqlite copy` again, which goes on with it, or remove it'

  const unfinished = async (to: string) => {
    refuse(far, 'jobs')
    const { code, errors } = await copy(far.url, to)
    far.proxy.heal()
    expect({ code, errors }).toEqual({
      code: 1,
      errors: [
        expect.stringMatching(/: the database refused the token: .*: check OR3_SQLITE_TURSO_AUTH_TOKEN$/),
      ],
    })
  }

  const kinds = [
    ['a file', () => Promise.resolve(newFile())],
    ['Turso', async () => (await turso()).url],
  ] as const

  it.each(kinds)('is no database until it is done, and goes on: in %s', async (_, place) => {
    const to = await place()
    await unfinished(to)
    for (const args of [['check'], ['migrate'], ['gc'], ['users'], ['copy', '--to', newFile()]])
      expect({ args, ...(await on(to, args)) }).toMatchObject({
        args,
        code: 1,
        stdout: '',
        errors: [`or3-sqlite: ${to} ${says}`],
      })
    expect((await on(to, ['status'])).stdout).toMatch(/^schema .*unfinished copy/m)
    await expect(
      (async () => {
        const provider = openProvider({
          env: to.includes(':')
            ? { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: to }
            : { OR3_SQLITE_DB_PATH: to },
        })
        await provider.ready.finally(() => provider.close())
      })(),
    ).rejects.toThrow(`the database ${says}`)

    expect(await copy(good, to)).toMatchObject({
      code: 1,
      errors: [
        `or3-sqlite: ${to} is the unfinished copy of another database: name another place, or remove it`,
      ],
    })
    const { stdout } = await copied(far.url, to)
    expect(stdout).toMatch(/ rows, \d+ rows of them by an earlier run; both sides are equal$/m)
  })

  it('is refused by an earlier release, and is no backup', async () => {
    const file = newFile()
    await unfinished(file)
    // What all releases look at.
    expect(query(file, 'SELECT max(migration_id) AS id FROM effect_sql_migrations')).toEqual([
      { id: 1_000_000 },
    ])
    const backup = await run(file, ['backup', newFile()])
    expect(backup).toMatchObject({ code: 1, errors: [expect.stringContaining('unfinished copy')] })
    const dump = await run(file, ['dump'])
    expect(dump).toMatchObject({ code: 1, stdout: '', errors: [`or3-sqlite: ${file} ${says}`] })
    const restored = await run(goodCopy(), ['restore', file])
    expect(restored).toMatchObject({ code: 1, errors: [expect.stringContaining('unfinished copy')] })
  })

  it('does not go on with another state of its source', async () => {
    const source = goodCopy()
    const server = await turso()
    server.proxy.fail(({ statements }) => statements.some((sql) => sql.startsWith('INSERT INTO jobs ')), {
      answer: 401,
      executed: false,
    })
    expect(await copy(source, server.url)).toMatchObject({
      code: 1,
      errors: [expect.stringMatching(/refused the token: .*: check OR3_SQLITE_TO_AUTH_TOKEN$/)],
    })
    server.proxy.heal()
    new Sqlite(source).exec('UPDATE server_version_counter SET value = value + 1').close()
    writeFileSync(`${source}-seen`, '0 0 0\n')
    expect(await copy(source, server.url)).toMatchObject({
      code: 1,
      errors: [
        `or3-sqlite: the database was written to since its copy was begun: stop its servers, remove ${server.url}, and copy again`,
      ],
    })
  })

  it('by a signal ends at once, also between two files', async () => {
    const source = goodCopy()
    manySettings(source, workspaceId, 100_000)
    const to = newFile()
    const { child, ended } = start(source, ['copy', '--to', to])
    await until(() => existsSync(`${to}-wal`) && statSync(`${to}-wal`).size > 2 ** 20)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, errors: [] })
    expect((await copied(source, to)).stdout).toMatch(
      / rows of them by an earlier run; both sides are equal$/m,
    )
  })

  it(
    'by kills at random moments is equal in the end',
    async () => {
      const server = await turso()
      for (const to of [server.url, newFile()]) {
        let killed = 0
        for (let round = 0; round < (deep ? 60 : 1); round++) {
          server.proxy.latency = 10
          const { child, ended } = start(good, ['copy', '--to', to])
          setTimeout(() => child.kill('SIGKILL'), 500 + Math.random() * 1_500)
          if ((await ended).signal === null) break
          killed++
        }
        server.proxy.latency = 0
        const last = await copy(good, to)
        // It may have been done just before it was killed.
        if (last.code !== 0) expect(last.errors[0]).toMatch(/is not empty/)
        const back = newFile()
        await copied(to, back)
        expect({ killed, contents: contentsOf(back) }).toEqual({ killed, contents: contentsOf(good) })
      }
    },
    patience(30_000),
  )
})

it('survives a network that loses answers, stalls and fails', async () => {
  const server = await turso()
  let count = 0
  let resets = 0
  const every = (n: number) => () => ++count % n === 0
  server.proxy.fail(every(7), { answer: 'closed', executed: true })
  server.proxy.fail(
    ({ statements }) => statements[0]?.startsWith('CREATE TABLE IF NOT EXISTS') === true && resets++ === 0,
    {
      answer: 'reset',
      executed: true,
    },
  )
  let stalls = 0
  server.proxy.fail(
    ({ statements }) => statements[0]?.startsWith('INSERT INTO jobs ') === true && stalls++ === 0,
    {
      answer: 'never',
      executed: true,
    },
  )
  let faults = 0
  server.proxy.fail(
    ({ statements }) => statements[0]?.startsWith('INSERT INTO webhooks ') === true && faults++ === 0,
    {
      answer: 500,
      executed: false,
    },
  )
  expect(await copy(good, server.url, { OR3_SQLITE_TO_TIMEOUT: '1 second' })).toMatchObject({
    code: 0,
    errors: [],
  })
  expect({ stalls: stalls > 0, faults: faults > 0 }).toEqual({ stalls: true, faults: true })
  server.proxy.heal()
  const file = newFile()
  await copied(server.url, file)
  expect(contentsOf(file)).toEqual(contentsOf(good))
}, 30_000)

describe('is refused', () => {
  const refused = async (from: string, to: string, code: number, says: string | RegExp, env: Env = {}) => {
    const outcome = await copy(from, to, env)
    expect({ code: outcome.code, stdout: outcome.stdout, count: outcome.errors.length }).toEqual({
      code,
      stdout: '',
      count: 1,
    })
    expect(outcome.errors[0]).toMatch(says)
    return outcome
  }

  it('into what is not empty', async () => {
    const full = newFile()
    await makeWorkspace(full)
    const before = contentsOf(full)
    await refused(good, full, 1, `${full} is not empty: copy into a database that has nothing in it`)
    expect(contentsOf(full)).toEqual(before)
    await refused(good, far.url, 1, 'is not empty')
    const foreign = newFile()
    new Sqlite(foreign).exec('CREATE TABLE t (x)').close()
    await refused(good, foreign, 1, `${foreign} is no database of this package`)
    const older = newFile()
    await makeWorkspace(older)
    await downgrade(older, 7)
    await refused(good, older, 1, `${older} lacks 008_people`)
    const started = await migratedFile(newFile())
    await copied(good, started)
  })

  it('into what another process has locked', async () => {
    const locked = await migratedFile(newFile())
    const other = new Sqlite(locked)
    other.exec('PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE')
    await refused(good, locked, 1, `cannot open the database ${locked}: another process holds its lock`)
    other.close()
    await copied(good, locked)
  })

  it('into itself', async () => {
    const link = newFile()
    symlinkSync(good, link)
    const same = /the database itself or a part of it|source and target are the same database/
    for (const to of [good, link, `${good}-wal`, `${good}-seen`, `file:${good}`])
      await refused(good, to, 2, same)
    await refused(far.url, far.url, 2, same)
    await refused(far.url, `${far.url.replace('http', 'libsql').toUpperCase()}/`, 2, same)
  })

  it('into what is no place for it', async () => {
    await refused(good, ':memory:', 2, /--to is ":memory:"/)
    await refused(good, '', 2, '--to')
    await refused(good, join(folder, 'nowhere', 'x.db'), 2, /there is no folder .*check --to$/)
    await refused(good, folder, 2, /is no file/)
    await refused(good, 'https://', 2, /--to /)
    await refused(
      good,
      'https://host?authToken=a-secret',
      2,
      /--to holds a secret: put the token into OR3_SQLITE_TO_AUTH_TOKEN/,
    )
  })

  it('with a token that is none, or that is refused, which is never shown', async () => {
    const env = { OR3_SQLITE_TO_AUTH_TOKEN: 'a secret' }
    const wrong = await refused(good, far.url, 2, /OR3_SQLITE_TO_AUTH_TOKEN has blanks/, env)
    expect(wrong.stderr).not.toContain('secret')
    const server = await turso()
    server.proxy.token = 'the-secret'
    const other = await refused(
      good,
      server.url,
      1,
      /refused the token: .*: check OR3_SQLITE_TO_AUTH_TOKEN$/,
      {
        OR3_SQLITE_TO_AUTH_TOKEN: 'not-the-secret',
      },
    )
    expect(other.stderr).not.toContain('not-the-secret')
    expect(await copy(good, server.url, { OR3_SQLITE_TO_AUTH_TOKEN: 'the-secret' })).toMatchObject({
      code: 0,
    })
  })

  it('of what is no database of the current schema', async () => {
    const sourceOf = (sql: string) => {
      const file = goodCopy()
      new Sqlite(file).exec(sql).close()
      return file
    }
    const to = newFile()
    await refused(
      sourceOf(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')`),
      to,
      1,
      'of a newer release',
    )
    await refused(join(folder, 'none.db'), to, 2, 'there is no database')
    const older = newFile()
    await makeWorkspace(older)
    await downgrade(older, 7)
    await refused(older, to, 1, /lacks 008_people.*: run `or3-sqlite migrate`/)
    const foreign = newFile()
    new Sqlite(foreign).exec('CREATE TABLE t (x)').close()
    await refused(foreign, to, 1, 'is no database of this package: check OR3_SQLITE_DB_PATH')
    expect(existsSync(to)).toBe(false)
  })

  it('of a restored backup that was not opened since, until gc has settled it', async () => {
    const restored = goodCopy()
    rmSync(`${restored}-seen`)
    const to = newFile()
    await refused(restored, to, 1, /is a restored backup that was not opened since: run `or3-sqlite gc`/)
    expect(existsSync(to)).toBe(false)
    expect(await run(restored, ['gc'])).toMatchObject({ code: 0 })
    await copied(restored, to)
    expect(contentsOf(to)).toEqual(contentsOf(restored))
    expect(query(to, 'SELECT max(version_offset) > 8589934592 AS o FROM server_version_counter')).toEqual([
      { o: 1 },
    ])
  })
})

describe('tells', () => {
  it('of a note beside the target that says that more was there', async () => {
    const to = newFile()
    writeFileSync(`${to}-seen`, '9000 9000 0\n')
    expect(await copy(good, to)).toMatchObject({
      code: 0,
      errors: [expect.stringContaining(`${to}-seen tells of a database that had more`)],
    })
    expect(readFileSync(`${to}-seen`, 'utf8')).toBe('9000 9000 0\n')
  })

  it('which tables it leaves where they are', async () => {
    const source = goodCopy()
    new Sqlite(source).exec('CREATE TABLE upload_intents (x); CREATE TABLE _litestream_seq (id)').close()
    const { stdout } = await copy(source, newFile())
    expect(stdout).toContain('\nnot copied, since no table of ours: upload_intents\n')
  })

  it('what came meanwhile: of a file how many changes, over a network that both sides differ', async () => {
    const source = goodCopy()
    const server = await turso()
    const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: source } })
    const pushOne = () =>
      syncGateway.push(undefined, {
        ...scope(workspaceId),
        ops: [put({ id: opId('mean'), pk: 'mean' })],
      } as never)
    let pushed: Promise<unknown> | undefined
    const meanwhile = (push: () => Promise<unknown>, of: Turso, table: string) =>
      of.proxy.fail(
        ({ statements }) => {
          if (statements.some((sql) => sql.includes(`FROM ${table} `))) pushed ??= push()
          return false
        },
        { answer: 'closed', executed: true },
      )
    meanwhile(pushOne, server, 'jobs')
    const found = await copy(source, server.url)
    await pushed
    await close()
    expect(found).toMatchObject({
      code: 0,
      errors: [
        `not in the copy: 1 change that came meanwhile, in ${workspaceId}; stop the servers, remove the copy, and copy again`,
      ],
    })

    // The copy is whole: it may be served, and be a source.
    const served = openProvider({ env: { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: server.url } })
    await served.ready
    server.proxy.heal()
    pushed = undefined
    meanwhile(
      () =>
        served.syncGateway.push(undefined, {
          ...scope(workspaceId),
          ops: [put({ id: opId('far'), pk: 'far' })],
        } as never),
      server,
      'webhooks',
    )
    const to = newFile()
    const differing = await copy(server.url, to)
    await pushed
    await served.close()
    expect(differing.code).toBe(1)
    expect(differing.stdout).toMatch(/^change_log +\d+ rows, but \d+ rows there, or others$/m)
    expect(differing.errors).toEqual([
      `or3-sqlite: ${to} differs from ${server.url}, which was written to meanwhile: stop its servers, remove ${to}, and copy again`,
    ])
    expect((await run(to, ['check'])).errors[0]).toContain('is an unfinished copy')
  })

  it('that it cannot know what came meanwhile, where nobody answers any more once the copy is whole', async () => {
    const server = await turso()
    expect(await copy(good, server.url)).toMatchObject({ code: 0 })
    let [asked, last] = [0, Infinity]
    server.proxy.fail(
      ({ statements }) =>
        statements.some((sql) => sql.includes('value + version_offset AS version')) && ++asked >= last,
      { answer: 'closed', executed: false },
    )
    expect(await copy(server.url, newFile())).toMatchObject({ code: 0, errors: [] })
    ;[asked, last] = [0, asked]
    const to = newFile()
    const found = await copy(server.url, to)
    expect(found).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/both sides are equal$/m),
      errors: [
        expect.stringMatching(
          `^${server.url} cannot be asked again whether changes came meanwhile: .+; if its servers ran, remove the copy, and copy again$`,
        ),
      ],
    })
    expect((await run(to, ['check'])).stdout).toContain('all hold')
  })
})
