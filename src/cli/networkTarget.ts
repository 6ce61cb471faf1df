/**
 * A database on an engine over a network, as commands see it.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Effect, Layer } from 'effect'
import { batchServices } from '../layers/batch/index.js'
import * as Migrator from '../layers/batch/SchemaMigrator.js'
import * as Engine from '../layers/batch/turso.js'
import { storageMessage } from '../layers/causes.js'
import * as IdGenerator from '../layers/IdGenerator.js'
import { observedOver } from '../layers/operating/Observed.js'
import { emptySchema } from '../layers/sql/schemaLook.js'
import { Batches } from '../layers/sql/Batches.js'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { SchemaMigrator } from '../services/SchemaMigrator.js'
import { StorageError } from '../services/StorageError.js'
import { failed, usage } from './failure.js'
import { requireCurrent, type Target } from './target.js'

/** What the service has in place of the commands that are about a file. */
export const insteadOf = {
  backup:
    'Turso keeps the history itself: go back by point-in-time restore (`turso db create NAME --from-db NAME --timestamp TIME`), or write a copy with `or3-sqlite copy --to FILE`',
  restore:
    'on Turso make a new database from a point in time (`turso db create NAME --from-db NAME --timestamp TIME`), and set OR3_SQLITE_TURSO_URL to it',
  vacuum: 'Turso looks after the file itself: there is nothing to do',
  dump: 'on Turso write a dump with `turso db shell NAME .dump`, or copy it into a file (`or3-sqlite copy --to FILE`) and dump that',
} as const

/** Of an engine of the client's own, for trials and tests. */
const fileOf = (url: string): string | undefined => {
  if (!url.startsWith('file:')) return undefined
  return url.startsWith('file:/') ? fileURLToPath(new URL(url)) : url.slice('file:'.length)
}

interface Names {
  readonly address: string
  readonly token: string
  readonly timeout: string
}

const serverNames: Names = {
  address: 'OR3_SQLITE_TURSO_URL',
  token: 'OR3_SQLITE_TURSO_AUTH_TOKEN',
  timeout: 'OR3_SQLITE_TURSO_TIMEOUT',
}

/** Which database, and what to do. */
const failureOf = ({ dbPath }: ProviderSettings, { address, token, timeout }: Names, error: StorageError) => {
  const hints: Partial<Record<StorageError['reason'], string>> = {
    timeout: `; ${timeout} gives it more`,
    denied: `: check ${token}`,
    unreachable: `: check ${address}`,
  }
  return failed(`${dbPath}: ${storageMessage(error)}${hints[error.reason] ?? ''}`)
}

const isStorageError = (error: unknown): error is StorageError => error instanceof StorageError

/** `names` are what the address and the token are given by. */
export const networkTarget = (settings: ProviderSettings, names: Names = serverNames): Target => {
  const name = settings.dbPath
  const file = fileOf(name)
  const config = Layer.succeed(ProviderConfig, settings)
  const engine = Layer.provide(Engine.layer, config)
  const services = batchServices.pipe(Layer.provide(Layer.mergeAll(engine, config, IdGenerator.layer)))
  const failing = Effect.mapError((error) =>
    isStorageError(error) ? failureOf(settings, names, error) : error,
  ) as Target['failing']
  // Its engine would make it.
  const isMissing = Effect.sync(() => file !== undefined && !existsSync(file))
  const present = Effect.flatMap(isMissing, (missing) =>
    missing
      ? usage(`there is no database ${name}: check ${names.address}, or make it by \`or3-sqlite migrate\``)
      : Effect.void,
  )
  const legacy = { message: `${name}: ${Migrator.howToAdopt}`, isAdopted: false }
  const looking: Target['observing'] = (body) =>
    Effect.gen(function* () {
      const seen = yield* observedOver(yield* Batches, name)
      if (seen.schema.kind === 'foreign')
        return yield* failed(`${name} is no database of this package: check ${names.address}`)
      return yield* body(seen)
    }).pipe(Effect.provide(engine), Effect.scoped, failing)
  const observing: Target['observing'] = (body) => Effect.zipRight(present, looking(body))
  const serving: Target['serving'] = (body) =>
    Effect.zipRight(
      observing(({ schema }) => requireCurrent({ name, legacy }, schema)),
      failing(Effect.provide(body, services)),
    )
  return {
    ...{ settings, name, file, legacy, observing, serving, failing },
    afterDamage: 'go back to a point in time before it',
    asking: serving,
    schema: Effect.if(isMissing, {
      onTrue: () => Effect.succeed(emptySchema),
      onFalse: () => looking(({ schema }) => Effect.succeed(schema)),
    }),
    filling: (body) => failing(Effect.flatMap(Batches, body).pipe(Effect.provide(engine))),
    migrating: Effect.map(SchemaMigrator, ({ appliedAtStart }) => appliedAtStart).pipe(
      Effect.provide(Layer.provide(Migrator.layer, Layer.merge(engine, config))),
      failing,
    ),
  }
}
