/**
 * Memberships on any engine.
 */
import { Effect, Layer } from 'effect'
import { Memberships } from '../../services/Memberships.js'
import { checkId, checkMember, checkMembership } from '../../services/workspaceRules.js'
import { observeMemberships } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import { Batches } from './Batches.js'
import * as memberships from './membershipBatches.js'

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches

  return observeMemberships({
    addMember: (request) =>
      Effect.gen(function* () {
        const { role, ...membership } = yield* checkMember(request)
        yield* write('add member', memberships.addMember(membership, role, yield* epochSeconds))
      }),

    setRole: (request) =>
      Effect.gen(function* () {
        const { role, ...membership } = yield* checkMember(request)
        yield* write('set role', memberships.setRole(membership, role, yield* epochSeconds))
      }),

    removeMember: (request) =>
      Effect.gen(function* () {
        const membership = yield* checkMembership(request)
        yield* write('remove member', memberships.removeMember(membership, yield* epochSeconds))
      }),

    listMembers: (id) =>
      Effect.flatMap(checkId('workspace id', id), (workspaceId) =>
        read('list members', memberships.listMembers(workspaceId)),
      ),
  })
})

/** Memberships in the tables of the workspace store. */
export const layer: Layer.Layer<Memberships, never, Batches> = Layer.effect(Memberships, make)
