/**
 * Invites, as the host's promises: a refusal is an answer there.
 */
import { Effect } from 'effect'
import type { InviteRefused } from '../services/Invites.js'
import type { Run } from './calls.js'
import type { HostInviteRefused, HostInvites } from './hostInvites.js'
import type { ServiceError } from './httpErrors.js'

const told = <A extends object>(
  granted: Effect.Effect<A, ServiceError | InviteRefused>,
): Effect.Effect<(A & { readonly ok: true }) | HostInviteRefused, ServiceError> =>
  granted.pipe(
    Effect.map((answer) => ({ ok: true as const, ...answer })),
    Effect.catchTag('InviteRefused', ({ reason }) => Effect.succeed({ ok: false as const, reason })),
  )

/** The part of the workspace store that is about invites. */
export const invitesAdapter = (run: Run): HostInvites => ({
  createInvite: async (request) => run(({ invites }) => invites.create(request)),
  listInvites: async (query) => run(({ invites }) => invites.list(query)),
  revokeInvite: async (request) => run(({ invites }) => invites.revoke(request)),
  validateInvite: async (claim) => run(({ invites }) => told(invites.validate(claim))),
  consumeInvite: async (claim) => run(({ invites }) => told(invites.consume(claim))),
  acceptInviteAndProvisionUser: async (claim) => run(({ invites }) => told(invites.accept(claim))),
})
