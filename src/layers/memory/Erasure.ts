/**
 * Erasure in memory: the rules written for clarity. Every call is one synchronous step, so nothing is left half done.
 */
import { Effect, Either, Layer } from 'effect'
import { checkWorkspaceKey } from '../../services/administrationRules.js'
import { Erasure, type PurgeReport, WorkspaceIsLive } from '../../services/Erasure.js'
import { observeService } from '../../services/telemetry.js'
import { WorkspaceNotFound } from '../../services/WorkspaceStore.js'
import { GatewayState } from './GatewayState.js'
import { type StoredJob, StoreState, type Workspace } from './StoreState.js'

const make = Effect.gen(function* () {
  const { of: contentOf } = yield* GatewayState
  const { workspaces, invites, settings, jobs, webhooks, deliveries } = yield* StoreState

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

  const purge = (workspaceId: string) =>
    Either.gen(function* () {
      const report = yield* preview(workspaceId)
      const workspace = yield* requireRemoved(workspaceId)
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
      return report
    })

  return observeService<Erasure['Type']>('Erasure', {
    previewPurge: (request) => Effect.suspend(() => Either.flatMap(checkWorkspaceKey(request), preview)),
    purgeWorkspace: (request) => Effect.suspend(() => Either.flatMap(checkWorkspaceKey(request), purge)),
  })
})

/** On the states of the in-memory store and gateway. */
export const layer: Layer.Layer<Erasure, never, StoreState | GatewayState> = Layer.effect(Erasure, make)
