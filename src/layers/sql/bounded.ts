/**
 * Pages that are cut where they are read: what a page cannot hold need not travel, nor be kept in memory.
 */
import { limits } from '../../services/SyncDomain.js'

const length = (column: string) => `coalesce(length(${column}), 0)`

/**
 * The rows of a page as far as their payloads go into one, and the one behind them that shows that there is more; a page has one
 * row at least, so the second is always among them. `order` is the column by which they are in order already. SQLite counts
 * characters where JavaScript counts code units, so it may take a few more.
 */
export const bounded = (
  rows: string,
  order: string,
  payload: string,
  bytes: number = limits.pageBytes,
): string => `
  SELECT * FROM (
    SELECT *, sum(${length(payload)}) OVER (ORDER BY ${order}) AS total, row_number() OVER (ORDER BY ${order}) AS nth
    FROM (${rows}))
  WHERE total - ${length(payload)} <= ${bytes} OR nth = 2`
