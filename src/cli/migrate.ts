/**
 * `migrate`: what a start of the server would do about the schema, at a time of the operator's choice.
 */
import { Command, Options } from '@effect/cli'
import { Effect, Layer } from 'effect'
import { schemaState } from '../layers/operating/schemaState.js'
import * as Migrator from '../layers/synchronous/SchemaMigrator.js'
import { ProviderConfig } from '../services/ProviderConfig.js'
import { SchemaMigrator } from '../services/SchemaMigrator.js'
import { failed } from './failure.js'
import { say } from './output.js'
import { existing, observing } from './settings.js'

const dryRun = Options.boolean('dry-run').pipe(
  Options.withDescription('list what is pending and change nothing'),
)

export const migrate = Command.make('migrate', { dryRun }, ({ dryRun }) =>
  Effect.gen(function* () {
    const { file, settings } = yield* existing
    const { kind, applied, pending } = yield* observing(file, (_database, connection) =>
      Effect.succeed(schemaState(connection)),
    )
    if (kind === 'newer')
      return yield* failed(`${file} has schema ${applied}, of a newer release: there is no way back`)
    if (pending.length === 0) return yield* say(`${file}: ${applied}, up to date`)
    if (dryRun) {
      for (const { name } of pending) yield* say(`pending: ${name}`)
      return
    }
    const { appliedAtStart } = yield* Effect.provide(
      SchemaMigrator,
      Layer.provide(Migrator.layer, Layer.succeed(ProviderConfig, { ...settings, dbPath: file })),
    )
    for (const { name } of appliedAtStart) yield* say(`applied: ${name}`)
    if (appliedAtStart.length === 0) yield* say(`${file}: another process was first, up to date`)
  }),
).pipe(
  Command.withDescription(
    'Applies pending migrations in one transaction, as the next start of the server would. Stop older servers first.',
  ),
)
