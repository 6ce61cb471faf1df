/**
 * What is known about files, on SQLite: a page with payloads is read row by row, so that none is read that it does not hold.
 */
import { Effect, Layer } from 'effect'
import { FileReferences } from '../../services/FileReferences.js'
import { filesBy } from '../sql/fileQueries.js'
import { Database } from './Database.js'

/** What the records in the tables of the gateway, and the upload intents, say about files. */
export const layer: Layer.Layer<FileReferences, never, Database> = Layer.effect(
  FileReferences,
  Effect.map(Database, ({ direct }) =>
    // One statement is a snapshot of its own.
    filesBy('byRow', ({ statement: { sql, params }, hasPayloads }, page) =>
      direct('query files', (connection) => page(connection[hasPayloads ? 'rows' : 'execute'](sql, params))),
    ),
  ),
)
