/**
 * Reads the `OR3_SQLITE_*` settings through Effect's `Config`, so that a `ConfigProvider` decides where they come from.
 *
 * A variable that is set but empty counts as not set: container files often pass empty ones.
 */
import { Config, ConfigError, Duration, Effect, Either, Layer, Option } from 'effect'
import {
  InvalidSettings,
  journalModes,
  ProviderConfig,
  type ProviderSettings,
  synchronousLevels,
} from '../services/ProviderConfig.js'
import { durationRule, positiveDuration } from './durations.js'

const invalid = (name: string, message: string) => ConfigError.InvalidData([name], `${name} ${message}`)

const text = (name: string): Config.Config<Option.Option<string>> =>
  Config.option(Config.string(name)).pipe(
    Config.map(Option.map((value) => value.trim())),
    Config.map(Option.filter((value) => value !== '')),
  )

const parsed = <A>(name: string, fallback: A, parse: (value: string) => A | undefined, accepts: string) =>
  text(name).pipe(
    Config.mapOrFail((value) => {
      if (Option.isNone(value)) return Either.right(fallback)
      const result = parse(value.value)
      return result === undefined
        ? Either.left(invalid(name, `is "${value.value}", but accepts ${accepts}`))
        : Either.right(result)
    }),
  )

const flagValues: Record<string, boolean> = {
  '1': true,
  true: true,
  yes: true,
  on: true,
  '0': false,
  false: false,
  no: false,
  off: false,
}

const flag = (name: string) =>
  parsed(
    name,
    false,
    (value) => {
      const key = value.toLowerCase()
      return Object.hasOwn(flagValues, key) ? flagValues[key] : undefined
    },
    'only 1/true/yes/on or 0/false/no/off',
  )

const oneOf = <A extends string>(name: string, fallback: A, values: ReadonlyArray<A>) =>
  parsed<A>(
    name,
    fallback,
    (value) => values.find((candidate) => candidate === value.toUpperCase()),
    `only ${values.join(', ')}`,
  )

const inTests = Config.all([text('NODE_ENV'), text('VITEST')]).pipe(
  Config.map(([nodeEnv, vitest]) => Option.contains(nodeEnv, 'test') || Option.isSome(vitest)),
)

/** Longer ones are beyond the timers of Node. */
const longestInterval = Duration.days(24)

const defaultRetention = Duration.days(30)

/** More is found at each round than a server has to do in one go, and devices do not ask for collections any more. */
const defaultInterval = Duration.hours(1)

const engine = 'better-sqlite3'
const engineAliases: ReadonlyArray<string> = [engine, 'better', 'sqlite']
/** What other releases of this provider and of the earlier one run on. */
const otherEngines: ReadonlyArray<string> = [
  'bun',
  'bun:sqlite',
  'turso',
  'libsql',
  'd1',
  'cloudflare-d1',
  'cloudflare',
]

/** Which engine is asked for. There is one; silence about another would put the data somewhere else than was chosen. */
const driver = text('OR3_SQLITE_DRIVER').pipe(
  Config.mapOrFail((value) => {
    const name = Option.getOrElse(value, () => engine)
    if (engineAliases.includes(name.toLowerCase())) return Either.void
    const problem = otherEngines.includes(name.toLowerCase())
      ? `is "${name}", an engine that this release does not have: set it to ${engine} and OR3_SQLITE_DB_PATH to a file`
      : `is "${name}", but accepts only ${engine}, or its other names ${engineAliases.slice(1).join(' and ')}`
    return Either.left(invalid('OR3_SQLITE_DRIVER', problem))
  }),
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

const settings: Config.Config<ProviderSettings> = Config.all({
  driver,
  location,
  journalMode: oneOf('OR3_SQLITE_PRAGMA_JOURNAL_MODE', 'WAL', journalModes),
  synchronous: oneOf('OR3_SQLITE_PRAGMA_SYNCHRONOUS', 'NORMAL', synchronousLevels),
  gcInterval: parsed(
    'OR3_SQLITE_GC_INTERVAL',
    Option.some(defaultInterval),
    (value) => {
      if (value.toLowerCase() === 'off') return Option.none()
      const interval = positiveDuration(value)
      return interval && Duration.lessThanOrEqualTo(interval, longestInterval)
        ? Option.some(interval)
        : undefined
    },
    `${durationRule}, up to 24 days, or off`,
  ),
  gcRetention: parsed('OR3_SQLITE_GC_RETENTION', defaultRetention, positiveDuration, durationRule),
}).pipe(Config.map(({ driver: _, location, ...pragmas }) => ({ ...location, ...pragmas })))

const problems = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  switch (error._op) {
    case 'And':
    case 'Or':
      return [...problems(error.left), ...problems(error.right)]
    default:
      return [error.message]
  }
}

/** The settings of the current `ConfigProvider`. Fails with every problem at once. */
export const layer: Layer.Layer<ProviderConfig, InvalidSettings> = Layer.effect(
  ProviderConfig,
  settings.pipe(
    Effect.mapError((error) => new InvalidSettings({ problems: problems(error) })),
    Effect.tap(({ warnings }) => Effect.forEach(warnings, (warning) => Effect.logWarning(warning))),
  ),
)

/** Settings given in the program: a database file, or `:memory:`. Collects no garbage by itself, unless `gcInterval` is given. */
export const layerOf = (
  given: Pick<ProviderSettings, 'dbPath'> & Partial<ProviderSettings>,
): Layer.Layer<ProviderConfig> =>
  Layer.succeed(ProviderConfig, {
    journalMode: 'WAL',
    synchronous: 'NORMAL',
    gcInterval: Option.none(),
    gcRetention: defaultRetention,
    warnings: [],
    ...given,
  })
