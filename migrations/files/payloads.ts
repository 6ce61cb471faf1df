/**
 * What a payload says about files, as `006_files` reads it. Frozen: a migration does what it did on its day, whatever the
 * services think later. A test holds it against them as long as they agree.
 */
import { Option, Schema } from 'effect'

const parsed = Schema.decodeUnknownOption(Schema.parseJson())

type Fields = Record<string, unknown>

const fieldsOf = (json: string | null): Fields => {
  const payload = json === null ? undefined : Option.getOrUndefined(parsed(json))
  return typeof payload === 'object' && payload !== null ? (payload as Fields) : {}
}

const own = (fields: Fields, name: string): unknown =>
  Object.hasOwn(fields, name) ? fields[name] : undefined

export const hashOf = (text: string): string => {
  const hash = text.toWellFormed()
  return hash
    .slice(hash.lastIndexOf(':') + 1)
    .trim()
    .toLowerCase()
}

export const referredHashes = (json: string | null): ReadonlyArray<string> => {
  const value = own(fieldsOf(json), 'file_hashes')
  const list = typeof value === 'string' ? Option.getOrUndefined(parsed(value)) : value
  if (!Array.isArray(list)) return []
  const entries = (list as ReadonlyArray<unknown>).filter((entry) => typeof entry === 'string')
  return [...new Set(entries.map(hashOf))].filter((hash) => hash !== '')
}

export const sizeOf = (json: string | null): number | null => {
  const fields = fieldsOf(json)
  const isSize = (value: unknown): value is number =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 2 ** 40
  return [own(fields, 'size_bytes'), own(fields, 'sizeBytes')].find(isSize) ?? null
}
