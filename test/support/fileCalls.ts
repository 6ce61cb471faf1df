/**
 * The services about files behind the face of a subject: how each layer is asked.
 */
import type { HostEvent, SyncGatewayAdapter } from '../../src/nuxt/host.js'
import type {
  ConsumeRequest,
  FileReferences,
  IntentKey,
  ReserveRequest,
  StoragePage,
  StorageQuery,
  UploadIntents,
} from '../../src/services/index.js'

export interface FileCalls {
  query(request: StorageQuery): Promise<StoragePage>
  reserve(request: ReserveRequest): Promise<void>
  consume(request: ConsumeRequest): Promise<void>
  cancel(request: IntentKey): Promise<void>
}

export const fileCalls = (
  run: (effect: never) => Promise<any>,
  files: FileReferences['Type'],
  intents: UploadIntents['Type'],
): FileCalls => ({
  query: (request) => run(files.query(request) as never),
  reserve: (request) => run(intents.reserve(request) as never),
  consume: (request) => run(intents.consume(request) as never),
  cancel: (request) => run(intents.cancel(request) as never),
})

type Split = (request: any) => readonly [HostEvent, any]

/** As the host calls: an intent names its workspace itself. */
export const fileCallsOfAdapter = (
  gateway: SyncGatewayAdapter,
  split: Split,
  asRefused: <A>(promise: Promise<A>) => Promise<A>,
): FileCalls => {
  const ofIntent = (request: any): readonly [HostEvent, any] => {
    const [event, input] = split(request)
    const { scope, ...rest } = Object(input)
    return [event, { ...rest, ...(scope === undefined ? {} : { workspaceId: Object(scope).workspaceId }) }]
  }
  return {
    query: async (request) => asRefused(gateway.queryCanonicalStorage(...split(request))),
    reserve: async (request) => asRefused(gateway.reserveUploadIntent(...ofIntent(request))),
    consume: async (request) => asRefused(gateway.consumeUploadIntent(...ofIntent(request))),
    cancel: async (request) => asRefused(gateway.cancelUploadIntent(...ofIntent(request))),
  }
}
