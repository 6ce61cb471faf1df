/**
 * What is known about files, over batches.
 */
import { Effect, Either, Layer } from 'effect'
import { FileReferences } from '../../services/FileReferences.js'
import { Batches } from '../sql/Batches.js'
import { filesBy } from '../sql/fileQueries.js'

/** What the records in the tables of the gateway, and the upload intents, say about files. */
export const layer: Layer.Layer<FileReferences, never, Batches> = Layer.effect(
  FileReferences,
  Effect.map(Batches, ({ read }) =>
    filesBy('whole', ({ statement }, page) =>
      read('query files', { statements: [statement], read: ([rows]) => Either.right(page(rows!)) }),
    ),
  ),
)
