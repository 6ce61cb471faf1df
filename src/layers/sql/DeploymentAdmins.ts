/**
 * Administrators on any engine.
 */
import { Effect, Either, Layer } from 'effect'
import { type DeploymentAdmin, DeploymentAdmins } from '../../services/DeploymentAdmins.js'
import { idIn } from '../../services/inputRules.js'
import { checkGrant, checkUserKey } from '../../services/settingRules.js'
import { observeService } from '../../services/telemetry.js'
import { profileOf } from '../../services/workspaceRules.js'
import { UserNotFound } from '../../services/WorkspaceStore.js'
import { epochSeconds } from '../time.js'
import { administrationSql } from './administrationSql.js'
import { type Batch, firstOf, type Row, type Statement } from './batch.js'
import { Batches } from './Batches.js'
import { workspaceSql } from './workspaceSql.js'

const adminIn = (row: Row): DeploymentAdmin => ({
  ...profileOf(row.user_id, row.email, row.display_name),
  createdAt: row.created_at,
  ...(row.created_by_user_id === null ? {} : { createdByUserId: row.created_by_user_id }),
})

const listing: Batch<ReadonlyArray<DeploymentAdmin>> = {
  statements: [administrationSql.admins({})],
  read: ([rows]) => Either.right(rows!.map(adminIn)),
}

const asking = (userId: string): Batch<boolean> => ({
  statements: [administrationSql.isAdmin({ userId })],
  read: (results) => Either.right(firstOf(results, 0) !== undefined),
})

const ofUser = (userId: string, change: Statement): Batch<void, UserNotFound> => ({
  statements: [workspaceSql.user({ userId }), change],
  read: (results) => (firstOf(results, 0) === undefined ? Either.left(new UserNotFound({})) : Either.void),
})

const make = Effect.gen(function* () {
  const { read, write } = yield* Batches
  return observeService<DeploymentAdmins['Type']>('DeploymentAdmins', {
    list: read('list administrators', listing),

    grant: (request) =>
      Effect.gen(function* () {
        const { userId, createdBy } = yield* checkGrant(request)
        const change = administrationSql.grant({ userId, createdBy, now: yield* epochSeconds })
        yield* write('grant administration', ofUser(userId, change))
      }),

    revoke: (request) =>
      Effect.flatMap(checkUserKey(request), (userId) =>
        write('revoke administration', ofUser(userId, administrationSql.revoke({ userId }))),
      ),

    isAdmin: (userId) =>
      Effect.flatMap(idIn('userId', userId), (id) => read('find administrator', asking(id))),
  })
})

/** Administrators, beside the tables of the workspace store. */
export const layer: Layer.Layer<DeploymentAdmins, never, Batches> = Layer.effect(DeploymentAdmins, make)
