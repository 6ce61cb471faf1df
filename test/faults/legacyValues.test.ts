/**
 * Issue 7, point 8: values in a legacy database that our rules do not allow, and databases that only look like one.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, describe, expect, it } from 'vitest'
import { brokenRules, formerQuery, makeLegacy, opened, query } from '../support/adoption.js'
import { type LegacyDatabase, type Shape } from '../support/legacyDatabase.js'
import { put, scope } from '../support/ops.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `values-${++files}.db`)

const adopt = async (shape: Shape, fill: (legacy: LegacyDatabase) => void) => {
  const path = makeLegacy(newFile(), shape, fill)
  await opened(path, () => {})
  expect(brokenRules(path)).toEqual({})
  return path
}

const messages = `SELECT * FROM s_messages ORDER BY pk`
const log = `SELECT * FROM change_log ORDER BY server_version`

describe.each([3, 17] as const)('values of version %i', (shape) => {
  it('of odd types are cast, and numbers out of bounds are clamped', async () => {
    const huge = 9_223_372_036_854_775_807n
    const path = await adopt(shape, (legacy) => {
      legacy.entry({ version: 1, pk: 'a', payload: {} }, { clock: 2.75, created_at: 'later' })
      legacy.row({ pk: 'a', payload: {} }, { clock: 2.75, updated_at: 12.5, deleted: 0.0 })
      legacy.entry({ version: 2, pk: 'b', payload: {} }, { clock: huge, device_id: 7n })
      legacy.row({ pk: 'b', payload: {} }, { clock: 1e300, created_at: -5 })
      legacy.entry({ version: 3, pk: '3', payload: {} }, { pk: Buffer.from('3'), clock: -1 })
      legacy.cursor('d', 1, { last_seen_version: 3.9 })
      legacy.counter(3)
    })
    expect(query(path, messages)).toMatchObject([
      { pk: '3', clock: 0, server_version: 3 },
      { pk: 'a', clock: 2, updated_at: 12, deleted: 0, server_version: 1 },
      { pk: 'b', clock: Number.MAX_SAFE_INTEGER, created_at: 0, device_id: '7', server_version: 2 },
    ])
    expect(formerQuery(path, log)).toMatchObject([{ clock: 2, created_at: 0 }, {}, {}])
    expect(query(path, 'SELECT last_seen_version AS v FROM device_cursors')).toEqual([{ v: 3 }])
  })

  it('larger than a page may hold come in pages of their own', async () => {
    const text = 'x'.repeat(9 * 2 ** 20)
    const path = await adopt(shape, (legacy) => {
      for (const [index, payload] of [{ text }, { text: 'small' }, { text }, { text }].entries()) {
        legacy.entry({ version: index + 1, pk: `p${index}`, payload })
        legacy.row({ pk: `p${index}`, payload })
      }
      legacy.counter(4)
    })
    await opened(path, async (subject) => {
      const pages: Array<ReadonlyArray<number>> = []
      for (let cursor = 0, hasMore = true; hasMore;) {
        const page = await subject.pull({ ...scope(), cursor, limit: 100 })
        pages.push(page.changes.map(({ serverVersion }) => serverVersion))
        ;({ nextCursor: cursor, hasMore } = page)
      }
      expect(pages).toEqual([[1], [2], [3], [4]])
    })
  })

  it('that are no valid ids become printable, and the same everywhere', async () => {
    const long = 'x'.repeat(300)
    const path = await adopt(shape, (legacy) => {
      for (const [version, [id, hlc]] of [
        ['ö', 'é1'],
        [long, long],
        ['', ''],
        ['a\0b', 'tab\t'],
      ].entries()) {
        legacy.entry({
          version: version + 1,
          pk: `p${version}`,
          payload: {},
          id: id!,
          hlc: hlc!,
          device: id!,
        })
        legacy.row({ pk: `p${version}`, payload: {}, id: id!, hlc: hlc!, device: id! })
      }
      legacy.cursor('ö', 2)
      legacy.row({ pk: 'ü'.repeat(90), payload: {}, hlc: '1' })
    })
    expect(formerQuery(path, log)).toMatchObject([
      { op_id: 'legacy:C3B6#1', hlc: '!C3A931', device_id: '!C3B6' },
      { op_id: `legacy:${'78'.repeat(100)}#2`, hlc: `!${'78'.repeat(127)}7` },
      { op_id: 'legacy:#3', hlc: '000000000:000:00000000', device_id: 'legacy' },
      { op_id: 'legacy:610062#4', hlc: '!74616209' },
      // The row without an entry, whose key is no id of ours.
      { op_id: 'legacy:messages#5', hlc: '1' },
    ])
    // Each row found its entry: the version is there, and nothing was added.
    expect(query(path, messages)).toMatchObject([1, 2, 3, 4, 5].map((server_version) => ({ server_version })))
    expect(query(path, 'SELECT device_id FROM device_cursors')).toEqual([{ device_id: '!C3B6' }])
  })

  it('that are no JSON are kept as text, a put has a payload, and a delete the one of its op', async () => {
    const path = await adopt(shape, (legacy) => {
      legacy.entry({ version: 1, pk: 'broken' }, { payload_json: '{"a":' })
      legacy.entry({ version: 2, pk: 'none' })
      legacy.entry({ version: 3, pk: 'nothing', payload: null })
      legacy.entry({ version: 4, pk: 'gone', op: 'delete', payload: null })
      legacy.entry({ version: 5, pk: 'said', op: 'delete', payload: { why: 'spam' } })
      legacy.row({ pk: 'said', payload: { secret: 1 }, deleted: true })
      legacy.entry({ version: 6, pk: 'as-pushed' }, { payload_json: '{"b":1.0, "a":"\\u00e9"}' })
      legacy.row({ pk: 'row-broken' }, { data_json: 'not json' })
      legacy.entry({ version: 7, pk: 'bytes' }, { payload_json: Buffer.from('{"n":1}') })
    })
    const rows = query<{ pk: string; data_json: string }>(path, messages)
    expect(Object.fromEntries(rows.map(({ pk, data_json }) => [pk, data_json]))).toEqual({
      broken: '{"legacy_text":"{\\"a\\":"}',
      none: '{}',
      nothing: '{}',
      gone: null,
      said: '{"why":"spam"}',
      'as-pushed': '{"b":1.0, "a":"\\u00e9"}',
      'row-broken': '{"legacy_text":"not json"}',
      bytes: '{"n":1}',
    })
    await opened(path, async (subject) => {
      const { changes } = await subject.pull({ ...scope(), cursor: 0, limit: 100 })
      expect(changes.find(({ pk }) => pk === 'as-pushed')?.payload).toEqual({ b: 1, a: 'é' })
      const { verdicts } = await subject.push({ ...scope(), ops: [put({ pk: 'row-broken', clock: 2 })] })
      expect(verdicts[0]?.kind).toBe('applied')
    })
  })

  it('without meaning are left out of the log, and their versions are gaps', async () => {
    const path = await adopt(shape, (legacy) => {
      legacy.entry({ version: 1, pk: 'a', payload: {} })
      legacy.entry({ version: 2, pk: 'b', payload: {}, table: 'sessions' })
      legacy.entry({ version: 3, pk: 'c', payload: {} }, { op: 'merge' })
      legacy.entry({ version: 4, pk: 'd', payload: {} })
    })
    expect(query(path, `SELECT server_version AS v FROM change_log`)).toEqual([{ v: 1 }, { v: 4 }])
  })
})

describe('what is adopted', () => {
  const message = (path: string) => {
    try {
      void openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close()
    } catch (error) {
      return (error as Error).message
    }
    return 'it started'
  }

  it('is not a database of another program that uses Kysely', () => {
    const path = newFile()
    const database = new Sqlite(path)
    database.exec(`
      CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
      INSERT INTO kysely_migration VALUES ('2024-01-01_init', '');
      CREATE TABLE users (id TEXT PRIMARY KEY, theirs TEXT);`)
    database.close()
    expect(message(path)).toMatch(/it is no database of this package: check OR3_SQLITE_DB_PATH$/)
    expect(query(path, 'SELECT name FROM sqlite_schema ORDER BY name')).toHaveLength(4)
  })

  it('is nothing in a database that this package has migrated already, whatever else is there', async () => {
    const path = newFile()
    await opened(path, () => {})
    const database = new Sqlite(path)
    database.exec(`
      DELETE FROM effect_sql_migrations WHERE migration_id = 3;
      INSERT INTO users (id, created_at) VALUES ('ann', 1);
      CREATE TABLE kysely_migration (name TEXT PRIMARY KEY, timestamp TEXT);
      INSERT INTO kysely_migration VALUES ('001_init', '');
      CREATE TABLE legacy_users (id TEXT); INSERT INTO legacy_users VALUES ('theirs');
      CREATE TABLE set_aside (name TEXT); INSERT INTO set_aside VALUES ('users')`)
    database.close()
    await opened(path, () => {})
    expect(query(path, 'SELECT id FROM users')).toEqual([{ id: 'ann' }])
    expect(query(path, 'SELECT id FROM legacy_users')).toEqual([{ id: 'theirs' }])
  })

  it('may be a database that the earlier package had begun only', async () => {
    const path = newFile()
    const legacy = new Sqlite(makeLegacy(path, 3, (legacy) => legacy.user('ann')))
    legacy.exec(`DELETE FROM kysely_migration WHERE name <> '001_init'`)
    for (const table of ['change_log', 'tombstones', 'device_cursors', 'server_version_counter', 's_kv']) {
      legacy.exec(`DROP TABLE ${table}`)
    }
    legacy.close()
    await opened(path, () => {})
    expect(brokenRules(path)).toEqual({})
    expect(query(path, 'SELECT id FROM users')).toEqual([{ id: 'ann' }])
  })

  it('keeps names of its indexes from getting in the way', async () => {
    const path = makeLegacy(newFile(), 3, (legacy) => {
      legacy.user('ann')
      legacy.sqlite.exec(`create index "s_kv_by_version" on "s_kv" ("clock")`)
    })
    await opened(path, () => {})
    expect(brokenRules(path)).toEqual({})
  })

  it('is refused when a table of another feature refers to what we do not keep, by its name', () => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      legacy.sqlite.exec(`create table "connect_roles" ("member" text references "workspace_members" ("id"))`)
    })
    expect(message(path)).toMatch(/foreign key mismatch - "connect_roles" referencing "workspace_members"/)
    expect(
      query(path, `SELECT name FROM sqlite_schema WHERE name LIKE 'effect%' OR name LIKE 'legacy%'`),
    ).toEqual([])
  })
})
