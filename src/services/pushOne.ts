/**
 * The single-op form of push, the same for every gateway: a batch of one, with the op's error in the error channel.
 */
import { Effect } from 'effect'
import type { PendingOp } from './SyncDomain.js'
import { IdempotencyReplay } from './SyncErrors.js'
import type { GatewayError, OpAccepted, OpError, PushRequest, PushResult } from './SyncGateway.js'

export const pushOneWith =
  (push: (request: PushRequest) => Effect.Effect<PushResult, GatewayError>) =>
  ({
    op,
    ...call
  }: Omit<PushRequest, 'ops'> & { readonly op: PendingOp }): Effect.Effect<
    OpAccepted,
    OpError | GatewayError
  > =>
    Effect.flatMap(push({ ...call, ops: [op] }), ({ outcomes }): Effect.Effect<OpAccepted, OpError> => {
      const outcome = outcomes[0]!
      switch (outcome._tag) {
        case 'OpAccepted':
          return Effect.succeed(outcome)
        case 'OpReplayed':
          return Effect.fail(
            new IdempotencyReplay({ opId: outcome.opId, serverVersion: outcome.serverVersion }),
          )
        default:
          return Effect.fail(outcome)
      }
    })
