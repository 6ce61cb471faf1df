/**
 * `note-archive import FILE` and `note-archive follow FILE`.
 */
import * as FileSystem from '@effect/platform/FileSystem'
// One by one: the index would bring HTTP servers, clients and sockets along.
import * as NodeFileSystem from '@effect/platform-node/NodeFileSystem'
import * as NodeRuntime from '@effect/platform-node/NodeRuntime'
import { Console, Effect, Layer, Logger, Stream } from 'effect'
import { changesSince, cursorOf, toLine } from './archive.js'
import { importNotes } from './importNotes.js'
import { decodeLine } from './Note.js'
import * as Settings from './Settings.js'

const importFile = (file: string) =>
  Effect.gen(function* () {
    const text = yield* (yield* FileSystem.FileSystem).readFileString(file)
    const notes = yield* Effect.forEach(text.split('\n').filter(Boolean), (line) => decodeLine(line))
    yield* Console.log(JSON.stringify(yield* importNotes(notes)))
  })

const follow = (file: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const cursor = cursorOf(yield* Effect.orElseSucceed(files.readFileString(file), () => ''))
    yield* Effect.logInfo(`following from version ${cursor}`)
    yield* Stream.runForEach(changesSince(cursor), (change) =>
      files.writeFileString(file, toLine(change), { flag: 'a' }),
    )
  })

const services = Settings.provider.pipe(Layer.provideMerge(Settings.layer), Layer.merge(NodeFileSystem.layer))

const program = Effect.gen(function* () {
  const [command, file] = process.argv.slice(2)
  if (command === 'import' && file !== undefined) return yield* Effect.provide(importFile(file), services)
  if (command === 'follow' && file !== undefined) return yield* Effect.provide(follow(file), services)
  return yield* Effect.fail(new Error('usage: note-archive import FILE | follow FILE'))
})

program.pipe(
  Effect.tapError(({ message }) => Console.error(`note-archive: ${message}`)),
  // Standard output is for results.
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))),
  // Interrupts on SIGINT and SIGTERM, and so closes the database.
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true }),
)
