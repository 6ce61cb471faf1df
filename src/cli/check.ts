/**
 * `check`: whether everything holds that must hold of a database.
 */
import { Command } from '@effect/cli'
import { Effect } from 'effect'
import { type OnRule, schemaRule } from '../layers/operating/invariants.js'
import type { LeftOut } from '../layers/operating/leftOut.js'
import { failed } from './failure.js'
import { countText, remark, say, withProgress } from './output.js'
import { existing } from './settings.js'
import { requireCurrent } from './target.js'

/** Lets a bar be drawn before a statement takes its time. */
const breathe = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** No fault of the database, so no failure of the check; but somebody may miss the records. */
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
    const target = yield* existing
    const { name } = target
    const { verdict, leftOut } = yield* target.observing((seen) =>
      Effect.gen(function* () {
        yield* requireCurrent(target, seen.schema)
        return yield* withProgress('check', ({ update }) =>
          Effect.gen(function* () {
            const onRule: OnRule = (done, of, rule) => {
              update(done, of, rule)
              return breathe
            }
            const verdict = yield* seen.findFaults(onRule)
            // Without its tables there is nothing to ask.
            const isWhole = !verdict.faults.some(({ rule }) => rule === schemaRule)
            update(verdict.asked, verdict.asked, 'what snapshots leave out')
            return { verdict, leftOut: isWhole ? yield* seen.findLeftOut : { count: 0, examples: [] } }
          }),
        )
      }),
    )
    const { faults, asked, untold } = verdict
    for (const rule of untold) yield* remark(`not checked, since the service keeps it to itself: ${rule}`)
    if (faults.length === 0) {
      yield* say(`${name}: ${countText(asked, 'rule')} checked, all hold`)
      return yield* tellLeftOut(leftOut)
    }
    for (const { rule, examples, more } of faults) {
      yield* say(`broken: ${rule}`)
      for (const example of examples) yield* say(`  ${example}`)
      if (more) yield* say('  and more')
    }
    yield* tellLeftOut(leftOut)
    return yield* failed(
      `${name}: ${faults.length} of ${countText(asked, 'rule')} broken; ${target.afterDamage}`,
    )
  }),
).pipe(
  Command.withDescription(
    'Checks the file, the schema and the rules of sync, on one snapshot of a file. Changes nothing; the server may run.',
  ),
)
