/**
 * `check`: whether everything holds that must hold of a database.
 */
import { Command } from '@effect/cli'
import { Effect } from 'effect'
import { findFaults, invariants } from '../layers/operating/invariants.js'
import { pinSnapshot } from '../layers/operating/observer.js'
import { expectedObjects, schemaState } from '../layers/operating/schemaState.js'
import { failed } from './failure.js'
import { countText, say, withProgress } from './output.js'
import { existing, observing, requireCurrent } from './settings.js'

/** Lets a bar be drawn before a statement takes its time. */
const breathe = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

export const check = Command.make('check', {}, () =>
  Effect.gen(function* () {
    const { file } = yield* existing
    const expected = yield* expectedObjects
    const faults = yield* observing(file, (database, connection) =>
      Effect.gen(function* () {
        pinSnapshot(database)
        yield* requireCurrent(file, schemaState(connection))
        return yield* withProgress('check', ({ update }) =>
          findFaults(database, expected, (done, of, rule) => {
            update(done, of, rule)
            return breathe
          }),
        )
      }),
    )
    if (faults.length === 0) {
      yield* say(`${file}: ${countText(invariants.length + 1, 'rule')} checked, all hold`)
      return
    }
    for (const { rule, examples, more } of faults) {
      yield* say(`broken: ${rule}`)
      for (const example of examples) yield* say(`  ${example}`)
      if (more) yield* say('  and more')
    }
    return yield* failed(
      `${file}: ${faults.length} of ${countText(invariants.length + 1, 'rule')} broken; keep a copy of the file and restore a backup`,
    )
  }),
).pipe(
  Command.withDescription(
    'Checks the file, the schema and the rules of sync on one snapshot. Changes nothing; the server may run.',
  ),
)
