/**
 * What a record says about files: which ones it refers to, and what a file's own record tells.
 *
 * Payloads are whatever clients made of them, and an edge that is left out loses a user's file. So nothing here throws, and a
 * broken value hides no other. Shared by every implementation, and by what checks them.
 */
import type { SyncedTable } from './SyncDomain.js'

/** Bounds of what is said about files. */
export const fileLimits = {
  /** Characters of a hash that is asked for or reserved, as normalised. */
  hashLength: 1_024,
  /** Characters of a media type. */
  mimeTypeLength: 256,
  /** Characters of a storage id. */
  storageIdLength: 1_024,
  /** A record that claims more bytes than this (1 TiB) does not say how large its file is. Keeps sums exact. */
  bytes: 2 ** 40,
} as const

/** A table whose records refer to files. */
export type ReferringTable = 'messages' | 'posts'

export const referringTables: ReadonlyArray<ReferringTable> = ['messages', 'posts']

export const isReferring = (table: SyncedTable): table is ReferringTable =>
  table === 'messages' || table === 'posts'

/**
 * The one spelling of a hash: what stands after the last `:`, without blanks around it, in lower case. The last one, so that a
 * normalised hash stays as it is. Empty for what names no file.
 */
export const normalizeHash = (hash: string): string => {
  // SQLite's driver would give other text back than it was given: three U+FFFD for each lone surrogate.
  const text = hash.toWellFormed()
  return text
    .slice(text.lastIndexOf(':') + 1)
    .trim()
    .toLowerCase()
}

/**
 * Whether a payload may name files at all: all that most messages pay. A key may also be written with escapes, in text that no
 * push of ours has made.
 */
export const mayNameFiles = (payloadJson: string): boolean =>
  payloadJson.includes('file_hashes') || payloadJson.includes('\\u00')

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

type Fields = Record<string, unknown>

const fieldsOf = (payloadJson: string | null): Fields => {
  const payload = payloadJson === null ? undefined : parsed(payloadJson)
  return typeof payload === 'object' && payload !== null ? (payload as Fields) : {}
}

const own = (fields: Fields, name: string): unknown =>
  Object.hasOwn(fields, name) ? fields[name] : undefined

/**
 * The files that a message or post refers to: the entries of its `file_hashes`, a list of strings or a string that holds such a
 * list, normalised, each once, in their order.
 */
export const fileHashesOf = (payloadJson: string | null): ReadonlyArray<string> => {
  if (payloadJson === null || !mayNameFiles(payloadJson)) return []
  const value = own(fieldsOf(payloadJson), 'file_hashes')
  const list = typeof value === 'string' ? parsed(value) : value
  if (!Array.isArray(list)) return []
  const hashes = new Set<string>()
  for (const entry of list as ReadonlyArray<unknown>) {
    const hash = typeof entry === 'string' ? normalizeHash(entry) : ''
    if (hash !== '') hashes.add(hash)
  }
  return [...hashes]
}

/** What a file's record tells about it; absent is what it does not tell, or not in a usable way. */
export interface FileFields {
  readonly sizeBytes?: number
  readonly storageId?: string
  readonly mimeType?: string
  readonly name?: string
  readonly fileKind?: string
}

const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= fileLimits.bytes

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** The first of some fields that has a usable value: clients write either spelling. */
const either = <A>(
  fields: Fields,
  isUsable: (value: unknown) => value is A,
  names: ReadonlyArray<string>,
): A | undefined => names.map((name) => own(fields, name)).find(isUsable)

/** From the payload of a `file_meta` record. */
export const fileFieldsOf = (payloadJson: string | null): FileFields => {
  const fields = fieldsOf(payloadJson)
  const sizeBytes = either(fields, isSize, ['size_bytes', 'sizeBytes'])
  const storageId = either(fields, isText, ['storage_id', 'storageId'])
  const mimeType = either(fields, isText, ['mime_type', 'mimeType'])
  const name = either(fields, isText, ['name'])
  const fileKind = either(fields, isText, ['kind', 'file_kind', 'fileKind'])
  return {
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(storageId === undefined ? {} : { storageId }),
    ...(mimeType === undefined ? {} : { mimeType }),
    ...(name === undefined ? {} : { name }),
    ...(fileKind === undefined ? {} : { fileKind }),
  }
}
