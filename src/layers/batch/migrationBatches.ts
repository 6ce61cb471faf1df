/**
 * Migrations as one batch: the statements that they send, taken down without a database.
 *
 * So a migration serves every engine as it stands, as long as it only sends statements. One that reads what is stored and decides
 * by it runs on a file alone; on an empty database all of them find nothing to read.
 */
import * as Reactivity from '@effect/experimental/Reactivity'
import * as Migrator from '@effect/sql/Migrator'
import * as SqlClient from '@effect/sql/SqlClient'
import { Effect } from 'effect'
import { migrations } from '../../../migrations/index.js'
import type { SchemaVersion } from '../../services/SchemaMigrator.js'
import type { Param, Statement } from '../sql/batch.js'
import { migrationClient } from '../sql/migrationClient.js'
import { migrationsTable } from '../sql/schemaVersion.js'

/** Tables without a rowid only save space, and not every engine has them. */
export const portable = (sql: string) => sql.replace(/\s*\bWITHOUT ROWID\b/, '')

const isRead = /^\s*(?:SELECT|PRAGMA)\b/i

/** A batch is a transaction by itself. */
const isBoundary = /^(?:BEGIN|COMMIT)$/

/** Answers as a database that has these migrations and nothing else, and takes down what it was told to change. */
const recorder =
  (applied: SchemaVersion, statements: Array<Statement>) => (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.sync((): ReadonlyArray<unknown> => {
      if (isBoundary.test(sql)) return []
      if (!isRead.test(sql)) {
        statements.push({ sql: portable(sql), params: params as ReadonlyArray<Param> })
        return []
      }
      if (sql.includes(migrationsTable)) {
        return applied.id === 0 ? [] : [{ migration_id: applied.id, name: applied.name.slice(4) }]
      }
      // Whether there are tables of the earlier package, whose databases are adopted from a file alone.
      if (/\bFROM sqlite_schema\b/.test(sql)) return []
      if (applied.id > 0)
        throw new Error(`a migration after ${applied.name} reads what is stored, which a batch cannot`)
      return []
    })

/** What brings a database with these migrations to the newest schema, and its ledger with it. */
export const migrationStatements = (applied: SchemaVersion): Effect.Effect<ReadonlyArray<Statement>> =>
  Effect.gen(function* () {
    const statements: Array<Statement> = []
    const client = yield* migrationClient(recorder(applied, statements), {
      beginTransaction: 'BEGIN',
      commit: 'COMMIT',
    })
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: migrationsTable }).pipe(
      Effect.provideService(SqlClient.SqlClient, client),
      Effect.orDie,
    )
    return statements
  }).pipe(Effect.provide(Reactivity.layer))
