/**
 * What is known about files, and upload intents, as the host's promises.
 */
import type { Run } from './calls.js'
import type { HostEvent } from './host.js'
import type { HostFiles } from './hostFiles.js'
import { readable } from './readable.js'
import { callerOf } from './session.js'

export const filesAdapter = (run: Run): HostFiles<HostEvent> => {
  const call = <A extends object>(event: HostEvent | undefined, input: A) => {
    const caller = callerOf(event)
    return { ...readable(() => ({ ...input })), caller }
  }
  /** An intent names its workspace itself. */
  const ofIntent = <A extends { readonly workspaceId: string }>(event: HostEvent | undefined, input: A) => {
    const caller = callerOf(event)
    return { ...readable(() => ({ ...input, scope: { workspaceId: input.workspaceId } })), caller }
  }
  return {
    queryCanonicalStorage: async (event, input) => run(({ files }) => files.query(call(event, input))),
    reserveUploadIntent: async (event, input) =>
      run(({ intents }) => intents.reserve(ofIntent(event, input))),
    consumeUploadIntent: async (event, input) =>
      run(({ intents }) => intents.consume(ofIntent(event, input))),
    cancelUploadIntent: async (event, input) => run(({ intents }) => intents.cancel(ofIntent(event, input))),
  }
}
