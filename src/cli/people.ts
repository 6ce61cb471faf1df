/**
 * `users` and `admins`: who signs in, and who administers the deployment.
 */
import { Args, Command, Options } from '@effect/cli'
import { Effect, Option } from 'effect'
import { Administration } from '../services/Administration.js'
import type { EraseReport } from '../services/Erasure.js'
import { DeploymentAdmins } from '../services/DeploymentAdmins.js'
import { advised } from './advice.js'
import { dryRun, takeAway } from './erasure.js'
import { within } from './failure.js'
import { countText, quoted, remark, say, sayList } from './output.js'
import { existing } from './settings.js'

export const json = Options.boolean('json').pipe(Options.withDescription('print one JSON value'))

/** A name that somebody chose, or nothing. */
export const named = (name: string | undefined) => (name === undefined ? '-' : quoted(name))

const mostUsers = 100

const search = Options.text('search').pipe(
  Options.withDescription('only those whose e-mail or name has this in it, or whose id it is'),
  Options.optional,
)

const limit = Options.integer('limit').pipe(
  Options.withDescription(`at most so many, up to ${mostUsers}`),
  Options.withDefault(mostUsers),
)

const userId = Args.text({ name: 'USER' }).pipe(Args.withDescription('the id that `users` tells'))

const amounts = (report: EraseReport) =>
  [
    countText(report.workspaces, 'workspace'),
    countText(report.memberships, 'membership'),
    `${report.identities.toLocaleString('en')} of their identities`,
    countText(report.invites, 'invite'),
    countText(report.jobs, 'job'),
    countText(report.webhooks, 'webhook'),
    `${report.deliveries.toLocaleString('en')} of their deliveries`,
    countText(report.cursors, 'device cursor'),
    countText(report.notifications, 'notification'),
  ].join(', ')

const erase = Command.make('erase', { userId, dryRun }, ({ userId, dryRun }) =>
  takeAway({
    dryRun,
    preview: (erasure) => erasure.previewErasure({ userId }),
    take: (erasure) => erasure.eraseUser({ userId }),
    done: `user ${userId} is erased`,
    amounts,
  }),
).pipe(
  Command.withDescription(
    'Takes all that is known of a user, for good, with the workspaces that nobody else is in. What they wrote in others stays. One that was interrupted goes on when it is called again. The server may run.',
  ),
)

export const users = Command.make('users', { search, limit, json }, ({ search, limit, json }) =>
  Effect.gen(function* () {
    yield* within('--limit', limit, 1, mostUsers)
    const target = yield* existing
    const query = { query: Option.getOrElse(search, () => ''), limit }
    const found = yield* advised(
      target.asking(Effect.flatMap(Administration, (service) => service.searchUsers(query))),
    )
    yield* sayList(found, {
      ...{ json, none: 'nobody' },
      row: ({ userId, email, displayName }) => [userId, named(email), named(displayName)],
    })
    if (found.length === limit) {
      yield* remark('there may be more: --search finds them')
    }
  }),
).pipe(
  Command.withDescription('Lists users, who has been here longest first, and erases them.'),
  Command.withSubcommands([erase]),
)

const grant = Command.make('grant', { userId }, ({ userId }) =>
  Effect.gen(function* () {
    const target = yield* existing
    yield* advised(target.serving(Effect.flatMap(DeploymentAdmins, (admins) => admins.grant({ userId }))))
    yield* say(`${userId} administers the deployment`)
  }),
).pipe(Command.withDescription('Makes a user an administrator of the deployment.'))

const revoke = Command.make('revoke', { userId }, ({ userId }) =>
  Effect.gen(function* () {
    const target = yield* existing
    yield* advised(target.serving(Effect.flatMap(DeploymentAdmins, (admins) => admins.revoke({ userId }))))
    yield* say(`${userId} does not administer the deployment`)
  }),
).pipe(Command.withDescription('Takes it away again.'))

export const admins = Command.make('admins', { json }, ({ json }) =>
  Effect.gen(function* () {
    const target = yield* existing
    const found = yield* target.asking(Effect.flatMap(DeploymentAdmins, ({ list }) => list))
    yield* sayList(found, {
      ...{ json, none: 'nobody: `or3-sqlite admins grant USER` makes the first' },
      row: ({ userId, email, displayName }) => [userId, named(email), named(displayName)],
    })
  }),
).pipe(
  Command.withDescription('Lists who administers the deployment, and changes it.'),
  Command.withSubcommands([grant, revoke]),
)
