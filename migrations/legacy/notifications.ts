/**
 * Settles whose the deleted notifications of an adopted database are.
 *
 * A notification without a user is everybody's. `003_adopt_legacy` asks the row and the puts of the log; where those are gone, only the
 * delete itself may say whose it was. It is believed last, since whoever deletes may write what they like, and not where a put
 * shows that it was everybody's. Then the payloads of the deletes go, from the log and from the rows: by then a record may be
 * somebody else's, or nobody known's, and nobody needs them any more.
 */
import { Effect } from 'effect'
import { payloadOwner, run } from './common.js'

const names = (payload: string) => `json_type(${payload}, '$.user_id') = 'text'`

/** A release of ours may have trimmed the delete: then its row has the payload. */
const nameOwners = `
  UPDATE s_notifications SET user_id = d.user_id
  FROM (
    SELECT workspace_id, pk, user_id, max(server_version) FROM (
      SELECT workspace_id, pk, ${payloadOwner('payload_json')} AS user_id, server_version FROM change_log
      WHERE table_name = 'notifications' AND op = 'delete' AND ${names('payload_json')}
      UNION ALL
      SELECT workspace_id, pk, ${payloadOwner('data_json')}, server_version FROM s_notifications
      WHERE deleted = 1 AND ${names('data_json')}
    ) GROUP BY workspace_id, pk
  ) AS d
  WHERE d.workspace_id = s_notifications.workspace_id AND d.pk = s_notifications.pk
    AND s_notifications.deleted = 1 AND s_notifications.user_id IS NULL
    AND (s_notifications.workspace_id, s_notifications.pk) NOT IN (
      SELECT workspace_id, pk FROM change_log WHERE table_name = 'notifications' AND op = 'put')`

const forgetPayloads = [
  `UPDATE change_log SET payload_json = NULL
   WHERE table_name = 'notifications' AND op = 'delete' AND payload_json IS NOT NULL`,
  `UPDATE s_notifications SET data_json = NULL WHERE deleted = 1 AND data_json IS NOT NULL`,
]

export const settleNotifications = Effect.gen(function* () {
  yield* run(nameOwners)
  for (const statement of forgetPayloads) yield* run(statement)
})
