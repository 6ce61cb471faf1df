/**
 * Which migrations a database has.
 */
import type { Connection } from '@effect/sql/SqlConnection'
import type { SqlError } from '@effect/sql/SqlError'
import { Effect } from 'effect'
import type { SchemaError, SchemaVersion } from '../../services/SchemaMigrator.js'
import { migrationsTable, newerSchema, newestKnown, none, versionOf } from '../sql/schemaVersion.js'

/** All rows of one statement. */
export const all = <Row>(
  connection: Connection,
  sql: string,
  params: ReadonlyArray<unknown> = [],
): Effect.Effect<ReadonlyArray<Row>, SqlError> => connection.execute(sql, params, undefined)

/** The newest migration the database has; id 0 for one that has none. */
export const newestApplied = (connection: Connection): Effect.Effect<SchemaVersion, SqlError> =>
  all<{ name: string }>(connection, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?`, [
    migrationsTable,
  ]).pipe(
    Effect.flatMap((tables) =>
      tables.length === 0
        ? Effect.succeed([])
        : all<{ migration_id: number; name: string }>(
            connection,
            `SELECT migration_id, name FROM ${migrationsTable} ORDER BY migration_id DESC LIMIT 1`,
          ),
    ),
    Effect.map(([row]) => (row === undefined ? none : versionOf(row.migration_id, row.name))),
  )

/** Fails for a database that a newer release of this package has migrated. */
export const refuseNewer = (connection: Connection): Effect.Effect<SchemaVersion, SqlError | SchemaError> =>
  newestApplied(connection).pipe(
    Effect.filterOrFail(
      (applied) => applied.id <= newestKnown.id,
      ({ name }) => newerSchema(name),
    ),
  )
