/**
 * Checks of request bodies. What does not fit is answered with 400 and the name of the field.
 */
import { createError, type H3Event, readBody } from 'h3'

type Fields = Readonly<Record<string, unknown>>

const check = (holds: boolean, field: string) => {
  if (!holds) throw createError({ statusCode: 400, statusMessage: `Invalid request: ${field}` })
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const fields = (value: unknown, field: string): Fields => {
  check(isFields(value), field)
  return value as Fields
}

/** The JSON object that a request carries. */
export const bodyOf = async (event: H3Event): Promise<Fields> =>
  fields(await readBody<unknown>(event, { strict: true }), 'body')

export const text = (value: unknown, field: string, { max = Infinity } = {}): string => {
  const trimmed = typeof value === 'string' ? value.trim() : ''
  check(trimmed.length > 0 && trimmed.length <= max, field)
  return trimmed
}

export const optional = <A>(value: unknown, read: (value: unknown) => A): A | undefined =>
  value === undefined || value === null ? undefined : read(value)

export const integer = (value: unknown, field: string, { min = 0, max = Infinity } = {}): number => {
  check(Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max, field)
  return value as number
}

export const oneOf = <A extends string>(value: unknown, field: string, values: ReadonlyArray<A>): A => {
  check(values.includes(value as A), field)
  return value as A
}

export const list = <A>(
  value: unknown,
  field: string,
  read: (item: unknown, field: string) => A,
): Array<A> => {
  check(Array.isArray(value), field)
  return (value as Array<unknown>).map((item, index) => read(item, `${field}[${index}]`))
}
