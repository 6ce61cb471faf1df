/**
 * The command on Turso, by the client's own engine: what it says of a database is what it says of the same one in a file.
 */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Layer } from 'effect'
import { beforeAll, describe, expect, it } from 'vitest'
import * as Engine from '../../src/layers/batch/turso.js'
import { foreignKeys } from '../../src/layers/operating/batch/check.js'
import { exportOver } from '../../src/layers/operating/batch/export.js'
import type { Verdict } from '../../src/layers/operating/invariants.js'
import { type Observed, observedFile, observedOver } from '../../src/layers/operating/Observed.js'
import { observe } from '../../src/layers/operating/observer.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import { Batches } from '../../src/layers/sql/Batches.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { LegacyDatabase } from '../support/legacyDatabase.js'
import { query } from '../support/adoption.js'
import { makeCommand, makeWorkspace, migrationNames, newestMigration } from '../support/command.js'
import { eachDamage } from '../support/damages.js'
import { damagedCopy, fill } from '../support/filledDatabase.js'
import { subjectOnFile } from '../support/layerSubjects.js'
import { del, put, scope } from '../support/ops.js'

const { folder, run } = makeCommand()

const good = join(folder, 'good.db')
beforeAll(() => fill(good))

/** With the note beside it, so that no start takes it for a restored backup. */
const copyOf = (path: string, name: string): string => {
  const copy = join(folder, `${name}.db`)
  for (const part of ['', '-seen']) copyFileSync(path + part, copy + part)
  return copy
}

const onTurso = (url: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  run(undefined, args, { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: url, ...env })

const workspaceIn = (path: string): string => query<{ id: string }>(path, 'SELECT id FROM workspaces')[0]!.id

type Reads = Batches['Type']

/** As the command does, in this process. */
const over = <A, E>(path: string, body: (batches: Reads, url: string) => Effect.Effect<A, E>): Promise<A> => {
  const url = `file:${path}`
  return Effect.runPromise(
    Effect.flatMap(Batches, (batches) => body(batches, url)).pipe(
      Effect.provide(Layer.provide(Engine.layer, Config.layerOf({ driver: 'turso', dbPath: url }))),
    ),
  )
}

const ofFile = <A, E>(path: string, body: (seen: Observed) => Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(observe(path), (database) =>
        Effect.flatMap(observedFile(database, path, { synchronous: 'NORMAL' }), body),
      ),
    ),
  )

/** Small databases: all that there is to say is said, in whatever order. */
const inOrder = ({ faults, ...rest }: Verdict) => ({
  ...rest,
  faults: faults.map(({ examples, ...fault }) => ({ ...fault, examples: [...examples].sort() })),
})

const verdictOf = (seen: Observed) =>
  Effect.map(
    seen.findFaults(() => Effect.void),
    inOrder,
  )

const bothVerdicts = async (path: string) => ({
  turso: await over(path, (batches, url) => Effect.flatMap(observedOver(batches, url), verdictOf)),
  file: await ofFile(path, verdictOf),
})

const exported = async (export_: (write: (text: string) => void) => Promise<unknown>): Promise<string> => {
  let text = ''
  await export_((part) => (text += part))
  return text
}

const sinkOf = (write: (text: string) => void) => ({
  write: (text: string) => Effect.sync(() => write(text)),
  onRows: () => {},
})

const exportOfFile = (path: string, id: string) =>
  exported((write) => ofFile(path, (seen) => seen.exportTo({ id, name: null }, sinkOf(write))))

/** Each read is told of before it happens. */
const exportOfTurso = (path: string, id: string, before: (read: number) => Promise<void>) =>
  exported((write) =>
    over(path, (batches) => {
      let reads = 0
      const read: Reads['read'] = (operation, batch) =>
        Effect.zipRight(
          Effect.promise(() => before(++reads)),
          batches.read(operation, batch),
        )
      return exportOver(read, { id, name: null }, sinkOf(write))
    }),
  )

describe('migrate', () => {
  it('makes the schema of an empty database, which is then as good as any', async () => {
    const path = join(folder, 'new.db')
    const url = `file:${path}`
    for (const args of [['status'], ['check'], ['gc'], ['export', '--workspace', 'w1']]) {
      expect(await onTurso(url, args)).toMatchObject({
        code: 2,
        errors: [
          `or3-sqlite: there is no database ${url}: check OR3_SQLITE_TURSO_URL, or make it by \`or3-sqlite migrate\``,
        ],
      })
    }
    expect(await onTurso(url, ['migrate', '--dry-run'])).toMatchObject({
      code: 0,
      stdout: migrationNames.map((name) => `pending: ${name}\n`).join(''),
    })
    expect(existsSync(path)).toBe(false)
    writeFileSync(path, '')
    expect((await onTurso(url, ['status'])).stdout).toContain(`none; pending: ${migrationNames.join(', ')}\n`)
    const { errors } = await onTurso(url, ['check'])
    expect(errors).toEqual([expect.stringContaining(`lacks ${migrationNames.join(', ')}: run \`or3-sqlite`)])
    expect(await onTurso(url, ['migrate'])).toMatchObject({
      code: 0,
      stdout: migrationNames.map((name) => `applied: ${name}\n`).join(''),
    })
    expect((await onTurso(url, ['migrate'])).stdout).toBe(`${url}: ${newestMigration}, up to date\n`)
    expect(await onTurso(url, ['check'])).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('status', () => {
  it('tells of the same workspaces as of a file, by the address, in few trips', async () => {
    const path = copyOf(good, 'status')
    const json = async (outcome: ReturnType<typeof run>) =>
      JSON.parse((await outcome).stdout.replaceAll(/("(?:oldestEntryAge|heardOf)": )\d+/g, '$1 0')) as Record<
        string,
        unknown
      >
    const {
      path: _path,
      bytes,
      walBytes,
      freeBytes,
      pragmas,
      hasNote,
      ...content
    } = await json(run(path, ['status', '--json']))
    expect([bytes, walBytes, freeBytes, pragmas, hasNote]).not.toContain(undefined)
    const address = `file:${path}`
    expect(await json(onTurso(address, ['status', '--json']))).toEqual({ address, ...content })

    const { stdout } = await onTurso(address, ['status'])
    expect(stdout).toMatch(
      new RegExp(`^database +${address}\nschema +${newestMigration}, up to date\n\nworkspace `),
    )
    expect(stdout.split('\n\n')[1]).toMatch(/ {2}version +22, trimmed up to 8$/m)

    let trips = 0
    await over(path, ({ read, write }) => {
      const counting: Reads['read'] = (...call) => (trips++, read(...call))
      return Effect.flatMap(observedOver({ read: counting, write }, address), ({ status }) => status)
    })
    expect(trips).toBe(3)
  })
})

describe('check', () => {
  it.each(eachDamage)('%s is told as of a file', async (what, harm, rule) => {
    const { turso, file } = await bothVerdicts(damagedCopy(good, what, harm))
    expect(turso.faults.map((fault) => fault.rule)).toContain(rule)
    expect(turso).toEqual(file)
  })

  it('ends as for a file', async () => {
    const address = `file:${copyOf(good, 'check')}`
    const whole = await onTurso(address, ['check'])
    expect(whole).toMatchObject({ code: 0, stderr: '' })
    expect(whole.stdout).toBe((await run(good, ['check'])).stdout.replace(good, address))
    const path = damagedCopy(good, 'counted', 'UPDATE file_usage SET used_bytes = 8')
    const { code, stdout, errors } = await onTurso(`file:${path}`, ['check'])
    expect(code).toBe(1)
    expect(stdout).toContain('broken: the bytes a workspace uses are those of its files\n')
    expect(errors).toEqual([expect.stringContaining(' 1 of 27 rules broken; go back to a point in time')])
  })

  it('of a number that is no number to count with says so, and goes on', async () => {
    const path = damagedCopy(good, 'vast', `UPDATE s_kv SET server_version = 9223372036854775807`)
    const { turso, file } = await bothVerdicts(path)
    expect(turso.faults.map(({ rule }) => rule)).toEqual(file.faults.map(({ rule }) => rule))
  })

  it('looks at every page of the index of files', async () => {
    const path = join(folder, 'pages.db')
    const id = await makeWorkspace(path)
    const subject = await subjectOnFile(path)
    const ops = Array.from({ length: 600 }, (_, n) => [
      put({
        pk: `m${n}`,
        payload: { file_hashes: [`a${n}`, 'b'], text: 'x'.repeat(n % 100 === 0 ? 200_000 : 9) },
      }),
      put({ table: 'file_meta', pk: `a${n}`, payload: { size_bytes: n } }),
    ]).flat()
    for (let at = 0; at < ops.length; at += 100)
      await subject.push({ ...scope(id), ops: ops.slice(at, at + 100) })
    await subject.close()
    expect((await bothVerdicts(path)).turso.faults).toEqual([])
    const sqlite = new Sqlite(path)
    sqlite.exec(`
      DELETE FROM file_references WHERE hash IN ('a3', 'a599');
      INSERT INTO file_references VALUES ('${id}', 'more', 'messages', 'm598'), ('${id}', 'more', 'elsewhere', 'm1');
      UPDATE file_records SET size_bytes = 1 WHERE pk = 'a599';
      UPDATE file_usage SET used_bytes = (SELECT sum(size_bytes) FROM file_records)`)
    sqlite.close()
    const { turso, file } = await bothVerdicts(path)
    expect(turso.faults.map(({ examples }) => examples.length)).toEqual([2, 2, 1])
    expect(turso).toEqual(file)
  })

  it('knows every foreign key there is', () => {
    const keys = query(
      good,
      `SELECT s.name AS "table", f."from" AS "column", f."table" AS parent FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
       WHERE s.type = 'table' AND f."to" = 'id'`,
    )
    const inOrder = (list: ReadonlyArray<object>) => list.map((key) => Object.values(key).join()).sort()
    expect(inOrder(foreignKeys)).toEqual(inOrder(keys))
  })
})

describe('export and import', () => {
  it('give the same bytes as a file, and take them', async () => {
    const path = copyOf(good, 'export')
    const id = workspaceIn(path)
    const url = `file:${path}`
    const { stdout } = await run(path, ['export', '--workspace', id])
    expect((await onTurso(url, ['export', '--workspace', id])).stdout).toBe(stdout)
    const file = join(folder, 'export.ndjson')
    expect(await onTurso(url, ['export', '--workspace', id, '--out', file])).toMatchObject({
      code: 0,
      stdout: `${file}: 12 records of workspace ${id}\n`,
    })
    expect(readFileSync(file, 'utf8')).toBe(stdout)

    const target = `file:${join(folder, 'import.db')}`
    await onTurso(target, ['migrate'])
    expect(await onTurso(target, ['import', file])).toMatchObject({
      code: 2,
      errors: [expect.stringContaining(`there is no workspace ${id} in ${target}`)],
    })
    const first = await onTurso(target, ['import', '--new', file])
    expect(first.stdout).toContain(': 12 applied, 0 known already, 0 not newer')
    const second = await onTurso(target, ['import', file])
    expect(second.stdout).toContain(': 0 applied, 12 known already, 0 not newer')
    expect(await onTurso(target, ['check'])).toMatchObject({ code: 0 })
    const back = await onTurso(target, ['export', '--workspace', id])
    const records = (text: string) => text.split('\n').slice(1).sort()
    expect(records(back.stdout)).toEqual(records(stdout))
  })

  it('of an unknown workspace, or onto the database itself, is a usage error', async () => {
    const path = copyOf(good, 'refused')
    for (const args of [
      ['export', '--workspace', 'nope'],
      ['export', '--workspace', workspaceIn(path), '--out', path, '--force'],
      ['import', path],
    ]) {
      const { code, errors } = await onTurso(`file:${path}`, args)
      expect({ args, code, count: errors.length }).toEqual({ args, code: 2, count: 1 })
    }
  })

  it('is one state of a workspace that changes meanwhile', async () => {
    const path = join(folder, 'changing.db')
    const id = await makeWorkspace(path)
    const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
    const push = (ops: ReadonlyArray<unknown>) => syncGateway.push(undefined, { ...scope(id), ops } as never)
    for (let at = 0; at < 900; at += 100)
      await push(
        Array.from({ length: 100 }, (_, n) =>
          put({
            table: n % 3 === 0 ? 'kv' : 'messages',
            pk: `p${at + n}`,
            payload: { n: at + n, text: 'x'.repeat(n === 50 ? 200_000 : 20) },
          }),
        ),
      )
    let clock = 2
    // Of what was read and of what was not: changed, deleted, deleted and back again, and new.
    const text = await exportOfTurso(path, id, async (read) => {
      if (read > 8) return
      clock++
      await push([
        put({ pk: 'p1', clock, payload: { clock } }),
        put({ table: 'kv', pk: 'p0', clock, payload: { clock } }),
        del({ pk: `p${read}`, clock }),
        del({ pk: `p${890 + read}`, clock }),
        put({ table: 'kv', pk: `p${600 + read}`, clock, payload: { clock } }),
        ...(read % 2 === 0 ? [del({ pk: 'p4', clock })] : [put({ pk: 'p4', clock, payload: { clock } })]),
        put({ table: 'posts', pk: `new${read}`, payload: { clock } }),
      ])
    })
    await close()
    expect(clock).toBeGreaterThan(5)
    expect(text).toBe(await exportOfFile(path, id))
  })
})

describe('gc', () => {
  it('removes what it removes from a file', async () => {
    const path = copyOf(good, 'gc')
    const sqlite = new Sqlite(path)
    sqlite.exec(`
      UPDATE change_log SET created_at = created_at - 7300;
      UPDATE device_cursors SET last_seen_version = 20; UPDATE tombstones SET deleted_at = 0`)
    sqlite.close()
    const twin = copyOf(path, 'gc-twin')
    const args = ['gc', '--retention', '1 hour', '--workspace', workspaceIn(path)]
    const { code, stdout, stderr } = await onTurso(`file:${path}`, args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^1 workspace: removed 11 log entries, \d tombstones?, 0 op ids, 0 stale cursors\n$/,
    )
    expect((await run(twin, args)).stdout.split('\n')[0]).toBe(stdout.trim())
    expect(await onTurso(`file:${path}`, ['check'])).toMatchObject({ code: 0 })
    expect((await onTurso(`file:${path}`, ['gc', '--workspace', 'nope'])).code).toBe(2)
  })
})

describe('what is the service\u2019s own', () => {
  it.each([
    [['backup', 'COPY'], /turso db create NAME --from-db NAME --timestamp TIME.*or3-sqlite copy --to FILE/],
    [['restore', 'COPY'], /turso db create NAME --from-db NAME --timestamp TIME.*OR3_SQLITE_TURSO_URL/],
    [['vacuum'], /Turso looks after/],
  ])('%j says what there is in its place', async (args, says) => {
    const before = readFileSync(good)
    const copy = join(folder, 'copy.db')
    const given = args.map((arg) => (arg === 'COPY' ? copy : arg))
    const { code, stdout, errors } = await onTurso(`file:${good}`, given)
    expect({ code, stdout, count: errors.length }).toEqual({ code: 2, stdout: '', count: 1 })
    expect(errors[0]).toMatch(says)
    expect(readFileSync(good).equals(before)).toBe(true)
    expect(existsSync(copy)).toBe(false)
  })
})

/** A server that is none, and where it listens. */
const answering = async <A>(listener: RequestListener, body: (url: string) => Promise<A>): Promise<A> => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('a database that cannot be used', () => {
  const commands = [['status'], ['migrate']]
  const token = 'a-secret'
  const env = { OR3_SQLITE_TURSO_TIMEOUT: '2 seconds', OR3_SQLITE_TURSO_AUTH_TOKEN: token }

  const told = async (url: string, code: number, says: RegExp, which = commands) => {
    const outcomes = await Promise.all(
      which.map(async (args) => ({ args, ...(await onTurso(url, args, env)) })),
    )
    expect(outcomes).toHaveLength(which.length)
    for (const { args, ...outcome } of outcomes) {
      expect({ args, code: outcome.code, stdout: outcome.stdout }).toEqual({ args, code, stdout: '' })
      expect(outcome.errors).toHaveLength(1)
      expect(outcome.errors[0]).toMatch(says)
      expect(outcome.stderr).not.toContain(token)
    }
  }

  it('has no address', () => told('', 2, /OR3_SQLITE_TURSO_URL is not set: give it the address/))
  it('holds its secret in its address', () =>
    told(
      `https://host?authToken=${token}`,
      2,
      /holds a secret: put the token into OR3_SQLITE_TURSO_AUTH_TOKEN/,
    ))
  it('does not listen', async () => {
    const url = await answering(
      () => {},
      (url) => Promise.resolve(url),
    )
    await told(
      url,
      1,
      /^or3-sqlite: http:.*: the database cannot be reached: .*: check OR3_SQLITE_TURSO_URL$/,
    )
  })
  it('refuses the token, and repeats it', () =>
    answering(
      ({ headers }, response) => response.writeHead(401).end(`no ${headers.authorization}`),
      (url) =>
        told(
          url,
          1,
          /^or3-sqlite: http:.*: the database refused the token: .*: check OR3_SQLITE_TURSO_AUTH_TOKEN$/,
        ),
    ))
  it('does not answer', () =>
    answering(
      () => {},
      (url) => told(url, 1, /: the database did not answer in time; OR3_SQLITE_TURSO_TIMEOUT gives it more$/),
    ))
  it('is something else', () =>
    answering(
      (_, response) => response.end('<html></html>'),
      (url) =>
        told(url, 1, /: the database cannot be reached: .*: check OR3_SQLITE_TURSO_URL$/, [['status']]),
    ))

  const made = (name: string, sql: string) => {
    const path = name === 'foreign' ? join(folder, 'foreign.db') : copyOf(good, name)
    const sqlite = new Sqlite(path)
    sqlite.exec(sql)
    sqlite.close()
    return `file:${path}`
  }

  it("is somebody else's", () =>
    told(
      made('foreign', 'CREATE TABLE t (x)'),
      1,
      /is no database of this package: check OR3_SQLITE_TURSO_URL$/,
    ))

  it('is of a newer release', async () => {
    const url = made('newer', `INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')`)
    await told(url, 1, /has schema 099_later, of a newer release/, [['check'], ['migrate'], ['gc']])
    expect((await onTurso(url, ['status'])).stdout).toContain('099_later, of a newer release')
  })

  it('is of the earlier package', async () => {
    const path = join(folder, 'legacy.db')
    const legacy = new LegacyDatabase(path, 3)
    legacy.user('ada')
    legacy.workspace('w1', 'ada')
    legacy.counter(2)
    legacy.close()
    const advice = /of the earlier package, which is adopted from a file only: dump it into a file/
    await told(`file:${path}`, 1, advice, [['check'], ['migrate'], ['migrate', '--dry-run'], ['gc']])
    expect((await onTurso(`file:${path}`, ['status'])).stdout).toMatch(
      /^schema +of the earlier package, 1 workspace, 2 versions; pending: /m,
    )
  })
})
