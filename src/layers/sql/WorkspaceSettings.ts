/**
 * Settings of workspaces on any engine.
 */
import { Effect, Either, Layer } from 'effect'
import { checkSetting, checkSettingKey } from '../../services/settingRules.js'
import { observeService } from '../../services/telemetry.js'
import { type SettingKey, WorkspaceSettings } from '../../services/WorkspaceSettings.js'
import { WorkspaceNotFound } from '../../services/WorkspaceStore.js'
import { epochSeconds } from '../time.js'
import { administrationSql } from './administrationSql.js'
import { type Batch, firstOf } from './batch.js'
import { Batches } from './Batches.js'
import { workspaceSql } from './workspaceSql.js'

const getting = ({ workspaceId, key }: SettingKey): Batch<string | null> => ({
  statements: [administrationSql.setting({ workspaceId, key })],
  read: (results) => Either.right(firstOf(results, 0)?.value ?? null),
})

/** `now` in epoch seconds. */
const setting = (
  { workspaceId, key }: SettingKey,
  value: string,
  now: number,
): Batch<void, WorkspaceNotFound> => ({
  statements: [
    workspaceSql.liveWorkspace({ workspaceId }),
    administrationSql.set({ workspaceId, key, value, now }),
  ],
  read: (results) =>
    firstOf(results, 0) === undefined ? Either.left(new WorkspaceNotFound({})) : Either.void,
})

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  return observeService<WorkspaceSettings['Type']>('WorkspaceSettings', {
    get: (request) => Effect.flatMap(checkSettingKey(request), (key) => read('get setting', getting(key))),

    set: (request) =>
      Effect.gen(function* () {
        const { key, value } = yield* checkSetting(request)
        yield* write('set setting', setting(key, value, yield* epochSeconds))
      }),
  })
})

/** Settings, beside the tables of the workspace store. */
export const layer: Layer.Layer<WorkspaceSettings, never, Batches> = Layer.effect(WorkspaceSettings, make)
