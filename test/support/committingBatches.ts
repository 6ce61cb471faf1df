/**
 * Batches that are committed whatever comes of them, as on an engine that cannot roll back on second thoughts. So a call that is
 * refused must have changed nothing by its statements alone.
 */
import { Effect, Layer } from 'effect'
import type { Batch } from '../../src/layers/sql/batch.js'
import { Batches } from '../../src/layers/sql/Batches.js'
import { Database } from '../../src/layers/synchronous/Database.js'

export const layer = Layer.effect(
  Batches,
  Effect.map(Database, ({ direct }) => {
    const run = <A, E>(operation: string, { statements, read }: Batch<A, E>) =>
      Effect.flatten(
        direct(operation, (connection) => {
          connection.run('BEGIN IMMEDIATE')
          try {
            return read(statements.map(({ sql, params }) => connection.execute(sql, params)))
          } finally {
            connection.run('COMMIT')
          }
        }),
      )
    return { read: run, write: run }
  }),
)
