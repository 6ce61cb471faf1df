/**
 * Upload intents in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import { checkCancel, checkConsume, checkReserve, expiresTooEarly } from '../../services/fileRequests.js'
import {
  fitting,
  isActive,
  rememberSeconds,
  reservable,
  type Room,
  settleable,
  type StoredIntent,
} from '../../services/intentRules.js'
import { ScopeForbidden } from '../../services/SyncErrors.js'
import { observeIntents } from '../../services/telemetry.js'
import { UploadIntents } from '../../services/UploadIntents.js'
import { epochSeconds } from '../time.js'
import { storedFiles } from './FileReferences.js'
import { GatewayState, type WorkspaceState } from './GatewayState.js'

const roomFor = (state: WorkspaceState, hash: string, now: number): Room => {
  const { hashes, usedBytes } = storedFiles(state)
  const held = new Map<string, number>()
  for (const intent of state.intents.values()) {
    if (!isActive(intent, now)) continue
    held.set(intent.hash, Math.max(intent.sizeBytes, held.get(intent.hash) ?? 0))
  }
  const reserved = [...held].filter(([reservedHash]) => !hashes.has(reservedHash))
  return {
    usedBytes,
    reservedBytes: reserved.reduce((sum, [, bytes]) => sum + bytes, 0),
    isStored: hashes.has(hash),
    heldBytes: held.get(hash) ?? 0,
  }
}

const forgetOld = ({ intents }: WorkspaceState, now: number) => {
  for (const [id, { expiresAt }] of intents) if (expiresAt < now - rememberSeconds) intents.delete(id)
}

const make = Effect.gen(function* () {
  const { of: stateOf } = yield* GatewayState
  const settle = (state: WorkspaceState, intentId: string, intent: StoredIntent) => {
    state.intents.set(intentId, { ...intent, settled: true })
  }
  return observeIntents({
    reserve: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, intentId, file, expiresAt, quotaBytes } = yield* checkReserve(request)
          if (expiresAt <= now) return yield* expiresTooEarly()
          const state = stateOf(workspaceId)
          if (state.isPurged) return yield* Either.left(new ScopeForbidden({}))
          const known = state.intents.get(intentId)
          const id = yield* reservable(known, file, now)
          if (id === 'free' && quotaBytes !== undefined) {
            yield* fitting(roomFor(state, file.hash, now), file.sizeBytes, quotaBytes)
          }
          forgetOld(state, now)
          const later = Math.max(expiresAt, known?.expiresAt ?? 0)
          state.intents.set(intentId, { ...file, expiresAt: later, settled: false })
        }),
      ),

    consume: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, intentId, file } = yield* checkConsume(request)
          const state = stateOf(workspaceId)
          settle(state, intentId, yield* settleable(state.intents.get(intentId), now, file))
        }),
      ),

    cancel: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.gen(function* () {
          const { workspaceId, intentId } = yield* checkCancel(request)
          const state = stateOf(workspaceId)
          settle(state, intentId, yield* settleable(state.intents.get(intentId), now))
        }),
      ),
  })
})

/** On the state of the in-memory gateway, whose records say what is stored. */
export const layer: Layer.Layer<UploadIntents, never, GatewayState> = Layer.effect(UploadIntents, make)
