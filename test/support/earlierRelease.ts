/**
 * Files as earlier releases of ours left them: brought only as far as their schema went.
 */
import * as Reactivity from '@effect/experimental/Reactivity'
import * as Migrator from '@effect/sql/Migrator'
import * as SqlClient from '@effect/sql/SqlClient'
import { SqliteClient } from '@effect/sql-sqlite-node'
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
