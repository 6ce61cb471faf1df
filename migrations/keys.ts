/**
 * Keys of adopted records that every reader reads alike.
 *
 * Text that was cut within an emoji ends in half a surrogate pair, and the driver stores that as three bytes which are no UTF-8.
 * SQLite compares these bytes, JavaScript reads U+FFFD for each of them: keys that differ read alike, and stand in another order.
 * No push of ours could store such a key, but adoption kept those of the earlier package.
 *
 * So such a key becomes what JavaScript reads: it is what devices were served. Where that is another record's key, a name is made
 * from the bytes; devices do not know it, so their workspace leaps, as in `legacy/settle.ts`. Of several that read alike, devices hold
 * the greatest revision, so that one keeps the key they know.
 *
 * Other text is safe: readings, device ids and op ids became ASCII when they were adopted, and a workspace's id is never a client's.
 */
import { createHash } from 'node:crypto'
import { Effect } from 'effect'
import { count, rows, run, syncedTables } from './legacy/common.js'
import { leapWhere } from './legacy/settle.js'

/** All but pure ASCII; a NUL ends what GLOB and `length` see. */
const mayBeOdd = `(pk GLOB '*[^' || char(1) || '-' || char(127) || ']*' OR length(pk) <> octet_length(pk))`

const everyKey = [
  ...['change_log', 'tombstones'].map(
    (table) =>
      `SELECT workspace_id, table_name, pk, -1 AS clock, '' AS hlc, '' AS op_id FROM ${table} WHERE ${mayBeOdd}`,
  ),
  ...syncedTables.map(
    (table) => `SELECT workspace_id, '${table}', pk, clock, hlc, op_id FROM s_${table} WHERE ${mayBeOdd}`,
  ),
].join(' UNION ALL ')

/** The greatest revisions first. Whatever key a name could collide with is among these: each holds a U+FFFD. */
const collect = [
  `CREATE TEMP TABLE odd_keys (
    workspace_id TEXT NOT NULL, table_name TEXT NOT NULL, pk TEXT NOT NULL, name TEXT,
    UNIQUE (workspace_id, table_name, pk), UNIQUE (workspace_id, table_name, name))`,
  `INSERT INTO temp.odd_keys (workspace_id, table_name, pk)
   SELECT workspace_id, table_name, pk FROM (
     SELECT workspace_id, table_name, pk, row_number() OVER (
       PARTITION BY workspace_id, table_name, pk ORDER BY clock DESC) AS place, clock, hlc, op_id FROM (${everyKey}))
   WHERE place = 1 ORDER BY clock DESC, hlc DESC, op_id DESC, hex(pk)`,
]

/** Keys read at a time. */
const chunkSize = 10_000

const nextKeys = `
  SELECT rowid AS id, pk AS text, hex(pk) AS bytes FROM temp.odd_keys WHERE rowid > ? ORDER BY rowid LIMIT ${chunkSize}`

interface Key {
  readonly id: number
  readonly text: string
  readonly bytes: string
}

const isWellFormed = ({ text, bytes }: Key) => Buffer.from(text).toString('hex').toUpperCase() === bytes

const isTaken = `
  SELECT 1 FROM temp.odd_keys AS o JOIN temp.odd_keys AS k
    ON k.workspace_id = o.workspace_id AND k.table_name = o.table_name AND (k.pk = ? OR k.name = ?)
  WHERE o.rowid = ?`

/** Characters of a key; a longer one could not be pushed to. */
const keyLength = 1_024

const nameOf = ({ text, bytes }: Key, attempt: number) => {
  if (attempt === 0) return text
  const mark = `~${createHash('sha256').update(`${bytes} ${attempt}`).digest('hex').slice(0, 16)}`
  return text.slice(0, keyLength - mark.length).toWellFormed() + mark
}

/** Gives whether the key had to be given another name than the one it is read as. */
const name = (key: Key) =>
  Effect.gen(function* () {
    for (let attempt = 0; ; attempt++) {
      const name = nameOf(key, attempt)
      if ((yield* rows(isTaken, [name, name, key.id])).length > 0) continue
      yield* run('UPDATE temp.odd_keys SET name = ? WHERE rowid = ?', [name, key.id])
      return attempt > 0
    }
  })

const renameIn = (table: string, tableName: string) => `
  UPDATE ${table} SET pk = (
    SELECT o.name FROM temp.odd_keys AS o
    WHERE o.workspace_id = ${table}.workspace_id AND o.table_name = ${tableName} AND o.pk = ${table}.pk)
  WHERE ${mayBeOdd} AND EXISTS (
    SELECT 1 FROM temp.odd_keys AS o
    WHERE o.workspace_id = ${table}.workspace_id AND o.table_name = ${tableName} AND o.pk = ${table}.pk)`

const rename = [
  'DELETE FROM temp.odd_keys WHERE name IS NULL',
  ...['change_log', 'tombstones'].map((table) => renameIn(table, `${table}.table_name`)),
  ...syncedTables.map((table) => renameIn(`s_${table}`, `'${table}'`)),
]

/** Before anything is made from keys: `005_op_ids` and `006_files` do so. */
export const mendKeys = Effect.gen(function* () {
  for (const statement of collect) yield* run(statement)
  yield* run('CREATE TEMP TABLE new_names (id INTEGER PRIMARY KEY)')
  let mended = 0
  for (let last = 0; ;) {
    const keys = yield* rows<Key>(nextKeys, [last])
    const final = keys.at(-1)
    if (final === undefined) break
    for (const key of keys) {
      if (isWellFormed(key)) continue
      mended++
      if (yield* name(key)) yield* run('INSERT INTO temp.new_names (id) VALUES (?)', [key.id])
    }
    last = final.id
  }
  if (mended > 0) {
    for (const statement of rename) yield* run(statement)
    yield* run(
      leapWhere(`version_offset = 0 AND workspace_id IN (
        SELECT workspace_id FROM temp.odd_keys WHERE rowid IN (SELECT id FROM temp.new_names))`),
    )
    const renamed = yield* count('temp.new_names')
    yield* Effect.logInfo(
      `adopting the earlier database: ${mended} keys were no UTF-8, and are now what devices read` +
        (renamed > 0
          ? `; ${renamed} of them read like another record's, and have a name of their own, which ends in ~ and 16 digits`
          : ''),
    )
  }
  for (const table of ['odd_keys', 'new_names']) yield* run(`DROP TABLE temp.${table}`)
})
