/**
 * Keeps in step with the rows what is asked about files: who refers to which, which there are, and how many bytes they take.
 *
 * It follows from the rows alone (`or3-sqlite check` compares), and changes in the transaction that changes them. A row that
 * is erased or leaps was deleted before, or keeps its payload, so only pushes have to care.
 */
import {
  fileFieldsOf,
  fileHashesOf,
  isReferring,
  normalizeHash,
  type ReferringTable,
  referringTables,
} from '../../services/fileRules.js'
import type { CheckedOp } from '../../services/opRules.js'
import type { Connection } from './connection.js'

/** @readByTests of the query plans. */
export const fileIndexSql = {
  hasReferences: `SELECT 1 FROM file_references WHERE workspace_id = ? LIMIT 1`,

  forgetReferences: `
    DELETE FROM file_references INDEXED BY file_references_by_source
    WHERE workspace_id = ? AND source_table = ? AND source_id IN (SELECT value FROM json_each(?))`,

  addReference: `
    INSERT INTO file_references (workspace_id, hash, source_table, source_id) VALUES (?, ?, ?, ?)`,

  recordedSize: `SELECT size_bytes FROM file_records WHERE workspace_id = ? AND pk = ?`,

  record: `
    INSERT INTO file_records (workspace_id, pk, hash, deleted, size_bytes) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (workspace_id, pk) DO UPDATE SET deleted = excluded.deleted, size_bytes = excluded.size_bytes`,

  addUsage: `
    INSERT INTO file_usage (workspace_id, used_bytes) VALUES (?, ?)
    ON CONFLICT (workspace_id) DO UPDATE SET used_bytes = used_bytes + excluded.used_bytes`,
}

type Winners = Map<string, CheckedOp>

interface Referring {
  readonly winners: Winners
  /** The keys of those that had a row before the batch: only these can have references to forget. */
  readonly known: Array<string>
}

/** What the ops of a batch that won leave to be done, once all of them are applied. */
export class FileIndex {
  /** Of each record the last op that won. */
  private readonly referring: Partial<Record<ReferringTable, Referring>> = {}
  private files: Winners | undefined

  constructor(
    private readonly connection: Connection,
    private readonly workspaceId: string,
  ) {}

  /** An op has won; `wasExisting` says whether the record had a row, be it one that the same batch has added. */
  follow(op: CheckedOp, wasExisting: boolean): void {
    const { tableName, pk } = op
    if (isReferring(tableName)) {
      const { winners, known } = (this.referring[tableName] ??= { winners: new Map(), known: [] })
      if (wasExisting && !winners.has(pk)) known.push(pk)
      winners.set(pk, op)
    } else if (tableName === 'file_meta') (this.files ??= new Map()).set(pk, op)
  }

  /** Brings the index in step with the rows. */
  settle(): void {
    for (const table of referringTables) {
      const referring = this.referring[table]
      if (referring !== undefined) this.refer(table, referring)
    }
    if (this.files !== undefined) this.record(this.files)
  }

  private refer(table: ReferringTable, { winners, known }: Referring): void {
    const { connection, workspaceId } = this
    // In a workspace without files there is nothing to forget.
    if (known.length > 0 && connection.first(fileIndexSql.hasReferences, workspaceId) !== undefined) {
      connection.run(fileIndexSql.forgetReferences, workspaceId, table, JSON.stringify(known))
    }
    for (const [pk, { operation, payloadJson }] of winners) {
      if (operation === 'delete') continue
      for (const hash of fileHashesOf(payloadJson)) {
        connection.run(fileIndexSql.addReference, workspaceId, hash, table, pk)
      }
    }
  }

  private record(winners: Winners): void {
    const { connection, workspaceId } = this
    let added = 0
    for (const [pk, { operation, payloadJson }] of winners) {
      const isDelete = operation === 'delete'
      const size = isDelete ? null : (fileFieldsOf(payloadJson).sizeBytes ?? null)
      const before = connection.first<{ size_bytes: number | null }>(
        fileIndexSql.recordedSize,
        workspaceId,
        pk,
      )
      connection.run(fileIndexSql.record, workspaceId, pk, normalizeHash(pk), isDelete ? 1 : 0, size)
      added += (size ?? 0) - (before?.size_bytes ?? 0)
    }
    if (added !== 0) connection.run(fileIndexSql.addUsage, workspaceId, added)
  }
}
