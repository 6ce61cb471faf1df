/**
 * As much of a client of `@effect/sql` as migrations need, on whatever runs a statement.
 */
import type * as Reactivity from '@effect/experimental/Reactivity'
import * as SqlClient from '@effect/sql/SqlClient'
import type { SqlError } from '@effect/sql/SqlError'
import { makeCompilerSqlite } from '@effect/sql/Statement'
import { Effect, Stream } from 'effect'

type Run = (sql: string, params: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<any>, SqlError>

/** Its transactions begin and end with SQLite's own words, unless others are given. */
export const migrationClient = (
  run: Run,
  words: { readonly beginTransaction?: string; readonly commit?: string } = {},
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> =>
  SqlClient.make({
    acquirer: Effect.succeed({
      execute: run,
      executeRaw: run,
      executeUnprepared: run,
      executeValues: () => Effect.dieMessage('migrations do not ask for rows without names'),
      executeStream: () => Stream.dieMessage('migrations do not stream'),
    }),
    compiler: makeCompilerSqlite(),
    spanAttributes: [],
    ...words,
  })
