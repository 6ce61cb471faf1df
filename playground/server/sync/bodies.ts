/**
 * The shapes of the sync endpoints' bodies.
 *
 * Ops are checked for their shape alone: what the provider says about a payload or a table is to be seen from outside. The
 * rest of a client's outbox entry (`attempts`, `status` and so on) is not looked at.
 */
import type { SyncGatewayAdapter } from 'or3-provider-sqlite/adapters'
import { fields, integer, list, oneOf, optional, text } from '../validate'

type Input<Method extends keyof SyncGatewayAdapter> = SyncGatewayAdapter[Method] extends (
  event: never,
  input: infer A,
) => unknown
  ? A
  : never

type Op = Input<'push'>['ops'][number]
type Body = Readonly<Record<string, unknown>>

const scopeOf = ({ scope }: Body) => {
  const { workspaceId, projectId } = fields(scope, 'scope')
  return {
    workspaceId: text(workspaceId, 'scope.workspaceId'),
    projectId: optional(projectId, (value) => text(value, 'scope.projectId')),
  }
}

const readOp = (value: unknown, field: string): Op => {
  const op = fields(value, field)
  const stamp = fields(op.stamp, `${field}.stamp`)
  return {
    ...op,
    tableName: text(op.tableName, `${field}.tableName`),
    operation: oneOf(op.operation, `${field}.operation`, ['put', 'delete']),
    pk: text(op.pk, `${field}.pk`),
    stamp: {
      deviceId: text(stamp.deviceId, `${field}.stamp.deviceId`),
      opId: text(stamp.opId, `${field}.stamp.opId`),
      hlc: text(stamp.hlc, `${field}.stamp.hlc`),
      clock: integer(stamp.clock, `${field}.stamp.clock`),
    },
  }
}

export const pushBody = (body: Body): Input<'push'> => ({
  scope: scopeOf(body),
  ops: list(body.ops, 'ops', readOp),
})

export const pullBody = (body: Body): Input<'pull'> => {
  const tables = optional(body.tables, (value) => list(value, 'tables', text))
  return {
    scope: scopeOf(body),
    cursor: integer(body.cursor, 'cursor'),
    limit: integer(body.limit, 'limit', { min: 1, max: 1_000 }),
    ...(tables === undefined ? {} : { tables }),
  }
}

/** What today's gateways are asked for a fresh device; the February host had no such call. */
export interface SnapshotInput {
  readonly scope: Input<'pull'>['scope']
  readonly pageSize: number
  readonly pageToken?: string
  readonly tables?: ReadonlyArray<string>
}

export const snapshotBody = (body: Body): SnapshotInput => {
  const pageToken = optional(body.pageToken, (value) => text(value, 'pageToken', { max: 4_096 }))
  const tables = optional(body.tables, (value) => list(value, 'tables', text))
  return {
    scope: scopeOf(body),
    pageSize: integer(body.pageSize, 'pageSize', { min: 1, max: 1_000 }),
    ...(pageToken === undefined ? {} : { pageToken }),
    ...(tables === undefined ? {} : { tables }),
  }
}

export const cursorBody = (body: Body): Input<'updateCursor'> => ({
  scope: scopeOf(body),
  deviceId: text(body.deviceId, 'deviceId'),
  version: integer(body.version, 'version'),
})

export const retentionBody = (body: Body): Input<'gcChangeLog'> => ({
  scope: scopeOf(body),
  retentionSeconds: integer(body.retentionSeconds, 'retentionSeconds', { min: 1 }),
})
