/**
 * The Promise adapters as a host has them: every call of the gateway, and what status each gets.
 */
import { join } from 'node:path'
import { isError } from 'h3'
import { afterAll, afterEach, beforeEach, expect, vi } from 'vitest'
import { HostError, openProvider, type Provider } from '../../src/nuxt/adapters.js'
import type { HostEvent } from '../../src/nuxt/host.js'
import { put, scope } from './ops.js'
import { temporaryFolder } from './temporaryFolder.js'

let intents = 0

/** Every method of the gateway, as a call for workspace w1. */
const gatewayCalls = (
  { syncGateway: gateway }: Provider,
  event: HostEvent | undefined,
): ReadonlyArray<readonly [string, () => Promise<unknown>]> => {
  const intent = (intentId: string) => ({
    ...{ intentId, workspaceId: 'w1', hash: intentId, mimeType: 'image/png', sizeBytes: 1 },
    expiresAt: 1e10,
  })
  /** An intent that somebody trusted has made before. */
  const reserved = async (call: (made: ReturnType<typeof intent>) => Promise<unknown>) => {
    const made = intent(`i${++intents}`)
    await gateway.reserveUploadIntent({}, made)
    return call(made)
  }
  return [
    ['push', () => gateway.push(event, { ...scope(), ops: [put()] })],
    ['pull', () => gateway.pull(event, { ...scope(), cursor: 0 })],
    ['updateCursor', () => gateway.updateCursor(event, { ...scope(), deviceId: 'd', version: 0 })],
    ['gcTombstones', () => gateway.gcTombstones(event, { ...scope(), retentionSeconds: 3_600 })],
    ['gcChangeLog', () => gateway.gcChangeLog(event, { ...scope(), retentionSeconds: 3_600 })],
    [
      'queryCanonicalStorage',
      () => gateway.queryCanonicalStorage(event, { ...scope(), kind: 'live_metadata' }),
    ],
    ['reserveUploadIntent', () => gateway.reserveUploadIntent(event, intent('i'))],
    [
      'consumeUploadIntent',
      () => reserved((made) => gateway.consumeUploadIntent(event, { ...made, storageId: 's' })),
    ],
    ['cancelUploadIntent', () => reserved((made) => gateway.cancelUploadIntent(event, made))],
  ]
}

/** 200, or that of an error which a host can pass on as it is. */
export const statusOf = async (call: () => Promise<unknown>): Promise<number> => {
  try {
    await call()
    return 200
  } catch (error) {
    expect(error).toBeInstanceOf(HostError)
    expect(isError(error)).toBe(true)
    const { statusCode, statusMessage, message } = error as HostError
    expect(statusMessage).toBe(message)
    expect(message).toMatch(/^[\x20-\x7e]+$/)
    return statusCode
  }
}

/** That status for every method. */
export const everywhere = (status: number) => ({
  push: status,
  pull: status,
  updateCursor: status,
  gcTombstones: status,
  gcChangeLog: status,
  queryCanonicalStorage: status,
  reserveUploadIntent: status,
  consumeUploadIntent: status,
  cancelUploadIntent: status,
})

/** Declares that each test has a provider on a file of its own, closed behind it. */
export const makeAdapters = () => {
  const { folder, remove } = temporaryFolder()
  let files = 0
  let file: string
  let provider: Provider
  beforeEach(() => {
    file = join(folder, `adapters-${++files}.db`)
    vi.spyOn(console, 'log').mockImplementation(() => {})
    provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await provider.close()
  })
  afterAll(remove)
  return {
    folder,
    file: () => file,
    provider: () => provider,
    /** What becomes of each method when it is called with the event. */
    statusesFor: async (event: HostEvent | undefined): Promise<Record<string, number>> =>
      Object.fromEntries(
        await Promise.all(
          gatewayCalls(provider, event).map(async ([name, call]) => [name, await statusOf(call)] as const),
        ),
      ),
  }
}
