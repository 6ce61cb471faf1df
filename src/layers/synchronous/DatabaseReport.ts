/**
 * What the database is and how large, on SQLite in the process.
 */
import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { Effect, Layer } from 'effect'
import { DatabaseReport, type FileReport } from '../../services/DatabaseReport.js'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import type { Batches } from '../sql/Batches.js'
import { makeReport } from '../sql/DatabaseReport.js'
import type { Connection } from './connection.js'
import { Database } from './Database.js'

const pragmas = ['journal_mode', 'synchronous', 'page_size', 'foreign_keys'] as const

const levels = ['OFF', 'NORMAL', 'FULL', 'EXTRA']

const pragma = (connection: Connection, name: string) =>
  Object.values(connection.first<Record<string, string | number>>(`PRAGMA ${name}`)!)[0]!

/** What the system does not tell is left out: a report must not fail for it. */
const orElse = <A, B>(read: () => A, otherwise: B): A | B => {
  try {
    return read()
  } catch {
    return otherwise
  }
}

const diskOf = (dbPath: string) => {
  const { bavail, bsize } = statfsSync(dirname(dbPath))
  return { diskBytes: bavail * bsize }
}

const fileReport = (connection: Connection, dbPath: string): FileReport => {
  const pageSize = Number(pragma(connection, 'page_size'))
  const isFile = dbPath !== ':memory:'
  const named = pragmas.map((name) => [name, pragma(connection, name)] as const)
  const level = Number(pragma(connection, 'synchronous'))
  return {
    bytes: Number(pragma(connection, 'page_count')) * pageSize,
    freeBytes: Number(pragma(connection, 'freelist_count')) * pageSize,
    walBytes: isFile ? orElse(() => statSync(`${dbPath}-wal`).size, 0) : 0,
    ...(isFile ? orElse(() => diskOf(dbPath), {}) : {}),
    pragmas: { ...Object.fromEntries(named), synchronous: levels[level] ?? level },
  }
}

/** Of the file, its disk and its pragmas too. */
export const layer: Layer.Layer<DatabaseReport, never, Database | Batches | ProviderConfig> = Layer.effect(
  DatabaseReport,
  Effect.gen(function* () {
    const { direct } = yield* Database
    const { dbPath } = yield* ProviderConfig
    return yield* makeReport(direct('report', (connection) => fileReport(connection, dbPath)))
  }),
)
