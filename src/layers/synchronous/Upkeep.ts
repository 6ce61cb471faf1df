/**
 * Upkeep on SQLite in the process.
 */
import { Effect, Either, Layer } from 'effect'
import { Upkeep } from '../../services/Upkeep.js'
import type { Batches } from '../sql/Batches.js'
import { makeUpkeep } from '../sql/Upkeep.js'
import type { Connection } from './connection.js'
import { Database } from './Database.js'

export { layerSchedule } from '../upkeepSchedule.js'

/**
 * The tables with what an `ANALYZE`, of an earlier release or of somebody else, found in all others. It stays as it was while they grow:
 * plans made for one user go through all of them. Without any, each goes by its index; and to make new ones SQLite counts every index
 * entry by entry, which takes a second where there are millions.
 */
const statistics = (connection: Connection): ReadonlyArray<string> =>
  connection
    .all<{ name: string }>("SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')")
    .map(({ name }) => name)
    .filter((name) => connection.first(`SELECT 1 FROM ${name}`) !== undefined)

/** Upkeep on demand; `layerSchedule` runs it by itself. */
export const layer: Layer.Layer<Upkeep, never, Database | Batches> = Layer.effect(
  Upkeep,
  Effect.flatMap(Database, ({ direct, write, emptyLog }) => {
    const forget = (tables: ReadonlyArray<string>) =>
      write('upkeep', (connection) => {
        for (const name of tables) connection.run(`DELETE FROM ${name}`)
        return Either.void
      })
    // Else the connection keeps what it read when it was opened.
    const reload = direct('upkeep', (connection) => connection.run('ANALYZE sqlite_schema'))
    const forgetAll = Effect.flatMap(direct('upkeep', statistics), (tables) =>
      tables.length === 0 ? Effect.void : Effect.zipRight(forget(tables), reload),
    )
    return makeUpkeep(Effect.zipRight(forgetAll, emptyLog))
  }),
)
