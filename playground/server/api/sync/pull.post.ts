// What changed since a device's last look.
import { pullBody } from '../../sync/bodies'
import { syncEndpoint } from '../../sync/endpoint'

export default syncEndpoint('workspace.read', pullBody, (gateway, event, input) => gateway.pull(event, input))
