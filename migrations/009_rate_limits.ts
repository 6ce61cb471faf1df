/**
 * 009_rate_limits: how often something has happened in its window.
 *
 * Times are epoch milliseconds. `taken` are the permits that processes have taken of the window, `granted` those of the last of them.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

export default Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql.unsafe(`CREATE TABLE rate_limit_windows (
    key TEXT PRIMARY KEY NOT NULL,
    ends_at INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    granted INTEGER NOT NULL
  )`),
)
