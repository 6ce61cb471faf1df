/**
 * 007_device_owners: whose a device is.
 *
 * A device that was known before is nobody's, and becomes its next reporter's; unless this adopts a database of the earlier
 * package that knew its owner (see `legacy/owners.ts`).
 */
import { Effect } from 'effect'
import { run } from './legacy/common.js'
import { adoptOwners } from './legacy/owners.js'

export default Effect.gen(function* () {
  // Null: no user has reported it. No reference: a cursor may outlive its user, and goes by itself when it is stale.
  yield* run('ALTER TABLE device_cursors ADD COLUMN owner_user_id TEXT')
  yield* adoptOwners
})
