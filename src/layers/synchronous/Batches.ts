/**
 * Batches in the process: each a transaction of its own, or where one statement is all there is, just that.
 */
import { Effect, Layer } from 'effect'
import type { Batch } from '../sql/batch.js'
import { Batches } from '../sql/Batches.js'
import type { Connection } from './connection.js'
import { Database } from './Database.js'

const run =
  <A, E>({ statements, read }: Batch<A, E>) =>
  (connection: Connection) =>
    read(statements.map(({ sql, params }) => connection.execute(sql, params)))

/** One statement is a transaction of its own, and sees one state. */
const isSingle = ({ statements }: Batch<unknown, unknown>) => statements.length === 1

export const batchesOn = ({ single, snapshot, write }: Database['Type']): Batches['Type'] => ({
  read: (operation, batch) => (isSingle(batch) ? single : snapshot)(operation, run(batch)),
  write: (operation, batch) => (isSingle(batch) ? single : write)(operation, run(batch)),
})

/** The batches of an engine in the process. */
export const layer: Layer.Layer<Batches, never, Database> = Layer.effect(
  Batches,
  Effect.map(Database, batchesOn),
)
