/**
 * What a command asks of a database: to be looked at, to be migrated, and the services on it. A file or an engine over a network,
 * commands do not know.
 */
import { Effect, type Scope } from 'effect'
import type { Observed } from '../layers/operating/Observed.js'
import type { Batches } from '../layers/sql/Batches.js'
import type { SqlServices } from '../layers/sql/services.js'
import { howToFinishCopy, isUnfinishedCopy } from '../layers/sql/schemaVersion.js'
import type { SchemaState } from '../layers/sql/schemaLook.js'
import type { ProviderSettings } from '../services/ProviderConfig.js'
import type { SchemaError, SchemaVersion } from '../services/SchemaMigrator.js'
import type { DatabaseOpenError, StorageError } from '../services/StorageError.js'
import type { SyncGateway } from '../services/SyncGateway.js'
import type { Upkeep } from '../services/Upkeep.js'
import { type Failure, failed, usage } from './failure.js'

export type Trouble = Failure | DatabaseOpenError | SchemaError | StorageError

export interface Target {
  readonly settings: ProviderSettings
  /** Where it is, as messages name it. Holds no secret. */
  readonly name: string
  /** The file it is, if it is one: no command may write there or replace it. */
  readonly file: string | undefined
  /** Why one of the earlier package is of no use yet, and whether `migrate` changes that. */
  readonly legacy: { readonly message: string; readonly isAdopted: boolean }
  /** What to do about a database that breaks rules. */
  readonly afterDamage: string
  /** Runs a body that cannot change anything. Fails for a database of something else. */
  readonly observing: <A, E, R>(
    body: (seen: Observed) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | Trouble, Exclude<R, Scope.Scope>>
  /** Runs a body with the services, on a database of the current schema. */
  readonly serving: <A, E>(
    body: Effect.Effect<A, E, SyncGateway | Upkeep | SqlServices>,
  ) => Effect.Effect<A, E | Trouble>
  /** The same of a body that only asks: a file that cannot be written will do. */
  readonly asking: <A, E>(body: Effect.Effect<A, E, SqlServices>) => Effect.Effect<A, E | Trouble>
  /** Before a migration: there may be no database yet, where a service makes one. */
  readonly schema: Effect.Effect<SchemaState, Trouble>
  /** Has faults of the storage say of which database they are, and what to do. */
  readonly failing: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, Exclude<E, StorageError> | Failure, R>
  /** Runs a body with the bare engine, on which nothing is checked. */
  readonly filling: <A, E>(
    body: (engine: Batches['Type']) => Effect.Effect<A, E>,
  ) => Effect.Effect<A, E | Trouble>
  /** Applies what is pending, and tells what that was. */
  readonly migrating: Effect.Effect<ReadonlyArray<SchemaVersion>, Trouble>
}

export interface FileTarget extends Target {
  readonly file: string
}

/** Fails unless the schema is the one this release has. */
export const requireCurrent = (
  { name, legacy }: Pick<Target, 'name' | 'legacy'>,
  { kind, applied, pending }: SchemaState,
): Effect.Effect<void, Failure> => {
  if (kind === 'newer' && isUnfinishedCopy(applied)) return failed(`${name} ${howToFinishCopy}`)
  if (kind === 'newer')
    return failed(`${name} has schema ${applied}, of a newer release: install the release that wrote it`)
  if (kind === 'legacy') return failed(legacy.message)
  return pending.length === 0
    ? Effect.void
    : failed(
        `${name} lacks ${pending.map(({ name }) => name).join(', ')}: run \`or3-sqlite migrate\`, or start the server`,
      )
}

export const noWorkspace = (id: string, name: string): Failure =>
  usage(`there is no workspace ${id} in ${name}: \`or3-sqlite status\` lists them`)
