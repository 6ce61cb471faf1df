/**
 * What the later host's endpoint and client check of an answer to `snapshot`. One that breaks a rule becomes a 502, or makes
 * the device give up: it never bootstraps. Nothing here runs while a server serves; the tests run every answer through it.
 */
import { Either, ParseResult, Schema } from 'effect'
import { isUuid } from '../services/opRules.js'
import { limits, syncedTables } from '../services/SyncDomain.js'
import type { HostSnapshotPage } from './hostSnapshot.js'

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))
const Text = (max: number) => Schema.String.pipe(Schema.minLength(1), Schema.maxLength(max))

const common = { created_at: Schema.Number, updated_at: Schema.Number, clock: Schema.Number }

/** What a client must find in a record before it installs it; further fields are its own affair. */
const payloads = {
  threads: Schema.Struct({
    ...common,
    id: Schema.String,
    title: Schema.optional(Schema.NullOr(Schema.String)),
    status: Schema.String,
    deleted: Schema.Boolean,
    pinned: Schema.Boolean,
  }),
  messages: Schema.Struct({
    ...common,
    id: Schema.String,
    thread_id: Schema.String,
    role: Schema.String,
    index: Schema.Number,
    order_key: Schema.String,
    deleted: Schema.Boolean,
  }),
  projects: Schema.Struct({ ...common, id: Schema.String, name: Schema.String, deleted: Schema.Boolean }),
  posts: Schema.Union(
    Schema.Struct({
      ...common,
      id: Schema.String,
      title: Schema.String,
      content: Schema.String,
      post_type: Schema.String,
      deleted: Schema.Boolean,
    }),
    Schema.Struct({
      ...common,
      id: Schema.String,
      title: Schema.String,
      content: Schema.String,
      post_type: Schema.optional(Schema.Never),
      postType: Schema.String,
      deleted: Schema.Boolean,
    }),
  ),
  file_meta: Schema.Struct({ ...common, hash: Schema.String, deleted: Schema.Boolean }),
  kv: Schema.Struct({ ...common, id: Schema.String, name: Schema.String }),
  notifications: Schema.Struct({
    ...common,
    id: Schema.String,
    user_id: Schema.String,
    type: Schema.String,
    title: Schema.String,
    deleted: Schema.Boolean,
  }),
}

const Uuid = Schema.String.pipe(Schema.filter((id) => isUuid(id) || 'is no UUID'))

const Revision = Schema.Struct({ clock: Count, hlc: Text(512), opId: Uuid })

const Item = Schema.Union(
  ...syncedTables.map((tableName) =>
    Schema.Struct({
      kind: Schema.Literal('row'),
      tableName: Schema.Literal(tableName),
      pk: Text(limits.pkLength),
      payload: payloads[tableName] as Schema.Schema<unknown>,
      revision: Revision,
    }),
  ),
  Schema.Struct({
    kind: Schema.Literal('tombstone'),
    tableName: Schema.Literal(...syncedTables),
    pk: Text(limits.pkLength),
    revision: Revision,
    serverDeletedAt: Count,
  }),
)

const Answer = Schema.Struct({
  workspaceId: Text(limits.idLength),
  snapshotId: Schema.NonEmptyString,
  highWatermark: Count,
  items: Schema.Array(Item).pipe(Schema.maxItems(limits.pageMax)),
  nextPageToken: Schema.NullOr(Text(4_096)),
})

const decode = Schema.decodeUnknownEither(Answer)

/** What of a request the checks need. */
export interface AskedSnapshot {
  readonly scope: { readonly workspaceId: string }
  readonly pageSize: number
  readonly tables?: ReadonlyArray<string> | undefined
}

interface Key {
  readonly tableName: string
  readonly pk: string
  readonly kind: string
}

/** As JavaScript compares strings; the kind decides nothing, since a key comes once. */
const ascends = (a: Key, b: Key) => (a.tableName === b.tableName ? a.pk < b.pk : a.tableName < b.tableName)

const place = ({ tableName, pk, kind }: Key) => `${tableName} ${JSON.stringify(pk)} (${kind})`

const demand = (holds: boolean, rule: string) => {
  if (!holds) throw new Error(`a snapshot's answer breaks a rule: ${rule}`)
}

/**
 * Checks an answer against its request, and against the page before it in the chain if there is one.
 *
 * @throws Error that says which rule is broken
 */
export const checkSnapshotAnswer = (
  request: AskedSnapshot,
  answer: unknown,
  previous?: HostSnapshotPage,
): void => {
  const decoded = decode(answer)
  if (Either.isLeft(decoded)) return demand(false, ParseResult.TreeFormatter.formatErrorSync(decoded.left))
  const { workspaceId, snapshotId, highWatermark, items, nextPageToken } = decoded.right
  demand(workspaceId === request.scope.workspaceId, 'the workspace is that of the request')
  demand(items.length <= request.pageSize, `at most ${request.pageSize} items`)
  const { tables = [] } = request
  let last: Key | undefined = previous?.items.at(-1)
  for (const item of items) {
    demand(tables.length === 0 || tables.includes(item.tableName), `${place(item)} is of a table asked for`)
    if (last !== undefined) demand(ascends(last, item), `${place(item)} comes after ${place(last)}`)
    last = item
  }
  if (previous === undefined) return
  demand(snapshotId === previous.snapshotId, 'all pages have the same snapshotId')
  demand(highWatermark === previous.highWatermark, 'all pages have the same highWatermark')
  demand(workspaceId === previous.workspaceId, 'all pages have the same workspaceId')
  demand(nextPageToken !== previous.nextPageToken, 'no token comes twice')
}
