/**
 * Op ids as hosts of mid-2026 accept them: UUIDs. What the services keep may be any printable ASCII, from tools and from
 * databases of earlier packages, and one such id in a page would stop every device of the workspace.
 */
import { createHash } from 'node:crypto'
import { leapSize } from '../services/epochs.js'
import { isUuid } from '../services/opRules.js'
import type { Revision } from '../services/Revision.js'
import type { Stamp } from '../services/SyncDomain.js'

/** The 128 bits of a hash as a UUID of version 8, which is for whoever makes their own. */
const asUuid = (hex: string) => {
  const variant = '89ab'[Number.parseInt(hex.slice(16, 17), 16) % 4]!
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}

/** What identifies a revision of a record. */
type Named = Pick<Stamp, 'opId' | 'clock' | 'hlc'>

/**
 * A UUID from what identifies a revision. It is the same in every answer, and after a restored backup has raised the clock by whole
 * epochs.
 */
export const madeOpId = (
  workspaceId: string,
  tableName: string,
  pk: string,
  { opId, clock, hlc }: Named,
): string => {
  const revision = [workspaceId, tableName, pk, clock % leapSize, hlc, opId]
  return asUuid(createHash('sha256').update(JSON.stringify(revision)).digest('hex'))
}

/** The op id as devices are told: the op's own if it is a UUID, else one that is made from its revision. */
export const servedOpId = (workspaceId: string, tableName: string, pk: string, revision: Named): string =>
  isUuid(revision.opId) ? revision.opId : madeOpId(workspaceId, tableName, pk, revision)

/** A record's revision as devices are told it: the same object where its op id is a UUID. */
export const servedRevision = (
  workspaceId: string,
  { tableName, pk }: { readonly tableName: string; readonly pk: string },
  revision: Revision,
): Revision =>
  isUuid(revision.opId) ? revision : { ...revision, opId: madeOpId(workspaceId, tableName, pk, revision) }
