/**
 * Who follows which workspace, and how they are told that it may have new changes.
 */
import { Effect, Exit, Mailbox, type Scope } from 'effect'
import type { Follow } from '../services/changes.js'

type Followers = ReadonlyMap<string, ReadonlySet<Mailbox.Mailbox<void>>>

export interface News {
  /** By workspace; none of a workspace that nobody follows. */
  readonly followers: Followers
  readonly follow: Follow
  /** Of a commit of this process. Costs next to nothing while nobody follows. */
  readonly announce: (workspaceId: string) => void
  /** Of a commit of somebody else. */
  readonly announceAll: () => void
}

/** Ends every follower's mailbox with its own scope. */
export const makeNews: Effect.Effect<News, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new Map<string, Set<Mailbox.Mailbox<void>>>()),
    (followers) =>
      Effect.sync(() => {
        for (const mailboxes of followers.values()) {
          for (const mailbox of mailboxes) mailbox.unsafeDone(Exit.void)
        }
      }),
  ),
  (followers) => {
    const tell = (mailboxes: Iterable<Mailbox.Mailbox<void>>) => {
      for (const mailbox of mailboxes) mailbox.unsafeOffer(undefined)
    }
    return {
      followers,
      // One message waits at most: it is worth all that come after it.
      follow: (workspaceId) =>
        Effect.acquireRelease(
          Effect.map(Mailbox.make<void>({ capacity: 1, strategy: 'dropping' }), (mailbox) => {
            const others = followers.get(workspaceId)
            if (others === undefined) followers.set(workspaceId, new Set([mailbox]))
            else others.add(mailbox)
            return mailbox
          }),
          (mailbox) =>
            Effect.sync(() => {
              const others = followers.get(workspaceId)
              others?.delete(mailbox)
              if (others?.size === 0) followers.delete(workspaceId)
            }),
        ),
      announce: (workspaceId) => {
        const mailboxes = followers.get(workspaceId)
        if (mailboxes !== undefined) tell(mailboxes)
      },
      announceAll: () => {
        for (const mailboxes of followers.values()) tell(mailboxes)
      },
    }
  },
)
