/**
 * Upkeep on SQLite in the process.
 */
import { Effect, Layer } from 'effect'
import { Upkeep } from '../../services/Upkeep.js'
import type { Batches } from '../sql/Batches.js'
import { makeUpkeep } from '../sql/Upkeep.js'
import { Database } from './Database.js'

export { layerSchedule } from '../upkeepSchedule.js'

/** Upkeep on demand; `layerSchedule` runs it by itself. */
export const layer: Layer.Layer<Upkeep, never, Database | Batches> = Layer.effect(
  Upkeep,
  Effect.flatMap(Database, ({ direct, emptyLog }) => {
    const optimize = direct('upkeep', (connection) => {
      // Else it reads so much of each index that everybody waits: 150 ms where there are 150,000 records, and 15 with the limit.
      connection.all('PRAGMA analysis_limit = 400')
      connection.all('PRAGMA optimize')
    })
    return makeUpkeep(Effect.zipRight(optimize, emptyLog))
  }),
)
