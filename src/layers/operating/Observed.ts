/**
 * A database as commands look at it, whatever engine has it. None of this changes anything.
 */
import { Effect } from 'effect'
import type { Sqlite } from '../synchronous/sqlite.js'
import type { ProviderSettings } from '../../services/ProviderConfig.js'
import type { StorageError } from '../../services/StorageError.js'
import type { Batches } from '../sql/Batches.js'
import { makeConnection } from '../synchronous/connection.js'
import { epochSeconds } from '../time.js'
import { findFaultsOver } from './batch/check.js'
import { exportOver } from './batch/export.js'
import { findLeftOutOver } from './batch/leftOut.js'
import { type DatabaseStatus, freeBytesOf, inspect, lookAtContent } from './inspect.js'
import { findFaults, type OnRule, type Verdict } from './invariants.js'
import { findLeftOut, type LeftOut } from './leftOut.js'
import { lookIn } from './look.js'
import { type Look, lookOver } from '../sql/look.js'
import { attempt, pinSnapshot } from './observer.js'
import { expectedObjects } from './schemaState.js'
import { lookAtSchema, type SchemaState } from '../sql/schemaLook.js'
import { exportLines, type ExportHeader, lookAtSize, type Sink, writeExport } from './transfer.js'

export interface Observed {
  readonly schema: SchemaState
  readonly look: <A>(operation: string, look: Look<A>) => Effect.Effect<A, StorageError>
  readonly status: Effect.Effect<DatabaseStatus, StorageError>
  /** Bytes within the file that can be used again; undefined where there is no file to look at. */
  readonly freeBytes: Effect.Effect<number | undefined, StorageError>
  readonly findFaults: (onRule: OnRule) => Effect.Effect<Verdict, StorageError>
  /** Of a database whose tables are all there. */
  readonly findLeftOut: Effect.Effect<LeftOut, StorageError>
  /** One state of the workspace. */
  readonly exportTo: <E>(
    workspace: ExportHeader['workspace'],
    sink: Sink<E>,
  ) => Effect.Effect<ExportHeader, E | StorageError>
}

/** All looks see one snapshot of the file, until its connection is closed. What a connection sets, no file tells. */
export const observedFile = (
  database: Sqlite,
  path: string,
  { synchronous }: Pick<ProviderSettings, 'synchronous'>,
): Effect.Effect<Observed, StorageError> =>
  attempt('schema', () => {
    pinSnapshot(database)
    const connection = makeConnection(database)
    return {
      schema: lookIn(connection, lookAtSchema()).schema,
      look: (operation, look) => attempt(operation, () => lookIn(connection, look)),
      status: Effect.map(inspect(database, path), (found) => ({
        ...found,
        pragmas: { ...found.pragmas, synchronous },
      })),
      freeBytes: attempt('free bytes', () => freeBytesOf(database)),
      findFaults: (onRule) =>
        Effect.flatMap(expectedObjects, (expected) => findFaults(database, expected, onRule)),
      findLeftOut: findLeftOut(database),
      exportTo: (workspace, sink) =>
        Effect.suspend(() => {
          const rows = lookIn(connection, lookAtSize(workspace.id))
          return writeExport({ workspace, rows }, exportLines(connection, workspace.id), sink)
        }),
    }
  })

/** Each read sees one state, and an export is one. */
export const observedOver = (
  { read }: Batches['Type'],
  address: string,
): Effect.Effect<Observed, StorageError> =>
  Effect.map(lookOver(read, 'schema', lookAtSchema()), (known) => ({
    schema: known.schema,
    look: (operation, look) => lookOver(read, operation, look),
    status: Effect.gen(function* () {
      const content = yield* lookOver(read, 'status', lookAtContent(known, yield* epochSeconds))
      return { address, ...content }
    }),
    freeBytes: Effect.succeed(undefined),
    findFaults: (onRule) => findFaultsOver(read, onRule),
    findLeftOut: findLeftOutOver(read),
    exportTo: (workspace, sink) => exportOver(read, workspace, sink),
  }))
