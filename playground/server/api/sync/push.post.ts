// A device's changes, on their way to the server.
import { pushBody } from '../../sync/bodies'
import { syncEndpoint } from '../../sync/endpoint'

export default syncEndpoint('workspace.write', pushBody, (gateway, event, input) =>
  gateway.push(event, input),
)
