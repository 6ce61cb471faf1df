// Trims the old part of the change log that every device has seen.
import { retentionBody } from '../../sync/bodies'
import { syncEndpoint } from '../../sync/endpoint'

export default syncEndpoint('workspace.write', retentionBody, (gateway, event, input) =>
  gateway.gcChangeLog(event, input),
)
