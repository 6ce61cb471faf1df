/**
 * `workspaces`, `members` and `invites`: who shares what, and who is asked to.
 */
import { Args, Command, Options } from '@effect/cli'
import { Effect, Option } from 'effect'
import { Administration } from '../services/Administration.js'
import type { PurgeReport } from '../services/Erasure.js'
import { DeploymentAdmins } from '../services/DeploymentAdmins.js'
import { Invites, InviteStatus } from '../services/Invites.js'
import { Memberships } from '../services/Memberships.js'
import { Role, WorkspaceStore } from '../services/WorkspaceStore.js'
import { advised } from './advice.js'
import { dryRun, takeAway } from './erasure.js'
import { failed, usage, within } from './failure.js'
import { countText, remark, say, sayList } from './output.js'
import { json, named } from './people.js'
import { existing } from './settings.js'

const search = Options.text('search').pipe(
  Options.withDescription('only those whose name has this in it, or whose id it is'),
  Options.optional,
)
const all = Options.boolean('all').pipe(Options.withDescription('removed ones too'))
const page = Options.integer('page').pipe(Options.withDefault(1))
const perPage = Options.integer('per-page').pipe(
  Options.withDescription('1 to 100'),
  Options.withDefault(100),
)

const purgeable = Args.text({ name: 'WORKSPACE' }).pipe(
  Args.withDescription('the id of a removed one, which `workspaces --all` tells'),
)

const amounts = ({ records, entries, members, invites, jobs, webhooks, deliveries }: PurgeReport) =>
  [
    countText(records, 'record'),
    `${entries.toLocaleString('en')} of the log`,
    countText(members, 'member'),
    countText(invites, 'invite'),
    countText(jobs, 'job'),
    countText(webhooks, 'webhook'),
    `${deliveries.toLocaleString('en')} of their deliveries`,
  ].join(', ')

const purge = Command.make('purge', { workspaceId: purgeable, dryRun }, ({ workspaceId, dryRun }) =>
  takeAway({
    dryRun,
    preview: (erasure) => erasure.previewPurge({ workspaceId }),
    take: (erasure) => erasure.purgeWorkspace({ workspaceId }),
    done: `workspace ${workspaceId} is purged`,
    amounts,
  }),
).pipe(
  Command.withDescription(
    'Takes all that a removed workspace holds, for good. One that was interrupted goes on when it is called again. The server may run.',
  ),
)

export const workspaces = Command.make(
  'workspaces',
  { search, all, page, perPage, json },
  ({ search, all, page, perPage, json }) =>
    Effect.gen(function* () {
      yield* within('--page', page, 1)
      yield* within('--per-page', perPage, 1, 100)
      const target = yield* existing
      const query = { search: Option.getOrUndefined(search), includeDeleted: all, page, perPage }
      const { items, total } = yield* advised(
        target.asking(Effect.flatMap(Administration, (service) => service.listWorkspaces(query))),
      )
      yield* sayList(items, {
        ...{ json, none: 'none' },
        row: ({ id, name, memberCount, ownerUserId, ownerEmail, deleted }) => [
          ...[id, named(name), countText(memberCount, 'member')],
          `owner ${ownerEmail === undefined ? (ownerUserId ?? '-') : named(ownerEmail)}${deleted ? ', removed' : ''}`,
        ],
      })
      const shown = (page - 1) * perPage + items.length
      if (shown < total) yield* remark(`${shown} of ${total}: --page ${page + 1} shows more`)
    }),
).pipe(
  Command.withDescription('Lists workspaces, the oldest first, and purges removed ones.'),
  Command.withSubcommands([purge]),
)

const workspaceId = Args.text({ name: 'WORKSPACE' }).pipe(
  Args.withDescription('the id that `workspaces` tells'),
)
const userId = Args.text({ name: 'USER' }).pipe(Args.withDescription('the id that `members` tells'))
const role = Args.choice(
  Role.literals.map((name) => [name, name]),
  { name: 'ROLE' },
)

/** Of a command whose subcommands have one too. */
const listed = Args.optional(workspaceId)
const needed = Option.match({
  onNone: () => usage('name a workspace: `or3-sqlite workspaces` lists them'),
  onSome: (id: string) => Effect.succeed(id),
})

const who = Args.text({ name: 'WHO' }).pipe(
  Args.withDescription(
    'an e-mail of somebody who has signed in, the id of a user, or the one that a provider gives',
  ),
)
const provider = Options.text('provider').pipe(
  Options.withDescription('whose id WHO is; somebody unknown to us is expected to sign in with it'),
  Options.optional,
)

const add = Command.make('add', { workspaceId, who, role, provider }, (given) =>
  Effect.gen(function* () {
    const target = yield* existing
    const { workspaceId, role } = given
    const provider = Option.getOrUndefined(given.provider)
    if (provider !== undefined && given.who.includes('@')) {
      return yield* usage(
        'an e-mail needs no --provider: leave it out, or name the id that the provider gives',
      )
    }
    const request = { workspaceId, emailOrProviderId: given.who, role, provider }
    const { userId, isNew } = yield* advised(
      target.serving(
        Effect.gen(function* () {
          const known =
            provider === undefined
              ? undefined
              : yield* (yield* WorkspaceStore).getUser({ provider, providerUserId: given.who })
          const { userId } = yield* (yield* Administration).upsertMember(request)
          return { userId, isNew: known === null }
        }),
      ),
    )
    yield* say(`${userId} is ${role} of ${workspaceId}${isNew ? '; nobody has signed in as that yet' : ''}`)
  }),
).pipe(Command.withDescription('Makes somebody a member, or gives a member the role.'))

const remove = Command.make('remove', { workspaceId, userId }, (key) =>
  Effect.gen(function* () {
    const target = yield* existing
    yield* advised(target.serving(Effect.flatMap(Memberships, (members) => members.removeMember(key))))
    yield* say(`${key.userId} is no member of ${key.workspaceId}`)
  }),
).pipe(Command.withDescription('Ends a membership; of the only owner it cannot.'))

const setRole = Command.make('role', { workspaceId, userId, role }, (request) =>
  Effect.gen(function* () {
    const target = yield* existing
    yield* advised(target.serving(Effect.flatMap(Memberships, (members) => members.setRole(request))))
    yield* say(`${request.userId} is ${request.role} of ${request.workspaceId}`)
  }),
).pipe(Command.withDescription("Changes a member's role; the only owner stays one."))

export const members = Command.make('members', { workspaceId: listed, json }, ({ workspaceId, json }) =>
  Effect.gen(function* () {
    const target = yield* existing
    const id = yield* needed(workspaceId)
    const found = yield* advised(
      target.asking(Effect.flatMap(Memberships, (members) => members.listMembers(id))),
    )
    yield* sayList(found, {
      ...{ json, none: 'nobody' },
      row: ({ userId, role, email, displayName }) => [userId, role, named(email), named(displayName)],
    })
  }),
).pipe(
  Command.withDescription('Lists the members of a workspace, and changes who they are.'),
  Command.withSubcommands([add, remove, setRole]),
)

const inviteId = Args.text({ name: 'INVITE' }).pipe(Args.withDescription('the id that `invites` tells'))

const revoke = Command.make('revoke', { workspaceId, inviteId }, ({ workspaceId, inviteId }) =>
  Effect.gen(function* () {
    const target = yield* existing
    yield* advised(
      target.serving(
        Effect.gen(function* () {
          // The service asks who revokes: the operator acts for whoever may. An adopted or imported workspace may have no owner.
          const people = yield* (yield* Memberships).listMembers(workspaceId)
          const may =
            people.find(({ role }) => role === 'owner') ?? (yield* (yield* DeploymentAdmins).list)[0]
          if (may === undefined) {
            return yield* failed(
              `nobody owns the workspace or administers the deployment: \`or3-sqlite members add ${workspaceId} WHO owner\` first`,
            )
          }
          const revokedByUserId = may.userId
          yield* (yield* Invites).revoke({ workspaceId, inviteId, revokedByUserId })
        }),
      ),
    )
    yield* say(`the invite ${inviteId} is of no use any more`)
  }),
).pipe(Command.withDescription('Takes an invite back, if it was not used yet.'))

const status = Options.choice('status', InviteStatus.literals).pipe(
  Options.withDescription('only those of this status'),
  Options.optional,
)

/** Of invites: all that the service gives at once. */
const mostListed = 500

export const invites = Command.make(
  'invites',
  { workspaceId: listed, status, json },
  ({ workspaceId, status, json }) =>
    Effect.gen(function* () {
      const target = yield* existing
      const query = {
        workspaceId: yield* needed(workspaceId),
        status: Option.getOrUndefined(status),
        limit: mostListed,
      }
      const found = yield* advised(target.asking(Effect.flatMap(Invites, (service) => service.list(query))))
      // Whoever knows a hash that a host made of a weak token might find that.
      const shown = found.map(({ tokenHash: _, ...invite }) => invite)
      yield* sayList(shown, {
        ...{ json, none: 'none' },
        row: ({ id, email, role, status, expiresAt }) => [
          ...[id, named(email), role, status],
          `until ${new Date(expiresAt * 1_000).toISOString()}`,
        ],
      })
      if (shown.length === mostListed) {
        yield* remark(
          `the newest ${mostListed}; there may be more${Option.isNone(status) ? ': --status shows those of one status' : ''}`,
        )
      }
    }),
).pipe(
  Command.withDescription('Lists the invites into a workspace, the newest first, and takes them back.'),
  Command.withSubcommands([revoke]),
)
