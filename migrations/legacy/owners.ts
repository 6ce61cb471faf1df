/**
 * Carries the owners of devices over an adoption: the earlier package knew them from its release 007 on.
 *
 * `003_adopt_legacy` drops the table that says so before ours has the column. So it keeps them in a temporary table, which,
 * as the marker of `setAside.ts`, lasts no longer than the connection, and `007_device_owners` takes them in the same
 * transaction. A database that an earlier release of ours adopted has lost them.
 */
import { Effect } from 'effect'
import { aside, columnsOf, deviceId, isId, rows, run, text } from './common.js'

const kept = 'adopted_owners'

/** An owner who is no user could never report again. Device ids that have become one are nobody's if their owners differ. */
const keep = `
  CREATE TEMP TABLE ${kept} AS
  SELECT ${text('workspace_id')} AS workspace_id, ${deviceId('device_id')} AS device_id, ${text('max(owner_user_id)')} AS owner
  FROM ${aside('device_cursors')} WHERE ${isId('workspace_id')} GROUP BY 1, 2
  HAVING count(*) = count(owner_user_id) AND min(owner_user_id) = max(owner_user_id)
    AND ${text('max(owner_user_id)')} IN (SELECT id FROM users)`

/** Once people and cursors are adopted. */
export const keepOwners = Effect.gen(function* () {
  const columns = yield* columnsOf(aside('device_cursors'))
  if (columns.has('owner_user_id')) yield* run(keep)
})

export const adoptOwners = Effect.gen(function* () {
  const found = yield* rows('SELECT 1 FROM temp.sqlite_schema WHERE name = ?', [kept])
  if (found.length === 0) return
  yield* run(`
    UPDATE device_cursors AS d SET owner_user_id = k.owner FROM temp.${kept} AS k
    WHERE k.workspace_id = d.workspace_id AND k.device_id = d.device_id`)
  yield* run(`DROP TABLE temp.${kept}`)
})
