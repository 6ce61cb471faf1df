/**
 * Running one statement on the reserved connection.
 */
import type { Connection } from '@effect/sql/SqlConnection'
import type { SqlError } from '@effect/sql/SqlError'
import type { Effect } from 'effect'

/** All rows of one prepared statement, which is kept for the next time. */
export const all = <Row>(
  connection: Connection,
  sql: string,
  params: ReadonlyArray<unknown> = [],
): Effect.Effect<ReadonlyArray<Row>, SqlError> => connection.execute(sql, params, undefined)
