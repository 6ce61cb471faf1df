/**
 * What the commands have in common that take something away for good.
 */
import { Options } from '@effect/cli'
import { Effect } from 'effect'
import { Erasure } from '../services/Erasure.js'
import { advised } from './advice.js'
import { remark, say } from './output.js'
import { existing, hasFile } from './settings.js'

export const dryRun = Options.boolean('dry-run').pipe(
  Options.withDescription('tell what would go, and change nothing'),
)

type Calls = Erasure['Type']

/** Takes it and says `done` with what that came to; with `dryRun` tells that alone. */
export const takeAway = <Report, E, F>(given: {
  readonly dryRun: boolean
  readonly preview: (erasure: Calls) => Effect.Effect<Report, E>
  readonly take: (erasure: Calls) => Effect.Effect<Report, F>
  readonly done: string
  readonly amounts: (report: Report) => string
}) =>
  Effect.gen(function* () {
    const target = yield* existing
    if (given.dryRun) {
      const report = yield* advised(target.asking(Effect.flatMap(Erasure, given.preview)))
      return yield* say(`would take ${given.amounts(report)}`)
    }
    const report = yield* advised(target.serving(Effect.flatMap(Erasure, given.take)))
    yield* say(`${given.done}: ${given.amounts(report)}`)
    if (hasFile(target.settings))
      yield* remark('their bytes stay in free pages of the file until `or3-sqlite vacuum`')
  })
