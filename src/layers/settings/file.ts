/**
 * The settings of SQLite in the process: its file and pragmas.
 */
import { Config, Either, Option } from 'effect'
import { journalModes, synchronousLevels } from '../../services/ProviderConfig.js'
import { d1Only, tursoOnly } from './only.js'
import { flag, invalid, oneOf, text, unknownTo } from './values.js'

const inTests = Config.all([text('NODE_ENV'), text('VITEST')]).pipe(
  Config.map(([nodeEnv, vitest]) => Option.contains(nodeEnv, 'test') || Option.isSome(vitest)),
)

const allowInMemory = flag('OR3_SQLITE_ALLOW_IN_MEMORY')

/** Beginnings of values that other programs understand. Here they would make a new database somewhere else. */
const misread: ReadonlyArray<readonly [beginning: RegExp, problem: string]> = [
  [/^["']/, 'begins with a quote, which would be a part of the name: leave the quotes out'],
  [/^~(\/|$)/, 'begins with ~, which only a shell resolves: give it the whole path'],
  [/^file:/i, 'is a URL, but has to be a plain path, such as /data/or3-sync.db'],
]

/** The path as given; there is a default in tests, and where a database in memory is allowed. */
const path = Config.all({
  given: text('OR3_SQLITE_DB_PATH'),
  inTests,
  // A value that is none is told where the flag itself is read.
  allowed: Config.orElse(allowInMemory, () => Config.succeed(false)),
}).pipe(
  Config.mapOrFail(({ given, inTests, allowed }) => {
    if (Option.isSome(given)) {
      const { value } = given
      const [, problem] = misread.find(([beginning]) => beginning.test(value)) ?? []
      return problem === undefined
        ? Either.right({ dbPath: value, inTests })
        : Either.left(invalid('OR3_SQLITE_DB_PATH', `(${value}) ${problem}`))
    }
    return inTests || allowed
      ? Either.right({ dbPath: ':memory:', inTests })
      : Either.left(
          invalid(
            'OR3_SQLITE_DB_PATH',
            'is not set: give it the path of the database file, such as /data/or3-sync.db',
          ),
        )
  }),
)

const ephemeral = 'the database is in memory: all data is lost when the server stops'

/** Apart from the pragmas, so that what is wrong with both is told at once. */
const location = Config.all({
  path,
  allowInMemory,
  strict: flag('OR3_SQLITE_STRICT'),
}).pipe(
  Config.mapOrFail(({ path: { dbPath, inTests }, allowInMemory, strict }) => {
    const inMemory = dbPath === ':memory:'
    if (inMemory && strict) {
      return Either.left(
        invalid('OR3_SQLITE_STRICT', 'forbids an in-memory database: set OR3_SQLITE_DB_PATH to a file'),
      )
    }
    if (inMemory && !inTests && !allowInMemory) {
      return Either.left(
        invalid(
          'OR3_SQLITE_DB_PATH',
          'is ":memory:", which loses all data at exit: give it a file, or set OR3_SQLITE_ALLOW_IN_MEMORY=true',
        ),
      )
    }
    return Either.right({ dbPath, warnings: inMemory && !inTests ? [ephemeral] : [] })
  }),
)

export const fileSettings = (driver: 'better-sqlite3' | 'bun') =>
  Config.all({
    location,
    journalMode: oneOf('OR3_SQLITE_PRAGMA_JOURNAL_MODE', 'WAL', journalModes),
    synchronous: oneOf('OR3_SQLITE_PRAGMA_SYNCHRONOUS', 'NORMAL', synchronousLevels),
    foreign: unknownTo(driver, [...tursoOnly, ...d1Only]),
  }).pipe(Config.map(({ location, foreign: _, ...pragmas }) => ({ ...location, ...pragmas })))
