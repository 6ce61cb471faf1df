/**
 * What there is once for each synced table: a table's name enters SQL only from the list of `SyncDomain`.
 */
import { type SyncedTable, syncedTables } from '../../services/SyncDomain.js'

export const perTable = <A>(make: (table: SyncedTable) => A): Record<SyncedTable, A> =>
  Object.fromEntries(syncedTables.map((table) => [table, make(table)])) as Record<SyncedTable, A>
