/**
 * `dump`: a database as SQL text, above all on its way to D1.
 */
import { Command, Options } from '@effect/cli'
import { Effect, Option } from 'effect'
import { dialects, dumpTo, tooLarge } from '../layers/operating/dump.js'
import { lookIn } from '../layers/operating/look.js'
import { pinSnapshot } from '../layers/operating/observer.js'
import { lookAtLayout } from '../layers/operating/tables.js'
import { schemaState } from '../layers/operating/schemaState.js'
import { makeConnection } from '../layers/synchronous/connection.js'
import { failed } from './failure.js'
import { reading } from './fileTarget.js'
import { countText, remark, withProgress, writeTo } from './output.js'
import { existingFile } from './settings.js'
import { interruptibleBySignals } from './signals.js'
import { Streams } from './streams.js'
import { requireCurrent } from './target.js'
import { toFile } from './transfer.js'

const d1 = Options.boolean('d1').pipe(
  Options.withDescription("for `wrangler d1 execute --file`: within D1's bounds, without a transaction"),
)
const out = Options.text('out').pipe(
  Options.withDescription('a file to write; standard output if not given'),
  Options.optional,
)
const force = Options.boolean('force').pipe(Options.withDescription('replace the file if it is there'))

export const dump = Command.make('dump', { d1, out, force }, ({ d1, out, force }) =>
  Effect.gen(function* () {
    const target = yield* existingFile('dump')
    const dialect = d1 ? dialects.d1 : dialects.sqlite
    const write = (stream: NodeJS.WritableStream) =>
      reading(target.file, (database) =>
        Effect.gen(function* () {
          pinSnapshot(database)
          const connection = makeConnection(database)
          yield* requireCurrent(target, schemaState(connection))
          const { tables, foreign } = lookIn(connection, lookAtLayout())
          const large = tooLarge(connection, tables, dialect)
          if (large.length > 0)
            return yield* failed(`D1 takes no row of more than 2 MB, as are ${large.join(', ')}`)
          yield* withProgress('dump', ({ update }) =>
            dumpTo(connection, tables, dialect, {
              write: (text) => writeTo(stream, text),
              onRows: (done, of) => update(done, of, countText(done, 'row')),
            }),
          )
          if (foreign.length > 0) yield* remark(`left out, since no table of ours: ${foreign.join(', ')}`)
        }),
      )
    if (Option.isNone(out)) {
      return yield* interruptibleBySignals(write((yield* Streams).stdout))
    }
    yield* toFile(out.value, force, target.file, write)
  }),
).pipe(
  Command.withDescription(
    'Writes the whole database as SQL, of one state. The server may run; what it writes meanwhile is not in it.',
  ),
)
