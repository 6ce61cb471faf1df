/**
 * What a snapshot's chain of pages carries from page to page, and how it travels: in the page token, since the server keeps
 * nothing.
 *
 * A token is not signed. Every page checks its scope and its caller anew and reads that workspace's rows alone, so who forges
 * a token can only make their own device skip rows. What a token may do is told from what it says, before anything is read.
 *
 * The text of a token is UTF-16, in base64url: a key of 1,024 characters of any script beside a workspace id of 256 stays
 * below the host's 4,096 characters, which it would not as UTF-8. NUL parts the fields; of them the key alone, which comes
 * last, may hold one, when it was adopted.
 */
import { isStorableId } from './opRules.js'
import { isSyncedTable, limits, type SyncedTable, syncedTables } from './SyncDomain.js'

/** The order of tables in a snapshot: as JavaScript compares strings. */
export const snapshotOrder: ReadonlyArray<SyncedTable> = [...syncedTables].sort()

/** The record after which the next page begins. It need not exist. */
export interface RecordKey {
  readonly tableName: SyncedTable
  readonly pk: string
}

/** A chain of pages, as fixed by its first one, and how far it has got. */
export interface SnapshotChain {
  readonly snapshotId: string
  readonly workspaceId: string
  readonly highWatermark: number
  /** In the order of a snapshot. */
  readonly tables: ReadonlyArray<SyncedTable>
  readonly after: RecordKey
}

/** Characters of a page token, at most; the host's bound. */
const maxTokenLength = 4_096

const format = '1'

export const encodeToken = ({ snapshotId, workspaceId, highWatermark, tables, after }: SnapshotChain) =>
  Buffer.from(
    [format, snapshotId, highWatermark, tables.join(), after.tableName, workspaceId, after.pk].join('\0'),
    'utf16le',
  ).toString('base64url')

/** Undefined for whatever `encodeToken` has not made. */
export const decodeToken = (token: string): SnapshotChain | undefined => {
  if (token.length > maxTokenLength) return undefined
  const [, snapshotId, watermark, names, tableName, workspaceId, ...pks] = Buffer.from(token, 'base64url')
    .toString('utf16le')
    .split('\0')
  const pk = pks.join('\0')
  const tables = snapshotOrder.filter((table) => names?.split(',').includes(table))
  const highWatermark = Number(watermark)
  if (
    !snapshotId ||
    !snapshotId.isWellFormed() ||
    !isStorableId(workspaceId) ||
    !Number.isSafeInteger(highWatermark) ||
    highWatermark < 0 ||
    !isSyncedTable(tableName) ||
    !tables.includes(tableName) ||
    !isTokenKey(pk) ||
    !pk.isWellFormed()
  ) {
    return undefined
  }
  const chain = { snapshotId, workspaceId, highWatermark, tables, after: { tableName, pk } }
  // The format, the spelling of each field and of the whole: what is told twice in another way was not made here.
  return encodeToken(chain) === token ? chain : undefined
}

/** Whether a key can stand in a token, and in a client's copy: 1..1,024 characters. Adopted ones may be longer, or empty. */
export const isTokenKey = (pk: string): boolean => pk.length > 0 && pk.length <= limits.pkLength
