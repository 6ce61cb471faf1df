/**
 * 003_adopt_legacy: takes over what a database of the earlier, Kysely-based package holds.
 *
 * `001_init` has moved its tables aside; here they are copied into ours, under the rules of the services from then on, and
 * dropped. It all happens in the one transaction of the migrations, so a failure leaves the file as it was. On any other
 * database there is nothing to do.
 */
import { Clock, Effect, FiberRef, HashMap } from 'effect'
import {
  aside,
  count,
  deviceId,
  integer,
  isId,
  isKeptAsText,
  legacyTables,
  rows,
  run,
  syncedTables,
  text,
} from './legacy/common.js'
import { adoptLog } from './legacy/log.js'
import { keepOwners } from './legacy/owners.js'
import { adoptPeople } from './legacy/people.js'
import { adoptRows, adoptTombstones } from './legacy/rows.js'
import { marker } from './legacy/setAside.js'
import { deriveDeletions, placeRows } from './legacy/versions.js'

const adoptCursors = `
  INSERT INTO device_cursors (workspace_id, device_id, last_seen_version, updated_at)
  SELECT ${text('workspace_id')}, ${deviceId('device_id')}, max(${integer('last_seen_version')}),
    max(${integer('updated_at')})
  FROM ${aside('device_cursors')} WHERE ${isId('workspace_id')} GROUP BY 1, 2`

/** Foreign keys were off meanwhile. One of another table that fits ours no longer would make later writes fail. */
const checkForeignKeys = Effect.gen(function* () {
  const referring = yield* rows<{ name: string }>(
    `SELECT DISTINCT s.name FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
     WHERE s.type = 'table' AND f."table" IN (SELECT value FROM json_each(?))`,
    [JSON.stringify(legacyTables)],
  )
  const own = new Set(legacyTables)
  for (const { name } of referring) {
    const [broken] = yield* rows('SELECT 1 FROM pragma_foreign_key_check(?) LIMIT 1', [name])
    if (broken !== undefined && own.has(name)) {
      return yield* Effect.dieMessage(`${name} refers to rows that are not there`)
    }
  }
})

const list = (numbers: Readonly<Record<string, number>>) =>
  Object.entries(numbers)
    .filter(([, n]) => n > 0)
    .map(([what, n]) => `${what}: ${n}`)
    .join(', ')

/** Records that no device could read as they were, some of them by name. */
const unreadable = syncedTables
  .map((table) => `SELECT '${table}/' || pk AS record FROM s_${table} WHERE ${isKeptAsText('data_json')}`)
  .join(' UNION ALL ')

const tellUnreadable = Effect.gen(function* () {
  const some = yield* rows<{ record: string }>(`${unreadable} LIMIT 5`)
  if (some.length === 0) return
  const number = yield* count(`(${unreadable})`)
  yield* Effect.logWarning(
    `adopting the earlier database: ${number} records are not JSON, or nest too deep, and are kept as {"legacy_text": …}: ` +
      some.map(({ record }) => record).join(', ') +
      (number > some.length ? ', …' : ''),
  )
})

const adopt = (tables: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const has = (table: string) => tables.has(table)
    const people = yield* adoptPeople(has)

    yield* adoptRows(has)
    const entries = has('change_log') ? yield* count(aside('change_log')) : 0
    const adoptedEntries = has('change_log') ? yield* adoptLog(entries) : 0
    if (has('tombstones')) yield* adoptTombstones
    const addedEntries = yield* placeRows(has)
    const tombstones = yield* deriveDeletions(has)
    const cursors = has('device_cursors') ? yield* run(adoptCursors) : 0
    if (has('device_cursors')) yield* keepOwners
    let [records, unnamed] = [0, 0]
    for (const table of legacyTables.filter((name) => name.startsWith('s_'))) {
      records += yield* count(table)
      unnamed += yield* count(`${table} WHERE op_id GLOB 'legacy:*' OR op_id GLOB '~legacy:*'`)
    }
    yield* tellUnreadable

    for (const table of tables) yield* run(`DROP TABLE ${aside(table)}`)
    yield* run(`DROP TABLE temp.${marker}`)
    yield* checkForeignKeys

    const adopted = list({
      ...people.adopted,
      rows: records,
      tombstones,
      'log entries': adoptedEntries,
      'device cursors': cursors,
    })
    const notes = list({
      ...people.notes,
      'log entries left out': entries - adoptedEntries,
      'rows given a log entry': addedEntries,
      'rows given an op id': unnamed,
    })
    const seconds = ((yield* Clock.currentTimeMillis) - started) / 1_000
    yield* Effect.logInfo(
      `adopting the earlier database: copied ${adopted || 'nothing'} in ${seconds.toFixed(1)} s` +
        (notes === '' ? '' : ` (${notes})`),
    )
  })

export default Effect.gen(function* () {
  const marked = yield* rows('SELECT 1 FROM temp.sqlite_schema WHERE name = ?', [marker])
  if (marked.length === 0) return
  const found = yield* rows<{ name: string }>(`SELECT name FROM temp.${marker}`)
  // The default cache is far smaller than the indexes of a large log.
  yield* run('PRAGMA cache_size = -65536')
  yield* adopt(new Set(found.map(({ name }) => name)))
  // The migrator's annotations are of no use to an operator.
}).pipe(Effect.locally(FiberRef.currentLogAnnotations, HashMap.empty()))
