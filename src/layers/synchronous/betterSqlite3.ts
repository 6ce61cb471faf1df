/**
 * The engine of Node: better-sqlite3, an addon that is loaded when the first database is opened.
 */
import { createRequire } from 'node:module'
import BetterSqlite3 from 'better-sqlite3'
import { SqliteClient } from '@effect/sql-sqlite-node'
import { Effect } from 'effect'
import type { NativeSqlite } from './sqlite.js'

export const betterSqlite3: NativeSqlite = {
  module: () => {
    const require = createRequire(import.meta.url)
    const driver = require.resolve('better-sqlite3')
    // A bundle may have brought another copy: two SQLites in one process drop each other's locks, and damage the file.
    if (require(driver) !== BetterSqlite3) throw new Error(`${driver} is not the driver that serves`)
    return driver
  },
  open: (place, options) =>
    new BetterSqlite3(typeof place === 'string' ? place : Buffer.from(place), options),
  migrationClient: (path) =>
    Effect.map(SqliteClient.make({ filename: path, disableWAL: true }), (client) => ({
      client,
      image: client.export,
    })),
}
