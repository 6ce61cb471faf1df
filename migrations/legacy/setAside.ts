/**
 * Moves the tables of a database of the earlier package aside, so that ours can take their names.
 *
 * `003_adopt_legacy` copies what is in them. It recognises its work by a temporary table, which lasts no longer than the
 * connection and rolls back with the transaction, so that a table of somebody else is never taken for one set aside.
 *
 * The tables of other features stay as they are. Their foreign keys and views name the old tables, which are ours afterwards,
 * so renaming must not rewrite them: hence the pragma, which works only while foreign keys are off. The migrator sees to that.
 */
import { Effect } from 'effect'
import { aside, count, legacyTables, rows, run } from './common.js'

export const marker = 'set_aside'

/** The earlier package recorded its migrations through Kysely. */
export const isLegacy = Effect.gen(function* () {
  const history = yield* rows(
    `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kysely_migration'`,
  )
  return history.length > 0 && (yield* count(`kysely_migration WHERE name = '001_init'`)) > 0
})

/** Called by the first migration, so our package has never run on this database. */
export const setAside = Effect.gen(function* () {
  if (!(yield* isLegacy)) return
  const present = yield* rows<{ name: string }>(
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN (SELECT value FROM json_each(?))`,
    [JSON.stringify(legacyTables)],
  )
  yield* run(`CREATE TEMP TABLE ${marker} (name TEXT NOT NULL)`)
  yield* run('PRAGMA legacy_alter_table = ON')
  for (const { name } of present) {
    yield* run(`ALTER TABLE ${name} RENAME TO ${aside(name)}`)
    yield* run(`INSERT INTO temp.${marker} (name) VALUES (?)`, [name])
    // A renamed table's indexes keep their names, and ours might want them.
    const indexes = yield* rows<{ name: string }>(
      `SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?`,
      [aside(name)],
    )
    for (const index of indexes) yield* run(`DROP INDEX "${index.name.replaceAll('"', '""')}"`)
  }
  yield* run('PRAGMA legacy_alter_table = OFF')
})
