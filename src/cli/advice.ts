/**
 * What to do about a refusal of the services: the names that the command was given are the operator's to mend.
 */
import { Effect } from 'effect'
import { type Failure, failed, usage } from './failure.js'

interface Refusal {
  readonly _tag: string
  readonly message: string
}

const advice: Readonly<Record<string, (error: Refusal) => Failure>> = {
  WorkspaceNotFound: () =>
    usage('there is no such workspace, or it was removed: `or3-sqlite workspaces --all` lists them'),
  UserNotFound: () => usage('there is no such user: `or3-sqlite users` lists them'),
  MemberNotFound: () =>
    usage('this user is no member of the workspace: `or3-sqlite members WORKSPACE` lists them'),
  InviteNotFound: () => usage('the workspace has no such invite: `or3-sqlite invites WORKSPACE` lists them'),
  UnknownEmail: () =>
    usage(
      'nobody has signed in with this address: invite them in the application, or name them by the id that their provider gives them, with --provider',
    ),
  AmbiguousUser: () =>
    usage('more than one user is known by that: name one by the id that `or3-sqlite users` tells'),
  WorkspaceIsLive: () => failed('the workspace is in use: remove it in the application first'),
  OnlyOwner: ({ message }) =>
    failed(
      `${message} Make somebody else an owner by \`or3-sqlite members role WORKSPACE USER owner\`, or remove them in the application`,
    ),
  LastAdmin: ({ message }) =>
    failed(`${message} Make another one by \`or3-sqlite admins grant USER\`, or revoke it first`),
  LastOwner: ({ message }) => failed(message),
  InvalidInput: (error) => usage(error.message),
  InvalidWorkspaceInput: (error) => usage(error.message),
}

/** The same, failing with one line that says what to do. */
export const advised = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
  Effect.mapError(effect, (error) => {
    const { _tag: tag } = (error ?? {}) as Partial<Refusal>
    return tag !== undefined && Object.hasOwn(advice, tag) ? advice[tag]!(error as unknown as Refusal) : error
  })
