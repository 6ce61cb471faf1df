/**
 * What must hold of the index of files, on an engine that knows no functions of ours: pages of rows are read, and looked at here.
 *
 * A page is read with what the index says of its rows, in one state; so a push in between breaks no rule. What the index says of
 * no such row, a statement finds. Hashes come as hexadecimal digits: libSQL cuts text at a NUL.
 */
import { Effect } from 'effect'
import type { StorageError } from '../../../services/StorageError.js'
import {
  fileFieldsOf,
  fileHashesOf,
  normalizeHash,
  type ReferringTable,
  referringTables,
} from '../../../services/fileRules.js'
import type { Results, Row, Statement } from '../../sql/batch.js'
import type { Batches } from '../../sql/Batches.js'
import { fileRules, intentHolds } from '../fileInvariants.js'
import { shown } from '../invariants.js'
import { ask, readAll } from '../../sql/look.js'
import type { SchemaObjects } from '../schemaState.js'
import { beginning, isLast, paged } from './pages.js'

type Read = Batches['Type']['read']
type Found = ReadonlyArray<object>
type Find = Effect.Effect<Found, StorageError>

const bySource = 'file_references_by_source'

/** See `mayNameFiles`. */
const mayName = String.raw`deleted = 0 AND (instr(data_json, 'file_hashes') > 0 OR instr(data_json, '\u00') > 0)`

const naming = (table: ReferringTable, pk: string) =>
  paged(`
    SELECT rowid AS at, workspace_id, ${pk} AS pk, data_json AS json FROM s_${table}
    WHERE rowid > ? AND ${mayName}`)

/** What the index says of the same rows. Turso's engine has to be told by which index, unless that is missing. */
const referred = (table: ReferringTable, by: string) => `
  SELECT r.at, hex(f.hash) AS hash
  FROM (${naming(table, 'pk')}) AS r CROSS JOIN file_references AS f ${by}
    ON f.workspace_id = r.workspace_id AND f.source_table = '${table}' AND f.source_id = r.pk`

/** What the index says of other rows. */
const unfounded = `
  SELECT f.workspace_id, f.hash, f.source_table, f.source_id FROM file_references AS f
  WHERE CASE f.source_table ${referringTables
    .map(
      (table) => `WHEN '${table}' THEN NOT EXISTS (
        SELECT 1 FROM s_${table} INDEXED BY sqlite_autoindex_s_${table}_1 WHERE workspace_id = f.workspace_id AND pk = f.source_id AND ${mayName})`,
    )
    .join(' ')} ELSE 1 END
  LIMIT ${shown + 1}`

const fileRows = paged(`
  SELECT r.rowid AS at, r.workspace_id, hex(r.pk) AS pk, r.deleted, iif(r.deleted, NULL, r.data_json) AS json,
    hex(f.hash) AS known_hash, f.deleted AS known_deleted, f.size_bytes AS known_size
  FROM s_file_meta AS r LEFT JOIN file_records AS f ON f.workspace_id = r.workspace_id AND f.pk = r.pk
  WHERE r.rowid > ?`)

const filesWithoutRow = `
  SELECT workspace_id, pk FROM file_records AS f
  WHERE NOT EXISTS (SELECT 1 FROM s_file_meta AS r WHERE r.workspace_id = f.workspace_id AND r.pk = f.pk)
  LIMIT ${shown + 1}`

/** A plain hash is the same when it is normalised. */
const oddIntents = paged(`
  SELECT rowid AS at, workspace_id, hex(id) AS id, hex(hash) AS hash, ${intentHolds} AS holds, NULL AS json
  FROM upload_reservations WHERE rowid > ? AND NOT (${intentHolds} AND hash NOT GLOB '*[^0-9a-z]*')`)

const hexOf = (text: string) => Buffer.from(text).toString('hex').toUpperCase()
const textOrNull = (value: unknown) => (typeof value === 'string' ? value : null)
const textOf = (hex: string) => Buffer.from(hex, 'hex').toString()

/** Reads page after page, until a few that break a rule are found. */
const walk = (
  read: Read,
  statementsFor: (after: number) => ReadonlyArray<Statement>,
  broken: (results: Results) => Found,
): Find =>
  Effect.gen(function* () {
    const found: Array<object> = []
    for (let after = beginning; ;) {
      const results = yield* readAll(read, 'check', statementsFor(after))
      found.push(...broken(results))
      const page = results[0]!
      if (isLast(page) || found.length > shown) return found.slice(0, shown + 1)
      after = page.at(-1)!.at
    }
  })

/** The first of several searches that finds something, as far as it is of use. */
const inTurn = (finds: ReadonlyArray<Find>): Find =>
  Effect.reduce(finds, [] as Found, (found, find) =>
    found.length > shown
      ? Effect.succeed(found)
      : Effect.map(find, (more) => [...found, ...more].slice(0, shown + 1)),
  )

/** By the place of a row: the hashes that the index has of it. */
const hashesByRow = (rows: ReadonlyArray<Row>): ReadonlyMap<number, ReadonlySet<string>> => {
  const hashes = new Map<number, Set<string>>()
  for (const { at, hash } of rows) hashes.set(at, (hashes.get(at) ?? new Set()).add(hash))
  return hashes
}

const none: ReadonlySet<string> = new Set()

type Difference = (named: ReadonlySet<string>, known: ReadonlySet<string>) => ReadonlySet<string>

const unlike = (read: Read, table: ReferringTable, by: string, difference: Difference): Find => {
  const [rows, index] = [naming(table, 'hex(pk)'), referred(table, by)]
  return walk(
    read,
    (after) => [ask(rows, after), ask(index, after)],
    ([page, references]) => {
      const known = hashesByRow(references!)
      return page!.flatMap(({ at, workspace_id, pk, json }) =>
        [...difference(new Set(fileHashesOf(textOrNull(json)).map(hexOf)), known.get(at) ?? none)].map(
          (hash) => ({
            workspace_id,
            hash: textOf(hash),
            source_table: table,
            source_id: textOf(pk),
          }),
        ),
      )
    },
  )
}

const without: Difference = (all, some) => new Set([...all].filter((hash) => !some.has(hash)))

const unknownFiles = ({ pk, deleted, json, known_hash, known_deleted, known_size }: Row) => {
  const size = deleted === 0 ? (fileFieldsOf(textOrNull(json)).sizeBytes ?? null) : null
  return known_hash !== hexOf(normalizeHash(textOf(pk))) || known_deleted !== deleted || known_size !== size
}

const badIntent = ({ hash, holds }: Row) => holds === 0 || hash !== hexOf(normalizeHash(textOf(hash)))

/** How the rules are looked at for which a file in the process uses functions. */
export const findInFileIndex = (read: Read, present: SchemaObjects): Readonly<Record<string, Find>> => {
  const by = present.has(`index ${bySource}`) ? `INDEXED BY ${bySource}` : ''
  const rows = (sql: string) => Effect.map(readAll(read, 'check', [ask(sql)]), ([found]) => found!)
  return {
    [fileRules.known]: inTurn(referringTables.map((table) => unlike(read, table, by, without))),
    [fileRules.named]: inTurn([
      rows(unfounded),
      ...referringTables.map((table) => unlike(read, table, by, (named, known) => without(known, named))),
    ]),
    [fileRules.record]: inTurn([
      rows(filesWithoutRow),
      walk(
        read,
        (after) => [ask(fileRows, after)],
        ([page]) =>
          page!.filter(unknownFiles).map(({ workspace_id, pk }) => ({ workspace_id, pk: textOf(pk) })),
      ),
    ]),
    [fileRules.intent]: walk(
      read,
      (after) => [ask(oddIntents, after)],
      ([page]) => page!.filter(badIntent).map(({ workspace_id, id }) => ({ workspace_id, id: textOf(id) })),
    ),
  }
}
