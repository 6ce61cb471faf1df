// Forgets old deletes that every device has seen.
import { retentionBody } from '../../sync/bodies'
import { syncEndpoint } from '../../sync/endpoint'

export default syncEndpoint('workspace.write', retentionBody, (gateway, event, input) =>
  gateway.gcTombstones(event, input),
)
