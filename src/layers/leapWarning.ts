/**
 * What an operator is told when a workspace leaps over a device that is ahead of it.
 */
import { Effect, type Scope } from 'effect'
import { limitedWarning } from './logLimit.js'

/** Tells of a workspace, at most a line a minute. */
export type LeapWarning = (workspaceId: string) => Effect.Effect<void>

export const makeLeapWarning: Effect.Effect<LeapWarning, never, Scope.Scope> = Effect.map(
  limitedWarning((count) => `in the last minute ${count} more workspaces leapt over a device that was ahead`),
  (warn) => (workspaceId) =>
    warn(`a device is ahead of workspace ${workspaceId}, which leaps over it; was a backup restored?`),
)
