/**
 * Settings of workspaces in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import { checkSetting, checkSettingKey } from '../../services/settingRules.js'
import { observeService } from '../../services/telemetry.js'
import { type SettingKey, WorkspaceSettings } from '../../services/WorkspaceSettings.js'
import { requireWorkspace, StoreState } from './StoreState.js'

const nameOf = ({ workspaceId, key }: SettingKey) => `${workspaceId}\0${key}`

const make = Effect.gen(function* () {
  const state = yield* StoreState
  return observeService<WorkspaceSettings['Type']>('WorkspaceSettings', {
    get: (request) =>
      Effect.suspend(() =>
        Either.map(checkSettingKey(request), (key) =>
          Either.isRight(requireWorkspace(state, key.workspaceId))
            ? (state.settings.get(nameOf(key)) ?? null)
            : null,
        ),
      ),

    set: (request) =>
      Effect.suspend(() =>
        Either.gen(function* () {
          const { key, value } = yield* checkSetting(request)
          yield* requireWorkspace(state, key.workspaceId)
          state.settings.set(nameOf(key), value)
        }),
      ),
  })
})

/** On the state of the in-memory workspace store. */
export const layer: Layer.Layer<WorkspaceSettings, never, StoreState> = Layer.effect(WorkspaceSettings, make)
