/**
 * The host's stores of administration over a subject, and all that can be seen of its people.
 */
import type { Subject } from './subjectType.js'

export const accessOf = ({ host }: Subject) => host.adminStores.createWorkspaceAccessStore()
export const settingsOf = ({ host }: Subject) => host.adminStores.createWorkspaceSettingsStore()
export const adminsOf = ({ host }: Subject) => host.adminStores.createAdminUserStore()

/** Users, workspaces, members, invites and administrators: what a refused call must leave as it was. */
export const everything = async (subject: Subject) => {
  const access = accessOf(subject)
  const users = await access.searchUsers({ query: '', limit: 100 })
  const { items } = await access.listWorkspaces({ includeDeleted: true, page: 1, perPage: 100 })
  const live = items.filter(({ deleted }) => !deleted).map(({ id }) => id)
  return {
    users,
    workspaces: items,
    lists: await Promise.all(users.map(({ userId }) => subject.store.listUserWorkspaces(userId))),
    members: await Promise.all(live.map((workspaceId) => access.listMembers({ workspaceId }))),
    invites: await Promise.all(live.map((workspaceId) => subject.store.listInvites({ workspaceId }))),
    admins: await adminsOf(subject).listAdmins(),
  }
}

/** What is no request, and requests that throw when they are looked at. */
export const junkRequests: ReadonlyArray<readonly [string, unknown]> = [
  ['nothing', undefined],
  ['null', null],
  ['a number', 5],
  ['a text', 'text'],
  ['a list', []],
  ['an empty object', {}],
  [
    'an object that throws',
    {
      get workspaceId(): never {
        throw new Error('not to be read')
      },
    },
  ],
  [
    'a proxy that throws',
    new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('not to be listed')
        },
        get: () => {
          throw new Error('not to be read')
        },
      },
    ),
  ],
]

/** What is no id. */
export const wrongIds: ReadonlyArray<unknown> = [
  undefined,
  null,
  '',
  5,
  {},
  ['w'],
  'a\0',
  '\ud800',
  'x'.repeat(257),
]
