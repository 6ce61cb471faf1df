/**
 * A gateway from its six verbs; the rest is the same for every implementation.
 */
import { changesWith, type Follow } from './changes.js'
import { pushOneWith } from './pushOne.js'
import { SyncGateway } from './SyncGateway.js'
import { observeChanges, observeGateway, observePushOne, type Verbs } from './telemetry.js'

export const gatewayOf = (verbs: Verbs, follow: Follow): SyncGateway['Type'] => {
  const observed = observeGateway(verbs)
  return SyncGateway.of({
    ...observed,
    pushOne: observePushOne(pushOneWith(observed.push)),
    changes: observeChanges(changesWith(observed.pull, follow)),
  })
}
