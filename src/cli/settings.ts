/**
 * Which database a command is about: the one that the server's own settings name. No command but `restore` makes a file.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Effect, Logger, LogLevel } from 'effect'
import * as Config from '../layers/ProviderConfig.js'
import { isInProcess } from '../layers/runtime.js'
import { type Driver, ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { usage } from './failure.js'
import { fileTarget, newFileTarget } from './fileTarget.js'
import { insteadOf, networkTarget } from './networkTarget.js'
import type { FileTarget, Target } from './target.js'

const example = 'such as /data/or3-sync.db'

const noFile = usage(`OR3_SQLITE_DB_PATH names no file: set it to the path of the database, ${example}`)

const onD1 = usage(
  'OR3_SQLITE_DRIVER is d1, whose database only its Worker reaches: see `wrangler d1 execute`, `wrangler d1 export` and `wrangler d1 time-travel`',
)

const settings = ProviderConfig.pipe(
  Effect.provide(Config.layer),
  // What allows servers a database in memory is no way out here.
  Effect.mapError((error) =>
    error.problems.some((problem) => problem.startsWith('OR3_SQLITE_DB_PATH is ":memory:"')) ? noFile : error,
  ),
  // Its warnings are about servers.
  Logger.withMinimumLogLevel(LogLevel.None),
  Effect.filterOrFail(
    ({ dbPath }) => dbPath !== ':memory:',
    () => noFile,
  ),
  Effect.filterOrFail(
    ({ driver }) => driver !== 'd1',
    () => onD1,
  ),
)

type Problem = Effect.Effect.Error<typeof settings>

/** The file that the settings name, whatever links lead to it; it must be there. */
const fileAt = ({ dbPath }: ProviderSettings): Effect.Effect<string, Problem> => {
  if (!existsSync(dbPath)) return usage(`there is no database ${dbPath}: check OR3_SQLITE_DB_PATH`)
  const file = realpathSync(dbPath)
  return statSync(file).isFile()
    ? Effect.succeed(file)
    : usage(`${dbPath} is no file: set OR3_SQLITE_DB_PATH to the path of the database, ${example}`)
}

const inFile = (settings: ProviderSettings) =>
  Effect.map(fileAt(settings), (file) => fileTarget(settings, file))

const targets: Record<Driver, (settings: ProviderSettings) => Effect.Effect<Target, Problem>> = {
  'better-sqlite3': inFile,
  bun: inFile,
  turso: (settings) => Effect.succeed(networkTarget(settings)),
  d1: () => onD1,
}

export const hasFile = ({ driver }: ProviderSettings): boolean => isInProcess(driver)

/** The database, of whatever kind. A file must be there. */
export const existing: Effect.Effect<Target, Problem> = Effect.flatMap(settings, (settings) =>
  targets[settings.driver](settings),
)

/** A file that is not there yet, by the folder, which must be. */
const placeOf = (path: string, variable: string): Effect.Effect<string, Problem> => {
  const folder = dirname(path)
  return existsSync(folder)
    ? Effect.succeed(join(realpathSync(folder), basename(path)))
    : usage(`there is no folder ${folder}: make it, or check ${variable}`)
}

/** Where a file is or will be that an option names. */
export const newPlace = (path: string, option: string): Effect.Effect<string, Problem> => {
  if (!existsSync(path)) return placeOf(path, option)
  return statSync(path).isFile()
    ? Effect.sync(() => realpathSync(path))
    : usage(`${path} is no file: check ${option}`)
}

const placeIn = ({ dbPath }: ProviderSettings) => placeOf(dbPath, 'OR3_SQLITE_DB_PATH')

/** The same of an address, if it is that of a file. */
const checkPlace = (address: string): Effect.Effect<unknown, Problem> => {
  const [, path] = /^file:(?:\/\/(?=\/))?(.+)$/.exec(address) ?? []
  if (path === undefined) return Effect.void
  // What is wrongly escaped, the client refuses.
  return Effect.flatMap(
    Effect.orElseSucceed(
      Effect.try(() => decodeURIComponent(path)),
      () => path,
    ),
    (decoded) => placeOf(decoded, 'OR3_SQLITE_TURSO_URL'),
  )
}

/** The same of a command that makes a database where there is none. */
export const existingOrNew: Effect.Effect<Target, Problem> = Effect.flatMap(settings, (settings) => {
  if (!hasFile(settings))
    return Effect.zipRight(checkPlace(settings.dbPath), targets[settings.driver](settings))
  const file = existsSync(settings.dbPath) ? fileAt(settings) : placeIn(settings)
  return Effect.map(file, (file) => newFileTarget(settings, file))
})

/** Of a command that is about a file; of another database it says what there is in its place. */
const ofFile = (command: keyof typeof insteadOf) =>
  Effect.filterOrFail(settings, hasFile, () => usage(insteadOf[command]))

/** The database in a file, which must be there. */
export const existingFile = (command: keyof typeof insteadOf): Effect.Effect<FileTarget, Problem> =>
  Effect.flatMap(ofFile(command), inFile)

/** Where the database file is or, on a new machine, will be. */
export const place = (command: keyof typeof insteadOf): Effect.Effect<string, Problem> =>
  Effect.flatMap(ofFile(command), (given) => (existsSync(given.dbPath) ? fileAt(given) : placeIn(given)))
