/**
 * The drivers of Node and of Bun say the same: the same statements, run by each runtime on its own engine.
 */
import { expect, it } from 'vitest'
import { bun } from '../support/bun.js'
import { makeProcesses } from '../support/processes.js'

const { folder, start } = makeProcesses()

/** Prints one line of JSON: what came of each of the cases. */
const script = `
  import { existsSync, writeFileSync } from 'node:fs'
  import { makeConnection } from './src/layers/synchronous/connection.js'
  import { native } from './src/layers/synchronous/native.js'
  import { isDriverError, openError, sqliteCode, toStorageError } from './src/layers/synchronous/sqliteErrors.js'
  const path = process.env.FILE
  const database = native.open(path, { timeout: 100 })
  const connection = makeConnection(database)
  const printable = (value) =>
    value === undefined ? '(undefined)'
    : value instanceof Uint8Array ? 'x' + Buffer.from(value).toString('hex')
    : Object.is(value, -0) ? '-0'
    : Array.isArray(value) ? value.map(printable)
    : value !== null && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, printable(v)]))
    : value
  const caught = (body) => { try { return ['no error', body()] } catch (error) { return error } }
  const failure = (body) => {
    const error = caught(body)
    return { thrown: error instanceof Error, driver: isDriverError(error), code: sqliteCode(error), reason: toStorageError('test')(error).reason }
  }
  const said = {}
  const tell = (name, value) => { said[name] = printable(value) }

  tell('pragma', [database.pragma('journal_mode = WAL', { simple: true }), database.pragma('journal_mode')])
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT, b BLOB); CREATE TABLE u (id INTEGER)')
  database.exec('CREATE TRIGGER tr AFTER INSERT ON u BEGIN INSERT INTO t (n) VALUES (1), (2); END')
  const insert = 'INSERT INTO t (n, r, s, b) VALUES (?, ?, ?, ?) RETURNING n, typeof(n) AS tn, r, typeof(r) AS tr, s, hex(s) AS hs, b, typeof(b) AS tb'
  const numbers = [0, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 40, 2 ** 53 - 1, -(2 ** 53) + 1, 0.5, 1e300, null]
  tell('numbers', numbers.map((n) => connection.all(insert, n, n, null, null)))
  const texts = ['', 'a\\0b', '\\u{1f642}', '\\u00e9', '1', null]
  tell('texts', texts.map((s) => connection.all(insert, null, null, s, null)))
  tell('halves', ['\\ud800', 'x\\udc00y'].map((s) => connection.all('SELECT hex(?) AS h', s)[0].h))
  tell('bytes', [new Uint8Array([0, 255]), Buffer.from('ab'), new Uint8Array(0)].map((b) => connection.all(insert, null, null, null, b)))
  tell('what is stored', connection.all(
    "SELECT 9007199254740993 AS a, 9223372036854775807 AS b, CAST(x'61ff62' AS TEXT) AS c, CAST(x'eda080' AS TEXT) AS d, CAST(x'610062' AS TEXT) AS e, x'00' AS f, 1e999 AS g"))
  tell('names', connection.first('SELECT :a AS a, :b || :a AS b', { a: 'x', b: 'y', c: 'not asked for' }))
  tell('a name that is missing', failure(() => connection.first('SELECT :a, :b', { a: 1 })))
  tell('a value that is missing', failure(() => connection.first('SELECT ?, ?', 1)))
  tell('no row', [connection.first('SELECT 1 WHERE 0'), connection.all('SELECT 1 WHERE 0'), [...connection.each('SELECT 1 WHERE 0')]])
  tell('columns', Object.keys(connection.first('SELECT 1 AS z, 2 AS a, 3 AS constructor')))
  tell('changes', [
    connection.run('INSERT INTO u VALUES (1)'),
    connection.run('UPDATE t SET r = 1'),
    connection.run('UPDATE t SET r = 1 WHERE 0'),
    connection.run('DELETE FROM u'),
  ])
  tell('execute', [
    connection.execute('INSERT INTO u VALUES (?)', [2]),
    connection.execute('INSERT INTO u VALUES (:id) RETURNING id', [{ id: 3 }]),
    connection.execute('SELECT id FROM u ORDER BY id', []),
    connection.execute('PRAGMA user_version = 7', []),
    connection.execute('PRAGMA user_version', []),
  ])
  tell('arrays', [...connection.each('SELECT id, s, b FROM t WHERE s IS NOT NULL ORDER BY id')])
  const leave = (rows) => { for (const row of rows) return row }
  tell('left early', [
    leave(connection.each('SELECT id FROM t ORDER BY id')),
    leave(connection.rows('SELECT id FROM t ORDER BY id', [])),
    connection.run('DELETE FROM t WHERE id = 1'),
    leave(connection.each('SELECT id FROM t ORDER BY id')),
  ])
  tell('transaction', [
    database.inTransaction, connection.run('BEGIN IMMEDIATE'), database.inTransaction, connection.run('ROLLBACK'), database.inTransaction,
  ])
  const other = native.open(path, { fileMustExist: true, timeout: 1 })
  connection.run('BEGIN IMMEDIATE')
  const asked = Date.now()
  tell('busy', failure(() => makeConnection(other).run('BEGIN IMMEDIATE')))
  tell('waits as told', Date.now() - asked < 4000)
  connection.run('COMMIT')
  tell('an older snapshot', failure(() => {
    const reader = makeConnection(other)
    reader.run('BEGIN')
    reader.all('SELECT * FROM u')
    connection.run('INSERT INTO u VALUES (9)')
    try { reader.run('INSERT INTO u VALUES (10)') } finally { reader.run('ROLLBACK') }
  }))
  other.close()
  const reading = native.open(path, { readonly: true })
  tell('readonly', failure(() => makeConnection(reading).run('DELETE FROM u')))
  reading.close()
  tell('unique', failure(() => connection.run('INSERT INTO t (id) VALUES (2)')))
  tell('unique, with rows', failure(() => connection.all('INSERT INTO t (id) VALUES (2) RETURNING id')))
  tell('syntax', failure(() => connection.all('SELEC 1')))
  tell('full', failure(() => {
    connection.all('PRAGMA max_page_count = 1')
    try { connection.run('CREATE TABLE v AS SELECT randomblob(1000000)') } finally { connection.all('PRAGMA max_page_count = 1000000') }
  }))
  database.function('told', { deterministic: true }, (value) => typeof value + ':' + value + ':' + (value === null ? '' : String(value).length))
  tell('functions', connection.first("SELECT told(CAST(x'610062' AS TEXT)) AS a, told(1) AS b, told(NULL) AS c, told('\\u{1f642}') AS d"))
  database.function('throws', { deterministic: true }, () => { throw new Error('thrown') })
  tell('a function that throws', [failure(() => connection.first('SELECT throws()')), String(caught(() => connection.first('SELECT throws()')))])
  tell('no file', [
    failure(() => native.open(path + '-none', { fileMustExist: true })),
    openError('PATH')(caught(() => native.open(path + '/folder/file'))).detail.replace(/^.*; /, ''),
    existsSync(path + '-none'),
  ])
  writeFileSync(path + '-text', 'no database'.repeat(100))
  const text = native.open(path + '-text')
  const noDatabase = caught(() => makeConnection(text).all('SELECT * FROM sqlite_schema'))
  tell('no database', openError('PATH')(noDatabase).detail)
  text.close()

  const source = native.open(':memory:')
  source.exec('CREATE TABLE m (v TEXT); INSERT INTO m VALUES (1)')
  const bytes = Uint8Array.from(source.serialize())
  source.close()
  const copy = native.open(bytes)
  copy.exec('BEGIN')
  for (let n = 0; n < 2000; n++) makeConnection(copy).run('INSERT INTO m VALUES (?)', 'x'.repeat(500))
  copy.exec('COMMIT')
  tell('from bytes', [makeConnection(copy).all('SELECT count(*) AS n FROM m'), makeConnection(native.open(bytes)).all('SELECT * FROM m')])
  copy.close()

  const begun = connection.each('SELECT id FROM t')[Symbol.iterator]()
  begun.next()
  begun.return()
  database.close()
  database.close()
  tell('closed', [
    failure(() => connection.all('SELECT id FROM t ORDER BY id')),
    failure(() => connection.run('INSERT INTO u VALUES (11)')),
    failure(() => connection.all('SELECT 5')),
    failure(() => database.exec('SELECT 1')),
  ])
  Object.defineProperty(process, 'platform', { value: 'darwin' })
  const asOnMac = native.open(path)
  makeConnection(asOnMac).run('DELETE FROM u')
  asOnMac.close()
  tell('journals', ['-wal', '-shm'].filter((suffix) => existsSync(path + suffix)))
  console.log(JSON.stringify(said))`

type Said = Readonly<Record<string, unknown>>

const saidBy = async (name: string, program?: string): Promise<Said> => {
  const child = start(script, { FILE: `${folder}/${name}.db` }, program)
  const { code, stdout, stderr } = await child.outcome
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Said
}

it("Bun's driver says what Node's says, in all that is asked of it", async () => {
  const [{ halves: halvesOnNode, ...node }, { halves, ...other }] = await Promise.all([
    saidBy('node'),
    saidBy('bun', bun),
  ])
  expect(other).toEqual(node)
  // Half a character, which no key, name or id may have, is stored by none as it was: before Node 24 as bytes that are no UTF-8.
  const replaced = ['EFBFBD', '78EFBFBD79']
  const isOlder = Number.parseInt(process.versions.node) < 24
  expect(halvesOnNode).toEqual(isOlder ? ['EDA080', '78EDB08079'] : replaced)
  expect(halves).toEqual(replaced)
  // And what both say is what is expected where it matters most.
  expect(other).toMatchObject({
    changes: [1, expect.any(Number) as number, 0, 1],
    'waits as told': true,
    'no row': ['(undefined)', [], []],
    busy: { thrown: true, driver: true, code: 'SQLITE_BUSY', reason: 'busy' },
    'an older snapshot': { thrown: true, driver: true, code: 'SQLITE_BUSY_SNAPSHOT', reason: 'busy' },
    full: { thrown: true, driver: true, reason: 'full' },
    readonly: { thrown: true, driver: true, reason: 'readonly' },
    unique: { thrown: true, driver: true, reason: 'constraint' },
    closed: Array.from({ length: 4 }, () => ({ thrown: true, driver: true, reason: 'closed' })),
    'a name that is missing': { thrown: true, driver: false },
    journals: [],
  })
})
