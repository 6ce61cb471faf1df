/**
 * Checks of single fields, for services that take whatever a program hands them. A `Left` says which field and what it must be.
 */
import { Either } from 'effect'
import { InvalidInput } from './InvalidInput.js'
import { isStorableId } from './opRules.js'

export type Checked<A> = Either.Either<A, InvalidInput>

export const refuseField = (field: string, detail: string): Either.Either<never, InvalidInput> =>
  Either.left(new InvalidInput({ field, detail }))

/** Nothing is kept for a user who was erased. */
export const ofErased = () => refuseField('userId', 'is of a user who is gone')

/** The fields of a request; of what is no object, none. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/** A copy of a request's fields. What cannot be read is not there. */
export const readFields = (request: unknown): Readonly<Record<string, unknown>> => {
  try {
    return { ...fieldsOf(request) }
  } catch {
    return {}
  }
}

/** A check of a request's fields, which never throws: what cannot be read is refused, like anything else that is no request. */
export const checking =
  <A>(check: (fields: Readonly<Record<string, unknown>>) => Checked<A>) =>
  (request: unknown): Checked<A> => {
    try {
      return check(fieldsOf(request))
    } catch {
      return refuseField('request', 'cannot be read')
    }
  }

/** An id: 1..256 characters, without a NUL. */
export const idIn = (field: string, value: unknown): Checked<string> =>
  isStorableId(value) ? Either.right(value) : refuseField(field, 'has 1 to 256 characters')

/** Text of at most `most` characters, and at least one unless it may be empty. No engine keeps half a character or a NUL alike. */
export const textIn = (field: string, value: unknown, most: number, least: 0 | 1 = 1): Checked<string> =>
  isStorableId(value, most) || (least === 0 && value === '')
    ? Either.right(value)
    : refuseField(field, `has ${least} to ${most.toLocaleString('en')} characters, and no NUL`)

/**
 * Text whose halves of characters and NULs are replaced by U+FFFD, which every engine keeps. For what comes in pieces from elsewhere:
 * to refuse it would lose the rest.
 */
export const mended = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd')

/** A whole number within bounds. */
export const integerIn = (
  field: string,
  value: unknown,
  least = 0,
  most = Number.MAX_SAFE_INTEGER,
): Checked<number> =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
    ? Either.right(value as number)
    : refuseField(field, `is a whole number from ${least} to ${most}`)

/** Epoch milliseconds, or a span of them; a fraction, as of a random delay, is dropped. */
export const timeIn = (field: string, value: unknown): Checked<number> =>
  integerIn(field, typeof value === 'number' ? Math.floor(value) : value)

/** A number is brought within its bounds, 1 and `most`. */
export const boundedIn = (field: string, value: unknown, most: number): Checked<number> =>
  typeof value === 'number' && !Number.isNaN(value)
    ? Either.right(Math.floor(Math.min(Math.max(value, 1), most)))
    : refuseField(field, 'is a number')

export const oneOfIn = <A extends string>(
  field: string,
  value: unknown,
  choices: ReadonlyArray<A>,
): Checked<A> =>
  choices.includes(value as A)
    ? Either.right(value as A)
    : refuseField(field, `is one of ${choices.join(', ')}`)

/** Undefined stays so. */
export const optionalIn = <A>(
  value: unknown,
  check: (value: unknown) => Checked<A>,
): Checked<A | undefined> => (value === undefined ? Either.right(undefined) : check(value))

/** Null and undefined become null. */
export const nullableIn = <A>(value: unknown, check: (value: unknown) => Checked<A>): Checked<A | null> =>
  value === undefined || value === null ? Either.right(null) : check(value)
