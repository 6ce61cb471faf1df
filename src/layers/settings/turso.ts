/**
 * The settings of Turso: the address of the database, and the token it asks for.
 */
import { Config, Duration, Either, Option, Redacted } from 'effect'
import { durationRule, positiveDuration } from '../durations.js'
import { d1Only, fileOnly } from './only.js'
import { invalid, parsed, text, unknownTo } from './values.js'

const schemes = ['libsql:', 'https:', 'http:', 'wss:', 'file:']

const example = 'such as libsql://NAME-ORGANISATION.turso.io'

/** What is wrong with an address. Its value may hold a secret, and is not repeated. */
const problemOf = (value: string): string | undefined => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !schemes.includes(url.protocol)) {
    return `is no URL that begins with ${schemes.join(', ')}: give it the address of the database, ${example}`
  }
  if (url.username !== '' || url.password !== '' || url.searchParams.has('authToken')) {
    return 'holds a secret: put the token into OR3_SQLITE_TURSO_AUTH_TOKEN'
  }
  if (url.search !== '' || url.hash !== '') return 'has a part behind ? or #: leave it out'
  if (url.protocol === 'file:') {
    return url.pathname.includes(':memory:')
      ? 'is a database in memory, which each server would have for itself'
      : undefined
  }
  return url.hostname === '' ? `names no host: give it the address of the database, ${example}` : undefined
}

const url = text('OR3_SQLITE_TURSO_URL').pipe(
  Config.mapOrFail((value) => {
    const problem = Option.isNone(value)
      ? `is not set: give it the address of the database, ${example}`
      : problemOf(value.value)
    return problem === undefined
      ? Either.right(Option.getOrThrow(value))
      : Either.left(invalid('OR3_SQLITE_TURSO_URL', problem))
  }),
)

/** A broken one would be refused further down, with a message that repeats it. */
const authToken = text('OR3_SQLITE_TURSO_AUTH_TOKEN').pipe(
  Config.mapOrFail((value) =>
    Option.exists(value, (token) => !/^[\x21-\x7e]+$/.test(token))
      ? Either.left(
          invalid(
            'OR3_SQLITE_TURSO_AUTH_TOKEN',
            'has blanks, line breaks or other characters that no token has: copy it again',
          ),
        )
      : Either.right(Option.map(value, Redacted.make)),
  ),
)

const longestTimeout = Duration.minutes(5)

/** As long as people wait at most for a click. */
export const defaultTimeout = Duration.seconds(10)

const timeout = parsed(
  'OR3_SQLITE_TURSO_TIMEOUT',
  defaultTimeout,
  (value) => {
    const given = positiveDuration(value)
    return given && Duration.lessThanOrEqualTo(given, longestTimeout) ? given : undefined
  },
  `${durationRule}, up to 5 minutes`,
)

export const tursoSettings = Config.all({
  dbPath: url,
  authToken,
  timeout,
  foreign: unknownTo('turso', [...fileOnly, ...d1Only]),
}).pipe(Config.map(({ foreign: _, ...own }) => own))
