/**
 * Records that are left out of snapshots, on an engine over a network: every row is fetched once, a page at a time, since only code
 * knows what clients require.
 */
import { Effect } from 'effect'
import type { StorageError } from '../../../services/StorageError.js'
import { syncedTables } from '../../../services/SyncDomain.js'
import type { Batches } from '../../sql/Batches.js'
import { perTable } from '../../sql/perTable.js'
import { exampleOf, fits, type LeftOut, type LeftOutRow, shownLeftOut } from '../leftOut.js'
import { ask, readAll } from '../../sql/look.js'
import { beginning, isLast, paged } from './pages.js'

const rows = perTable((table) =>
  paged(`
    SELECT rowid AS at, workspace_id AS workspaceId, '${table}' AS "table", pk, iif(deleted, NULL, data_json) AS json
    FROM s_${table} WHERE rowid > ?`),
)

export const findLeftOutOver = (read: Batches['Type']['read']): Effect.Effect<LeftOut, StorageError> =>
  Effect.gen(function* () {
    const examples: Array<string> = []
    let count = 0
    for (const table of syncedTables) {
      for (let after = beginning, last = false; !last;) {
        const [page] = yield* readAll(read, 'check', [ask(rows[table], after)])
        for (const { workspaceId, pk, json } of page!) {
          if (fits(table, pk, json) === 1) continue
          const row: LeftOutRow = { workspaceId, table, pk, json }
          if (++count <= shownLeftOut) examples.push(exampleOf(row))
        }
        last = isLast(page!)
        after = page!.at(-1)?.at
      }
    }
    return { count, examples }
  })
