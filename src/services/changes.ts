/**
 * A workspace's changes as a stream: what pulls would bring one after another, and then each new commit.
 */
import { Chunk, Effect, type Mailbox, Option, type Scope, Stream } from 'effect'
import type { ChangesOptions, GatewayError, PullPage, PullRequest } from './SyncGateway.js'
import type { SyncChange } from './SyncDomain.js'

/**
 * Tells a follower that a workspace may have new changes; it may tell too often, never too seldom. From when it is had until
 * its scope ends; done when there will be none any more.
 */
export type Follow = (workspaceId: string) => Effect.Effect<Mailbox.ReadonlyMailbox<void>, never, Scope.Scope>

type Page = readonly [Chunk.Chunk<SyncChange>, Option.Option<Position>]

interface Position {
  readonly cursor: number
  /** All there was has been read: wait for news first. */
  readonly caughtUp: boolean
}

export const changesWith =
  (pull: (request: PullRequest) => Effect.Effect<PullPage, GatewayError>, follow: Follow) =>
  (
    workspaceId: string,
    cursor: number,
    options: ChangesOptions = {},
  ): Stream.Stream<SyncChange, GatewayError> =>
    Stream.unwrapScoped(
      // Follows before it reads: a commit in between must not be missed.
      Effect.map(follow(workspaceId), (news) => {
        const end: Page = [Chunk.empty(), Option.none()]
        const read = (from: number): Effect.Effect<Page, GatewayError> =>
          Effect.matchEffect(pull({ ...options, scope: { workspaceId }, cursor: from }), {
            onFailure: (error) =>
              error._tag === 'StorageError' && error.reason === 'closed'
                ? Effect.succeed(end)
                : Effect.fail(error),
            onSuccess: ({ changes, nextCursor, hasMore }): Effect.Effect<Page> =>
              Effect.succeed([
                Chunk.unsafeFromArray(changes),
                Option.some({ cursor: nextCursor, caughtUp: !hasMore }),
              ]),
          })
        return Stream.paginateChunkEffect(
          { cursor, caughtUp: false } as Position,
          (position): Effect.Effect<Page, GatewayError> =>
            position.caughtUp
              ? Effect.matchEffect(news.take, {
                  onFailure: () => Effect.succeed(end),
                  onSuccess: () => read(position.cursor),
                })
              : read(position.cursor),
        )
      }),
    )
