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
      Effect.flatMap(checkMember(request), ({ role, ...membership }) =>
        write('set role', memberships.setRole(membership, role)),
      ),

    removeMember: (request) =>
      Effect.flatMap(checkMembership(request), (membership) =>
        write('remove member', memberships.removeMember(membership)),
      ),

    listMembers: (id) =>
      Effect.flatMap(checkId('workspace id', id), (workspaceId) =>
        read('list members', memberships.listMembers(workspaceId)),
      ),
  })
})

/** Memberships in the tables of the workspace store. */
export const layer: Layer.Layer<Memberships, never, Batches> = Layer.effect(Memberships, make)
