/**
 * Which statements an engine does not understand, on a database that has their tables.
 */
import type { Client } from '@libsql/client'

/** Of Turso's engine, and of SQLite. What is understood and then refused by the data has another one. */
const misunderstood = new Set(['PREPARE_ERROR', 'SQLITE_ERROR'])

export interface RefusedStatement {
  readonly sql: string
  readonly message: string
}

const parametersIn = (sql: string) => sql.match(/\?/g)?.length ?? 0

/**
 * Runs each with nulls for its parameters, so it may change the database. `EXPLAIN` would not, but Turso's engine 0.6.0 dies of
 * it where a compound is below a window.
 */
export const refusedStatements = async (
  client: Client,
  texts: Iterable<string>,
): Promise<ReadonlyArray<RefusedStatement>> => {
  const refused: Array<RefusedStatement> = []
  for (const sql of texts) {
    const args = Array.from({ length: parametersIn(sql) }, () => null)
    await client.execute({ sql, args }).catch(({ code, message }: { code?: string; message: string }) => {
      if (code === undefined) throw new Error(`no answer to ${sql}: ${message}`)
      if (misunderstood.has(code)) refused.push({ sql, message })
    })
  }
  return refused
}
