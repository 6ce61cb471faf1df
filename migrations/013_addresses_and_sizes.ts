/**
 * 013_addresses_and_sizes: by what users are found by e-mail, however it is written, invites by who made them
 * and when they ended; how large deliveries are;
 * and half a character that waits for the other half.
 *
 * Addresses are folded as `services/emails.ts` does it, and by statements alone, so that this serves a database behind a network too.
 */
import { SqlClient } from '@effect/sql'
import { Effect } from 'effect'

/** What JavaScript takes for a blank. */
const blanks = [
  ...[0x9, 0xa, 0xb, 0xc, 0xd, 0x20, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff],
  ...Array.from({ length: 11 }, (_, n) => 0x2000 + n),
]

/** Letters beyond ASCII that have another lower case, and that. A small sigma at an end is one of them. */
const letters: ReadonlyArray<readonly [string, string]> = [
  ['ς', 'σ'],
  ...Array.from({ length: 0x1ff80 }, (_, n) => String.fromCodePoint(n + 0x80)).flatMap((letter) =>
    letter.isWellFormed() && letter.toLowerCase() !== letter ? [[letter, letter.toLowerCase()] as const] : [],
  ),
]

/** Letters in one expression: libSQL's parser takes no deep ones. */
const depth = 24

/** Folds a column in place. */
const fold = (table: string, column: string) => [
  `UPDATE ${table} SET ${column} = lower(trim(${column}, char(${blanks.join(', ')}))) WHERE ${column} IS NOT NULL`,
  ...Array.from({ length: Math.ceil(letters.length / depth) }, (_, n) => {
    const folded = letters
      .slice(n * depth, (n + 1) * depth)
      .reduce((text, [letter, small]) => `replace(${text}, '${letter}', '${small}')`, column)
    // Others have nothing to fold but ASCII.
    return `UPDATE ${table} SET ${column} = ${folded} WHERE length(${column}) < length(CAST(${column} AS BLOB))`
  }),
]

const statements = [
  `ALTER TABLE users ADD COLUMN folded_email TEXT`,
  `UPDATE users SET folded_email = email`,
  ...fold('users', 'folded_email'),
  `DROP INDEX users_by_email`,
  `CREATE INDEX users_by_folded_email ON users (folded_email)`,
  ...fold('workspace_invites', 'email'),
  // Those that go when whoever made them does.
  `CREATE INDEX workspace_invites_open ON workspace_invites (workspace_id, invited_by_user_id) WHERE status = 'pending'`,
  // The rows' own numbers tell the order of those of one second; an index ends with them.
  `DROP INDEX workspace_invites_by_age`,
  `CREATE INDEX workspace_invites_by_age ON workspace_invites (workspace_id, created_at)`,
  // When each ended, or will.
  `CREATE INDEX workspace_invites_by_end ON workspace_invites (iif(status = 'pending', expires_at, updated_at))`,

  // size_bytes: of payload and response, as UTF-8. It stands in every index that leads to many, since in the row it comes after them.
  `ALTER TABLE hook_deliveries ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0`,
  `UPDATE hook_deliveries SET size_bytes = coalesce(length(CAST(request_json AS BLOB)), 0) + coalesce(length(CAST(response_json AS BLOB)), 0)`,
  `DROP INDEX hook_deliveries_pending`,
  `DROP INDEX hook_deliveries_in_flight`,
  `DROP INDEX hook_deliveries_by_webhook`,
  `DROP INDEX hook_deliveries_ended`,
  `CREATE INDEX hook_deliveries_pending ON hook_deliveries (due_at, id, webhook_id, size_bytes) WHERE status = 'pending'`,
  `CREATE INDEX hook_deliveries_in_flight ON hook_deliveries (claimed_at, id, size_bytes) WHERE status = 'in_flight'`,
  `CREATE INDEX hook_deliveries_by_webhook ON hook_deliveries (webhook_id, ended, created_at, id, size_bytes)`,
  `CREATE INDEX hook_deliveries_ended ON hook_deliveries (created_at, id, size_bytes) WHERE ended = 1`,

  // The first half of a character, as a number, that stood at the end of a job's last chunk.
  `ALTER TABLE jobs ADD COLUMN high_surrogate INTEGER`,
]

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})
