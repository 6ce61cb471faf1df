/**
 * The rules of a request as a whole. What they refuse is refused before anything is read or written.
 */
import { Either } from 'effect'
import { isAsciiId, isCount, isStorableId } from './opRules.js'
import { decodeToken, type SnapshotChain, snapshotOrder } from './snapshotToken.js'
import { isSyncedTable, limits, type SyncedTable, syncedTables } from './SyncDomain.js'
import { InvalidPageToken, InvalidRequest, PageTokenForbidden, ScopeForbidden } from './SyncErrors.js'

type Refusal = InvalidRequest | ScopeForbidden
type Fields = Record<string, unknown>

export const refuse = (field: string, detail: string) => Either.left(new InvalidRequest({ field, detail }))

const idRule = `has 1 to ${limits.idLength} characters`

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}

/** The workspace a call is confined to, and the user it is made for. */
export interface CheckedScope {
  readonly workspaceId: string
  readonly userId: string | undefined
}

const checkScope = (request: Fields): Either.Either<CheckedScope, Refusal> => {
  const { workspaceId } = fields(request.scope)
  if (!isStorableId(workspaceId)) return refuse('scope.workspaceId', idRule)
  if (request.caller === undefined) return Either.right({ workspaceId, userId: undefined })
  const caller = fields(request.caller)
  if (!isStorableId(caller.userId)) return refuse('caller.userId', idRule)
  if (caller.workspaceId !== workspaceId) return Either.left(new ScopeForbidden({}))
  return Either.right({ workspaceId, userId: caller.userId })
}

/** Checks the scope, then the fields that are a request's own. Never throws. */
export const checkRequest =
  <A>(own: (request: Fields) => Either.Either<A, InvalidRequest>) =>
  (request: unknown): Either.Either<CheckedScope & A, Refusal> => {
    try {
      const scope = checkScope(fields(request))
      if (Either.isLeft(scope)) return Either.left(scope.left)
      const rest = own(fields(request))
      // Both are ours to change, and a spread of two objects costs 1 us.
      return Either.map(rest, (checked) => Object.assign(scope.right, checked))
    } catch {
      return refuse('request', 'cannot be read')
    }
  }

export const checkPush = checkRequest(({ ops }) => {
  if (!Array.isArray(ops)) return refuse('ops', 'is not an array')
  if (ops.length > limits.batch) return refuse('ops', `holds more than ${limits.batch} ops`)
  return Either.right({ ops: ops as ReadonlyArray<unknown> })
})

const areNames = (tables: unknown): tables is ReadonlyArray<string> | undefined =>
  tables === undefined ||
  (Array.isArray(tables) && tables.every((name): name is string => typeof name === 'string'))

export const checkPull = checkRequest(({ cursor, limit, tables }) => {
  if (!isCount(cursor)) return refuse('cursor', 'is not a safe integer of at least 0')
  if (limit !== undefined && (typeof limit !== 'number' || Number.isNaN(limit))) {
    return refuse('limit', 'is not a number')
  }
  if (!areNames(tables)) return refuse('tables', 'is not an array of table names')
  return Either.right({
    cursor,
    limit: Math.floor(Math.min(Math.max(limit ?? limits.pageDefault, 1), limits.pageMax)),
    tables: tablesAskedFor(tables),
  })
})

/**
 * Whether a change still goes into a page that has `length` of them, where `bytes` is the payload of all with it: at most
 * `limit` changes, and no more payload than a server and a client can hold. One always does, or a device would not get on.
 */
export const fitsPage = (length: number, bytes: number, limit: number): boolean =>
  length === 0 || (length < limit && bytes <= limits.pageBytes)

/** In the order of `syncedTables`, each once; all of them when none is named. */
const tablesAskedFor = (tables: ReadonlyArray<string> | undefined): ReadonlyArray<SyncedTable> => {
  if (tables === undefined || tables.length === 0) return syncedTables
  const named = new Set(tables.filter(isSyncedTable))
  return named.size === syncedTables.length ? syncedTables : syncedTables.filter((name) => named.has(name))
}

const checkPage = checkRequest(({ pageSize, pageToken, tables }) => {
  if (!isCount(pageSize) || pageSize < 1 || pageSize > limits.pageMax) {
    return refuse('pageSize', `is not a whole number from 1 to ${limits.pageMax}`)
  }
  if (pageToken !== undefined && typeof pageToken !== 'string') return refuse('pageToken', 'is not a string')
  if (!areNames(tables)) return refuse('tables', 'is not an array of table names')
  return Either.right({ pageSize, pageToken, tables })
})

/** A page of a snapshot: with the chain it continues, if it does. */
export interface CheckedSnapshot extends CheckedScope {
  readonly pageSize: number
  /** In the order of a snapshot. */
  readonly tables: ReadonlyArray<SyncedTable>
  readonly chain: SnapshotChain | undefined
}

/** Checks all that can be told without a look at the database. */
export const checkSnapshot = (
  request: unknown,
): Either.Either<CheckedSnapshot, Refusal | InvalidPageToken | PageTokenForbidden> =>
  Either.flatMap(
    checkPage(request),
    ({
      pageToken,
      tables: names,
      ...page
    }): Either.Either<CheckedSnapshot, InvalidRequest | InvalidPageToken | PageTokenForbidden> => {
      const asked = tablesAskedFor(names)
      const tables = snapshotOrder.filter((table) => asked.includes(table))
      if (pageToken === undefined) return Either.right({ ...page, tables, chain: undefined })
      const chain = decodeToken(pageToken)
      if (chain === undefined) return Either.left(new InvalidPageToken({}))
      if (chain.workspaceId !== page.workspaceId) return Either.left(new PageTokenForbidden({}))
      if (names !== undefined && tables.join() !== chain.tables.join()) {
        return refuse('tables', 'are not those of the first page')
      }
      return Either.right({ ...page, tables: chain.tables, chain })
    },
  )

export const checkCursor = checkRequest(({ deviceId, version }) => {
  if (!isAsciiId(deviceId)) return refuse('deviceId', `${idRule} of printable ASCII`)
  if (!isCount(version)) return refuse('version', 'is not a safe integer of at least 0')
  return Either.right({ deviceId, version })
})

export const checkRetention = checkRequest(({ retentionSeconds }) =>
  typeof retentionSeconds === 'number' && Number.isFinite(retentionSeconds) && retentionSeconds > 0
    ? Either.right({ retentionSeconds })
    : refuse('retentionSeconds', 'is not a number greater than 0'),
)
