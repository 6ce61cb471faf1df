/**
 * The engine of Node: better-sqlite3, an addon that is loaded when the first database is opened.
 */
import { createRequire } from 'node:module'
import BetterSqlite3 from 'better-sqlite3'
import { SqliteClient } from '@effect/sql-sqlite-node'
import { Effect } from 'effect'
import type { NativeSqlite } from './sqlite.js'

export const betterSqlite3: NativeSqlite = {
  module: () => createRequire(import.meta.url).resolve('better-sqlite3'),
  open: (place, options) =>
    new BetterSqlite3(typeof place === 'string' ? place : Buffer.from(place), options),
  migrationClient: (path) =>
    Effect.map(SqliteClient.make({ filename: path, disableWAL: true }), (client) => ({
      client,
      image: client.export,
    })),
}
