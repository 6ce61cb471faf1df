/**
 * Pages of a table as an engine over a network gives them: so many rows, and so much text of them.
 *
 * Servers bound an answer, to ten megabytes and the like, and a page is held in memory.
 */
import type { Row } from '../../sql/batch.js'

const pageRows = 256
/** Characters of payload after which a page ends. */
const pageChars = 262_144

/** The beginning of a select that has the columns `at`, by which it is ordered, and `json`. */
export const paged = (select: string): string => `
  SELECT * FROM (
    SELECT *, sum(coalesce(length(json), 0)) OVER (ORDER BY at) AS total, count(*) OVER () AS found
    FROM (${select} ORDER BY at LIMIT ${pageRows}))
  WHERE total - coalesce(length(json), 0) < ${pageChars} ORDER BY at`

/** The place before every row there is. */
export const beginning = -(2 ** 53) + 1

/** Whether there was nothing behind a page when it was read. */
export const isLast = (page: ReadonlyArray<Row>): boolean =>
  page.length === 0 || (page[0]!.found < pageRows && page.length === page[0]!.found)
