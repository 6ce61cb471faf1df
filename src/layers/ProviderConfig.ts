/**
 * Reads the `OR3_SQLITE_*` settings through Effect's `Config`, so that a `ConfigProvider` decides where they come from.
 */
import { Config, type ConfigError, Duration, Effect, Either, Layer, Option } from 'effect'
import {
  type Driver,
  drivers,
  InvalidSettings,
  ProviderConfig,
  type ProviderSettings,
} from '../services/ProviderConfig.js'
import { durationRule, positiveDuration } from './durations.js'
import { foreignDriver, isForeign, nativeDriver } from './runtime.js'
import { d1Settings } from './settings/d1.js'
import { fileSettings } from './settings/file.js'
import { defaultTimeout, tursoSettings } from './settings/turso.js'
import { invalid, parsed, text } from './settings/values.js'

/** Longer ones are beyond the timers of Node. */
const longestInterval = Duration.days(24)

/** Of `OR3_SQLITE_GC_RETENTION`. */
export const defaultRetention = Duration.days(30)

/** More is found at each round than a server has to do in one go, and devices do not ask for collections any more. */
const defaultInterval = Duration.hours(1)

const aliases: Readonly<Record<string, Driver>> = {
  'better-sqlite3': 'better-sqlite3',
  better: 'better-sqlite3',
  sqlite: 'better-sqlite3',
  bun: 'bun',
  'bun:sqlite': 'bun',
  turso: 'turso',
  libsql: 'turso',
  d1: 'd1',
  'cloudflare-d1': 'd1',
  cloudflare: 'd1',
}

/** A Worker says so, and has no file. */
const inWorker = () =>
  (globalThis as { readonly navigator?: { readonly userAgent?: string } }).navigator?.userAgent ===
  'Cloudflare-Workers'

/** Which engine is asked for. Silence about one that is not there would put the data somewhere else than was chosen. */
const driver: Config.Config<Driver> = text('OR3_SQLITE_DRIVER').pipe(
  Config.mapOrFail((value) => {
    if (Option.isNone(value)) return Either.right(inWorker() ? 'd1' : nativeDriver)
    const refused = (problem: string) => Either.left(invalid('OR3_SQLITE_DRIVER', problem))
    const name = value.value.toLowerCase()
    if (!Object.hasOwn(aliases, name)) {
      const others = Object.keys(aliases).filter((alias) => !drivers.includes(alias as Driver))
      return refused(
        `is "${value.value}", but accepts only ${drivers.join(' or ')}, or their other names ${others.join(', ')}`,
      )
    }
    const chosen = aliases[name]!
    if (chosen !== 'd1' && inWorker())
      return refused(`is "${value.value}", but a Worker has D1 alone: set it to d1, or unset it`)
    return isForeign(chosen) ? refused(foreignDriver(value.value)) : Either.right(chosen)
  }),
)

/** What a setting is that the chosen engine has not. */
const absent = {
  authToken: Option.none(),
  timeout: defaultTimeout,
  journalMode: 'WAL',
  synchronous: 'NORMAL',
  warnings: [],
} as const

const own: Record<Driver, Config.Config<Pick<ProviderSettings, 'dbPath'> & Partial<ProviderSettings>>> = {
  'better-sqlite3': fileSettings('better-sqlite3'),
  bun: fileSettings('bun'),
  turso: tursoSettings,
  d1: d1Settings,
}

const interval = parsed(
  'OR3_SQLITE_GC_INTERVAL',
  Option.some(defaultInterval),
  (value) => {
    if (value.toLowerCase() === 'off') return Option.none()
    const given = positiveDuration(value)
    return given && Duration.lessThanOrEqualTo(given, longestInterval) ? Option.some(given) : undefined
  },
  `${durationRule}, up to 24 days, or off`,
)

/** Whoever has removed a workspace by mistake has this long at least to notice. */
const shortestPurge = Duration.days(1)

const purgeAfter = parsed(
  'OR3_SQLITE_PURGE_AFTER',
  Option.none<Duration.Duration>(),
  (value) => {
    if (value.toLowerCase() === 'off') return Option.none()
    const given = positiveDuration(value)
    return given && Duration.greaterThanOrEqualTo(given, shortestPurge) ? Option.some(given) : undefined
  },
  `${durationRule}, of a day at least, or off`,
)

const settingsOf = (chosen: Driver): Config.Config<ProviderSettings> =>
  Config.all({
    driver,
    own: own[chosen],
    gcInterval: chosen === 'd1' ? Config.succeed(Option.none()) : interval,
    gcRetention: parsed('OR3_SQLITE_GC_RETENTION', defaultRetention, positiveDuration, durationRule),
    purgeAfter,
  }).pipe(Config.map(({ own, ...common }) => ({ ...absent, ...own, ...common })))

/** Whatever is wrong with the choice itself, the other problems are told as well. */
const settings = Effect.flatMap(
  Effect.orElseSucceed(driver, () => nativeDriver),
  settingsOf,
)

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

/** Settings given in the program: a database file, or `:memory:`; with the driver `turso`, a URL; with `d1`, a binding's name. Collects no garbage by itself, unless `gcInterval` is given. */
export const layerOf = (
  given: Pick<ProviderSettings, 'dbPath'> & Partial<ProviderSettings>,
): Layer.Layer<ProviderConfig> =>
  Layer.succeed(ProviderConfig, {
    ...absent,
    driver: nativeDriver,
    gcInterval: Option.none(),
    gcRetention: defaultRetention,
    purgeAfter: Option.none(),
    ...given,
  })
