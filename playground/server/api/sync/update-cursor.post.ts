// How far a device has read.
import { cursorBody } from '../../sync/bodies'
import { syncEndpoint } from '../../sync/endpoint'

export default syncEndpoint('workspace.read', cursorBody, (gateway, event, input) =>
  gateway.updateCursor(event, input),
)
