/**
 * Administrators in memory: the rules written for clarity. Every call is one synchronous step, so it is atomic as it stands.
 */
import { Effect, Either, Layer } from 'effect'
import { DeploymentAdmins } from '../../services/DeploymentAdmins.js'
import { idIn } from '../../services/inputRules.js'
import { checkGrant, checkUserKey } from '../../services/settingRules.js'
import { observeService } from '../../services/telemetry.js'
import { profileOf } from '../../services/workspaceRules.js'
import { epochSeconds } from '../time.js'
import { requireUser, StoreState } from './StoreState.js'

const make = Effect.gen(function* () {
  const state = yield* StoreState
  const { admins, users } = state
  return observeService<DeploymentAdmins['Type']>('DeploymentAdmins', {
    list: Effect.sync(() =>
      [...admins]
        .sort(([a, one], [b, other]) => one.createdAt - other.createdAt || (a < b ? -1 : 1))
        .map(([userId, { createdAt, createdBy }]) => {
          const { email, displayName } = users.get(userId)!
          return {
            ...profileOf(userId, email, displayName),
            createdAt,
            ...(createdBy === null ? {} : { createdByUserId: createdBy }),
          }
        }),
    ),

    grant: (request) =>
      Effect.flatMap(epochSeconds, (createdAt) =>
        Either.gen(function* () {
          const { userId, createdBy } = yield* checkGrant(request)
          yield* requireUser(state, userId)
          if (!admins.has(userId)) admins.set(userId, { createdAt, createdBy })
        }),
      ),

    revoke: (request) =>
      Effect.suspend(() =>
        Either.gen(function* () {
          const { id } = yield* requireUser(state, yield* checkUserKey(request))
          admins.delete(id)
        }),
      ),

    isAdmin: (userId) => Effect.suspend(() => Either.map(idIn('userId', userId), (id) => admins.has(id))),
  })
})

/** On the state of the in-memory workspace store. */
export const layer: Layer.Layer<DeploymentAdmins, never, StoreState> = Layer.effect(DeploymentAdmins, make)
