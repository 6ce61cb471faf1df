/**
 * The rules of requests about files, and the cursors of their pages. What they refuse is refused before anything is read.
 */
import { Either } from 'effect'
import { type StorageKind, storageKinds } from './FileReferences.js'
import { fileLimits, normalizeHash } from './fileRules.js'
import { isCount, isStorableId } from './opRules.js'
import { checkRequest, refuse } from './requests.js'
import { limits } from './SyncDomain.js'

type Fields = Record<string, unknown>

/** A host may say null for what it does not say. */
const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null

const isStorableText = (value: unknown, length: number): value is string =>
  typeof value === 'string' &&
  value.length > 0 &&
  value.length <= length &&
  value.isWellFormed() &&
  !value.includes('\0')

const hashRule = `has 1 to ${fileLimits.hashLength} characters after the last colon`

const usableHash = (hash: unknown): string | undefined => {
  const normalized = typeof hash === 'string' ? normalizeHash(hash) : ''
  return isStorableText(normalized, fileLimits.hashLength) ? normalized : undefined
}

/** Where a page begins: after the item at this position. */
export type Position = ReadonlyArray<string>

/** How many strings make a position of a kind. */
const positionLength: Record<StorageKind, number> = {
  live_metadata: 1,
  retained_metadata: 1,
  reference_edges: 3,
  active_reservations: 2,
}

const isKind = (value: unknown): value is StorageKind => storageKinds.includes(value as StorageKind)

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Bound to kind and hash: of another one it says nothing. */
export const cursorOf = (kind: StorageKind, hash: string | undefined, position: Position): string =>
  encode([kind, hash ?? null, ...position])

const positionOf = (kind: StorageKind, hash: string | undefined, cursor: unknown): Position | undefined => {
  if (typeof cursor !== 'string') return undefined
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  const [ofKind, ofHash, ...position] = value as ReadonlyArray<unknown>
  const isOurs =
    ofKind === kind &&
    ofHash === (hash ?? null) &&
    position.length === positionLength[kind] &&
    position.every((part): part is string => typeof part === 'string')
  // Base64 has room for what is ignored; a cursor is used as it was given, or not at all.
  return isOurs && encode(value) === cursor ? (position as Position) : undefined
}

export const checkStorageQuery = checkRequest(({ kind, cursor, limit, hash: rawHash, now }) => {
  if (!isKind(kind)) return refuse('kind', `is none of ${storageKinds.join(', ')}`)
  if (!isAbsent(limit) && (typeof limit !== 'number' || Number.isNaN(limit))) {
    return refuse('limit', 'is not a number')
  }
  if (!isAbsent(now) && (typeof now !== 'number' || !Number.isFinite(now))) {
    return refuse('now', 'is not a number of seconds')
  }
  const hash = isAbsent(rawHash) ? undefined : usableHash(rawHash)
  if (!isAbsent(rawHash) && hash === undefined) return refuse('hash', hashRule)
  const after = isAbsent(cursor) ? undefined : positionOf(kind, hash, cursor)
  if (!isAbsent(cursor) && after === undefined) return refuse('cursor', 'is none of this kind and hash')
  return Either.right({
    kind,
    hash,
    after,
    limit: Math.floor(Math.min(Math.max(limit ?? limits.pageDefault, 1), limits.pageMax)),
    now: now ?? undefined,
  })
})

export type CheckedStorageQuery = Either.Either.Right<ReturnType<typeof checkStorageQuery>>

const intentIdRule = `has 1 to ${limits.idLength} characters`

const checkFile = ({ intentId, hash: rawHash, mimeType, sizeBytes }: Fields) => {
  if (!isStorableId(intentId)) return refuse('intentId', intentIdRule)
  const hash = usableHash(rawHash)
  if (hash === undefined) return refuse('hash', hashRule)
  if (!isStorableText(mimeType, fileLimits.mimeTypeLength)) {
    return refuse('mimeType', `has 1 to ${fileLimits.mimeTypeLength} characters`)
  }
  if (!isCount(sizeBytes)) return refuse('sizeBytes', 'is not a safe integer of at least 0')
  return Either.right({ intentId, file: { hash, mimeType, sizeBytes } })
}

/** Whether the expiry is still to come is for those to say who know the time. */
export const checkReserve = checkRequest((request) =>
  Either.flatMap(checkFile(request), (checked) => {
    const { expiresAt, workspaceQuotaBytes: quota } = request
    const seconds = typeof expiresAt === 'number' ? Math.floor(expiresAt) : undefined
    if (!isCount(seconds)) return refuse('expiresAt', 'is not a time in seconds')
    if (!isAbsent(quota) && !isCount(quota)) {
      return refuse('workspaceQuotaBytes', 'is not a safe integer of at least 0')
    }
    return Either.right({ ...checked, expiresAt: seconds, quotaBytes: quota ?? undefined })
  }),
)

export type CheckedReserve = Either.Either.Right<ReturnType<typeof checkReserve>>

export const expiresTooEarly = () => refuse('expiresAt', 'is not later than now')

export const checkConsume = checkRequest((request) =>
  Either.flatMap(checkFile(request), (checked) => {
    const { storageId } = request
    return isStorableText(storageId, fileLimits.storageIdLength)
      ? Either.right({ ...checked, storageId })
      : refuse('storageId', `has 1 to ${fileLimits.storageIdLength} characters`)
  }),
)

export const checkCancel = checkRequest(({ intentId }) =>
  isStorableId(intentId) ? Either.right({ intentId }) : refuse('intentId', intentIdRule),
)
