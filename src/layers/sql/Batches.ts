/**
 * What every engine gives the services: batches, run as a whole.
 *
 * Internal: other programs get the services.
 */
import { Context, type Effect } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import type { Batch } from './batch.js'

/**
 * The engine. Other programs only hand it from the layer that makes it to those that use it.
 *
 * @internal
 */
export class Batches extends Context.Tag('or3-provider-sqlite/Batches')<
  Batches,
  {
    /** Reads of one and the same state, whatever others commit meanwhile. */
    readonly read: <A, E>(operation: string, batch: Batch<A, E>) => Effect.Effect<A, E | StorageError>
    /** All statements or none, one writer after the other. A batch that reads a `Left` has changed nothing. */
    readonly write: <A, E>(operation: string, batch: Batch<A, E>) => Effect.Effect<A, E | StorageError>
    /** Whether what a call has begun ends with it, as in a Worker: then nothing can go on in the background, nor wait for another call. */
    readonly endsWithCalls?: boolean
  }
>() {}
