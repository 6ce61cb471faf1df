/**
 * One workspace as lines of JSON: a header, then a line per live record with its revision.
 *
 * Whatever comes in goes through the gateway with the stamps it had, so that a second import changes nothing and last writer wins
 * decides against what is there.
 */
import { Data, Effect, type Scope } from 'effect'
import { shownClock } from '../../services/epochs.js'
import { checkOp } from '../../services/opRules.js'
import { limits, type PendingOp, type SyncedTable, syncedTables } from '../../services/SyncDomain.js'
import { InvalidOp, OpConflict, type OpRule } from '../../services/SyncErrors.js'
import { type GatewayError, OpAccepted, SyncGateway } from '../../services/SyncGateway.js'
import type { Connection } from '../synchronous/connection.js'
import { positionOf } from '../synchronous/position.js'
import { perTable } from '../sql/perTable.js'
import { ask, type Look } from '../sql/look.js'

const exportFormat = 'or3-sqlite-workspace'
const exportVersion = 1

export interface ExportHeader {
  readonly workspace: { readonly id: string; readonly name: string | null }
  /** Records that follow, one a line. */
  readonly rows: number
}

const counted = perTable(
  (table) => `SELECT count(*) AS count FROM s_${table} WHERE workspace_id = ? AND deleted = 0`,
)

/** No more than a few payloads of the greatest size at once. */
const pageRows = 64

const page = perTable(
  (table) => `
    SELECT server_version AS version, pk, data_json AS json, clock, hlc, op_id AS opId, device_id AS deviceId
    FROM s_${table} WHERE workspace_id = ? AND server_version > ? AND deleted = 0
    ORDER BY server_version LIMIT ${pageRows}`,
)

/** A live record, as it is stored. */
export interface ExportRow {
  readonly version: number
  readonly pk: string
  readonly json: string
  readonly clock: number
  readonly hlc: string
  readonly opId: string
  readonly deviceId: string
}

/** The payload's own text, unless that has line breaks, as an adopted one may. */
const payloadText = (json: string) => (/[\r\n]/.test(json) ? JSON.stringify(JSON.parse(json)) : json)

const lineOf = (
  table: SyncedTable,
  { pk, json, clock: stored, hlc, opId, deviceId }: ExportRow,
  clockOffset: number,
) => {
  const clock = shownClock(stored, clockOffset)
  return `${JSON.stringify({ table, pk, stamp: { deviceId, opId, hlc, clock } }).slice(0, -1)},"payload":${payloadText(json)}}\n`
}

export const linesOf = (table: SyncedTable, rows: ReadonlyArray<ExportRow>, clockOffset: number): string =>
  rows.map((row) => lineOf(table, row, clockOffset)).join('')

const headerLine = ({ workspace, rows }: ExportHeader): string =>
  `${JSON.stringify({ format: exportFormat, version: exportVersion, workspace, rows })}\n`

/** How many records a workspace has. */
export function* lookAtSize(workspaceId: string): Look<number> {
  const results = yield syncedTables.map((table) => ask(counted[table], workspaceId))
  return results.reduce((sum, [row]) => sum + (row!.count as number), 0)
}

/** Where an export goes, and who is told how far it is. */
export interface Sink<E> {
  readonly write: (text: string) => Effect.Effect<void, E>
  readonly onRows: (done: number, of: number) => void
}

/** Writes the lines of an export, some at a time. */
export const writeExport = <E>(
  header: ExportHeader,
  lines: Iterable<{ readonly text: string; readonly rows: number }>,
  { write, onRows }: Sink<E>,
): Effect.Effect<ExportHeader, E> =>
  Effect.gen(function* () {
    yield* write(headerLine(header))
    for (const { text, rows } of lines) {
      yield* write(text)
      onRows(rows, header.rows)
    }
    return header
  })

/** The lines of a workspace, with the number of records so far; on a connection that sees one snapshot. */
export function* exportLines(
  connection: Connection,
  workspaceId: string,
): Generator<{ readonly text: string; readonly rows: number }> {
  const { clockOffset } = positionOf(connection, workspaceId)
  let done = 0
  for (const table of syncedTables) {
    for (let after = 0; ;) {
      const found = connection.all<ExportRow>(page[table], workspaceId, after)
      if (found.length === 0) break
      done += found.length
      yield { text: linesOf(table, found, clockOffset), rows: done }
      after = found.at(-1)!.version
    }
  }
}

/** The line that an import cannot take. Nothing of its batch was written, and nothing after it. */
export class BadLine extends Data.TaggedError('BadLine')<{ readonly line: number; readonly why: string }> {
  override get message() {
    return `line ${this.line}: ${this.why}`
  }
}

const newline = 0x0a
/** Far more than the greatest payload takes. */
const longestLine = 4 * 1024 * 1024

interface Line {
  readonly number: number
  readonly text: string
}

const decoder = new TextDecoder('utf-8', { fatal: true })

async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let number = 0
  let rest: Array<Uint8Array> = []
  let length = 0
  const line = (): Line => {
    number++
    const bytes = Buffer.concat(rest)
    rest = []
    length = 0
    try {
      return { number, text: decoder.decode(bytes) }
    } catch {
      throw new BadLine({ line: number, why: 'is not UTF-8' })
    }
  }
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length;) {
      const end = chunk.indexOf(newline, from)
      const part = chunk.subarray(from, end === -1 ? undefined : end)
      rest.push(part)
      length += part.length
      if (length > longestLine) throw new BadLine({ line: number + 1, why: 'is too long for an export' })
      if (end === -1) break
      from = end + 1
      yield line()
    }
  }
  if (length > 0) yield line()
}

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const parse = ({ number, text }: Line): Fields => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BadLine({ line: number, why: 'is not JSON' })
  }
  if (!isObject(value)) throw new BadLine({ line: number, why: 'is not a JSON object' })
  return value
}

const toHeader = (line: Line): ExportHeader => {
  const { format, version, workspace, rows } = parse(line)
  const bad = (why: string) => new BadLine({ line: line.number, why })
  if (format !== exportFormat) throw bad('is not the header of an export')
  if (version !== exportVersion)
    throw bad(`the export has format version ${String(version)}, this release reads ${exportVersion}`)
  const { id, name } = isObject(workspace) ? workspace : {}
  if (typeof id !== 'string' || typeof rows !== 'number') throw bad('the header is incomplete')
  return { workspace: { id, name: typeof name === 'string' ? name : null }, rows }
}

interface NumberedOp {
  readonly line: number
  readonly op: PendingOp
}

/** A record that no workspace can take, as an adopted one may be. */
export interface LeftOut {
  readonly line: number
  readonly why: string
}

/** What adoption keeps although a push would be refused for it. */
const adoptedFaults: ReadonlySet<OpRule> = new Set<OpRule>([
  'pk',
  'payload-not-json',
  'payload-too-deep',
  'payload-too-large',
  'payload-key-mismatch',
  'payload-reserved-field',
])

/** A payload may name its workspace; it goes where the record goes. */
const toOp = (line: Line, from: string, to: string): NumberedOp | LeftOut => {
  const { table, pk, stamp, payload } = parse(line)
  const moved =
    from !== to && isObject(payload) && payload.workspace_id === from
      ? { ...payload, workspace_id: to }
      : payload
  const op = { tableName: table, operation: 'put', pk, payload: moved, stamp } as PendingOp
  const checked = checkOp(to, undefined, op)
  if (!(checked instanceof InvalidOp)) return { line: line.number, op }
  if (adoptedFaults.has(checked.rule)) return { line: line.number, why: checked.message }
  throw new BadLine({ line: line.number, why: checked.message })
}

export interface ImportReport {
  readonly workspaceId: string
  readonly rows: number
  /** Records that are now as the export has them. */
  readonly applied: number
  /** The workspace has the same revision or a later one. */
  readonly older: number
  /** Recognised as imported or pushed before. */
  readonly known: number
  /** Lines whose op id is taken by other content. */
  readonly conflicts: ReadonlyArray<number>
  /** The first few, and how many in all. */
  readonly leftOut: ReadonlyArray<LeftOut>
  readonly leftOutCount: number
}

const shownLeftOut = 5

type Tally = { -readonly [K in 'applied' | 'older' | 'known']: number } & { conflicts: Array<number> }

/**
 * Imports an export into the workspace that `chooseWorkspace` names once the header is read. A batch is checked as a whole before
 * any of it is pushed.
 */
export const importLines = <E, R>(
  chunks: AsyncIterable<Uint8Array>,
  chooseWorkspace: (header: ExportHeader) => Effect.Effect<string, E, R>,
  onRows: (done: number, of: number) => void,
): Effect.Effect<ImportReport, BadLine | GatewayError | E, SyncGateway | Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const gateway = yield* SyncGateway
    const lines = readLines(chunks)
    // A producer that goes on after an error would keep the process alive.
    yield* Effect.addFinalizer(() => Effect.sync(() => void lines.return(undefined).catch(() => {})))
    const next = Effect.tryPromise({
      try: () => lines.next(),
      catch: (error) => {
        if (error instanceof BadLine) return error
        throw error
      },
    })
    const orBad = <A>(body: () => A) =>
      Effect.suspend((): Effect.Effect<A, BadLine> => {
        try {
          return Effect.succeed(body())
        } catch (error) {
          if (error instanceof BadLine) return Effect.fail(error)
          throw error
        }
      })
    const first = yield* next
    if (first.done) return yield* new BadLine({ line: 1, why: 'is missing: the file is empty' })
    const header = yield* orBad(() => toHeader(first.value))
    const workspaceId = yield* chooseWorkspace(header)

    const tally: Tally = { applied: 0, older: 0, known: 0, conflicts: [] }
    let rows = 0
    const push = (batch: ReadonlyArray<NumberedOp>) =>
      Effect.gen(function* () {
        if (batch.length === 0) return
        const ops = batch.map(({ op }) => op)
        const { outcomes } = yield* gateway.push({ scope: { workspaceId }, ops })
        outcomes.forEach((outcome, index) => {
          if (outcome instanceof OpAccepted) tally[outcome.applied ? 'applied' : 'older']++
          else if (outcome instanceof OpConflict) tally.conflicts.push(batch[index]!.line)
          else tally.known++
        })
        rows += batch.length
        onRows(rows, header.rows)
      })

    const leftOut: Array<LeftOut> = []
    let leftOutCount = 0
    let batch: Array<NumberedOp> = []
    let size = 0
    let last = 1
    for (;;) {
      const read = yield* next
      if (read.done) break
      const line = read.value
      last = line.number
      const record = yield* orBad(() => toOp(line, header.workspace.id, workspaceId))
      if ('op' in record) {
        batch.push(record)
        size += line.text.length
      } else if (++leftOutCount <= shownLeftOut) leftOut.push(record)
      if (rows + leftOutCount + batch.length > header.rows)
        return yield* new BadLine({ line: last, why: `is one more than the ${header.rows} of the header` })
      if (batch.length === limits.batch || size > limits.pageBytes) {
        yield* push(batch)
        batch = []
        size = 0
      }
    }
    yield* push(batch)
    if (rows + leftOutCount < header.rows)
      return yield* new BadLine({
        line: last + 1,
        why: `is missing: the export ends after ${rows + leftOutCount} of ${header.rows} records`,
      })
    return { workspaceId, rows, ...tally, leftOut, leftOutCount }
  }).pipe(Effect.scoped)
