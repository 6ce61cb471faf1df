/**
 * `check`: whether everything holds that must hold of a database.
 */
import { Command } from '@effect/cli'
import { Effect } from 'effect'
import { findFaults, invariants, schemaRule } from '../layers/operating/invariants.js'
import { findLeftOut, type LeftOut } from '../layers/operating/leftOut.js'
import { pinSnapshot } from '../layers/operating/observer.js'
import { expectedObjects, schemaState } from '../layers/operating/schemaState.js'
import { failed } from './failure.js'
import { countText, say, withProgress } from './output.js'
import { existing, observing, requireCurrent } from './settings.js'

/** Lets a bar be drawn before a statement takes its time. */
const breathe = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** No fault of the file, so no failure of the check; but somebody may miss the records. */
const tellLeftOut = ({ count, examples }: LeftOut) =>
  Effect.gen(function* () {
    if (count === 0) return
    yield* say(
      `left out of snapshots: ${countText(count, 'record')} without what a client requires; devices that begin anew do not get them`,
    )
    for (const example of examples) yield* say(`  ${example}`)
    if (count > examples.length) yield* say('  and more')
    yield* say('  to have one back, save it again on a device that shows it; else delete it')
  })

export const check = Command.make('check', {}, () =>
  Effect.gen(function* () {
    const { file } = yield* existing
    const expected = yield* expectedObjects
    const { faults, leftOut } = yield* observing(file, (database, connection) =>
      Effect.gen(function* () {
        pinSnapshot(database)
        yield* requireCurrent(file, schemaState(connection))
        const faults = yield* withProgress('check', ({ update }) =>
          findFaults(database, expected, (done, of, rule) => {
            update(done, of, rule)
            return breathe
          }),
        )
        // Without its tables there is nothing to ask.
        const isWhole = !faults.some(({ rule }) => rule === schemaRule)
        return { faults, leftOut: isWhole ? yield* findLeftOut(database) : { count: 0, examples: [] } }
      }),
    )
    if (faults.length === 0) {
      yield* say(`${file}: ${countText(invariants.length + 1, 'rule')} checked, all hold`)
      return yield* tellLeftOut(leftOut)
    }
    for (const { rule, examples, more } of faults) {
      yield* say(`broken: ${rule}`)
      for (const example of examples) yield* say(`  ${example}`)
      if (more) yield* say('  and more')
    }
    yield* tellLeftOut(leftOut)
    return yield* failed(
      `${file}: ${faults.length} of ${countText(invariants.length + 1, 'rule')} broken; keep a copy of the file and restore a backup`,
    )
  }),
).pipe(
  Command.withDescription(
    'Checks the file, the schema and the rules of sync on one snapshot. Changes nothing; the server may run.',
  ),
)
