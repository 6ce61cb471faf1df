// A page of all records, for a device that comes fresh. The February host has no such endpoint: this one is for the page's tablet.
import { createError, type H3Event } from 'h3'
import { snapshotBody, type SnapshotInput } from '../../sync/bodies'
import { syncEndpoint } from '../../sync/endpoint'

interface WithSnapshots {
  readonly snapshot?: (event: H3Event, input: SnapshotInput) => Promise<unknown>
}

export default syncEndpoint('workspace.read', snapshotBody, async (gateway, event, input) => {
  const provider = gateway as WithSnapshots
  if (provider.snapshot === undefined) {
    throw createError({ statusCode: 503, statusMessage: 'The provider makes no snapshots' })
  }
  return provider.snapshot(event, input)
})
