/**
 * Which database a command is about: the one that the server's own settings name. No command but `restore` makes one.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Effect, Layer, Logger, LogLevel, Option } from 'effect'
import { type Connection, makeConnection } from '../layers/synchronous/connection.js'
import { observe } from '../layers/operating/observer.js'
import { layerWithConfig } from '../layers/Provider.js'
import * as Config from '../layers/ProviderConfig.js'
import { type SchemaState, schemaState } from '../layers/operating/schemaState.js'
import { ProviderConfig, type ProviderSettings } from '../services/ProviderConfig.js'
import { failed, usage } from './failure.js'

const example = 'such as /data/or3-sync.db'

const noFile = usage(`OR3_SQLITE_DB_PATH names no file: set it to the path of the database, ${example}`)

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
)

export interface Target {
  readonly settings: ProviderSettings
  /** The file itself, whatever links lead to it. */
  readonly file: string
}

/** The database, which must be there. */
export const existing: Effect.Effect<Target, Effect.Effect.Error<typeof settings>> = Effect.flatMap(
  settings,
  (settings) => {
    const { dbPath } = settings
    if (!existsSync(dbPath)) return usage(`there is no database ${dbPath}: check OR3_SQLITE_DB_PATH`)
    const file = realpathSync(dbPath)
    return statSync(file).isFile()
      ? Effect.succeed({ settings, file })
      : usage(`${dbPath} is no file: set OR3_SQLITE_DB_PATH to the path of the database, ${example}`)
  },
)

/** Where the database is or, on a new machine, will be. */
export const place: Effect.Effect<Target, Effect.Effect.Error<typeof settings>> = Effect.flatMap(
  settings,
  (given) => {
    if (existsSync(given.dbPath)) return existing
    const folder = dirname(given.dbPath)
    return existsSync(folder)
      ? Effect.succeed({ settings: given, file: join(realpathSync(folder), basename(given.dbPath)) })
      : usage(`there is no folder ${folder}: make it, or check OR3_SQLITE_DB_PATH`)
  },
)

const isForeign = ({ kind }: SchemaState) => kind === 'foreign' || kind === 'empty'

/** Runs a body on a connection that cannot write. */
export const observing = <A, E, R>(
  file: string,
  body: (
    database: Effect.Effect.Success<ReturnType<typeof observe>>,
    connection: Connection,
  ) => Effect.Effect<A, E, R>,
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const database = yield* observe(file)
      const connection = makeConnection(database)
      if (isForeign(schemaState(connection)))
        return yield* failed(`${file} is no database of this package: check OR3_SQLITE_DB_PATH`)
      return yield* body(database, connection)
    }),
  )

/** Fails unless the schema is the one this release has. */
export const requireCurrent = (file: string, { kind, applied, pending }: SchemaState) => {
  if (kind === 'newer')
    return failed(`${file} has schema ${applied}, of a newer release: install the release that wrote it`)
  if (kind === 'legacy')
    return failed(
      `${file} is of the earlier package: copy it first (\`or3-sqlite backup FILE\`), then \`or3-sqlite migrate\``,
    )
  return pending.length === 0
    ? Effect.void
    : failed(
        `${file} lacks ${pending.map(({ name }) => name).join(', ')}: run \`or3-sqlite migrate\`, or start the server`,
      )
}

/** Runs a body with the services on a database of the current schema. */
export const serving = <A, E, R>({ settings, file }: Target, body: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const isWal = yield* observing(file, (database, connection) =>
      Effect.as(
        requireCurrent(file, schemaState(connection)),
        database.pragma('journal_mode', { simple: true }) === 'wal',
      ),
    )
    // The mode is the server's choice, whose settings this process may not have been given.
    const fallback = settings.journalMode === 'WAL' ? 'DELETE' : settings.journalMode
    const own = Layer.succeed(ProviderConfig, {
      ...settings,
      dbPath: file,
      journalMode: isWal ? 'WAL' : fallback,
      gcInterval: Option.none(),
    })
    return yield* Effect.provide(body, Layer.provide(layerWithConfig, own))
  })
