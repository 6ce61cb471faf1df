/**
 * Administration on any engine.
 */
import { Effect, Layer } from 'effect'
import { Administration } from '../../services/Administration.js'
import {
  checkAssignment,
  checkNewWorkspace,
  checkRemoval,
  checkUserQuery,
  checkWorkspaceKey,
  checkWorkspaceQuery,
} from '../../services/administrationRules.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import { observeService } from '../../services/telemetry.js'
import { epochSeconds } from '../time.js'
import * as administration from './administrationBatches.js'
import { Batches } from './Batches.js'
import { createWorkspace } from './workspaceBatches.js'

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  const ids = yield* IdGenerator
  const fresh = Effect.all({ now: epochSeconds, freshId: ids.next })

  return observeService<Administration['Type']>('Administration', {
    listWorkspaces: (request) =>
      Effect.flatMap(checkWorkspaceQuery(request), (query) =>
        read('list workspaces', administration.listWorkspaces(query)),
      ),

    getWorkspace: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) =>
        read('find workspace', administration.getWorkspace(workspaceId)),
      ),

    listMembers: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) =>
        read('list members', administration.listMembers(workspaceId)),
      ),

    createWorkspace: (request) =>
      Effect.gen(function* () {
        const { userId, ...said } = yield* checkNewWorkspace(request)
        return yield* write('create workspace', createWorkspace(userId, said, yield* fresh))
      }),

    removeWorkspace: (request) =>
      Effect.flatMap(checkRemoval(request), ({ workspaceId, deletedAt }) =>
        write('remove workspace', administration.removeWorkspace(workspaceId, deletedAt)),
      ),

    restoreWorkspace: (request) =>
      Effect.flatMap(checkWorkspaceKey(request), (workspaceId) =>
        write('restore workspace', administration.restoreWorkspace(workspaceId)),
      ),

    searchUsers: (request) =>
      Effect.flatMap(checkUserQuery(request), (query) =>
        read('search users', administration.searchUsers(query)),
      ),

    upsertMember: (request) =>
      Effect.gen(function* () {
        const assignment = yield* checkAssignment(request)
        return yield* write('assign member', administration.upsertMember(assignment, yield* fresh))
      }),
  })
})

/** Administration of the workspace store's tables; new users and workspaces get ids of the `IdGenerator`. */
export const layer: Layer.Layer<Administration, never, Batches | IdGenerator> = Layer.effect(
  Administration,
  make,
)
