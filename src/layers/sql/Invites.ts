/**
 * Invites on any engine.
 */
import { Effect, Layer } from 'effect'
import { IdGenerator } from '../../services/IdGenerator.js'
import {
  checkAcceptance,
  checkClaim,
  checkConsumption,
  checkInviteQuery,
  checkNewInvite,
  checkRevocation,
  expiresTooEarly,
} from '../../services/inviteRules.js'
import { Invites } from '../../services/Invites.js'
import { observeService } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import { Batches } from './Batches.js'
import * as invites from './inviteBatches.js'

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  const ids = yield* IdGenerator
  const fresh = Effect.all({ now: epochSeconds, freshId: ids.next })

  return observeService<Invites['Type']>('Invites', {
    create: (request) =>
      Effect.gen(function* () {
        const invite = yield* checkNewInvite(request)
        const drawn = yield* fresh
        if (invite.expiresAt <= drawn.now) return yield* expiresTooEarly()
        return yield* write('create invite', invites.create(invite, drawn))
      }),

    list: (request) =>
      Effect.gen(function* () {
        const query = yield* checkInviteQuery(request)
        return yield* read('list invites', invites.list(query, yield* epochSeconds))
      }),

    revoke: (request) =>
      Effect.gen(function* () {
        const revocation = yield* checkRevocation(request)
        yield* write('revoke invite', invites.revoke(revocation, yield* epochSeconds))
      }),

    validate: (request) =>
      Effect.gen(function* () {
        const claim = yield* checkClaim(request)
        return yield* read('validate invite', invites.validate(claim, yield* epochSeconds))
      }),

    consume: (request) =>
      Effect.gen(function* () {
        const { claim, userId } = yield* checkConsumption(request)
        return yield* write('consume invite', invites.consume(claim, userId, yield* fresh))
      }),

    accept: (request) =>
      Effect.gen(function* () {
        const { claim, identity } = yield* checkAcceptance(request)
        const { provider, providerUserId, ...profile } = identity
        const key = { provider, providerUserId }
        return yield* write('accept invite', invites.accept(claim, key, profile, yield* fresh))
      }),
  })
})

/** Invites in the tables of the workspace store; new users and invites get ids of the `IdGenerator`. */
export const layer: Layer.Layer<Invites, never, Batches | IdGenerator> = Layer.effect(Invites, make)
