/**
 * The kinds of value that settings have, each with what it accepts.
 *
 * A variable that is set but empty counts as not set: container files often pass empty ones.
 */
import { Config, ConfigError, Either, Option } from 'effect'

export const invalid = (name: string, message: string) =>
  ConfigError.InvalidData([name], `${name} ${message}`)

export const text = (name: string): Config.Config<Option.Option<string>> =>
  Config.option(Config.string(name)).pipe(
    Config.map(Option.map((value) => value.trim())),
    Config.map(Option.filter((value) => value !== '')),
  )

export const parsed = <A>(
  name: string,
  fallback: A,
  parse: (value: string) => A | undefined,
  accepts: string,
) =>
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

export const flag = (name: string) =>
  parsed(
    name,
    false,
    (value) => {
      const key = value.toLowerCase()
      return Object.hasOwn(flagValues, key) ? flagValues[key] : undefined
    },
    'only 1/true/yes/on or 0/false/no/off',
  )

export const oneOf = <A extends string>(name: string, fallback: A, values: ReadonlyArray<A>) =>
  parsed<A>(
    name,
    fallback,
    (value) => values.find((candidate) => candidate === value.toUpperCase()),
    `only ${values.join(', ')}`,
  )

/** Fails for the first of some variables that is set although the engine does not know it. */
export const unknownTo = (driver: string, names: ReadonlyArray<string>): Config.Config<void> =>
  Config.all(names.map(text)).pipe(
    Config.mapOrFail((values) => {
      const name = names.find((_name, place) => Option.isSome(values[place]!))
      return name === undefined
        ? Either.void
        : Either.left(
            invalid(
              name,
              `is set, but OR3_SQLITE_DRIVER is ${driver}, which does not know it: unset one of them`,
            ),
          )
    }),
  )
