/**
 * 004_offsets: what leaps add to a workspace's versions and clocks, so that none has to touch a row; and the log keeps what
 * pulls need.
 *
 * What was stored before keeps its numbers, with offsets of 0. See `src/services/epochs.ts`.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'
import { settleAdopted } from './legacy/settle.js'

const statements = [
  // Added to whatever is stored of the workspace: change_log, s_*, tombstones, trimmed_ops, value and trimmed_version.
  `ALTER TABLE server_version_counter ADD COLUMN version_offset INTEGER NOT NULL DEFAULT 0`,
  `ALTER TABLE server_version_counter ADD COLUMN clock_offset INTEGER NOT NULL DEFAULT 0`,
  // Whoever trims raises the floor first, and the rows stand for what goes. The earlier package, which may still be running on
  // a file that we adopted, knows no floor.
  `CREATE TRIGGER change_log_keeps_what_pulls_need BEFORE DELETE ON change_log
   WHEN OLD.server_version > (SELECT trimmed_version FROM server_version_counter WHERE workspace_id = OLD.workspace_id)
   BEGIN
     SELECT RAISE(ABORT, 'entries of the change log above the floor are still needed');
   END`,
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
  yield* settleAdopted
})
