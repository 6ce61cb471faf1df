/**
 * Durations as operators write them, in variables and on the command line.
 */
import { Duration, Option } from 'effect'

/** Undefined for what is no duration, is endless, or is not above zero. */
export const positiveDuration = (value: string): Duration.Duration | undefined =>
  Duration.decodeUnknown(value).pipe(
    Option.filter((given) => Duration.isFinite(given) && Duration.greaterThan(given, Duration.zero)),
    Option.getOrUndefined,
  )

/** What a person is told who gave something else. */
export const durationRule = 'only a duration such as "90 minutes", "1 hour" or "30 days"'
