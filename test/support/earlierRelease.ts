/**
 * Files as earlier releases of ours left them: brought only as far as their schema went.
 */
import { renameSync } from 'node:fs'
import * as Reactivity from '@effect/experimental/Reactivity'
import * as Migrator from '@effect/sql/Migrator'
import * as SqlClient from '@effect/sql/SqlClient'
import { SqliteClient } from '@effect/sql-sqlite-node'
import Sqlite from 'better-sqlite3'
import { Effect, Logger } from 'effect'
import { migrations } from '../../migrations/index.js'

/** Applies the migrations up to that id, adoption of a legacy file included. Release 0.1 had three. */
export const migrateUpTo = (filename: string, id: number): Promise<void> =>
  Effect.gen(function* () {
    const client = yield* SqliteClient.make({ filename, disableWAL: true })
    yield* client.unsafe('PRAGMA foreign_keys = OFF')
    const known = Object.fromEntries(
      Object.entries(migrations).filter(([name]) => Number.parseInt(name, 10) <= id),
    )
    yield* Effect.provideService(
      Migrator.make({})({ loader: Migrator.fromRecord(known), table: 'effect_sql_migrations' }),
      SqlClient.SqlClient,
      client,
    )
  }).pipe(
    Effect.scoped,
    Effect.provide([Reactivity.layer, Logger.remove(Logger.defaultLogger)]),
    Effect.runPromise,
  )

/** Gives a file the schema of an earlier release, with all that it can hold of what is there. */
export const downgrade = async (file: string, id: number): Promise<void> => {
  const earlier = `${file}.earlier`
  await migrateUpTo(earlier, id)
  const database = new Sqlite(earlier)
  database.pragma('foreign_keys = OFF')
  database.prepare('ATTACH ? AS later').run(file)
  const tables = database
    .prepare<[], string>(
      `SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name <> 'effect_sql_migrations'`,
    )
    .pluck()
    .all()
  for (const table of tables) {
    const columns = database
      .prepare<[string], string>(`SELECT name FROM pragma_table_info(?, 'main')`)
      .pluck()
      .all(table)
      .join(', ')
    database.exec(`INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM later.${table}`)
  }
  database.close()
  renameSync(earlier, file)
}
