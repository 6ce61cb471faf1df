/**
 * `migrate`: what a start of the server would do about the schema, at a time of the operator's choice.
 */
import { Command, Options } from '@effect/cli'
import { Effect } from 'effect'
import { howToFinishCopy, isUnfinishedCopy } from '../layers/sql/schemaVersion.js'
import { failed } from './failure.js'
import { say } from './output.js'
import { existing, existingOrNew } from './settings.js'

const dryRun = Options.boolean('dry-run').pipe(
  Options.withDescription('list what is pending and change nothing'),
)

const create = Options.boolean('create').pipe(
  Options.withDescription('make the database if it is not there yet; its folder must be'),
)

export const migrate = Command.make('migrate', { dryRun, create }, ({ dryRun, create }) =>
  Effect.gen(function* () {
    const target = yield* create ? existingOrNew : existing
    const { name } = target
    const { kind, applied, pending } = yield* target.schema
    if (kind === 'newer' && isUnfinishedCopy(applied)) return yield* failed(`${name} ${howToFinishCopy}`)
    if (kind === 'newer')
      return yield* failed(`${name} has schema ${applied}, of a newer release: there is no way back`)
    if (kind === 'legacy' && !target.legacy.isAdopted) return yield* failed(target.legacy.message)
    if (pending.length === 0) return yield* say(`${name}: ${applied}, up to date`)
    if (dryRun) {
      for (const { name } of pending) yield* say(`pending: ${name}`)
      return
    }
    const done = yield* target.migrating
    for (const { name } of done) yield* say(`applied: ${name}`)
    if (done.length === 0) yield* say(`${name}: another process was first, up to date`)
  }),
).pipe(
  Command.withDescription(
    'Applies pending migrations in one transaction, as the next start of the server would. Stop older servers first.',
  ),
)
