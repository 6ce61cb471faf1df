/**
 * `export` and `import`: one workspace as lines of JSON.
 */
import { createReadStream, createWriteStream, existsSync, rmSync, statSync } from 'node:fs'
import { Args, Command, Options } from '@effect/cli'
import { Effect, Option } from 'effect'
import { publish } from '../layers/operating/backup.js'
import { lookAtWorkspace } from '../layers/operating/inspect.js'
import { rootMessage } from '../layers/causes.js'
import { BadLine, type ExportHeader, importLines } from '../layers/operating/transfer.js'
import { isPartOf, writable } from './backup.js'
import { failed, usage } from './failure.js'
import { countText, remark, say, withProgress, writeTo } from './output.js'
import { existing } from './settings.js'
import { interruptibleBySignals } from './signals.js'
import { Streams } from './streams.js'
import { noWorkspace, requireCurrent, type Target } from './target.js'

const writeAll = (target: Target, id: string, stream: NodeJS.WritableStream) =>
  target.observing((seen) =>
    Effect.gen(function* () {
      yield* requireCurrent(target, seen.schema)
      const found = yield* seen.look('export', lookAtWorkspace(id))
      if (found === undefined) return yield* noWorkspace(id, target.name)
      return yield* withProgress('export', ({ update }) =>
        seen.exportTo(
          { id, name: found.name },
          {
            write: (text) => writeTo(stream, text),
            onRows: (done, of) => update(done, of, countText(done, 'record')),
          },
        ),
      )
    }),
  )

/** Under its own name only when it is complete. */
export const toFile = <A, E, R>(
  target: string,
  force: boolean,
  database: string | undefined,
  write: (stream: NodeJS.WritableStream) => Effect.Effect<A, E, R>,
) =>
  Effect.gen(function* () {
    const file = yield* writable(target, force, database)
    const draft = `${file}.part-${process.pid}`
    return yield* Effect.gen(function* () {
      // Of an earlier process of this id, which was killed.
      rmSync(draft, { force: true })
      const stream = createWriteStream(draft, { flags: 'wx', mode: 0o600 })
      const opened = Effect.async<void, ReturnType<typeof failed>>((resume) => {
        stream.once('open', () => resume(Effect.void))
        stream.on('error', (error) => resume(Effect.fail(failed(rootMessage(error)))))
      })
      yield* opened
      const header = yield* write(stream)
      yield* Effect.promise(() => new Promise<void>((resolve) => stream.end(resolve)))
      yield* Effect.try({
        try: () => publish(draft, file, force),
        catch: (error) => failed(rootMessage(error)),
      })
      return header
    }).pipe(Effect.ensuring(Effect.sync(() => rmSync(draft, { force: true }))), interruptibleBySignals)
  })

const exported = Options.text('workspace').pipe(Options.withDescription('the workspace, by its id'))
const out = Options.text('out').pipe(
  Options.withDescription('a file to write; standard output if not given'),
  Options.optional,
)
const force = Options.boolean('force').pipe(Options.withDescription('replace the file if it is there'))

export const exportCommand = Command.make(
  'export',
  { workspace: exported, out, force },
  ({ workspace, out, force }) =>
    Effect.gen(function* () {
      const target = yield* existing
      const write = (stream: NodeJS.WritableStream) => writeAll(target, workspace, stream)
      if (Option.isNone(out)) {
        const { rows } = yield* write((yield* Streams).stdout)
        yield* remark(`exported ${countText(rows, 'record')} of workspace ${workspace}`)
        return
      }
      const { rows } = yield* toFile(out.value, force, target.file, write)
      yield* say(`${out.value}: ${countText(rows, 'record')} of workspace ${workspace}`)
    }),
).pipe(
  Command.withDescription(
    'Writes the live records of one workspace with their revisions, one JSON object a line. The server may run.',
  ),
)

const source = Args.text({ name: 'FILE' }).pipe(Args.withDescription('an export; - for standard input'))
const into = Options.text('workspace').pipe(
  Options.withDescription('the workspace to import into; the one it came from if not given'),
  Options.optional,
)
const anew = Options.boolean('new').pipe(
  Options.withDescription(
    'also into a workspace that the database does not know: for programs that keep memberships themselves, no user of a host can see it',
  ),
)

const chunksOf = (source: string, database: string | undefined) =>
  Effect.suspend(() => {
    if (source === '-') return Effect.map(Streams, ({ stdin }) => stdin)
    if (isPartOf(database, source)) return usage(`${source} is the database itself or a part of it`)
    if (!existsSync(source) || !statSync(source).isFile()) return usage(`there is no export ${source}`)
    return Effect.succeed(createReadStream(source) as AsyncIterable<Uint8Array>)
  })

export const importCommand = Command.make(
  'import',
  { workspace: into, anew, source },
  ({ workspace, anew, source }) =>
    Effect.gen(function* () {
      const target = yield* existing
      const chunks = yield* chunksOf(source, target.file)
      let isNew = false
      const choose = (header: ExportHeader) =>
        target.observing((seen) =>
          Effect.gen(function* () {
            const id = Option.getOrElse(workspace, () => header.workspace.id)
            const found = yield* seen.look('import', lookAtWorkspace(id))
            if (found?.removed === true)
              return yield* usage(`workspace ${id} was removed: name another with --workspace`)
            isNew = found === undefined
            if (isNew && !anew)
              return yield* usage(
                `there is no workspace ${id} in ${target.name}: name another with --workspace, or import into a new one with --new`,
              )
            return id
          }),
        )
      const name = source === '-' ? 'standard input' : source
      const report = yield* target
        .serving(
          withProgress('import', ({ update }) =>
            importLines(chunks, choose, (done, of) => update(done, of, countText(done, 'record'))),
          ),
        )
        .pipe(
          Effect.mapError((error) =>
            error instanceof BadLine ? failed(`${name}, ${error.message}`) : error,
          ),
        )
      const { workspaceId, rows, applied, older, known, conflicts, leftOut, leftOutCount } = report
      yield* say(
        `${countText(rows, 'record')} into workspace ${workspaceId}: ${applied.toLocaleString('en')} applied, ` +
          `${known.toLocaleString('en')} known already, ${older.toLocaleString('en')} not newer than what is there`,
      )
      if (isNew)
        yield* say(
          `workspace ${workspaceId} is new and nobody is a member of it: no user of a host can see it`,
        )
      for (const { line, why } of leftOut) yield* remark(`${name}, line ${line}: left out, ${why}`)
      if (leftOutCount > 0 && conflicts.length === 0)
        return yield* failed(
          `${name}: ${countText(leftOutCount, 'record')} left out that no push could bring`,
        )
      if (conflicts.length > 0)
        return yield* failed(
          `${name}, line ${conflicts[0]}: the op id is taken by other content (${countText(conflicts.length, 'such record')} left out)`,
        )
    }),
).pipe(
  Command.withDescription(
    'Pushes an export into a workspace, a batch at a time. What is there and newer stays; importing again changes nothing. The server may run.',
  ),
)
