/**
 * The sync gateway on an engine that takes batches. Each verb has a file of its own: push, pull, snapshot; retention is the same on every engine.
 */
import { Effect, Layer, Option, RcRef, Schedule } from 'effect'
import { gatewayOf } from '../../services/gatewayOf.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import type { StorageError } from '../../services/StorageError.js'
import { SyncGateway } from '../../services/SyncGateway.js'
import { makeLeapWarning } from '../leapWarning.js'
import { makeNews } from '../news.js'
import { Batches } from '../sql/Batches.js'
import { damage, DamagedPayload } from '../sql/payload.js'
import { gcChangeLog, gcTombstones, updateCursor } from '../sql/retention.js'
import { pull } from './pull.js'
import { push } from './push.js'
import { snapshot } from './snapshot.js'

/** How often followers ask for what other servers have committed. */
const pollInterval = '1 second'

/** A call that meets a damaged payload fails with an error that says so: whatever else is thrown is a bug and stays a defect. */
const told =
  <Request, A, E>(operation: string, call: (request: Request) => Effect.Effect<A, E>) =>
  (request: Request): Effect.Effect<A, E | StorageError> =>
    Effect.catchSomeDefect(call(request), (defect) =>
      defect instanceof DamagedPayload ? Option.some(Effect.fail(damage(operation)(defect))) : Option.none(),
    )

/** The gateway. While somebody follows changes, each of them asks once a second. */
export const layer: Layer.Layer<SyncGateway, never, Batches | IdGenerator> = Layer.scoped(
  SyncGateway,
  Effect.gen(function* () {
    const batches = yield* Batches
    const ids = yield* IdGenerator
    const news = yield* makeNews
    const warnOfLeap = yield* makeLeapWarning
    const announcing = Effect.forkScoped(
      Effect.repeat(Effect.sync(news.announceAll), Schedule.spaced(pollInterval)),
    )
    // Shared by all followers, and there only while there are any.
    const watch = yield* RcRef.make({ acquire: announcing })
    return gatewayOf(
      {
        push: told('push', push(batches, news)),
        pull: told('pull', pull(batches, news, warnOfLeap)),
        snapshot: told('snapshot', snapshot(batches, ids)),
        updateCursor: updateCursor(batches),
        gcChangeLog: gcChangeLog(batches),
        gcTombstones: gcTombstones(batches),
      },
      (workspaceId) => Effect.zipRight(RcRef.get(watch), news.follow(workspaceId)),
    )
  }),
)
