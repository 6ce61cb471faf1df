/**
 * What the database is and how large, whatever engine has it.
 */
import { resolve } from 'node:path'
import { Effect, Either } from 'effect'
import { DatabaseReport, type FileReport } from '../../services/DatabaseReport.js'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import type { StorageError } from '../../services/StorageError.js'
import { observeService } from '../../services/telemetry.js'
import { type Batch, firstOf } from './batch.js'
import { Batches } from './Batches.js'
import { isInProcess } from '../runtime.js'
import { newestKnown } from './schemaVersion.js'

const counts: Batch<{ readonly workspaces: number; readonly users: number; readonly logEntries: number }> = {
  statements: [
    { sql: 'SELECT count(*) AS n FROM workspaces WHERE deleted = 0', params: [] },
    { sql: 'SELECT count(*) AS n FROM users', params: [] },
    {
      sql: 'SELECT coalesce(sum(value - trimmed_version), 0) AS n FROM server_version_counter WHERE workspace_id <> ?',
      params: [''],
    },
  ],
  read: (results) => {
    const [workspaces, users, logEntries] = results.map((_, index) => firstOf(results, index)!.n as number)
    return Either.right({ workspaces: workspaces!, users: users!, logEntries: logEntries! })
  },
}

const anything: Batch<void> = {
  statements: [{ sql: 'SELECT migration_id FROM effect_sql_migrations LIMIT 1', params: [] }],
  read: () => Either.void,
}

/** What only the engine knows of its file is read besides. */
export const makeReport = (file: Effect.Effect<FileReport | undefined, StorageError>) =>
  Effect.gen(function* () {
    const { read } = yield* Batches
    const { driver, dbPath } = yield* ProviderConfig
    const isFile = isInProcess(driver) && dbPath !== ':memory:'
    const known = { engine: driver, place: isFile ? resolve(dbPath) : dbPath, schema: newestKnown.name }
    return {
      known,
      ...observeService('DatabaseReport', {
        facts: Effect.gen(function* () {
          const counted = yield* read('report', counts)
          const own = yield* file
          return { ...known, ...counted, ...(own === undefined ? {} : { file: own }) }
        }),
        answers: read('health', anything),
      }),
    } satisfies DatabaseReport['Type']
  })
