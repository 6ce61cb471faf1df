/**
 * Looks at a database: reads of which each may depend on what the one before has found, and what they come to.
 *
 * Plain generators, so that one text serves a file in the process, and an engine over a network, where each read is a trip.
 */
import { Effect, Either } from 'effect'
import type { StorageError } from '../../services/StorageError.js'
import type { Param, Results, Statement } from './batch.js'
import type { Batches } from './Batches.js'

/** Gives the statements of one read, is given their rows, and so on. */
export type Look<A> = Generator<ReadonlyArray<Statement>, A, Results>

export const ask = (sql: string, ...params: ReadonlyArray<Param>): Statement => ({ sql, params })

type Read = Batches['Type']['read']

/** The rows of some statements, read in one state. */
export const readAll = (
  read: Read,
  operation: string,
  statements: ReadonlyArray<Statement>,
): Effect.Effect<Results, StorageError> =>
  read(operation, { statements, read: (results: Results) => Either.right(results) })

/** Each read is of one state, but not all of them together. */
export const lookOver = <A>(read: Read, operation: string, look: Look<A>): Effect.Effect<A, StorageError> =>
  Effect.gen(function* () {
    let step = look.next()
    while (!step.done) step = look.next(yield* readAll(read, operation, step.value))
    return step.value
  })
