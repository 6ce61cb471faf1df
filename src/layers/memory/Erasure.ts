/**
 * Erasure in memory: the rules written for clarity. Every call is one synchronous step, so nothing is left half done.
 */
import { Effect, Either, Layer } from 'effect'
import { checkWorkspaceKey } from '../../services/administrationRules.js'
import { foldedEmail } from '../../services/emails.js'
import {
  Erasure,
  type EraseReport,
  LastAdmin,
  OnlyOwner,
  type PurgeReport,
  WorkspaceIsLive,
} from '../../services/Erasure.js'
import { mostNamed, nothingToErase } from '../../services/erasureRules.js'
import { statusAt } from '../../services/inviteRules.js'
import type { CheckedOp } from '../../services/opRules.js'
import { checkUserKey } from '../../services/settingRules.js'
import { observeService } from '../../services/telemetry.js'
import { WorkspaceNotFound } from '../../services/WorkspaceStore.js'
import { epochSeconds } from '../time.js'
import { GatewayState, type WorkspaceState } from './GatewayState.js'
import {
  hasOtherOwner,
  requireUser,
  type StoredJob,
  StoreState,
  type User,
  type Workspace,
} from './StoreState.js'

const make = Effect.gen(function* () {
  const { all: contents, of: contentOf, erased: erasedCallers } = yield* GatewayState
  const state = yield* StoreState
  const { accounts, users, erased, workspaces, invites, settings, admins, jobs, webhooks, deliveries } = state

  const requireRemoved = (
    workspaceId: string,
  ): Either.Either<Workspace, WorkspaceNotFound | WorkspaceIsLive> => {
    const workspace = workspaces.get(workspaceId)
    if (workspace === undefined) return Either.left(new WorkspaceNotFound({}))
    return workspace.removedAt === null ? Either.left(new WorkspaceIsLive({})) : Either.right(workspace)
  }

  /** Which of some things are the workspace's, by their ids. */
  const idsOf = <A>(all: ReadonlyMap<string, A>, isOwn: (one: A) => boolean) =>
    [...all].filter(([, one]) => isOwn(one)).map(([id]) => id)

  const isAnsweredIn = (workspaceId: string, { threadId, messageId }: StoredJob) => {
    const { rows } = contentOf(workspaceId)
    return rows.has(`threads\0${threadId}`) || rows.has(`messages\0${messageId}`)
  }

  const belongingsOf = (workspaceId: string) => {
    const isOf = (one: { readonly workspaceId: string | null }) => one.workspaceId === workspaceId
    const ownHooks = new Set(idsOf(webhooks, isOf))
    return {
      invites: idsOf(invites, isOf),
      // They name no workspace: what they answer tells. One that answers in another of its user's is not ours to take.
      jobs: idsOf(
        jobs,
        (job) =>
          isAnsweredIn(workspaceId, job) &&
          ![...workspaces].some(
            ([id, { members }]) => id !== workspaceId && members.has(job.userId) && isAnsweredIn(id, job),
          ),
      ),
      webhooks: [...ownHooks],
      deliveries: idsOf(deliveries, ({ webhookId }) => ownHooks.has(webhookId)),
    }
  }

  const preview = (workspaceId: string) =>
    Either.map(requireRemoved(workspaceId), ({ members }): PurgeReport => {
      const { rows, log } = contentOf(workspaceId)
      const own = belongingsOf(workspaceId)
      return {
        records: rows.size,
        entries: log.length,
        members: members.size,
        invites: own.invites.length,
        jobs: own.jobs.length,
        webhooks: own.webhooks.length,
        deliveries: own.deliveries.length,
      }
    })

  /** All that a removed one holds. */
  const take = (workspace: Workspace) => {
    const { id: workspaceId } = workspace
    const own = belongingsOf(workspaceId)
    for (const id of own.invites) invites.delete(id)
    for (const id of own.jobs) jobs.delete(id)
    for (const id of own.webhooks) webhooks.delete(id)
    for (const id of own.deliveries) deliveries.delete(id)
    for (const key of settings.keys()) if (key.startsWith(`${workspaceId}\0`)) settings.delete(key)
    Object.assign(workspace, { isPurged: true, name: '', description: null })
    workspace.members.clear()
    const content = contentOf(workspaceId)
    Object.assign(content, { isPurged: true, floor: content.version, log: [], trimmed: [] })
    for (const each of [content.rows, content.tombstones, content.cursors, content.intents]) each.clear()
  }

  const purge = (workspaceId: string) =>
    Either.gen(function* () {
      const report = yield* preview(workspaceId)
      take(yield* requireRemoved(workspaceId))
      return report
    })

  const requireErasable = (user: User): Either.Either<void, OnlyOwner | LastAdmin> => {
    const left = [...workspaces.values()].filter(
      (workspace) =>
        workspace.removedAt === null &&
        workspace.members.size > 1 &&
        workspace.members.get(user.id)?.role === 'owner' &&
        !hasOtherOwner(workspace, user.id),
    )
    if (left.length > 0) {
      const workspaceIds = left.map(({ id }) => id).sort()
      return Either.left(new OnlyOwner({ workspaceIds: workspaceIds.slice(0, mostNamed) }))
    }
    return admins.has(user.id) && admins.size === 1 ? Either.left(new LastAdmin({})) : Either.void
  }

  const isNotification = (key: string) => key.startsWith('notifications\0')

  const notificationsOf = (userId: string) =>
    [...contents.values()].flatMap(({ rows }) =>
      idsOf(rows, (row) => row.userId === userId && row.op.payloadJson !== null).filter(isNotification),
    )

  const belongingsOfUser = (user: User) => {
    const address = user.email === null ? undefined : foldedEmail(user.email)
    const ownHooks = new Set(idsOf(webhooks, ({ userId }) => userId === user.id))
    return {
      memberships: [...workspaces.values()].filter(({ members }) => members.has(user.id)),
      identities: idsOf(accounts, ({ id }) => id === user.id),
      invites: idsOf(invites, ({ email, acceptedUserId }) => email === address || acceptedUserId === user.id),
      jobs: idsOf(jobs, ({ userId }) => userId === user.id),
      webhooks: [...ownHooks],
      deliveries: idsOf(deliveries, ({ webhookId }) => ownHooks.has(webhookId)),
      cursors: [...contents.values()].flatMap(({ cursors }) =>
        idsOf(cursors, ({ owner }) => owner === user.id).map((device) => [cursors, device] as const),
      ),
      notifications: notificationsOf(user.id),
    }
  }

  /** Nobody else is in it. */
  const isOwn = ({ isPurged, members }: Workspace) => !isPurged && members.size === 1

  const previewUser = (userId: string) =>
    Either.gen(function* () {
      // Whoever names no caller may have written some since.
      if (erased.has(userId)) return { ...nothingToErase, notifications: notificationsOf(userId).length }
      const user = yield* requireUser(state, userId)
      yield* requireErasable(user)
      const own = belongingsOfUser(user)
      return {
        workspaces: own.memberships.filter(isOwn).length,
        memberships: own.memberships.length,
        identities: own.identities.length,
        invites: own.invites.length,
        jobs: own.jobs.length,
        webhooks: own.webhooks.length,
        deliveries: own.deliveries.length,
        cursors: own.cursors.length,
        notifications: own.notifications.length,
      } satisfies EraseReport
    })

  const withoutContent = (op: CheckedOp): CheckedOp => ({
    ...op,
    operation: 'delete',
    payloadJson: null,
    owner: null,
  })

  const eraseNotifications = (content: WorkspaceState, userId: string) => {
    const { rows } = content
    content.log = content.log.map((entry) => {
      const { op } = entry
      const owner = op.operation === 'put' ? op.owner : rows.get(`notifications\0${op.pk}`)?.userId
      return op.tableName === 'notifications' && owner === userId
        ? { ...entry, op: withoutContent(op) }
        : entry
    })
    for (const [key, row] of rows) {
      if (isNotification(key) && row.userId === userId) rows.set(key, { ...row, op: withoutContent(row.op) })
    }
  }

  const erase = (userId: string, now: number) =>
    Either.gen(function* () {
      const report = yield* previewUser(userId)
      for (const content of contents.values()) eraseNotifications(content, userId)
      if (erased.has(userId)) return report
      const user = yield* requireUser(state, userId)
      const own = belongingsOfUser(user)
      erased.add(userId)
      erasedCallers.add(userId)
      users.delete(userId)
      admins.delete(userId)
      for (const id of own.identities) accounts.delete(id)
      for (const id of own.invites) invites.delete(id)
      for (const invite of invites.values()) {
        if (invite.invitedByUserId !== userId || statusAt(invite, now) !== 'pending') continue
        invites.set(invite.id, { ...invite, status: 'revoked', revokedAt: now, updatedAt: now })
      }
      for (const id of own.jobs) jobs.delete(id)
      for (const id of own.webhooks) webhooks.delete(id)
      for (const id of own.deliveries) deliveries.delete(id)
      for (const [cursors, device] of own.cursors) cursors.delete(device)
      for (const workspace of own.memberships) {
        if (isOwn(workspace)) {
          workspace.removedAt ??= now
          take(workspace)
        } else workspace.members.delete(userId)
      }
      return report
    })

  return observeService<Erasure['Type']>('Erasure', {
    previewErasure: (request) => Effect.suspend(() => Either.flatMap(checkUserKey(request), previewUser)),
    eraseUser: (request) =>
      Effect.flatMap(epochSeconds, (now) =>
        Either.flatMap(checkUserKey(request), (userId) => erase(userId, now)),
      ),
    previewPurge: (request) => Effect.suspend(() => Either.flatMap(checkWorkspaceKey(request), preview)),
    purgeWorkspace: (request) => Effect.suspend(() => Either.flatMap(checkWorkspaceKey(request), purge)),
  })
})

/** On the states of the in-memory store and gateway. */
export const layer: Layer.Layer<Erasure, never, StoreState | GatewayState> = Layer.effect(Erasure, make)
