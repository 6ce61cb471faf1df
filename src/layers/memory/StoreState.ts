/**
 * What the in-memory store remembers. A service of its own, so that the workspace store and the memberships share it.
 */
import { Context, Either, Layer } from 'effect'
import { type Role, UserNotFound, WorkspaceNotFound } from '../../services/WorkspaceStore.js'

export interface User {
  readonly id: string
  email: string | null
  displayName: string | null
  active: string | null
}

export interface Membership {
  readonly role: Role
  /** Epoch seconds. */
  readonly since: number
}

export interface Workspace {
  readonly id: string
  name: string
  description: string | null
  /** Epoch seconds. */
  readonly createdAt: number
  removed: boolean
  /** By user id. */
  readonly members: Map<string, Membership>
}

export class StoreState extends Context.Tag('or3-provider-sqlite/memory/StoreState')<
  StoreState,
  {
    /** By provider and provider user id; neither holds a NUL. */
    readonly accounts: Map<string, User>
    readonly users: Map<string, User>
    readonly workspaces: Map<string, Workspace>
  }
>() {}

export const layer: Layer.Layer<StoreState> = Layer.sync(StoreState, () => ({
  accounts: new Map(),
  users: new Map(),
  workspaces: new Map(),
}))

type State = StoreState['Type']

export const requireUser = (state: State, userId: string): Either.Either<User, UserNotFound> =>
  Either.fromNullable(state.users.get(userId), () => new UserNotFound({}))

export const requireWorkspace = (
  state: State,
  workspaceId: string,
): Either.Either<Workspace, WorkspaceNotFound> => {
  const workspace = state.workspaces.get(workspaceId)
  return workspace === undefined || workspace.removed
    ? Either.left(new WorkspaceNotFound({}))
    : Either.right(workspace)
}

export const oldestFirst = (a: Workspace, b: Workspace): number =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)

/** A user's live workspaces, oldest first. */
export const workspacesOf = (state: State, userId: string): ReadonlyArray<Workspace> =>
  [...state.workspaces.values()]
    .filter(({ removed, members }) => !removed && members.has(userId))
    .sort(oldestFirst)

/** After a workspace or a membership is gone: whoever had it active goes to the oldest live membership, else to none. */
export const rehome = (state: State, user: User, workspaceId: string): void => {
  if (user.active === workspaceId) user.active = workspacesOf(state, user.id)[0]?.id ?? null
}
