/**
 * Background jobs on any engine.
 */
import { Clock, Effect, type Either, Layer } from 'effect'
import { BackgroundJobs } from '../../services/BackgroundJobs.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import type { InvalidInput } from '../../services/InvalidInput.js'
import {
  checkCleanUp,
  checkComplete,
  checkCreate,
  checkExecution,
  checkFail,
  checkJobKey,
  checkLease,
  checkNextLease,
  checkUpdate,
  checkUserJob,
} from '../../services/jobRules.js'
import { observeService } from '../../services/telemetry.js'
import { letOthersWrite } from '../time.js'
import * as jobs from './backgroundJobBatches.js'
import { Batches } from './Batches.js'

/** A call on a request that passes its check, with the time. */
const timed =
  <A, B, E>(
    check: (request: unknown) => Either.Either<A, InvalidInput>,
    call: (checked: A, now: number) => Effect.Effect<B, E>,
  ) =>
  (request: unknown): Effect.Effect<B, E | InvalidInput> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.flatMap(check(request), (checked) => call(checked, now)),
    )

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  const ids = yield* IdGenerator

  return observeService('BackgroundJobs', {
    create: timed(checkCreate, (job, now) =>
      Effect.flatMap(ids.next, (id) => write('create job', jobs.create(job, id, now))),
    ),
    get: (request) => Effect.flatMap(checkUserJob(request), (key) => read('get job', jobs.get(key))),
    update: timed(checkUpdate, (change, now) => write('update job', jobs.update(change, now))),
    complete: timed(checkComplete, (end, now) => write('complete job', jobs.complete(end, now))),
    fail: timed(checkFail, (end, now) => write('fail job', jobs.fail(end, now))),
    abort: timed(checkUserJob, (key, now) => write('abort job', jobs.abort(key, now))),
    isAborted: (request) =>
      Effect.flatMap(checkJobKey(request), (key) => read('look at job', jobs.isAborted(key))),
    claim: (request) => Effect.flatMap(checkLease(request), (lease) => write('claim job', jobs.claim(lease))),
    claimNext: (request) =>
      Effect.flatMap(checkNextLease(request), (lease) => write('claim job', jobs.claimNext(lease))),
    renewLease: (request) =>
      Effect.flatMap(checkLease(request), (lease) => write('renew lease', jobs.renewLease(lease))),
    updateExecution: timed(checkExecution, (change, now) =>
      write('update execution', jobs.updateExecution(change, now)),
    ),
    cleanUp: timed(checkCleanUp, (limits, now) =>
      Effect.gen(function* () {
        const step = jobs.cleanUp(limits, now)
        for (let total = 0; ;) {
          const { count, isLast } = yield* write('clean up jobs', step)
          total += count
          if (isLast) return total
          yield* letOthersWrite
        }
      }),
    ),
    activeCount: read('count jobs', jobs.activeCount),
  } satisfies BackgroundJobs['Type'])
})

/** Background jobs in tables of their own. */
export const layer: Layer.Layer<BackgroundJobs, never, Batches | IdGenerator> = Layer.effect(
  BackgroundJobs,
  make,
)
